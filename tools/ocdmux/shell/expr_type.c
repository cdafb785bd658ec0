/* Reading types. */
#include "shell/expr_type.h"

#include <string.h>

#define EXPR_TYPE_POINTERS_MAX 8u
#define EXPR_TYPE_WORD_SIZE 4u /* of no matter for what is read here */

/* The words of a base, in any order. */
struct type_words {
    unsigned is_signed;
    unsigned is_unsigned;
    unsigned is_short;
    unsigned is_long;
    unsigned qualifiers;
    bool has_base;
    enum type_base base;
};

static bool expr_type_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_NAME && token->length == strlen(word) &&
           memcmp(token->text, word, token->length) == 0;
}

/* Takes one word; false if it is none of a type, or one too many. */
static bool expr_type_take(struct type_words *words, const struct token *token)
{
    static const struct {
        const char *word;
        enum type_base base;
    } bases[] = {{"char", TYPE_CHAR},
                 {"int", TYPE_INT},
                 {"void", TYPE_VOID},
                 {"float", TYPE_FLOAT},
                 {"double", TYPE_DOUBLE}};
    if (expr_type_is(token, "const") || expr_type_is(token, "volatile")) {
        return ++words->qualifiers <= 4;
    }
    if (expr_type_is(token, "signed")) {
        return ++words->is_signed == 1;
    }
    if (expr_type_is(token, "unsigned")) {
        return ++words->is_unsigned == 1;
    }
    if (expr_type_is(token, "short")) {
        return ++words->is_short == 1;
    }
    if (expr_type_is(token, "long")) {
        return ++words->is_long <= 2;
    }
    enum type_base base = TYPE_INT;
    bool found = token->kind == TOKEN_NAME && type_find_fixed(token->text, token->length, &base);
    for (size_t i = 0; !found && i < sizeof(bases) / sizeof(bases[0]); i++) {
        if (expr_type_is(token, bases[i].word)) {
            base = bases[i].base;
            found = true;
        }
    }
    if (!found || words->has_base) {
        return false;
    }
    words->has_base = true;
    words->base = base;
    return true;
}

bool expr_type_begins(const struct token *token)
{
    struct type_words words = {.has_base = false};
    return expr_type_take(&words, token);
}

/* Which base the words make; false for "unsigned float" and the like. */
static bool expr_type_combine(const struct type_words *words, enum type_base *ret_base)
{
    bool any = words->is_signed + words->is_unsigned + words->is_short + words->is_long > 0;
    if (words->is_signed + words->is_unsigned > 1 || (words->is_short > 0 && words->is_long > 0)) {
        return false;
    }
    if (!words->has_base && !any) {
        return false;
    }
    if (words->has_base && words->base == TYPE_CHAR) {
        *ret_base = words->is_unsigned > 0 ? TYPE_UNSIGNED_CHAR
                    : words->is_signed > 0 ? TYPE_SIGNED_CHAR
                                           : TYPE_CHAR;
        return words->is_short + words->is_long == 0;
    }
    if (words->has_base && words->base != TYPE_INT) {
        *ret_base = words->base;
        return !any;
    }
    enum type_base base = words->is_short > 0   ? TYPE_SHORT
                          : words->is_long == 2 ? TYPE_LONG_LONG
                          : words->is_long == 1 ? TYPE_LONG
                                                : TYPE_INT;
    *ret_base = words->is_unsigned > 0 ? (enum type_base)(base + 1) : base;
    return true;
}

/* "[6]" */
static bool expr_type_read_elements(const char *text, struct type *type, const char **ret_rest,
                                    struct err *err)
{
    struct token number;
    struct token close;
    if (!lexer_next(text, EXPR_TYPE_WORD_SIZE, &number, err) ||
        !lexer_next(number.text + number.length, EXPR_TYPE_WORD_SIZE, &close, err)) {
        return false;
    }
    if (number.kind != TOKEN_INTEGER || close.sign != ']' || number.integer == 0 ||
        number.integer > UINT32_MAX) {
        return err_set(err, ERR_INVALID_PARAMS, "A syntax error in expression, near `%.100s'.", number.text);
    }
    type->elements = (uint32_t)number.integer;
    *ret_rest = close.text + close.length;
    return true;
}

bool expr_type_read(const char *text, struct type *ret_type, const char **ret_rest, struct err *err)
{
    struct type_words words = {.has_base = false};
    struct token token;
    struct type type = {.base = TYPE_INT};
    const char *rest = text;
    for (;;) {
        if (!lexer_next(rest, EXPR_TYPE_WORD_SIZE, &token, err)) {
            return false;
        }
        if (!expr_type_take(&words, &token)) {
            break;
        }
        rest = token.text + token.length;
    }
    if (!expr_type_combine(&words, &type.base)) {
        return err_set(err, ERR_INVALID_PARAMS, "A syntax error in expression, near `%.100s'.", token.text);
    }
    while (token.sign == '*' || expr_type_is(&token, "const") || expr_type_is(&token, "volatile")) {
        if (token.sign == '*' && ++type.pointers > EXPR_TYPE_POINTERS_MAX) {
            return err_set(err, ERR_INVALID_PARAMS, "too many stars");
        }
        rest = token.text + token.length;
        if (!lexer_next(rest, EXPR_TYPE_WORD_SIZE, &token, err)) {
            return false;
        }
    }
    if (token.sign == '[' && !expr_type_read_elements(token.text + token.length, &type, &rest, err)) {
        return false;
    }
    *ret_type = type;
    *ret_rest = rest;
    return true;
}
