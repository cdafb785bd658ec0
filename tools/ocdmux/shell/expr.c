/*
 * Reading and computing expressions, in one pass by precedence. What && || and ?: leave out is read and not
 * computed: `skipping` is then above 0, and nothing outside is touched.
 */
#include "shell/expr.h"

#include <string.h>

#include "shell/arith.h"
#include "shell/expr_type.h"
#include "shell/lexer.h"

/* As gdb's max-value-size. */
#define EXPR_MAX_ARRAY_BYTES 65536u

struct expr {
    const struct value_access *access;
    struct token token; /* the next one */
    unsigned depth;
    unsigned skipping;
    struct err *err;
};

static bool expr_comma(struct expr *expr, struct value *value, bool *ret_assigns);
static bool expr_assignment(struct expr *expr, struct value *value, bool *ret_assigns);
static bool expr_unary(struct expr *expr, struct value *value);

static bool expr_syntax(struct expr *expr)
{
    return err_set(expr->err, ERR_INVALID_PARAMS, "A syntax error in expression, near `%.200s'.",
                   expr->token.kind == TOKEN_END ? "" : expr->token.text);
}

static bool expr_advance_to(struct expr *expr, const char *text)
{
    return lexer_next(text, expr->access->machine->word_size, &expr->token, expr->err);
}

static bool expr_advance(struct expr *expr)
{
    return expr_advance_to(expr, expr->token.text + expr->token.length);
}

static bool expr_take(struct expr *expr, unsigned sign)
{
    if (expr->token.kind != TOKEN_SIGN || expr->token.sign != sign) {
        return expr_syntax(expr);
    }
    return expr_advance(expr);
}

/* A stand-in of the right type for what is not computed. */
static struct value expr_skipped(const struct expr *expr, struct type type)
{
    return value_make(expr->access, type, 0);
}

static bool expr_enter(struct expr *expr)
{
    if (++expr->depth > EXPR_MAX_DEPTH) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "the expression is too deep");
    }
    return true;
}

/* --- operands --- */

/* "$NAME": a register of the target, else a variable of the shell. */
static bool expr_dollar(struct expr *expr, struct value *value)
{
    const struct value_access *access = expr->access;
    char name[VALUE_NAME_SIZE];
    bool found = false;
    if (expr->token.length > sizeof(name)) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "the name of a register or variable is too long");
    }
    memcpy(name, expr->token.text + 1, expr->token.length - 1);
    name[expr->token.length - 1] = '\0';
    if (!expr_advance(expr)) {
        return false;
    }
    if (expr->skipping > 0) {
        *value = expr_skipped(expr, type_of(TYPE_INT));
        return true;
    }
    if (name[0] != '\0' && !access->read_register(access->arg, name, &found, value, expr->err)) {
        return false;
    }
    if (!found && !access->read_variable(access->arg, name, value, expr->err)) {
        return false;
    }
    bool history = name[0] == '\0' || strchr("$0123456789", name[0]) != NULL;
    if (found || !history) {
        value->place = found ? VALUE_IN_REGISTER : VALUE_IN_VARIABLE;
        memcpy(value->name, name, sizeof(name));
    }
    return true;
}

static bool expr_constant(struct expr *expr, struct value *value)
{
    const struct token *token = &expr->token;
    *value = token->kind == TOKEN_FLOAT ? value_make_float(expr->access, type_of(token->type), token->number)
                                        : value_make(expr->access, type_of(token->type), token->integer);
    return expr_advance(expr);
}

