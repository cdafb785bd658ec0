/* The words of the shell's expressions: numbers, characters, names and signs, as gdb reads C's. Pure. */
#ifndef OCDMUX_SHELL_LEXER_H
#define OCDMUX_SHELL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "shell/type.h"

enum token_kind {
    TOKEN_END,
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_CHARACTER,
    TOKEN_STRING,
    TOKEN_NAME,   /* a word of C */
    TOKEN_DOLLAR, /* a register or variable, "$" included */
    TOKEN_SIGN,
};

struct token {
    enum token_kind kind;
    const char *text; /* in the input */
    size_t length;
    uint64_t integer; /* also of a character */
    double number;
    enum type_base type; /* of a number */
    unsigned sign;       /* its characters, the last one in the low byte: '<' << 8 | '<' */
};

/* Two characters as one sign. */
#define SIGN2(first, second) ((unsigned)(first) << 8 | (unsigned)(second))

/*
 * The first token of `text`, behind blanks. Fails in gdb's words, with `invalid_params`. `word_size` is the
 * size of a long.
 */
bool lexer_next(const char *text, unsigned word_size, struct token *ret_token, struct err *err)
    __attribute__((warn_unused_result));

/* Appends the bytes of a TOKEN_STRING with its escapes resolved. Fails for a wrong escape. */
bool lexer_string_bytes(const struct token *token, struct strbuf *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
