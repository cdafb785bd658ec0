/* load: an image into RAM. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "source.h"

const struct option cmd_load_options[] = {
    SOURCE_OPTIONS,
    {"address", "ADDRESS", "where plain bytes go, 0 to 2^64-1; they need it", NULL},
    {"no-verify", NULL, "do not read back and compare", NULL},
    {"prepare", SOURCE_PREPARES, "what to do with the target before; default: halt", source_prepares},
    {NULL, NULL, NULL, NULL},
};

static bool cmd_load_show(void *arg, const cJSON *result)
{
    uint64_t written;
    uint64_t segments;
    uint64_t duration;
    const char *format = field_text(result, "format");
    (void)arg;
    if (!field_u64(result, "bytes_written", &written) || !field_u64(result, "segments", &segments) ||
        !field_u64(result, "duration_ms", &duration) || format == NULL) {
        return false;
    }
    printf("%" PRIu64 " bytes loaded, %s, %" PRIu64 " ms (", written,
           field_true(result, "verified") ? "verified" : "not verified", duration);
    print_field(stdout, format);
    printf(", %" PRIu64 " %s)", segments, segments == 1 ? "segment" : "segments");
    if (field_get(result, "entry") != NULL) {
        char entry[20];
        field_format_address(result, "entry", entry);
        printf(", entry %s", entry);
    }
    putchar('\n');
    return true;
}

static enum status cmd_load_request(struct session *session, const struct source *source, uint64_t address)
{
    const struct arguments *arguments = session->arguments;
    const char *prepare = options_value(arguments, "prepare");
    struct progress progress;
    struct session_extra extra = {.progress = &progress,
                                  .untouched = "the memory is unchanged",
                                  .unknown = "the memory may hold only a part of it"};
    cJSON *params = session_board_params(session);
    if (options_has(arguments, "address")) {
        ocdmux_json_add_address(params, "address", address);
    }
    if (options_has(arguments, "no-verify")) {
        cJSON_AddFalseToObject(params, "verify");
    }
    cJSON_AddStringToObject(params, "prepare", prepare == NULL ? "halt" : prepare);
    progress_init(&progress, !session->json);
    if (!source_add(session, source, &progress, extra.untouched, params)) {
        cJSON_Delete(params);
        return session->status;
    }
    return session_show(session, "memory.load_image", params, &extra, cmd_load_show, NULL);
}

/* What the server would refuse only after the upload. */
static bool cmd_load_check(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    const char *format = options_value(arguments, "format");
    bool has_address = options_has(arguments, "address");
    if (has_address && source_has_addresses(session)) {
        return options_complain(arguments, "--address is for plain bytes: the other formats have their own");
    }
    if (!has_address && format != NULL && strcmp(format, "bin") == 0) {
        return options_complain(arguments, "plain bytes need --address");
    }
    return true;
}

enum status cmd_load(struct session *session)
{
    struct source source;
    uint64_t address = 0;
    if (!options_number(session->arguments, "address", NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !cmd_load_check(session)) {
        return STATUS_USAGE;
    }
    enum status status =
        source_take(session, &source) ? cmd_load_request(session, &source, address) : STATUS_USAGE;
    source_fini(&source);
    return status;
}
