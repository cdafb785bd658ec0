/* Values and their conversions. */
#include "shell/value.h"

#include <string.h>

static uint64_t value_mask(uint64_t size)
{
    return size >= 8 ? UINT64_MAX : ((uint64_t)1 << (size * 8)) - 1;
}

struct value value_make(const struct value_access *access, struct type type, uint64_t bits)
{
    return (struct value){.type = type, .bits = bits & value_mask(type_size(type, access->machine))};
}

struct value value_make_float(const struct value_access *access, struct type type, double number)
{
    uint64_t bits = 0;
    if (type_size(type, access->machine) == sizeof(float)) {
        float narrow = (float)number;
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, sizeof(narrow_bits));
        bits = narrow_bits;
    } else {
        memcpy(&bits, &number, sizeof(bits));
    }
    return value_make(access, type, bits);
}

struct value value_in_memory(struct type type, uint64_t address)
{
    return (struct value){.type = type, .place = VALUE_IN_MEMORY, .address = address, .lazy = true};
}

bool value_fetch(const struct value_access *access, struct value *value, struct err *err)
{
    if (!value->lazy || type_is_array(value->type)) {
        return true;
    }
    unsigned size = (unsigned)type_size(value->type, access->machine);
    if (!access->read_memory(access->arg, value->address, size, 1, &value->bits, err)) {
        return false;
    }
    value->bits &= value_mask(size);
    value->lazy = false;
    return true;
}

static double value_float(const struct value_access *access, const struct value *value)
{
    if (type_size(value->type, access->machine) == sizeof(float)) {
        uint32_t bits = (uint32_t)value->bits;
        float number;
        memcpy(&number, &bits, sizeof(number));
        return number;
    }
    double number;
    memcpy(&number, &value->bits, sizeof(number));
    return number;
}

/* What C leaves undefined ends at the ends. */
static uint64_t value_cut(double number)
{
    if (number != number) {
        return 0;
    }
    if (number < 0) {
        return number <= -9223372036854775808.0 ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)number;
    }
    return number >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)number;
}

uint64_t value_integer(const struct value_access *access, const struct value *value)
{
    if (type_is_float(value->type)) {
        return value_cut(value_float(access, value));
    }
    uint64_t mask = value_mask(type_size(value->type, access->machine));
    bool negative = !type_is_unsigned(value->type, access->machine) && (value->bits & ~(mask >> 1)) != 0;
    return negative ? value->bits | ~mask : value->bits;
}

double value_number(const struct value_access *access, const struct value *value)
{
    if (type_is_float(value->type)) {
        return value_float(access, value);
    }
    uint64_t integer = value_integer(access, value);
    return type_is_unsigned(value->type, access->machine) ? (double)integer : (double)(int64_t)integer;
}

bool value_is_zero(const struct value_access *access, const struct value *value)
{
    return type_is_float(value->type) ? !(value_float(access, value) < 0 || value_float(access, value) > 0)
                                      : value->bits == 0;
}

bool value_decay(const struct value_access *access, struct value *value, struct err *err)
{
    if (type_is_array(value->type)) {
        *value = value_make(access, type_pointer_to(value->type), value->address);
        return true;
    }
    return value_fetch(access, value, err);
}

bool value_cast(const struct value_access *access, struct value *value, struct type type, struct err *err)
{
    bool to_pointer = type_is_pointer(type);
    if (type_is_void(type)) {
        *value = value_make(access, type, 0);
        return true;
    }
    if (type_is_array(type) || type_is_array(value->type) || type_is_void(value->type) ||
        (to_pointer && type_is_float(value->type))) {
        return err_set(err, ERR_INVALID_PARAMS, "Invalid cast.");
    }
    if (type_is_float(type)) {
        *value = value_make_float(access, type, value_number(access, value));
    } else {
        *value = value_make(access, type, value_integer(access, value));
    }
    return true;
}

static bool value_write(const struct value_access *access, const struct value *place,
                        const struct value *value, struct err *err)
{
    switch (place->place) {
    case VALUE_IN_MEMORY:
        return access->write_memory(access->arg, place->address,
                                    (unsigned)type_size(place->type, access->machine), value->bits, err);
    case VALUE_IN_REGISTER:
        return access->write_register(access->arg, place->name, value->bits, err);
    case VALUE_IN_VARIABLE:
        return access->write_variable(access->arg, place->name, value, err);
    case VALUE_NOWHERE:
        break;
    }
    return err_set(err, ERR_INVALID_PARAMS, "Left operand of assignment is not an lvalue.");
}

bool value_assign(const struct value_access *access, const struct value *place, struct value value,
                  struct value *ret_value, struct err *err)
{
    struct value written = *place;
    if (place->place == VALUE_NOWHERE) {
        return value_write(access, place, &value, err);
    }
    if (type_is_array(place->type) || type_is_array(value.type)) {
        return err_set(err, ERR_INVALID_PARAMS, "arrays are not assigned: use their elements");
    }
    if (!value_fetch(access, &value, err)) {
        return false;
    }
    if (place->place == VALUE_IN_VARIABLE) {
        written.type = value.type;
    } else if (!value_cast(access, &value, place->type, err)) {
        return false;
    }
    if (!value_write(access, place, &value, err)) {
        return false;
    }
    written.bits = value.bits;
    written.lazy = false;
    *ret_value = written;
    return true;
}
