/* Numbers, characters and arrays in gdb's formats. */
#include "shell/show.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "shell/show_char.h"

bool show_is_format(char format)
{
    return format == '\0' || strchr("xduotacfsz", format) != NULL;
}

/* --- scalars --- */

static uint64_t show_size(const struct value_access *access, const struct value *value)
{
    return type_size(value->type, access->machine);
}

static void show_binary(struct strbuf *out, uint64_t bits, uint64_t digits)
{
    for (uint64_t i = digits; i > 0; i--) {
        strbuf_append_byte(out, (bits >> (i - 1) & 1) != 0 ? '1' : '0');
    }
}

static uint64_t show_binary_digits(uint64_t bits)
{
    uint64_t digits = 1;
    while (digits < 64 && bits >> digits != 0) {
        digits++;
    }
    return digits;
}

/* "nan(0x8000000000000)" with the fraction's bits, which printf does not tell. */
static void show_nan(const struct value_access *access, const struct value *value, struct strbuf *out)
{
    bool narrow = show_size(access, value) == sizeof(float);
    unsigned fraction = narrow ? 23 : 52;
    bool negative = value->bits >> (narrow ? 31 : 63) != 0;
    strbuf_appendf(out, "%snan(0x%" PRIx64 ")", negative ? "-" : "",
                   value->bits & (((uint64_t)1 << fraction) - 1));
}

static void show_float(const struct value_access *access, const struct value *value, struct strbuf *out)
{
    double number = value_number(access, value);
    if (isnan(number)) {
        show_nan(access, value, out);
    } else if (isinf(number)) {
        strbuf_append_text(out, number < 0 ? "-inf" : "inf");
    } else {
        strbuf_appendf(out, "%.*g", show_size(access, value) == sizeof(float) ? 9 : 17, number);
    }
}

static void show_decimal(const struct value_access *access, const struct value *value, bool is_unsigned,
                         struct strbuf *out)
{
    struct type type = type_of_size((unsigned)show_size(access, value), is_unsigned);
    struct value plain = value_make(access, type, value->bits);
    uint64_t integer = value_integer(access, &plain);
    if (is_unsigned) {
        strbuf_appendf(out, "%" PRIu64, integer);
    } else {
        strbuf_appendf(out, "%" PRId64, (int64_t)integer);
    }
}

/* As a character: its low byte. */
static void show_as_char(const struct value_access *access, const struct value *value, struct strbuf *out)
{
    bool behind_hex = false;
    bool is_unsigned = type_is_unsigned(value->type, access->machine);
    uint8_t byte = (uint8_t)value_integer(access, value);
    strbuf_appendf(out, "%d '", is_unsigned ? byte : (int)(int8_t)byte);
    show_char(out, byte, '\'', &behind_hex);
    strbuf_append_byte(out, '\'');
}

/* A float of the same size, where there is one. */
static void show_as_float(const struct value_access *access, const struct value *value, struct strbuf *out)
{
    uint64_t size = show_size(access, value);
    if (size != sizeof(float) && size != sizeof(double)) {
        show_decimal(access, value, type_is_unsigned(value->type, access->machine), out);
        return;
    }
    struct type type = type_of(size == sizeof(float) ? TYPE_FLOAT : TYPE_DOUBLE);
    struct value number = value_make(access, type, value->bits);
    show_float(access, &number, out);
}

static void show_formatted(const struct value_access *access, const struct value *value, char format,
                           bool padded, struct strbuf *out)
{
    uint64_t size = show_size(access, value);
    switch (format) {
    case 'x':
        strbuf_appendf(out, "0x%0*" PRIx64, padded ? (int)size * 2 : 1, value->bits);
        break;
    case 'z':
        strbuf_appendf(out, "0x%0*" PRIx64, (int)size * 2, value->bits);
        break;
    case 'o':
        strbuf_appendf(out, "%s%" PRIo64, value->bits == 0 ? "" : "0", value->bits);
        break;
    case 't':
        show_binary(out, value->bits, padded ? size * 8 : show_binary_digits(value->bits));
        break;
    case 'd':
    case 'u':
        show_decimal(access, value, format == 'u', out);
        break;
    case 'a': {
        uint64_t address = value_integer(access, value);
        strbuf_appendf(out, "0x%" PRIx64, access->machine->word_size < 8 ? address & UINT32_MAX : address);
        break;
    }
    case 'c':
        show_as_char(access, value, out);
        break;
    default:
        show_as_float(access, value, out);
    }
}