static bool expr_primary(struct expr *expr, struct value *value)
{
    bool assigns;
    switch (expr->token.kind) {
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
    case TOKEN_CHARACTER:
        return expr_constant(expr, value);
    case TOKEN_DOLLAR:
        return expr_dollar(expr, value);
    case TOKEN_STRING:
        return err_set(expr->err, ERR_INVALID_PARAMS, "strings are for find only");
    case TOKEN_NAME:
        if (expr_type_begins(&expr->token)) {
            return err_set(expr->err, ERR_INVALID_PARAMS, "Attempt to use a type name as an expression");
        }
        return err_set(expr->err, ERR_INVALID_PARAMS, "No symbol \"%.*s\": there are no symbols here",
                       (int)(expr->token.length < 80 ? expr->token.length : 80), expr->token.text);
    case TOKEN_SIGN:
        if (expr->token.sign == '(') {
            return expr_advance(expr) && expr_comma(expr, value, &assigns) && expr_take(expr, ')');
        }
        break;
    case TOKEN_END:
        break;
    }
    return expr_syntax(expr);
}

/* What a pointer, or an integer as in gdb, points to. */
static bool expr_dereference(struct expr *expr, struct value *value)
{
    if (expr->skipping == 0 && !value_decay(expr->access, value, expr->err)) {
        return false;
    }
    if (type_is_integer(value->type)) {
        *value = value_in_memory(type_of(TYPE_INT), value->bits);
    } else if (value->type.pointers == 0) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "Attempt to take contents of a non-pointer value.");
    } else if (type_is_void(type_pointed(value->type))) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "Attempt to dereference a generic pointer.");
    } else {
        *value = value_in_memory(type_pointed(value->type), value->bits);
    }
    if (expr->skipping > 0) {
        *value = expr_skipped(expr, value->type);
    }
    return true;
}

/* "[INDEX]" behind an operand. */
static bool expr_subscript(struct expr *expr, struct value *value)
{
    struct value index = *value;
    bool assigns;
    if (!expr_advance(expr) || !expr_comma(expr, &index, &assigns) || !expr_take(expr, ']')) {
        return false;
    }
    if (expr->skipping > 0) {
        *value = expr_skipped(expr, type_of(TYPE_INT));
        return true;
    }
    if (!type_is_array(value->type) && !type_is_pointer(value->type)) {
        struct strbuf name = STRBUF_INIT;
        type_print(&name, value->type);
        (void)err_set(expr->err, ERR_INVALID_PARAMS, "cannot subscript something of type `%s'",
                      strbuf_text(&name));
        strbuf_fini(&name);
        return false;
    }
    return arith_binary(expr->access, '+', *value, index, value, expr->err) && expr_dereference(expr, value);
}

static bool expr_postfix(struct expr *expr, struct value *value)
{
    if (!expr_primary(expr, value)) {
        return false;
    }
    while (expr->token.sign == '[') {
        if (!expr_subscript(expr, value)) {
            return false;
        }
    }
    return true;
}

/* --- signs before an operand --- */

static bool expr_read_type(struct expr *expr, unsigned close, struct type *ret_type)
{
    const char *rest;
    if (!expr_type_read(expr->token.text, ret_type, &rest, expr->err)) {
        return false;
    }
    return expr_advance_to(expr, rest) && expr_take(expr, close);
}

/* Whether a type stands behind "(". */
static bool expr_is_cast(const struct expr *expr)
{
    struct token next;
    struct err ignored;
    return expr->token.sign == '(' &&
           lexer_next(expr->token.text + 1, expr->access->machine->word_size, &next, &ignored) &&
           expr_type_begins(&next);
}

static bool expr_cast(struct expr *expr, struct value *value)
{
    struct type type;
    if (!expr_advance(expr) || !expr_read_type(expr, ')', &type) || !expr_unary(expr, value)) {
        return false;
    }
    if (expr->skipping > 0) {
        *value = expr_skipped(expr, type);
        return true;
    }
    return value_decay(expr->access, value, expr->err) && value_cast(expr->access, value, type, expr->err);
}

static bool expr_check_array(struct expr *expr, struct type type)
{
    uint64_t size = type_size(type, expr->access->machine);
    if (size > EXPR_MAX_ARRAY_BYTES) {
        return err_set(expr->err, ERR_INVALID_PARAMS,
                       "value requires %llu bytes, which is more than max-value-size",
                       (unsigned long long)size);
    }
    return true;
}

