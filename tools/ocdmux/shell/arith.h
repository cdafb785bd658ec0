/* C's operators on values, as gdb computes them. Pure but for reading operands that are still lazy. */
#ifndef OCDMUX_SHELL_ARITH_H
#define OCDMUX_SHELL_ARITH_H

#include "shell/value.h"

/* `sign` is a token's, lexer.h; not && and ||, which may not compute their right operand, and not '@'. */
bool arith_binary(const struct value_access *access, unsigned sign, struct value left, struct value right,
                  struct value *ret_value, struct err *err) __attribute__((warn_unused_result));
/* '-', '+', '~' and '!'. */
bool arith_unary(const struct value_access *access, unsigned sign, struct value operand,
                 struct value *ret_value, struct err *err) __attribute__((warn_unused_result));

#endif
