/* banks and info: what flash there is. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "table.h"

#define CMD_BANK_MAX 1023u

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

static const char *cmd_bank_protection(const cJSON *block)
{
    const cJSON *protected = field_get(block, "protected");
    if (!cJSON_IsBool(protected)) {
        return "unknown";
    }
    return cJSON_IsTrue(protected) ? "yes" : "no";
}

/* Sectors, or protection blocks, whose addresses begin at `base`. */
static void cmd_bank_print_blocks(const char *name, const cJSON *blocks, uint64_t base)
{
    const char *header[] = {name, "address", ">offset", ">size", "protected"};
    const cJSON *block = NULL;
    struct table table;
    table_init(&table, 5, header);
    cJSON_ArrayForEach(block, blocks)
    {
        char text[24];
        uint64_t offset = 0;
        field_format_number(block, "index", text);
        table_add(&table, text);
        if (field_u64(block, "offset", &offset)) {
            table_addf(&table, "0x%08" PRIx64, base + offset);
        } else {
            table_add(&table, "-");
        }
        field_format_number(block, "offset", text);
        table_add(&table, text);
        field_format_number(block, "size", text);
        table_add(&table, text);
        table_add(&table, cmd_bank_protection(block));
    }
    table_print(&table);
    table_fini(&table);
}

static bool cmd_bank_show_info(void *arg, const cJSON *result)
{
    const cJSON *sectors = field_array(result, "sectors");
    const cJSON *blocks = field_array(result, "protection_blocks");
    const char *description = field_text(result, "description");
    uint64_t base;
    (void)arg;
    if (sectors == NULL || !field_u64(result, "base", &base)) {
        return false;
    }
    cmd_bank_print(NULL, result);
    if (description != NULL && description[0] != '\0') {
        print_block(stdout, description);
    }
    putchar('\n');
    cmd_bank_print_blocks(">sector", sectors, base);
    if (blocks != NULL && cJSON_GetArraySize(blocks) > 0) {
        putchar('\n');
        cmd_bank_print_blocks(">protection block", blocks, base);
    }
    return true;
}

enum status cmd_info(struct session *session)
{
    uint64_t bank = 0;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, CMD_BANK_MAX, &bank)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    if (session->arguments->count > 0) {
        ocdmux_json_add_u64(params, "bank", bank);
    }
    return session_show(session, "flash.info", params, NULL, cmd_bank_show_info, NULL);
}