/* "{TYPE} ADDRESS" */
static bool expr_braces(struct expr *expr, struct value *value)
{
    struct type type;
    if (!expr_advance(expr)) {
        return false;
    }
    if (!expr_type_begins(&expr->token)) {
        return expr_syntax(expr);
    }
    if (!expr_read_type(expr, '}', &type) || !expr_unary(expr, value)) {
        return false;
    }
    if (type_is_void(type)) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "Attempt to dereference a generic pointer.");
    }
    if (!expr_check_array(expr, type)) {
        return false;
    }
    if (expr->skipping > 0) {
        *value = expr_skipped(expr, type_element(type));
        return true;
    }
    if (!value_decay(expr->access, value, expr->err) ||
        !value_cast(expr->access, value, type_pointer_to(type_of(TYPE_VOID)), expr->err)) {
        return false;
    }
    *value = value_in_memory(type, value->bits);
    return true;
}

static bool expr_address_of(struct expr *expr, struct value *value)
{
    if (expr->skipping > 0) {
        return true;
    }
    if (value->place != VALUE_IN_MEMORY) {
        return err_set(expr->err, ERR_INVALID_PARAMS,
                       "Attempt to take address of value not located in memory.");
    }
    if (type_is_array(value->type)) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "pointers to arrays are not supported");
    }
    *value = value_make(expr->access, type_pointer_to(value->type), value->address);
    return true;
}

static bool expr_sizeof(struct expr *expr, struct value *value)
{
    struct type type;
    if (!expr_advance(expr)) {
        return false;
    }
    if (expr_is_cast(expr)) {
        if (!expr_advance(expr) || !expr_read_type(expr, ')', &type)) {
            return false;
        }
    } else {
        /* Its operand is not computed. */
        expr->skipping++;
        bool good = expr_unary(expr, value);
        expr->skipping--;
        if (!good) {
            return false;
        }
        type = value->type;
    }
    *value = value_make(expr->access, type_of(TYPE_INT), type_size(type, expr->access->machine));
    return true;
}

static bool expr_signed(struct expr *expr, unsigned sign, struct value *value)
{
    if (!expr_advance(expr) || !expr_unary(expr, value)) {
        return false;
    }
    if (sign == '*') {
        return expr_dereference(expr, value);
    }
    if (sign == '&') {
        return expr_address_of(expr, value);
    }
    return expr->skipping > 0 || arith_unary(expr->access, sign, *value, value, expr->err);
}

static bool expr_unary(struct expr *expr, struct value *value)
{
    bool good;
    unsigned sign = expr->token.kind == TOKEN_SIGN ? expr->token.sign : 0;
    bool is_sizeof = expr->token.kind == TOKEN_NAME && expr->token.length == strlen("sizeof") &&
                     memcmp(expr->token.text, "sizeof", strlen("sizeof")) == 0;
    if (!expr_enter(expr)) {
        return false;
    }
    if (is_sizeof) {
        good = expr_sizeof(expr, value);
    } else if (sign == '{') {
        good = expr_braces(expr, value);
    } else if (sign != 0 && sign < 0x80 && strchr("-+~!*&", (int)sign) != NULL) {
        good = expr_signed(expr, sign, value);
    } else if (expr_is_cast(expr)) {
        good = expr_cast(expr, value);
    } else {
        good = expr_postfix(expr, value);
    }
    expr->depth--;
    return good;
}

/* --- signs between operands --- */

#define EXPR_LEVEL_OR 1u
#define EXPR_LEVEL_AND 2u
#define EXPR_LEVEL_REPEAT 9u

/* How tightly a sign binds; 0: it is no binary operator of these levels. */
static unsigned expr_level(const struct token *token)
{
    if (token->kind != TOKEN_SIGN) {
        return 0;
    }
    switch (token->sign) {
    case SIGN2('|', '|'):
        return EXPR_LEVEL_OR;
    case SIGN2('&', '&'):
        return EXPR_LEVEL_AND;
    case '|':
        return 3;
    case '^':
        return 4;
    case '&':
        return 5;
    case SIGN2('=', '='):
    case SIGN2('!', '='):
        return 6;
    case '<':
    case '>':
    case SIGN2('<', '='):
    case SIGN2('>', '='):
        return 7;
    case SIGN2('<', '<'):
    case SIGN2('>', '>'):
        return 8;
    case '@':
        return EXPR_LEVEL_REPEAT;
    case '+':
    case '-':
        return 10;
    case '*':
    case '/':
    case '%':
        return 11;
    default:
        return 0;
    }
}

