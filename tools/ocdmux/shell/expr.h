/*
 * The shell's expressions: C's, as gdb takes them for a target without a program. Numbers, characters,
 * registers and variables ("$pc", "$x"), casts to arithmetic types and pointers, "{type} address", "*", "&",
 * "[]", "@", sizeof, C's operators and assignments. Pure: what is outside is reached through `access`.
 */
#ifndef OCDMUX_SHELL_EXPR_H
#define OCDMUX_SHELL_EXPR_H

#include "shell/value.h"

/* The longest text, and how deep parentheses, signs and casts may stand in each other. */
#define EXPR_MAX_LENGTH 4096u
#define EXPR_MAX_DEPTH 100u

/* What stopped the reading of an expression. */
struct expr_end {
    const char *rest;   /* where the text goes on: at a comma, or at its end */
    bool is_assignment; /* whether the outermost operator assigns */
};

/*
 * Computes the expression that is all of `text`. The value may still be lazy. Fails in gdb's words with
 * `invalid_params`, or as `access` does.
 */
bool expr_compute(const struct value_access *access, const char *text, struct value *ret_value,
                  struct err *err) __attribute__((warn_unused_result));
/* The same up to a comma or the end. `ret_end` may be NULL. */
bool expr_compute_part(const struct value_access *access, const char *text, struct value *ret_value,
                       struct expr_end *ret_end, struct err *err) __attribute__((warn_unused_result));
/* An expression as an address or a count: an integer, a pointer, or where an array is. */
bool expr_compute_integer(const struct value_access *access, const char *text, uint64_t *ret_integer,
                          struct err *err) __attribute__((warn_unused_result));

#endif
