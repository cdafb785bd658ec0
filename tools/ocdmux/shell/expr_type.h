/* Types as they are written: "unsigned char", "long long **", "char [6]". Pure. */
#ifndef OCDMUX_SHELL_EXPR_TYPE_H
#define OCDMUX_SHELL_EXPR_TYPE_H

#include "shell/lexer.h"

/* Whether a type begins with this token. */
bool expr_type_begins(const struct token *token);
/*
 * Reads a type from `text`; `ret_rest` is what stands behind it. Fails with `invalid_params` where there is
 * none.
 */
bool expr_type_read(const char *text, struct type *ret_type, const char **ret_rest, struct err *err)
    __attribute__((warn_unused_result));

#endif
