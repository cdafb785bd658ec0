/* banks and info: what flash there is. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "sectors.h"
#include "table.h"

const struct option cmd_info_options[] = {
    {"all", NULL, "a line for each sector on a terminal as well", NULL},
    {NULL, NULL, NULL, NULL},
};

static void cmd_bank_add_row(struct table *table, const cJSON *bank)
{
    static const char *const numbers[] = {"size", "bus_width", "chip_width"};
    char text[24];
    field_format_number(bank, "index", text);
    table_add(table, text);
    table_add(table, field_text(bank, "name"));
    table_add(table, field_text(bank, "driver"));
    field_format_address(bank, "base", text);
    table_add(table, text);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        field_format_number(bank, numbers[i], text);
        table_add(table, text);
    }
    table_add(table, field_text(bank, "target"));
}

static void cmd_bank_print(const cJSON *banks, const cJSON *single)
{
    static const char *const header[] = {">bank", "name", "driver", "base",
                                         ">size", ">bus", ">chip",  "target"};
    const cJSON *bank = NULL;
    struct table table;
    table_init(&table, 8, header);
    if (single != NULL) {
        cmd_bank_add_row(&table, single);
    }
    cJSON_ArrayForEach(bank, banks)
    {
        cmd_bank_add_row(&table, bank);
    }
    table_print(&table);
    table_fini(&table);
}

static bool cmd_bank_show_list(void *arg, const cJSON *result)
{
    const cJSON *banks = field_array(result, "banks");
    (void)arg;
    if (banks != NULL) {
        cmd_bank_print(banks, NULL);
    }
    return banks != NULL;
}

enum status cmd_banks(struct session *session)
{
    return session_show(session, "flash.banks", session_board_params(session), NULL, cmd_bank_show_list,
                        NULL);
}

static bool cmd_bank_show_info(void *arg, const cJSON *result)
{
    const cJSON *sectors = field_array(result, "sectors");
    const cJSON *blocks = field_array(result, "protection_blocks");
    const char *description = field_text(result, "description");
    struct sectors_view view = {.name = ">sector", .has_base = true, .join = *(const bool *)arg};
    if (sectors == NULL || !field_u64(result, "base", &view.base)) {
        return false;
    }
    cmd_bank_print(NULL, result);
    if (description != NULL && description[0] != '\0') {
        print_block(stdout, description);
    }
    putchar('\n');
    sectors_print(&view, sectors);
    if (blocks != NULL && cJSON_GetArraySize(blocks) > 0) {
        putchar('\n');
        view.name = ">protection block";
        sectors_print(&view, blocks);
    }
    return true;
}

enum status cmd_info(struct session *session)
{
    uint64_t bank = 0;
    bool join = isatty(STDOUT_FILENO) != 0 && !options_has(session->arguments, "all");
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, SECTORS_MAX_BANK, &bank)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    if (session->arguments->count > 0) {
        ocdmux_json_add_u64(params, "bank", bank);
    }
    return session_show(session, "flash.info", params, NULL, cmd_bank_show_info, &join);
}