/* "VALUE@COUNT": an array in memory. */
static bool expr_repeat(struct expr *expr, const struct value *left, struct value right, struct value *value)
{
    if (left->place != VALUE_IN_MEMORY || type_is_array(left->type)) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "Only values in memory can be extended with '@'.");
    }
    if (!value_decay(expr->access, &right, expr->err)) {
        return false;
    }
    int64_t count = (int64_t)value_integer(expr->access, &right);
    if (count <= 0 || count > UINT32_MAX) {
        return err_set(expr->err, ERR_INVALID_PARAMS, "Invalid number %lld of repetitions.",
                       (long long)count);
    }
    struct value array = value_in_memory(left->type, left->address);
    array.type.elements = (uint32_t)count;
    if (!expr_check_array(expr, array.type)) {
        return false;
    }
    *value = array;
    return true;
}

static bool expr_truth(struct expr *expr, struct value *value, bool *ret_truth)
{
    struct value inverted;
    if (expr->skipping > 0) {
        *ret_truth = false;
        return true;
    }
    if (!arith_unary(expr->access, '!', *value, &inverted, expr->err)) {
        return false;
    }
    *ret_truth = inverted.bits == 0;
    return true;
}

static bool expr_binary(struct expr *expr, unsigned lowest, struct value *value);

/* "&&" and "||", whose right operand may have to be left alone. */
static bool expr_logical(struct expr *expr, unsigned level, struct value *value)
{
    struct value right = *value;
    bool left_truth;
    bool right_truth = false;
    if (!expr_truth(expr, value, &left_truth)) {
        return false;
    }
    unsigned decided = (level == EXPR_LEVEL_OR) == left_truth ? 1 : 0;
    expr->skipping += decided;
    bool good = expr_binary(expr, level + 1, &right) && expr_truth(expr, &right, &right_truth);
    expr->skipping -= decided;
    bool truth = decided ? left_truth : right_truth;
    *value = value_make(expr->access, type_of(TYPE_INT), truth ? 1 : 0);
    return good;
}

/* Operators that bind at least as tightly as `lowest`. */
static bool expr_binary(struct expr *expr, unsigned lowest, struct value *value)
{
    if (!expr_unary(expr, value)) {
        return false;
    }
    for (;;) {
        unsigned level = expr_level(&expr->token);
        unsigned sign = expr->token.sign;
        struct value right = *value;
        if (level == 0 || level < lowest) {
            return true;
        }
        if (!expr_advance(expr)) {
            return false;
        }
        if (level <= EXPR_LEVEL_AND) {
            if (!expr_logical(expr, level, value)) {
                return false;
            }
            continue;
        }
        if (!expr_binary(expr, level + 1, &right)) {
            return false;
        }
        if (expr->skipping > 0) {
            continue;
        }
        bool good = level == EXPR_LEVEL_REPEAT
                        ? expr_repeat(expr, value, right, value)
                        : arith_binary(expr->access, sign, *value, right, value, expr->err);
        if (!good) {
            return false;
        }
    }
}

/* --- ?:, assignments and commas --- */

static bool expr_conditional(struct expr *expr, struct value *value)
{
    struct value first = *value;
    struct value second = *value;
    bool assigns;
    bool truth;
    if (!expr_truth(expr, value, &truth) || !expr_advance(expr)) {
        return false;
    }
    expr->skipping += truth ? 0 : 1;
    bool good = expr_comma(expr, &first, &assigns);
    expr->skipping -= truth ? 0 : 1;
    if (!good || !expr_take(expr, ':')) {
        return false;
    }
    expr->skipping += truth ? 1 : 0;
    good = expr_assignment(expr, &second, &assigns);
    expr->skipping -= truth ? 1 : 0;
    *value = truth ? first : second;
    return good;
}

