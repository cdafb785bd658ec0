/*
 * Erases sectors of a bank: looks at the bank and checks everything first, then erases in pieces of about
 * half a second. Every piece leaves whole sectors behind, so cancel and deadlines take effect between any
 * two.
 *
 *   survey -> look -> erase*
 */
#ifndef OCDMUX_OPS_FLASH_ERASE_H
#define OCDMUX_OPS_FLASH_ERASE_H

#include "ops/flash_info.h"
#include "ops/op.h"
#include "ops/prepare.h"

struct flash_erase {
    struct op op;
    unsigned bank;
    bool all;     /* every sector of the bank: `first` and `last` are known when it has been looked at */
    size_t first; /* sectors */
    size_t last;
    struct flash_geometry geometry;
    struct prepare prepare; /* none: the target must be halted already */
    size_t erased;          /* sectors, from `first` on */
    bool touched;           /* an erase command was sent */
};

/* Sectors `first` to `last`, both included, in that order. */
struct op *flash_erase_new(unsigned bank, size_t first, size_t last);
struct op *flash_erase_all_new(unsigned bank);

#endif
