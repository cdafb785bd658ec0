/* The upload of a stage by the library, with its progress and its reports. */
#include "upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "print.h"

struct upload_state {
    struct session *session;
    struct progress *progress;
    uint64_t offset; /* of the first byte that the server does not have, as far as known */
};

/* The last part of the path; what the protocol refuses in a name is escaped. */
static void upload_append_name(struct strbuf *name, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *last = slash == NULL || slash[1] == '\0' ? file : slash + 1;
    last = strcmp(file, "-") == 0 ? "standard input" : last;
    print_escape(name, last, strlen(last), true);
}

static bool upload_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    struct upload_state *state = arg;
    state->offset = done;
    if (!state->session->interrupted) {
        progress_show(state->progress, phase, done, total);
    }
    return !state->session->interrupted;
}

static void upload_cancelling(void *arg)
{
    const struct upload_state *state = arg;
    session_note_cancelling(state->session, state->progress);
}

static void upload_report(struct upload_state *state, const struct strbuf *bytes, struct ocdmux_error *error)
{
    struct session *session = state->session;
    bool cancelled = error->local && ocdmux_error_is(error, OCDMUX_KIND_CANCELLED);
    session->interrupted = session->interrupted || cancelled;
    progress_end(state->progress);
    (void)session_report(session, error);
    /* The server keeps what it has where only the connection or the patience was lost. */
    bool kept = session->interrupted || session->status == STATUS_NO_CONNECTION;
    if (kept && state->offset > 0) {
        fprintf(stderr, "  uploaded: %" PRIu64 " of %zu bytes; the same command goes on from there\n",
                state->offset, bytes->length);
    }
}

bool upload_bytes(struct session *session, const char *file, const struct strbuf *bytes,
                  struct progress *progress, struct ocdmux_stage *ret_upload)
{
    struct upload_state state = {.session = session, .progress = progress};
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct strbuf name = STRBUF_INIT;
    if (!session_connect(session)) {
        return false;
    }
    struct ocdmux_job job = session_job(session);
    job.progress = upload_progress;
    job.cancelling = upload_cancelling;
    job.arg = &state;
    upload_append_name(&name, file);
    bool good = ocdmux_upload(session->connection, &job, strbuf_text(&name), bytes->data, bytes->length,
                              ret_upload, &error);
    strbuf_fini(&name);
    if (!good) {
        upload_report(&state, bytes, &error);
        return false;
    }
    if (!ret_upload->present) {
        progress_end(progress);
    }
    return true;
}
