/* Operators. */
#include "shell/arith.h"

#include "shell/lexer.h"

static bool arith_refuse(struct err *err, const char *message)
{
    return err_set(err, ERR_INVALID_PARAMS, "%s", message);
}

static bool arith_is_number(const struct value *value)
{
    return type_is_integer(value->type) || type_is_float(value->type);
}

static struct value arith_truth(const struct value_access *access, bool truth)
{
    return value_make(access, type_of(TYPE_INT), truth ? 1 : 0);
}

/* --- integers --- */

/* The type that C's usual conversions come to, for one operand or for two. */
static enum type_base arith_promote(const struct value_access *access, const struct value *left,
                                    const struct value *right)
{
    uint64_t left_size = type_size(left->type, access->machine);
    uint64_t right_size = type_size(right->type, access->machine);
    uint64_t size = left_size > right_size ? left_size : right_size;
    bool is_unsigned = (left_size == size && type_is_unsigned(left->type, access->machine)) ||
                       (right_size == size && type_is_unsigned(right->type, access->machine));
    if (size < 4) {
        return TYPE_INT;
    }
    if (size == 4) {
        return is_unsigned ? TYPE_UNSIGNED_INT : TYPE_INT;
    }
    if (access->machine->word_size == 8) {
        return is_unsigned ? TYPE_UNSIGNED_LONG : TYPE_LONG;
    }
    return is_unsigned ? TYPE_UNSIGNED_LONG_LONG : TYPE_LONG_LONG;
}

static bool arith_divide(const struct value_access *access, bool remainder, struct type type, uint64_t left,
                         uint64_t right, uint64_t *ret_result, struct err *err)
{
    if (right == 0) {
        return arith_refuse(err, "Division by zero");
    }
    if (type_is_unsigned(type, access->machine)) {
        *ret_result = remainder ? left % right : left / right;
    } else if ((int64_t)right == -1) {
        /* The smallest one has no counterpart, and C does not say what comes of it. */
        *ret_result = remainder ? 0 : 0 - left;
    } else {
        int64_t result = remainder ? (int64_t)left % (int64_t)right : (int64_t)left / (int64_t)right;
        *ret_result = (uint64_t)result;
    }
    return true;
}

static uint64_t arith_shift(const struct value_access *access, bool to_left, struct type type, uint64_t left,
                            const struct value *count_value)
{
    uint64_t count = value_integer(access, count_value);
    bool is_signed = !type_is_unsigned(type, access->machine);
    if (!type_is_unsigned(count_value->type, access->machine) && (int64_t)count < 0) {
        access->warn(access->arg, to_left ? "left shift count is negative" : "right shift count is negative");
        return 0;
    }
    if (count >= type_size(type, access->machine) * 8) {
        access->warn(access->arg,
                     to_left ? "left shift count >= width of type" : "right shift count >= width of type");
        return !to_left && is_signed && (int64_t)left < 0 ? UINT64_MAX : 0;
    }
    if (to_left) {
        return left << count;
    }
    uint64_t filled = is_signed && (int64_t)left < 0 ? ~(UINT64_MAX >> count) : 0;
    return left >> count | filled;
}

static bool arith_integers(const struct value_access *access, unsigned sign, const struct value *left,
                           const struct value *right, struct value *ret_value, struct err *err)
{
    bool shift = sign == SIGN2('<', '<') || sign == SIGN2('>', '>');
    struct type type = type_of(arith_promote(access, left, shift ? left : right));
    struct value promoted_left = value_make(access, type, value_integer(access, left));
    struct value promoted_right = value_make(access, type, value_integer(access, right));
    uint64_t a = value_integer(access, &promoted_left);
    uint64_t b = value_integer(access, &promoted_right);
    uint64_t result = 0;
    switch (sign) {
    case '+':
        result = a + b;
        break;
    case '-':
        result = a - b;
        break;
    case '*':
        result = a * b;
        break;
    case '/':
    case '%':
        if (!arith_divide(access, sign == '%', type, a, b, &result, err)) {
            return false;
        }
        break;
    case '&':
        result = a & b;
        break;
    case '|':
        result = a | b;
        break;
    case '^':
        result = a ^ b;
        break;
    default:
        result = arith_shift(access, sign == SIGN2('<', '<'), type, a, right);
    }
    *ret_value = value_make(access, type, result);
    return true;
}

/* --- floats --- */

static bool arith_floats(const struct value_access *access, unsigned sign, const struct value *left,
                         const struct value *right, struct value *ret_value, struct err *err)
{
    bool wide = (type_is_float(left->type) && type_size(left->type, access->machine) == 8) ||
                (type_is_float(right->type) && type_size(right->type, access->machine) == 8);
    double a = value_number(access, left);
    double b = value_number(access, right);
    double result;
    switch (sign) {
    case '+':
        result = a + b;
        break;
    case '-':
        result = a - b;
        break;
    case '*':
        result = a * b;
        break;
    case '/':
        result = a / b;
        break;
    default:
        return arith_refuse(err, "Integer-only operation on floating point number.");
    }
    *ret_value = value_make_float(access, type_of(wide ? TYPE_DOUBLE : TYPE_FLOAT), result);
    return true;
}

/* --- pointers --- */

static uint64_t arith_unit(const struct value_access *access, struct type pointer)
{
    return pointer.pointers == 0 ? 1 : type_size(type_pointed(pointer), access->machine);
}

