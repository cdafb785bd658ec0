/* flash: an image into flash. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "source.h"

static const char *const cmd_flash_resets[] = {"none", "run", "halt", NULL};
static const char *const cmd_flash_modes[] = {"changed", "full", NULL};

const struct option cmd_flash_options[] = {
    SOURCE_OPTIONS,
    {"address", "ADDRESS", "where plain bytes begin, 0 to 2^64-1; default: the base of bank 0", NULL},
    {"mode", "changed|full",
     "program the sectors that differ, or all; default: changed, with --no-erase full", cmd_flash_modes},
    {"no-erase", NULL, "do not erase the sectors first", NULL},
    {"no-verify", NULL, "do not read back and compare", NULL},
    {"unlock", NULL, "lift the protection of the sectors first", NULL},
    {"prepare", SOURCE_PREPARES, "what to do with the target before; default: reset_init", source_prepares},
    {"reset", "none|run|halt", "how to reset the board after success; default: run", cmd_flash_resets},
    {"no-detach", NULL, "stop when the connection is lost, instead of going on", NULL},
    {NULL, NULL, NULL, NULL},
};

struct cmd_flash {
    const char *prepare;
    const char *reset;
};

static const char *cmd_flash_after(const struct cmd_flash *flash)
{
    if (strcmp(flash->reset, "run") == 0) {
        return "; reset and running";
    }
    return strcmp(flash->reset, "halt") == 0 ? "; reset and halted" : "";
}

static bool cmd_flash_show(void *arg, const cJSON *result)
{
    uint64_t written;
    uint64_t unchanged;
    uint64_t erased;
    uint64_t repaired;
    uint64_t segments;
    uint64_t duration;
    const char *format = field_text(result, "format");
    if (!field_u64(result, "bytes_written", &written) || !field_u64(result, "bytes_unchanged", &unchanged) ||
        !field_u64(result, "sectors_erased", &erased) || !field_u64(result, "repaired_bytes", &repaired) ||
        !field_u64(result, "segments", &segments) || !field_u64(result, "duration_ms", &duration) ||
        format == NULL) {
        return false;
    }
    printf("%" PRIu64 " bytes written, %" PRIu64 " unchanged, %" PRIu64 " %s erased, %s, %" PRIu64 " ms (",
           written, unchanged, erased, erased == 1 ? "sector" : "sectors",
           field_true(result, "verified") ? "verified" : "not verified", duration);
    print_field(stdout, format);
    printf(", %" PRIu64 " %s)%s\n", segments, segments == 1 ? "segment" : "segments", cmd_flash_after(arg));
    if (repaired > 0) {
        printf("%" PRIu64 " bytes beside the image put back, which an earlier try had erased\n", repaired);
    }
    return true;
}

static void cmd_flash_add_params(const struct session *session, const struct cmd_flash *flash,
                                 uint64_t address, cJSON *params)
{
    const struct arguments *arguments = session->arguments;
    if (options_has(arguments, "address")) {
        ocdmux_json_add_address(params, "address", address);
    }
    if (options_has(arguments, "mode")) {
        cJSON_AddStringToObject(params, "mode", options_value(arguments, "mode"));
    }
    if (options_has(arguments, "no-erase")) {
        cJSON_AddFalseToObject(params, "erase");
    }
    if (options_has(arguments, "no-verify")) {
        cJSON_AddFalseToObject(params, "verify");
    }
    if (options_has(arguments, "unlock")) {
        cJSON_AddTrueToObject(params, "unlock");
    }
    if (options_has(arguments, "no-detach")) {
        cJSON_AddFalseToObject(params, "detach");
    }
    cJSON_AddStringToObject(params, "prepare", flash->prepare);
    cJSON_AddStringToObject(params, "reset", flash->reset);
}

/* What the server would refuse only after the upload. */
static bool cmd_flash_check(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    const char *mode = options_value(arguments, "mode");
    if (options_has(arguments, "address") && source_has_addresses(session)) {
        return options_complain(arguments, "--address is for plain bytes: the other formats have their own");
    }
    if (options_has(arguments, "no-erase") && mode != NULL && strcmp(mode, "changed") == 0) {
        return options_complain(arguments, "--mode changed erases, and --no-erase forbids it");
    }
    return true;
}

static enum status cmd_flash_request(struct session *session, const struct source *source, uint64_t address)
{
    struct progress progress;
    struct session_extra extra = {.progress = &progress,
                                  .untouched = "the flash is unchanged",
                                  .unknown = "the state of the flash is not known before it is over"};
    struct cmd_flash flash = {.prepare = options_value(session->arguments, "prepare"),
                              .reset = options_value(session->arguments, "reset")};
    flash.prepare = flash.prepare == NULL ? "reset_init" : flash.prepare;
    flash.reset = flash.reset == NULL ? "run" : flash.reset;
    cJSON *params = session_board_params(session);
    cmd_flash_add_params(session, &flash, address, params);
    progress_init(&progress, !session->json);
    if (!source_add(session, source, &progress, extra.untouched, params)) {
        cJSON_Delete(params);
        return session->status;
    }
    return session_show(session, "flash.write_image", params, &extra, cmd_flash_show, &flash);
}

enum status cmd_flash(struct session *session)
{
    struct source source;
    uint64_t address = 0;
    if (!options_number(session->arguments, "address", NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !cmd_flash_check(session)) {
        return STATUS_USAGE;
    }
    enum status status =
        source_take(session, &source) ? cmd_flash_request(session, &source, address) : STATUS_USAGE;
    source_fini(&source);
    return status;
}
