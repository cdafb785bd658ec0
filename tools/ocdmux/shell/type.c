/* C's types, as gdb has them. */
#include "shell/type.h"

#include <assert.h>
#include <string.h>

enum type_kind { KIND_VOID, KIND_INTEGER, KIND_FLOAT, KIND_CODE };

/* In the order of enum type_base. */
static const struct type_row {
    const char *name;
    enum type_kind kind;
    unsigned char size; /* 0: a word */
    bool is_unsigned;
} type_rows[] = {
    {"void", KIND_VOID, 1, false},           {"char", KIND_INTEGER, 1, false},
    {"signed char", KIND_INTEGER, 1, false}, {"unsigned char", KIND_INTEGER, 1, true},
    {"short", KIND_INTEGER, 2, false},       {"unsigned short", KIND_INTEGER, 2, true},
    {"int", KIND_INTEGER, 4, false},         {"unsigned int", KIND_INTEGER, 4, true},
    {"long", KIND_INTEGER, 0, false},        {"unsigned long", KIND_INTEGER, 0, true},
    {"long long", KIND_INTEGER, 8, false},   {"unsigned long long", KIND_INTEGER, 8, true},
    {"int8_t", KIND_INTEGER, 1, false},      {"uint8_t", KIND_INTEGER, 1, true},
    {"int16_t", KIND_INTEGER, 2, false},     {"uint16_t", KIND_INTEGER, 2, true},
    {"int32_t", KIND_INTEGER, 4, false},     {"uint32_t", KIND_INTEGER, 4, true},
    {"int64_t", KIND_INTEGER, 8, false},     {"uint64_t", KIND_INTEGER, 8, true},
    {"float", KIND_FLOAT, 4, false},         {"double", KIND_FLOAT, 8, false},
    {"void (*)()", KIND_CODE, 0, true},
};
_Static_assert(sizeof(type_rows) / sizeof(type_rows[0]) == TYPE_CODE + 1, "a row for each base");

struct type type_of(enum type_base base)
{
    return (struct type){.base = base};
}

struct type type_of_size(unsigned size, bool is_unsigned)
{
    switch (size) {
    case 1:
        return type_of(is_unsigned ? TYPE_UINT8 : TYPE_INT8);
    case 2:
        return type_of(is_unsigned ? TYPE_UINT16 : TYPE_INT16);
    case 4:
        return type_of(is_unsigned ? TYPE_UINT32 : TYPE_INT32);
    default:
        assert(size == 8);
        return type_of(is_unsigned ? TYPE_UINT64 : TYPE_INT64);
    }
}

struct type type_pointer_to(struct type type)
{
    type.pointers++;
    type.elements = 0;
    return type;
}

struct type type_pointed(struct type type)
{
    assert(type.pointers > 0);
    type.pointers--;
    return type;
}

struct type type_element(struct type type)
{
    type.elements = 0;
    return type;
}

bool type_find_fixed(const char *name, size_t length, enum type_base *ret_base)
{
    for (unsigned base = TYPE_INT8; base <= TYPE_UINT64; base++) {
        if (strlen(type_rows[base].name) == length && memcmp(type_rows[base].name, name, length) == 0) {
            *ret_base = (enum type_base)base;
            return true;
        }
    }
    return false;
}

bool type_is_array(struct type type)
{
    return type.elements > 0;
}

static bool type_is_kind(struct type type, enum type_kind kind)
{
    return type.elements == 0 && type.pointers == 0 && type_rows[type.base].kind == kind;
}

bool type_is_pointer(struct type type)
{
    return type.elements == 0 && (type.pointers > 0 || type.base == TYPE_CODE);
}

bool type_is_float(struct type type)
{
    return type_is_kind(type, KIND_FLOAT);
}

bool type_is_integer(struct type type)
{
    return type_is_kind(type, KIND_INTEGER);
}

bool type_is_void(struct type type)
{
    return type_is_kind(type, KIND_VOID);
}

bool type_is_text(struct type type)
{
    return type.elements == 0 && type.pointers == 0 && type.base >= TYPE_CHAR &&
           type.base <= TYPE_UNSIGNED_CHAR;
}

bool type_is_unsigned(struct type type, const struct machine *machine)
{
    if (type.pointers > 0) {
        return true;
    }
    return type.base == TYPE_CHAR ? machine->char_is_unsigned : type_rows[type.base].is_unsigned;
}

uint64_t type_size(struct type type, const struct machine *machine)
{
    unsigned own = type.pointers > 0 ? 0 : type_rows[type.base].size;
    uint64_t size = own == 0 ? machine->word_size : own;
    return type.elements > 0 ? size * type.elements : size;
}

void type_print(struct strbuf *out, struct type type)
{
    strbuf_append_text(out, type_rows[type.base].name);
    for (unsigned i = 0; i < type.pointers; i++) {
        strbuf_append_text(out, i == 0 ? " *" : "*");
    }
    if (type.elements > 0) {
        strbuf_appendf(out, " [%u]", (unsigned)type.elements);
    }
}
