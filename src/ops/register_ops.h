/* Listing, reading and writing a target's registers, by name. */
#ifndef OCDMUX_OPS_REGISTER_OPS_H
#define OCDMUX_OPS_REGISTER_OPS_H

#include "openocd/target_text.h"
#include "ops/op.h"

/* One register that is asked for. */
struct register_entry {
    char *name;
    char *wanted;        /* "0x..." to be written; NULL: it is only read */
    unsigned bits;       /* known once the list has been read, as is `value` once it has */
    struct strbuf value; /* as ocd_register_value() writes it */
};

struct register_op {
    struct op op;
    struct register_entry *entries;
    size_t count;
    /* What OpenOCD lists. */
    struct ocd_register *known;
    size_t known_count;
};

/* Ends with `known`. Works while the target runs: no register is looked at. */
struct op *register_list_new(const char *target);
/*
 * Ends with the values, all of one halt. Fails with target_not_halted where the target runs, with not_found
 * where OpenOCD lists no such register. Without names (`count` 0): those of the first group, or of more than
 * 64 in it those up to the program counter. Copies the names; none is there twice.
 */
struct op *register_read_new(const char *target, const char *const *names, size_t count);
/*
 * The same for writing, and reading back; the values are "0x..." texts. Names and values are checked before
 * anything is written: invalid_params where a value does not fit.
 */
struct op *register_write_new(const char *target, const char *const *names, const char *const *values,
                              size_t count);

#endif
