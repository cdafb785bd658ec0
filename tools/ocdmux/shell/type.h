/*
 * The types that the shell's expressions have: C's arithmetic types, pointers to them, and arrays of them in
 * memory, as gdb sees them for a target without a program. Pure.
 */
#ifndef OCDMUX_SHELL_TYPE_H
#define OCDMUX_SHELL_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

/* What of the target the types depend on. */
struct machine {
    unsigned word_size; /* bytes of a pointer and of a long: 4 or 8 */
    bool big_endian;
    bool char_is_unsigned;
};

enum type_base {
    TYPE_VOID,
    TYPE_CHAR,
    TYPE_SIGNED_CHAR,
    TYPE_UNSIGNED_CHAR,
    TYPE_SHORT,
    TYPE_UNSIGNED_SHORT,
    TYPE_INT,
    TYPE_UNSIGNED_INT,
    TYPE_LONG,
    TYPE_UNSIGNED_LONG,
    TYPE_LONG_LONG,
    TYPE_UNSIGNED_LONG_LONG,
    TYPE_INT8,
    TYPE_UINT8,
    TYPE_INT16,
    TYPE_UINT16,
    TYPE_INT32,
    TYPE_UINT32,
    TYPE_INT64,
    TYPE_UINT64,
    TYPE_FLOAT,
    TYPE_DOUBLE,
    TYPE_CODE, /* a pointer to a function, as a program counter is one */
};

struct type {
    enum type_base base;
    unsigned pointers; /* how many stars */
    uint32_t elements; /* of an array of all that; 0: no array */
};

struct type type_of(enum type_base base);
/* The integer type of that many bytes (1, 2, 4 or 8) that is no text: int8_t to uint64_t. */
struct type type_of_size(unsigned size, bool is_unsigned);
struct type type_pointer_to(struct type type);
/* What a pointer points to, what an array consists of. */
struct type type_pointed(struct type type);
struct type type_element(struct type type);

/* Finds a base by the name of <stdint.h>, "uint32_t". */
bool type_find_fixed(const char *name, size_t length, enum type_base *ret_base)
    __attribute__((warn_unused_result));

bool type_is_array(struct type type);
bool type_is_pointer(struct type type);
bool type_is_float(struct type type);
bool type_is_integer(struct type type);
bool type_is_void(struct type type);
/* One of the three chars, whose values are shown as characters and whose arrays as strings. */
bool type_is_text(struct type type);
/* Pointers are; floats are not. */
bool type_is_unsigned(struct type type, const struct machine *machine);
/* Bytes: of an array all of it, of void 1. */
uint64_t type_size(struct type type, const struct machine *machine);
/* Appends "unsigned char *", "int [4]", "void (*)()". */
void type_print(struct strbuf *out, struct type type);

#endif
