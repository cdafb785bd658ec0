/*
 * Values of the shell's expressions, where they come from, and how they are converted. Pure: memory and
 * registers are read and written through functions.
 */
#ifndef OCDMUX_SHELL_VALUE_H
#define OCDMUX_SHELL_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "shell/type.h"

#define VALUE_NAME_SIZE 64u

enum value_place {
    VALUE_NOWHERE,
    VALUE_IN_MEMORY,
    VALUE_IN_REGISTER,
    VALUE_IN_VARIABLE, /* one of the shell's own */
};

struct value {
    struct type type;
    enum value_place place;
    uint64_t address;           /* in memory */
    char name[VALUE_NAME_SIZE]; /* of a register or variable, without "$" */
    bool lazy;                  /* in memory and not read yet; arrays always are */
    uint64_t bits;              /* as many low bits as the type has; of a float its representation */
};

/*
 * What an expression can reach. The functions return false with `err`; an empty message says that the
 * failure has been reported already.
 */
struct value_access {
    const struct machine *machine;
    void *arg;
    /* `count` units of 1, 2, 4 or 8 bytes, one access each. */
    bool (*read_memory)(void *arg, uint64_t address, unsigned size, size_t count, uint64_t *ret_units,
                        struct err *err);
    bool (*write_memory)(void *arg, uint64_t address, unsigned size, uint64_t bits, struct err *err);
    /* Many bytes, by whatever accesses. */
    bool (*read_bytes)(void *arg, uint64_t address, uint8_t *out, size_t size, struct err *err);
    /* `*ret_found` says whether the target has such a register. */
    bool (*read_register)(void *arg, const char *name, bool *ret_found, struct value *ret_value,
                          struct err *err);
    bool (*write_register)(void *arg, const char *name, uint64_t bits, struct err *err);
    /* Every name has a value: void at first. Fails for "$N" of values that are not there yet. */
    bool (*read_variable)(void *arg, const char *name, struct value *ret_value, struct err *err);
    bool (*write_variable)(void *arg, const char *name, const struct value *value, struct err *err);
    void (*warn)(void *arg, const char *text);
};

/* A value of nowhere; `bits` beyond the type are dropped. */
struct value value_make(const struct value_access *access, struct type type, uint64_t bits);
struct value value_make_float(const struct value_access *access, struct type type, double number);
struct value value_in_memory(struct type type, uint64_t address);

/* Reads what is still lazy; arrays stay so. */
bool value_fetch(const struct value_access *access, struct value *value, struct err *err)
    __attribute__((warn_unused_result));

/* An integer or pointer, extended as its type says; a float cut to an integer, at the ends of 64 bits where
 * it is beyond. */
uint64_t value_integer(const struct value_access *access, const struct value *value);
/* As a number, whatever it is. */
double value_number(const struct value_access *access, const struct value *value);
bool value_is_zero(const struct value_access *access, const struct value *value);

/* An array becomes the pointer to its first element; reads everything else. */
bool value_decay(const struct value_access *access, struct value *value, struct err *err)
    __attribute__((warn_unused_result));
/* Converts as a cast does; `value` is fetched. */
bool value_cast(const struct value_access *access, struct value *value, struct type type, struct err *err)
    __attribute__((warn_unused_result));
/* Writes `value` where `place` is; the value that is there then. */
bool value_assign(const struct value_access *access, const struct value *place, struct value value,
                  struct value *ret_value, struct err *err) __attribute__((warn_unused_result));

#endif
