/* A made-up target for the shell's pure parts: 4 KiB of memory at 0x20000000 and two registers. */
#ifndef OCDMUX_TESTS_SHELL_ACCESS_H
#define OCDMUX_TESTS_SHELL_ACCESS_H

#include <string.h>

#include "shell/value.h"
#include "shell/vars.h"

#define ACCESS_BASE 0x20000000u
#define ACCESS_SIZE 4096u

struct access {
    struct machine machine;
    struct value_access access;
    struct vars vars;
    uint8_t memory[ACCESS_SIZE];
    uint64_t pc;
    uint64_t r0;
    unsigned reads;
    unsigned writes;
    const char *warning; /* the last one */
};

static inline bool access_find(const struct access *self, uint64_t address, size_t size, size_t *ret_place,
                               struct err *err)
{
    (void)self;
    if (address < ACCESS_BASE || address - ACCESS_BASE > ACCESS_SIZE ||
        size > ACCESS_SIZE - (size_t)(address - ACCESS_BASE)) {
        return err_set(err, ERR_TARGET_ERROR, "cannot read at 0x%llx", (unsigned long long)address);
    }
    *ret_place = (size_t)(address - ACCESS_BASE);
    return true;
}

static inline bool access_read_bytes(void *arg, uint64_t address, uint8_t *out, size_t size, struct err *err)
{
    struct access *self = arg;
    size_t place = 0;
    if (!access_find(self, address, size, &place, err)) {
        return false;
    }
    self->reads++;
    memcpy(out, self->memory + place, size);
    return true;
}

static inline unsigned access_shift(const struct access *self, unsigned size, unsigned byte)
{
    return 8 * (self->machine.big_endian ? size - 1 - byte : byte);
}

static inline bool access_read_memory(void *arg, uint64_t address, unsigned size, size_t count,
                                      uint64_t *ret_units, struct err *err)
{
    struct access *self = arg;
    size_t place = 0;
    if (!access_find(self, address, count * size, &place, err)) {
        return false;
    }
    self->reads++;
    for (size_t i = 0; i < count; i++) {
        ret_units[i] = 0;
        for (unsigned k = 0; k < size; k++) {
            ret_units[i] |= (uint64_t)self->memory[place + i * size + k] << access_shift(self, size, k);
        }
    }
    return true;
}

static inline bool access_write_memory(void *arg, uint64_t address, unsigned size, uint64_t bits,
                                       struct err *err)
{
    struct access *self = arg;
    size_t place = 0;
    if (!access_find(self, address, size, &place, err)) {
        return false;
    }
    self->writes++;
    for (unsigned k = 0; k < size; k++) {
        self->memory[place + k] = (uint8_t)(bits >> access_shift(self, size, k));
    }
    return true;
}

static inline bool access_read_register(void *arg, const char *name, bool *ret_found, struct value *ret_value,
                                        struct err *err)
{
    struct access *self = arg;
    bool is_pc = strcmp(name, "pc") == 0;
    (void)err;
    *ret_found = is_pc || strcmp(name, "r0") == 0;
    if (*ret_found) {
        self->reads++;
        *ret_value =
            value_make(&self->access, type_of(is_pc ? TYPE_CODE : TYPE_LONG), is_pc ? self->pc : self->r0);
    }
    return true;
}

static inline bool access_write_register(void *arg, const char *name, uint64_t bits, struct err *err)
{
    struct access *self = arg;
    (void)err;
    self->writes++;
    *(strcmp(name, "pc") == 0 ? &self->pc : &self->r0) = bits;
    return true;
}

static inline bool access_read_variable(void *arg, const char *name, struct value *ret_value, struct err *err)
{
    return vars_read(&((struct access *)arg)->vars, name, ret_value, err);
}

static inline bool access_write_variable(void *arg, const char *name, const struct value *value,
                                         struct err *err)
{
    return vars_write(&((struct access *)arg)->vars, name, value, err);
}

static inline void access_warn(void *arg, const char *text)
{
    ((struct access *)arg)->warning = text;
}

/* A little-endian 32-bit machine whose chars have no sign, as Arm is one. */
static inline void access_init(struct access *self)
{
    *self =
        (struct access){.machine = {.word_size = 4, .char_is_unsigned = true}, .pc = 0x08000040, .r0 = 42};
    self->access = (struct value_access){.machine = &self->machine,
                                         .arg = self,
                                         .read_memory = access_read_memory,
                                         .write_memory = access_write_memory,
                                         .read_bytes = access_read_bytes,
                                         .read_register = access_read_register,
                                         .write_register = access_write_register,
                                         .read_variable = access_read_variable,
                                         .write_variable = access_write_variable,
                                         .warn = access_warn};
}

static inline void access_fini(struct access *self)
{
    vars_fini(&self->vars);
}

#endif
