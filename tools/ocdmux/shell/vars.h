/* The shell's own variables, and the values that print has numbered: $x, $_, $1, $, $$, $$3. Pure. */
#ifndef OCDMUX_SHELL_VARS_H
#define OCDMUX_SHELL_VARS_H

#include "shell/value.h"

#define VARS_MAX 256u
#define VARS_HISTORY_MAX 100000u

struct vars_entry;

struct vars {
    struct vars_entry *entries; /* owned */
    size_t count;
    struct value *history; /* owned; $1 first */
    size_t history_count;
};

void vars_fini(struct vars *vars);

/* As value_access has them; `name` without "$". */
bool vars_read(const struct vars *vars, const char *name, struct value *ret_value, struct err *err)
    __attribute__((warn_unused_result));
bool vars_write(struct vars *vars, const char *name, const struct value *value, struct err *err)
    __attribute__((warn_unused_result));

/* Gives the value the next number, and returns that; 0 where there are too many. Of an array only its place
 * is kept: it is read anew when it is shown again. */
size_t vars_record(struct vars *vars, const struct value *value);

#endif
