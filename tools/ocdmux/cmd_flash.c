/* flash and verify: images into flash, and compared with it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/strbuf.h"
#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"

static const char *const cmd_flash_prepare[] = {"none", "halt", "reset_halt", "reset_init", NULL};
static const char *const cmd_flash_reset[] = {"none", "run", "halt", NULL};

const struct option cmd_flash_options[] = {
    {"address", "ADDRESS", "where the image begins; default: the base of bank 0", NULL},
    {"no-erase", NULL, "do not erase the sectors first", NULL},
    {"no-verify", NULL, "do not read back and compare", NULL},
    {"prepare", "none|halt|reset_halt|reset_init", "what to do with the target before; default: none",
     cmd_flash_prepare},
    {"reset", "none|run|halt", "how to reset the board after; default: none", cmd_flash_reset},
    {NULL, NULL, NULL, NULL},
};

const struct option cmd_verify_options[] = {
    {"bank", "N", "the flash bank's number; default: 0", NULL},
    {"offset", "OFFSET", "where in the bank the image begins; default: 0", NULL},
    {NULL, NULL, NULL, NULL},
};

#define CMD_VERIFY_MAX_BANK 1023u

/* Adds `data` if the server takes as much in one request. */
static bool cmd_add_data(struct session *session, cJSON *params, const struct strbuf *bytes)
{
    uint64_t room = session_inline_room(session);
    if (bytes->length > room) {
        (void)session_report_own(session, OCDMUX_KIND_LINE_TOO_LONG,
                                 "%s has %zu bytes, and this server takes at most %" PRIu64 " in one request",
                                 session->arguments->words[0], bytes->length, room);
        return false;
    }
    struct strbuf data = STRBUF_INIT;
    base64_encode(&data, (const uint8_t *)bytes->data, bytes->length);
    cJSON_AddStringToObject(params, "data", strbuf_text(&data));
    strbuf_fini(&data);
    return true;
}

static bool cmd_flash_show(void *arg, const cJSON *result)
{
    uint64_t written;
    uint64_t unchanged;
    uint64_t erased;
    uint64_t duration;
    (void)arg;
    if (!field_u64(result, "bytes_written", &written) || !field_u64(result, "bytes_unchanged", &unchanged) ||
        !field_u64(result, "sectors_erased", &erased) || !field_u64(result, "duration_ms", &duration)) {
        return false;
    }
    printf("%" PRIu64 " bytes written, %" PRIu64 " unchanged, %" PRIu64 " %s erased, %s, %" PRIu64 " ms\n",
           written, unchanged, erased, erased == 1 ? "sector" : "sectors",
           field_true(result, "verified") ? "verified" : "not verified", duration);
    return true;
}

static cJSON *cmd_flash_params(const struct session *session, uint64_t address)
{
    const struct arguments *arguments = session->arguments;
    cJSON *params = session_board_params(session);
    if (options_has(arguments, "address")) {
        ocdmux_json_add_address(params, "address", address);
    }
    if (options_has(arguments, "no-erase")) {
        cJSON_AddFalseToObject(params, "erase");
    }
    if (options_has(arguments, "no-verify")) {
        cJSON_AddFalseToObject(params, "verify");
    }
    if (options_has(arguments, "prepare")) {
        cJSON_AddStringToObject(params, "prepare", options_value(arguments, "prepare"));
    }
    if (options_has(arguments, "reset")) {
        cJSON_AddStringToObject(params, "reset", options_value(arguments, "reset"));
    }
    return params;
}

enum status cmd_flash(struct session *session)
{
    struct progress progress;
    struct strbuf bytes = STRBUF_INIT;
    uint64_t address = 0;
    if (!options_number(session->arguments, "address", NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !file_read(session->arguments->words[0], &bytes)) {
        strbuf_fini(&bytes);
        return STATUS_USAGE;
    }
    cJSON *params = cmd_flash_params(session, address);
    bool ready = session_connect(session) && cmd_add_data(session, params, &bytes);
    strbuf_fini(&bytes);
    if (!ready) {
        cJSON_Delete(params);
        return session->status;
    }
    progress_init(&progress, true);
    struct session_extra extra = {.progress = &progress};
    return session_show(session, "flash.write_image", params, &extra, cmd_flash_show, NULL);
}

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
static enum status cmd_verify_request(struct session *session, cJSON *take_params)
{
    struct progress progress;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    progress_init(&progress, false);
    struct session_extra extra = {.progress = &progress};
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

enum status cmd_verify(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct strbuf bytes = STRBUF_INIT;
    uint64_t bank = 0;
    uint64_t offset = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, CMD_VERIFY_MAX_BANK, &bank) ||
        !options_number(arguments, "offset", NUMBER_SIZE, 0, UINT64_MAX, &offset) ||
        !file_read(arguments->words[0], &bytes)) {
        strbuf_fini(&bytes);
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    if (options_has(arguments, "bank")) {
        ocdmux_json_add_u64(params, "bank", bank);
    }
    if (options_has(arguments, "offset")) {
        ocdmux_json_add_u64(params, "offset", offset);
    }
    bool ready = session_connect(session) && cmd_add_data(session, params, &bytes);
    strbuf_fini(&bytes);
    if (!ready) {
        cJSON_Delete(params);
        return session->status;
    }
    return cmd_verify_request(session, params);
}