/* What plain print shows of something that is no array and no string. */
static void show_natural(const struct value_access *access, const struct value *value, bool with_type,
                         struct strbuf *out)
{
    if (type_is_void(value->type)) {
        strbuf_append_text(out, "void");
    } else if (type_is_pointer(value->type)) {
        if (with_type) {
            strbuf_append_byte(out, '(');
            type_print(out, value->type);
            strbuf_append_text(out, ") ");
        }
        strbuf_appendf(out, "0x%" PRIx64, value->bits);
    } else if (type_is_float(value->type)) {
        show_float(access, value, out);
    } else if (type_is_text(value->type)) {
        show_as_char(access, value, out);
    } else {
        show_decimal(access, value, type_is_unsigned(value->type, access->machine), out);
    }
}

void show_unit(const struct value_access *access, const struct value *value, char format, struct strbuf *out)
{
    show_formatted(access, value, format, true, out);
}

/* The string that a pointer to chars points to; gdb says nothing of NULL. */
static bool show_pointed_text(const struct value_access *access, const struct value *value,
                              struct strbuf *out, struct err *err)
{
    uint64_t length;
    bool plain = value->type.base == TYPE_CHAR;
    if (value->bits == 0) {
        show_natural(access, value, !plain, out);
        return true;
    }
    struct strbuf text = STRBUF_INIT;
    bool good = show_string_at(access, value->bits, 1, &length, &text, err);
    if (good) {
        show_natural(access, value, !plain, out);
        strbuf_appendf(out, " %s", strbuf_text(&text));
    }
    strbuf_fini(&text);
    return good;
}

/* A scalar; `with_type`: it stands alone. */
static bool show_scalar(const struct value_access *access, const struct value *value, char format,
                        bool with_type, struct strbuf *out, struct err *err)
{
    bool natural = format == '\0' || format == 's' || type_is_void(value->type);
    if (natural && with_type && value->type.pointers == 1 && type_is_text(type_pointed(value->type))) {
        return show_pointed_text(access, value, out, err);
    }
    if (natural) {
        show_natural(access, value, with_type, out);
    } else if (type_is_float(value->type) && (format == 'a' || format == 'c')) {
        /* Where the bits say nothing gdb takes the number. */
        struct value integer = value_make(access, type_of(TYPE_LONG), value_integer(access, value));
        show_formatted(access, &integer, format, false, out);
    } else {
        show_formatted(access, value, format, false, out);
    }
    return true;
}

/* --- arrays --- */

static struct value show_element(const struct value_access *access, struct type type, const uint8_t *bytes)
{
    uint64_t size = type_size(type, access->machine);
    uint64_t bits = 0;
    for (uint64_t i = 0; i < size; i++) {
        uint64_t shift = access->machine->big_endian ? 8 * (size - 1 - i) : 8 * i;
        bits |= (uint64_t)bytes[i] << shift;
    }
    return value_make(access, type, bits);
}

static bool show_elements(const struct value_access *access, struct type type, const uint8_t *bytes,
                          size_t count, char format, struct strbuf *out, struct err *err)
{
    size_t size = (size_t)type_size(type, access->machine);
    size_t shown = 0;
    size_t place = 0;
    strbuf_append_byte(out, '{');
    while (place < count && shown < SHOW_ELEMENTS_MAX) {
        struct value element = show_element(access, type, bytes + place * size);
        size_t end = place + 1;
        while (end < count && memcmp(bytes + place * size, bytes + end * size, size) == 0) {
            end++;
        }
        bool run = end - place > SHOW_REPEATS_MAX;
        strbuf_append_text(out, place == 0 ? "" : ", ");
        if (!show_scalar(access, &element, format, false, out, err)) {
            return false;
        }
        if (run) {
            strbuf_appendf(out, " <repeats %zu times>", end - place);
        }
        shown += run ? SHOW_REPEATS_MAX : 1;
        place = run ? end : place + 1;
    }
    strbuf_append_text(out, place < count ? "...}" : "}");
    return true;
}

static bool show_array(const struct value_access *access, const struct value *value, char format,
                       struct strbuf *out, struct err *err)
{
    struct type type = type_element(value->type);
    size_t size = (size_t)type_size(value->type, access->machine);
    uint8_t *bytes = xmalloc(size);
    bool good = access->read_bytes(access->arg, value->address, bytes, size, err);
    if (good && type_is_text(type) && (format == '\0' || format == 's')) {
        show_string(access->machine, bytes, value->type.elements, 1, false, out);
    } else if (good) {
        good = show_elements(access, type, bytes, value->type.elements, format, out, err);
    }
    free(bytes);
    return good;
}

bool show_value(const struct value_access *access, const struct value *value, char format, struct strbuf *out,
                struct err *err)
{
    struct value fetched = *value;
    if (type_is_array(value->type)) {
        return show_array(access, value, format, out, err);
    }
    return value_fetch(access, &fetched, err) && show_scalar(access, &fetched, format, true, out, err);
}
