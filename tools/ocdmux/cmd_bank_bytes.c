/* read-bank and write-bank: plain bytes of a flash bank, by offset. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd_transfer.h"
#include "commands.h"
#include "fields.h"
#include "sectors.h"
#include "source.h"

const struct option cmd_read_bank_options[] = {
    {"bank", "N", "the flash bank, 0 to 1023; default: 0", NULL},
    {"consistent", NULL, "let nobody change the board meanwhile", NULL},
    {NULL, NULL, NULL, NULL},
};
const struct option cmd_write_bank_options[] = {
    {"bank", "N", "the flash bank, 0 to 1023; default: 0", NULL},
    {"erase", NULL, "erase the sectors first, and keep what FILE does not cover", NULL},
    {"stage", "STAGE", "a stage (see 'upload' and 'stages'), instead of FILE", NULL},
    {NULL, NULL, NULL, NULL},
};

enum status cmd_read_bank(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    uint64_t bank = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, SECTORS_MAX_BANK, &bank) ||
        !options_word_number(arguments, 0, NUMBER_SIZE, 0, UINT64_MAX, &offset) ||
        !options_word_number(arguments, 1, NUMBER_SIZE, 1, UINT64_MAX, &size)) {
        return STATUS_USAGE;
    }
    if (session->json && strcmp(arguments->words[2], "-") == 0) {
        (void)options_complain(arguments, "--json and '-' both want standard output");
        return STATUS_USAGE;
    }
    cJSON *params = session_long_params(session);
    ocdmux_json_add_u64(params, "bank", bank);
    ocdmux_json_add_u64(params, "offset", offset);
    ocdmux_json_add_u64(params, "size", size);
    if (options_has(arguments, "consistent")) {
        cJSON_AddTrueToObject(params, "consistent");
    }
    return transfer_read(session, "flash.read", params, size, arguments->words[2]);
}

static bool cmd_write_bank_show(void *arg, const cJSON *result)
{
    uint64_t size;
    uint64_t erased;
    (void)arg;
    if (!field_u64(result, "size", &size) || !field_u64(result, "sectors_erased", &erased)) {
        return false;
    }
    printf("%" PRIu64 " bytes written, %" PRIu64 " sectors erased\n", size, erased);
    return true;
}

static enum status cmd_write_bank_request(struct session *session, const struct source *source, uint64_t bank,
                                          uint64_t offset)
{
    struct progress progress;
    struct session_extra extra = {.progress = &progress,
                                  .untouched = "the flash is unchanged",
                                  .unknown = "the state of the flash is not known before it is over"};
    cJSON *params = session_board_params(session);
    ocdmux_json_add_u64(params, "bank", bank);
    ocdmux_json_add_u64(params, "offset", offset);
    if (options_has(session->arguments, "erase")) {
        cJSON_AddTrueToObject(params, "erase");
    }
    progress_init(&progress, !session->json);
    if (!source_add(session, source, &progress, extra.untouched, params)) {
        cJSON_Delete(params);
        return session->status;
    }
    return session_show(session, "flash.write", params, &extra, cmd_write_bank_show, NULL);
}

enum status cmd_write_bank(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct source source;
    uint64_t bank = 0;
    uint64_t offset = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, SECTORS_MAX_BANK, &bank) ||
        !options_word_number(arguments, 0, NUMBER_SIZE, 0, UINT64_MAX, &offset)) {
        return STATUS_USAGE;
    }
    enum status status = source_take_word(session, 1, &source)
                             ? cmd_write_bank_request(session, &source, bank, offset)
                             : STATUS_USAGE;
    source_fini(&source);
    return status;
}