/* Of "=" itself, of "+=" the '+', of "<<=" the SIGN2('<', '<'); 0 for other signs. */
static unsigned expr_assigning(const struct token *token)
{
    unsigned sign = token->sign;
    bool compares = sign == SIGN2('=', '=') || sign == SIGN2('!', '=') || sign == SIGN2('<', '=') ||
                    sign == SIGN2('>', '=');
    if (token->kind != TOKEN_SIGN || (sign & 0xff) != '=' || compares) {
        return 0;
    }
    return sign == '=' ? '=' : sign >> 8;
}

static bool expr_assignment(struct expr *expr, struct value *value, bool *ret_assigns)
{
    if (!expr_enter(expr) || !expr_binary(expr, EXPR_LEVEL_OR, value)) {
        return false;
    }
    bool inner;
    bool good = true;
    unsigned operation = expr_assigning(&expr->token);
    *ret_assigns = operation != 0;
    if (operation != 0) {
        struct value right = *value;
        good = expr_advance(expr) && expr_assignment(expr, &right, &inner);
        if (good && expr->skipping == 0) {
            good = (operation == '=' ||
                    arith_binary(expr->access, operation, *value, right, &right, expr->err)) &&
                   value_assign(expr->access, value, right, value, expr->err);
        }
    } else if (expr->token.sign == '?') {
        good = expr_conditional(expr, value);
    }
    expr->depth--;
    return good;
}

static bool expr_comma(struct expr *expr, struct value *value, bool *ret_assigns)
{
    if (!expr_assignment(expr, value, ret_assigns)) {
        return false;
    }
    while (expr->token.sign == ',') {
        if (!expr_advance(expr) || !expr_assignment(expr, value, ret_assigns)) {
            return false;
        }
    }
    return true;
}

/* --- whole expressions --- */

static bool expr_begin(struct expr *expr, const struct value_access *access, const char *text,
                       struct err *err)
{
    *expr = (struct expr){.access = access, .err = err};
    if (strlen(text) > EXPR_MAX_LENGTH) {
        return err_set(err, ERR_INVALID_PARAMS, "the expression is too long");
    }
    return expr_advance_to(expr, text);
}

bool expr_compute(const struct value_access *access, const char *text, struct value *ret_value,
                  struct err *err)
{
    struct expr expr;
    struct value value = {.place = VALUE_NOWHERE};
    bool assigns;
    if (!expr_begin(&expr, access, text, err) || !expr_comma(&expr, &value, &assigns)) {
        return false;
    }
    if (expr.token.kind != TOKEN_END) {
        return expr_syntax(&expr);
    }
    *ret_value = value;
    return true;
}

bool expr_compute_part(const struct value_access *access, const char *text, struct value *ret_value,
                       struct expr_end *ret_end, struct err *err)
{
    struct expr expr;
    struct value value = {.place = VALUE_NOWHERE};
    bool assigns;
    if (!expr_begin(&expr, access, text, err) || !expr_assignment(&expr, &value, &assigns)) {
        return false;
    }
    if (expr.token.kind != TOKEN_END && expr.token.sign != ',') {
        return expr_syntax(&expr);
    }
    *ret_value = value;
    if (ret_end != NULL) {
        *ret_end = (struct expr_end){.rest = expr.token.text, .is_assignment = assigns};
    }
    return true;
}

bool expr_compute_integer(const struct value_access *access, const char *text, uint64_t *ret_integer,
                          struct err *err)
{
    struct value value;
    if (!expr_compute(access, text, &value, err) || !value_decay(access, &value, err)) {
        return false;
    }
    if (type_is_void(value.type)) {
        return err_set(err, ERR_INVALID_PARAMS, "Value can't be converted to integer.");
    }
    *ret_integer = value_integer(access, &value);
    return true;
}
