/* verify: flash compared with an image. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "source.h"

#define CMD_VERIFY_MAX_BANK 1023u

const struct option cmd_verify_options[] = {
    SOURCE_OPTIONS,
    {"bank", "N", "the flash bank that plain bytes belong to, 0 to 1023; default: 0", NULL},
    {"offset", "OFFSET", "where in the bank they begin, in bytes; default: 0", NULL},
    {"consistent", NULL, "let nobody change the board meanwhile", NULL},
    {NULL, NULL, NULL, NULL},
};

static bool cmd_verify_show_difference(const cJSON *difference)
{
    uint64_t address;
    uint64_t offset;
    uint64_t expected;
    uint64_t found;
    if (!field_u64(difference, "address", &address) || !field_u64(difference, "offset", &offset) ||
        !field_u64(difference, "expected", &expected) || !field_u64(difference, "found", &found)) {
        return false;
    }
    printf("0x%08" PRIx64 ": expected 0x%02" PRIx64 ", found 0x%02" PRIx64 " (offset %" PRIu64 ")\n", address,
           expected, found, offset);
    return true;
}

static bool cmd_verify_show_differences(const cJSON *result, uint64_t size)
{
    const cJSON *differences = field_array(result, "differences");
    const cJSON *difference = NULL;
    uint64_t count;
    if (differences == NULL || !field_u64(result, "difference_count", &count)) {
        return false;
    }
    cJSON_ArrayForEach(difference, differences)
    {
        if (!cmd_verify_show_difference(difference)) {
            return false;
        }
    }
    printf("%" PRIu64 " of %" PRIu64 " bytes differ\n", count, size);
    return true;
}

static bool cmd_verify_show(void *arg, const cJSON *result)
{
    uint64_t size;
    (void)arg;
    if (!cJSON_IsBool(field_get(result, "match")) || !field_u64(result, "size", &size)) {
        return false;
    }
    if (field_true(result, "match")) {
        printf("%" PRIu64 " bytes match\n", size);
    } else if (!cmd_verify_show_differences(result, size)) {
        return false;
    }
    fflush(stdout);
    session_note_disturbed(result);
    return true;
}

/* A mismatch is an answer of the server and a failure of the command, with --json as well. */
static enum status cmd_verify_request(struct session *session, cJSON *take_params, struct progress *progress)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.progress = progress};
    if (!session_call(session, "flash.verify", take_params, &extra, &result)) {
        return session->status;
    }
    enum status status = field_true(result.json, "match") ? STATUS_OK : STATUS_FAILED;
    if (session->json) {
        print_json(stdout, result.text, result.length);
    } else if (!cmd_verify_show(NULL, result.json)) {
        status = session_report_result(session, "flash.verify");
    }
    ocdmux_result_fini(&result);
    return status;
}

static enum status cmd_verify_source(struct session *session, const struct source *source, uint64_t bank,
                                     uint64_t offset)
{
    const struct arguments *arguments = session->arguments;
    struct progress progress;
    cJSON *params = session_board_params(session);
    if (options_has(arguments, "bank")) {
        ocdmux_json_add_u64(params, "bank", bank);
    }
    if (options_has(arguments, "offset")) {
        ocdmux_json_add_u64(params, "offset", offset);
    }
    if (options_has(arguments, "consistent")) {
        cJSON_AddTrueToObject(params, "consistent");
    }
    if (!options_has(arguments, "format")) {
        /* The method's own default is bin. */
        cJSON_AddStringToObject(params, "format", "auto");
    }
    progress_init(&progress, !session->json);
    if (!source_add(session, source, &progress, NULL, params)) {
        cJSON_Delete(params);
        return session->status;
    }
    return cmd_verify_request(session, params, &progress);
}

enum status cmd_verify(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct source source;
    uint64_t bank = 0;
    uint64_t offset = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, CMD_VERIFY_MAX_BANK, &bank) ||
        !options_number(arguments, "offset", NUMBER_SIZE, 0, UINT64_MAX, &offset)) {
        return STATUS_USAGE;
    }
    if (source_has_addresses(session) &&
        (options_has(arguments, "bank") || options_has(arguments, "offset"))) {
        (void)options_complain(arguments,
                               "--bank and --offset are for plain bytes: the other formats have addresses");
        return STATUS_USAGE;
    }
    enum status status =
        source_take(session, &source) ? cmd_verify_source(session, &source, bank, offset) : STATUS_USAGE;
    source_fini(&source);
    return status;
}
