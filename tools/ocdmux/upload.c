/* The upload of a stage: stage.create, then stage.write until it is complete. */
#include "upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "fields.h"
#include "print.h"

/* Larger pieces are no faster, and an interrupt waits for the piece to end. */
#define UPLOAD_PIECE_BYTES ((uint64_t)1 << 20)
/* What the protocol takes as a stage's name. */
#define UPLOAD_NAME_BYTES ((size_t)255)

struct upload_state {
    struct session *session;
    const struct strbuf *bytes;
    struct progress *progress;
    struct upload upload;
    uint64_t offset; /* of the first byte that the server does not have */
};

/* The last part of the path, without what the protocol refuses in a name. */
static void upload_add_name(cJSON *params, const char *file)
{
    struct strbuf name = STRBUF_INIT;
    const char *slash = strrchr(file, '/');
    const char *last = slash == NULL || slash[1] == '\0' ? file : slash + 1;
    size_t length = 0;
    last = strcmp(file, "-") == 0 ? "standard input" : last;
    print_escape(&name, last, strlen(last), true);
    while (length < name.length) {
        size_t taken = utf8_sequence(strbuf_text(&name) + length, name.length - length);
        if (taken == 0 || length + taken > UPLOAD_NAME_BYTES) {
            break;
        }
        length += taken;
    }
    strbuf_truncate(&name, length);
    cJSON_AddStringToObject(params, "name", strbuf_text(&name));
    strbuf_fini(&name);
}

static bool upload_is_stage_id(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) < UPLOAD_STAGE_SIZE;
}

/* Takes the answer to stage.create; false if it is not what the protocol says. */
static bool upload_take_created(struct upload_state *state, const cJSON *result)
{
    const char *stage = field_text(result, "stage");
    uint64_t offset;
    if (!upload_is_stage_id(stage) || !cJSON_IsBool(field_get(result, "present")) ||
        !field_u64(result, "offset", &offset)) {
        return false;
    }
    state->upload.present = field_true(result, "present");
    if (!state->upload.present && offset >= state->bytes->length) {
        return false;
    }
    memcpy(state->upload.stage, stage, strlen(stage) + 1);
    state->offset = state->upload.present ? state->bytes->length : offset;
    return true;
}

static bool upload_create(struct upload_state *state, const char *file)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.bar = state->progress};
    cJSON *params = cJSON_CreateObject();
    upload_add_name(params, file);
    ocdmux_json_add_u64(params, "size", state->bytes->length);
    cJSON_AddStringToObject(params, "sha256", state->upload.sha256);
    if (!session_call(state->session, "stage.create", params, &extra, &result)) {
        return false;
    }
    bool good = upload_take_created(state, result.json);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(state->session, "stage.create");
    }
    return good;
}

/*
 * Takes the answer to stage.write. The server may have more than this piece where somebody else sends the
 * same content; no answer may lead backwards, or this would never end.
 */
static bool upload_take_written(struct upload_state *state, const cJSON *result)
{
    uint64_t total = state->bytes->length;
    uint64_t offset;
    uint64_t size;
    const char *sha = field_text(result, "sha256");
    if (!field_u64(result, "offset", &offset) || !field_u64(result, "size", &size) ||
        !cJSON_IsBool(field_get(result, "complete"))) {
        return false;
    }
    if (size != total || offset <= state->offset || offset > total ||
        field_true(result, "complete") != (offset == total)) {
        return false;
    }
    if (sha != NULL && strcmp(sha, state->upload.sha256) != 0) {
        return false;
    }
    state->offset = offset;
    return true;
}

static bool upload_write(struct upload_state *state, uint64_t length)
{
    struct strbuf data = STRBUF_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.bar = state->progress};
    cJSON *params = cJSON_CreateObject();
    base64_encode(&data, (const uint8_t *)state->bytes->data + state->offset, (size_t)length);
    cJSON_AddStringToObject(params, "stage", state->upload.stage);
    ocdmux_json_add_u64(params, "offset", state->offset);
    cJSON_AddStringToObject(params, "data", strbuf_text(&data));
    strbuf_fini(&data);
    if (!session_call(state->session, "stage.write", params, &extra, &result)) {
        return false;
    }
    bool good = upload_take_written(state, result.json);
    ocdmux_result_fini(&result);
    if (!good) {
        progress_end(state->progress);
        (void)session_report_result(state->session, "stage.write");
    }
    return good;
}

/* Sends what the server does not have. */
static bool upload_send(struct upload_state *state)
{
    struct session *session = state->session;
    uint64_t total = state->bytes->length;
    uint64_t piece = session_inline_room(session);
    piece = piece < UPLOAD_PIECE_BYTES ? piece : UPLOAD_PIECE_BYTES;
    if (piece == 0) {
        (void)session_report_own(session, OCDMUX_KIND_LINE_TOO_LONG,
                                 "the server's lines are too short for any data");
        return false;
    }
    progress_show(state->progress, "upload", state->offset, total);
    while (state->offset < total) {
        if (session->interrupted) {
            (void)session_report_own(session, OCDMUX_KIND_CANCELLED, "stopped during the upload");
            return false;
        }
        if (!upload_write(state, total - state->offset < piece ? total - state->offset : piece)) {
            return false;
        }
        if (!session->interrupted) {
            progress_show(state->progress, "upload", state->offset, total);
        }
    }
    progress_end(state->progress);
    return true;
}

/* The server keeps what it has where only the connection or the patience was lost. */
static void upload_print_rest(const struct upload_state *state)
{
    bool kept = state->session->interrupted || state->session->status == STATUS_NO_CONNECTION;
    if (kept && state->offset > 0) {
        fprintf(stderr, "  uploaded: %" PRIu64 " of %zu bytes; the same command goes on from there\n",
                state->offset, state->bytes->length);
    }
}

bool upload_bytes(struct session *session, const char *file, const struct strbuf *bytes,
                  struct progress *progress, struct upload *ret_upload)
{
    struct upload_state state = {.session = session, .bytes = bytes, .progress = progress};
    struct sha256 *sha = sha256_new();
    sha256_add(sha, (const uint8_t *)bytes->data, bytes->length);
    sha256_finish(sha, state.upload.sha256);
    sha256_free(sha);
    if (!session_connect(session) || !upload_create(&state, file)) {
        return false;
    }
    if (!state.upload.present && !upload_send(&state)) {
        upload_print_rest(&state);
        return false;
    }
    *ret_upload = state.upload;
    return true;
}