static bool arith_pointers(const struct value_access *access, unsigned sign, const struct value *left,
                           const struct value *right, struct value *ret_value, struct err *err)
{
    bool left_is = type_is_pointer(left->type);
    bool right_is = type_is_pointer(right->type);
    const struct value *pointer = left_is ? left : right;
    const struct value *other = left_is ? right : left;
    uint64_t unit = arith_unit(access, pointer->type);
    if (left_is && right_is && sign == '-') {
        if (arith_unit(access, right->type) != unit) {
            return arith_refuse(err, "First argument of `-' is a pointer and second argument is neither\n"
                                     "an integer nor a pointer of the same type.");
        }
        struct value difference = value_make(access, type_of(TYPE_LONG), left->bits - right->bits);
        int64_t bytes = (int64_t)value_integer(access, &difference);
        *ret_value = value_make(access, type_of(TYPE_LONG), (uint64_t)(bytes / (int64_t)unit));
        return true;
    }
    bool moves = type_is_integer(other->type) && (sign == '+' || (sign == '-' && left_is));
    if (!moves) {
        return arith_refuse(err, "Argument to arithmetic operation not a number or boolean.");
    }
    uint64_t offset = value_integer(access, other) * unit;
    *ret_value =
        value_make(access, pointer->type, sign == '+' ? pointer->bits + offset : pointer->bits - offset);
    return true;
}

/* --- comparisons --- */

static bool arith_is_comparison(unsigned sign)
{
    return sign == '<' || sign == '>' || sign == SIGN2('<', '=') || sign == SIGN2('>', '=') ||
           sign == SIGN2('=', '=') || sign == SIGN2('!', '=');
}

/* `less` and `equal` are of the left operand to the right one; neither where one is not a number. */
static bool arith_decide(unsigned sign, bool less, bool equal, bool greater)
{
    switch (sign) {
    case '<':
        return less;
    case '>':
        return greater;
    case SIGN2('<', '='):
        return less || equal;
    case SIGN2('>', '='):
        return greater || equal;
    case SIGN2('=', '='):
        return equal;
    default:
        return !equal;
    }
}

static struct value arith_compare(const struct value_access *access, unsigned sign, const struct value *left,
                                  const struct value *right)
{
    if (type_is_float(left->type) || type_is_float(right->type)) {
        double a = value_number(access, left);
        double b = value_number(access, right);
        return arith_truth(access,
                           arith_decide(sign, a < b, !(a < b) && !(a > b) && a == a && b == b, a > b));
    }
    struct type type = type_of(arith_promote(access, left, right));
    if (type_is_pointer(left->type) || type_is_pointer(right->type)) {
        type = type_of(TYPE_UNSIGNED_LONG);
    }
    struct value promoted_left = value_make(access, type, value_integer(access, left));
    struct value promoted_right = value_make(access, type, value_integer(access, right));
    uint64_t a = value_integer(access, &promoted_left);
    uint64_t b = value_integer(access, &promoted_right);
    bool less = type_is_unsigned(type, access->machine) ? a < b : (int64_t)a < (int64_t)b;
    return arith_truth(access, arith_decide(sign, less, a == b, !less && a != b));
}

/* --- the operators --- */

bool arith_binary(const struct value_access *access, unsigned sign, struct value left, struct value right,
                  struct value *ret_value, struct err *err)
{
    if (!value_decay(access, &left, err) || !value_decay(access, &right, err)) {
        return false;
    }
    bool pointers = type_is_pointer(left.type) || type_is_pointer(right.type);
    if ((!arith_is_number(&left) && !type_is_pointer(left.type)) ||
        (!arith_is_number(&right) && !type_is_pointer(right.type))) {
        return arith_refuse(err, "Argument to arithmetic operation not a number or boolean.");
    }
    if (arith_is_comparison(sign)) {
        *ret_value = arith_compare(access, sign, &left, &right);
        return true;
    }
    if (pointers) {
        return arith_pointers(access, sign, &left, &right, ret_value, err);
    }
    if (type_is_float(left.type) || type_is_float(right.type)) {
        return arith_floats(access, sign, &left, &right, ret_value, err);
    }
    return arith_integers(access, sign, &left, &right, ret_value, err);
}

bool arith_unary(const struct value_access *access, unsigned sign, struct value operand,
                 struct value *ret_value, struct err *err)
{
    if (!value_decay(access, &operand, err)) {
        return false;
    }
    if (sign == '!') {
        if (type_is_void(operand.type)) {
            return arith_refuse(err, "Argument to arithmetic operation not a number or boolean.");
        }
        *ret_value = arith_truth(access, value_is_zero(access, &operand));
        return true;
    }
    if (sign == '~' && !type_is_integer(operand.type)) {
        return arith_refuse(err, "Argument to complement operation not an integer, boolean.");
    }
    if (!arith_is_number(&operand)) {
        return arith_refuse(err, sign == '-' ? "Argument to negate operation not a number."
                                             : "Argument to positive operation not a number.");
    }
    if (type_is_float(operand.type)) {
        double number = value_number(access, &operand);
        *ret_value = value_make_float(access, operand.type, sign == '-' ? -number : number);
        return true;
    }
    struct type type = type_of(arith_promote(access, &operand, &operand));
    uint64_t integer = value_integer(access, &operand);
    *ret_value = value_make(access, type, sign == '-' ? 0 - integer : sign == '~' ? ~integer : integer);
    return true;
}
