/* break, unbreak and breakpoints. */
#include "commands.h"
#include "fields.h"
#include "table.h"

static const char *const cmd_kinds[] = {"hardware", "software", "read", "write", "access", NULL};

#define CMD_KIND_WORDS "hardware|software|read|write|access"

const struct option cmd_break_options[] = {
    {"kind", CMD_KIND_WORDS, "what stops the target: the instruction, or data; default: hardware", cmd_kinds},
    {"length", "BYTES", "default: 2 for instructions on Cortex-M, else 4", NULL},
    {"value", "VALUE", "of data: only this value (few targets can do that)", NULL},
    {"mask", "MASK", "bits of the value that do not count; default: 0", NULL},
    {NULL, NULL, NULL, NULL},
};
const struct option cmd_unbreak_options[] = {
    {"kind", CMD_KIND_WORDS, "only what is of this kind", cmd_kinds},
    {NULL, NULL, NULL, NULL},
};

static bool cmd_breakpoints_show(void *arg, const cJSON *result)
{
    static const char *const header[] = {"address", ">length", "kind", "value", "mask"};
    const cJSON *points = field_array(result, "breakpoints");
    const cJSON *point = NULL;
    struct table table;
    (void)arg;
    if (points == NULL) {
        return false;
    }
    table_init(&table, 5, header);
    cJSON_ArrayForEach(point, points)
    {
        char address[20];
        char length[24];
        field_format_address(point, "address", address);
        field_format_number(point, "length", length);
        table_add(&table, address);
        table_add(&table, length);
        table_add(&table, field_text(point, "kind"));
        table_add(&table, field_text(point, "value"));
        table_add(&table, field_text(point, "mask"));
    }
    table_print(&table);
    table_fini(&table);
    return true;
}

enum status cmd_breakpoints(struct session *session)
{
    return session_show(session, "breakpoint.list", session_board_params(session), NULL, cmd_breakpoints_show,
                        NULL);
}

/* A number that is an option goes into the parameters if it was given. */
static bool cmd_break_add_number(const struct arguments *arguments, const char *name, uint64_t minimum,
                                 uint64_t maximum, cJSON *params)
{
    uint64_t number = 0;
    if (!options_number(arguments, name, NUMBER_PLAIN, minimum, maximum, &number)) {
        return false;
    }
    if (options_has(arguments, name)) {
        ocdmux_json_add_u64(params, name, number);
    }
    return true;
}

static void cmd_break_add_kind(const struct arguments *arguments, cJSON *params)
{
    if (options_has(arguments, "kind")) {
        cJSON_AddStringToObject(params, "kind", options_value(arguments, "kind"));
    }
}

enum status cmd_break(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    uint64_t address = 0;
    if (!options_word_number(arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_address(params, "address", address);
    cmd_break_add_kind(arguments, params);
    if (!cmd_break_add_number(arguments, "length", 1, 65536, params) ||
        !cmd_break_add_number(arguments, "value", 0, UINT32_MAX, params) ||
        !cmd_break_add_number(arguments, "mask", 0, UINT32_MAX, params)) {
        cJSON_Delete(params);
        return STATUS_USAGE;
    }
    return session_show(session, "breakpoint.add", params, NULL, cmd_breakpoints_show, NULL);
}

enum status cmd_unbreak(struct session *session)
{
    uint64_t address = 0;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_address(params, "address", address);
    cmd_break_add_kind(session->arguments, params);
    return session_show(session, "breakpoint.remove", params, NULL, cmd_breakpoints_show, NULL);
}
