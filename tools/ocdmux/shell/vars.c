/* Variables and numbered values. */
#include "shell/vars.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct vars_entry {
    char name[VALUE_NAME_SIZE];
    struct value value;
};

void vars_fini(struct vars *vars)
{
    free(vars->entries);
    free(vars->history);
    *vars = (struct vars){.entries = NULL};
}

static struct vars_entry *vars_find(const struct vars *vars, const char *name)
{
    for (size_t i = 0; i < vars->count; i++) {
        if (strcmp(vars->entries[i].name, name) == 0) {
            return &vars->entries[i];
        }
    }
    return NULL;
}

/* Digits only; false also where there are too many of them. */
static bool vars_number(const char *text, size_t *ret_number)
{
    size_t number = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 9) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10 + (size_t)(*text - '0');
    }
    *ret_number = number;
    return true;
}

/* "" is the last value, "$" the one before, "$N" the one N before the last, "N" that of the number. */
static bool vars_read_history(const struct vars *vars, const char *name, struct value *ret_value,
                              struct err *err)
{
    size_t number = 0;
    size_t back = 0;
    bool relative = name[0] == '$' || name[0] == '\0';
    if (strcmp(name, "$") == 0) {
        back = 1;
    } else if (name[0] == '$' && !vars_number(name + 1, &back)) {
        return false;
    } else if (!relative && !vars_number(name, &number)) {
        return false;
    }
    if (relative && vars->history_count == 0) {
        *ret_value = (struct value){.type = type_of(TYPE_VOID)};
        return true;
    }
    if (relative) {
        number = back < vars->history_count ? vars->history_count - back : 1;
    } else if (number == 0) {
        number = vars->history_count;
    }
    if (number == 0 || number > vars->history_count) {
        return err_set(err, ERR_INVALID_PARAMS, "History has not yet reached $%zu.", number);
    }
    *ret_value = vars->history[number - 1];
    return true;
}

bool vars_read(const struct vars *vars, const char *name, struct value *ret_value, struct err *err)
{
    const struct vars_entry *entry = vars_find(vars, name);
    if (name[0] == '\0' || name[0] == '$' || (name[0] >= '0' && name[0] <= '9')) {
        (void)err_set(err, ERR_INVALID_PARAMS, "there is no value $%s", name);
        return vars_read_history(vars, name, ret_value, err);
    }
    *ret_value = entry != NULL ? entry->value : (struct value){.type = type_of(TYPE_VOID)};
    return true;
}

bool vars_write(struct vars *vars, const char *name, const struct value *value, struct err *err)
{
    struct vars_entry *entry = vars_find(vars, name);
    if (entry == NULL) {
        if (vars->count == VARS_MAX) {
            return err_set(err, ERR_INVALID_PARAMS, "there are %u variables already", VARS_MAX);
        }
        vars->entries = xrealloc(vars->entries, (vars->count + 1) * sizeof(*vars->entries));
        entry = &vars->entries[vars->count++];
        *entry = (struct vars_entry){.name = ""};
        strncpy(entry->name, name, sizeof(entry->name) - 1);
    }
    entry->value = *value;
    entry->value.place = VALUE_NOWHERE;
    return true;
}

size_t vars_record(struct vars *vars, const struct value *value)
{
    if (vars->history_count == VARS_HISTORY_MAX) {
        return 0;
    }
    vars->history = xrealloc(vars->history, (vars->history_count + 1) * sizeof(*vars->history));
    vars->history[vars->history_count++] = *value;
    return vars->history_count;
}
