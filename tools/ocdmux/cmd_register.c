/* registers and register: what a halted target's registers hold. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "table.h"

const struct option cmd_registers_options[] = {
    {"list", NULL, "list names, sizes and groups, also while the target runs", NULL},
    {NULL, NULL, NULL, NULL},
};

/* `arg` is the name of what stands in the last column. */
static bool cmd_registers_show(void *arg, const cJSON *result)
{
    const char *last = arg;
    const char *const header[] = {"register", ">bits", last};
    const cJSON *registers = field_array(result, "registers");
    const cJSON *entry = NULL;
    struct table table;
    if (registers == NULL) {
        return false;
    }
    table_init(&table, 3, header);
    cJSON_ArrayForEach(entry, registers)
    {
        char bits[24];
        field_format_number(entry, "size_bits", bits);
        table_add(&table, field_text(entry, "name"));
        table_add(&table, bits);
        table_add(&table, field_text(entry, last));
    }
    table_print(&table);
    table_fini(&table);
    return true;
}

enum status cmd_registers(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    static char group[] = "group";
    static char value[] = "value";
    if (options_has(arguments, "list")) {
        if (arguments->count > 0) {
            (void)options_complain(arguments, "--list takes no names");
            return STATUS_USAGE;
        }
        return session_show(session, "register.list", session_board_params(session), NULL, cmd_registers_show,
                            group);
    }
    cJSON *params = session_board_params(session);
    if (arguments->count > 0) {
        cJSON *names = cJSON_AddArrayToObject(params, "names");
        for (size_t i = 0; i < arguments->count; i++) {
            cJSON_AddItemToArray(names, cJSON_CreateString(arguments->words[i]));
        }
    }
    return session_show(session, "register.read", params, NULL, cmd_registers_show, value);
}

/* Wider than 64 bits: 0x and digits, as they are. */
static bool cmd_register_is_wide(const char *text)
{
    size_t digits = strlen(text) > 2 ? strlen(text) - 2 : 0;
    return digits > 16 && strncmp(text, "0x", 2) == 0 && strspn(text + 2, "0123456789abcdefABCDEF") == digits;
}

/* "NAME=VALUE" */
static bool cmd_register_add(const struct arguments *arguments, const char *word, cJSON *names, cJSON *values)
{
    const char *sign = strchr(word, '=');
    uint64_t value = 0;
    if (sign == NULL || sign == word) {
        return options_complain(arguments, "register takes NAME=VALUE, not '%s'", word);
    }
    if (!cmd_register_is_wide(sign + 1) && !number_parse(sign + 1, NUMBER_PLAIN, &value)) {
        return options_complain(arguments, "VALUE is a number (decimal or 0x...), not '%s'", sign + 1);
    }
    char *name = strndup(word, (size_t)(sign - word));
    if (name == NULL) {
        abort();
    }
    cJSON_AddItemToArray(names, cJSON_CreateString(name));
    cJSON_AddItemToArray(values, cmd_register_is_wide(sign + 1) ? cJSON_CreateString(sign + 1)
                                                                : ocdmux_json_new_u64(value));
    free(name);
    return true;
}

enum status cmd_register(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    static char value[] = "value";
    cJSON *params = session_board_params(session);
    cJSON *names = cJSON_AddArrayToObject(params, "names");
    cJSON *values = cJSON_AddArrayToObject(params, "values");
    for (size_t i = 0; i < arguments->count; i++) {
        if (!cmd_register_add(arguments, arguments->words[i], names, values)) {
            cJSON_Delete(params);
            return STATUS_USAGE;
        }
    }
    return session_show(session, "register.write", params, NULL, cmd_registers_show, value);
}
