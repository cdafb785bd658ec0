/* erase and protect: sectors of a flash bank. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fields.h"
#include "sectors.h"

const struct option cmd_erase_options[] = {
    {"bank", "N", "the flash bank's number, 0 to 1023; default: 0", NULL},
    {"all", NULL, "erase every sector of the bank, instead of SECTORS", NULL},
    {NULL, NULL, NULL, NULL},
};

const struct option cmd_protect_options[] = {
    {"bank", "N", "the flash bank's number, 0 to 1023; default: 0", NULL},
    {NULL, NULL, NULL, NULL},
};

/* `board`, `target` and the like, and `bank` if it was given; NULL after a message. */
static cJSON *cmd_erase_params(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    uint64_t bank = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, SECTORS_MAX_BANK, &bank)) {
        return NULL;
    }
    cJSON *params = session_board_params(session);
    if (options_has(arguments, "bank")) {
        ocdmux_json_add_u64(params, "bank", bank);
    }
    return params;
}

/* Adds the sectors that `text` names; false after a message. */
static bool cmd_erase_add_sectors(const struct session *session, const char *text, cJSON *params)
{
    uint64_t first;
    uint64_t last;
    if (!sectors_take(session->arguments, text, &first, &last)) {
        return false;
    }
    ocdmux_json_add_u64(params, "first", first);
    ocdmux_json_add_u64(params, "last", last);
    return true;
}

static bool cmd_erase_show(void *arg, const cJSON *result)
{
    uint64_t erased;
    (void)arg;
    if (!field_u64(result, "sectors_erased", &erased)) {
        return false;
    }
    printf("%" PRIu64 " %s erased\n", erased, erased == 1 ? "sector" : "sectors");
    return true;
}

enum status cmd_erase(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct progress progress;
    struct session_extra extra = {.progress = &progress,
                                  .untouched = "the flash is unchanged",
                                  .unknown = "the state of the flash is not known before it is over"};
    bool all = options_has(arguments, "all");
    if (all == (arguments->count > 0)) {
        (void)options_complain(arguments, "erase needs either SECTORS or --all");
        return STATUS_USAGE;
    }
    cJSON *params = cmd_erase_params(session);
    if (params == NULL || (!all && !cmd_erase_add_sectors(session, arguments->words[0], params))) {
        cJSON_Delete(params);
        return STATUS_USAGE;
    }
    progress_init(&progress, !session->json);
    return session_show(session, all ? "flash.erase_all" : "flash.erase_sector", params, &extra,
                        cmd_erase_show, NULL);
}

static bool cmd_protect_show(void *arg, const cJSON *result)
{
    const cJSON *sectors = field_array(result, "sectors");
    struct sectors_view view = {.name = ">sector", .join = isatty(STDOUT_FILENO) != 0};
    (void)arg;
    if (sectors == NULL || !cJSON_IsBool(field_get(result, "reset_needed"))) {
        return false;
    }
    sectors_print(&view, sectors);
    if (field_true(result, "reset_needed")) {
        puts("takes effect with the next reset of the chip: see 'ocdmux reset'");
    }
    return true;
}

enum status cmd_protect(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct session_extra extra = {.unknown = "the protection may have changed: see 'ocdmux info'"};
    const char *wanted = arguments->words[0];
    bool on = strcmp(wanted, "on") == 0;
    if (!on && strcmp(wanted, "off") != 0) {
        (void)options_complain(arguments, "protect takes on or off, not '%s'", wanted);
        return STATUS_USAGE;
    }
    cJSON *params = cmd_erase_params(session);
    if (params == NULL || !cmd_erase_add_sectors(session, arguments->words[1], params)) {
        cJSON_Delete(params);
        return STATUS_USAGE;
    }
    cJSON_AddBoolToObject(params, "on", on);
    return session_show(session, "flash.protect", params, &extra, cmd_protect_show, NULL);
}
