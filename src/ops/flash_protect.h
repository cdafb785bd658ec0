/*
 * Protects sectors of a bank, or lifts their protection: maps them onto what OpenOCD protects as one, changes
 * that, and looks at what reads back.
 *
 *   survey -> set -> read back
 */
#ifndef OCDMUX_OPS_FLASH_PROTECT_H
#define OCDMUX_OPS_FLASH_PROTECT_H

#include "ops/flash_info.h"
#include "ops/op.h"

struct flash_protect {
    struct op op;
    unsigned bank;
    size_t first; /* sectors */
    size_t last;
    bool on;
    struct flash_geometry geometry; /* once it is done: as it reads back */
    size_t first_block;
    size_t last_block;
    bool reset_needed; /* once it is done: a sector does not read back as asked */
};

/* Sectors `first` to `last`, both included, in that order. */
struct op *flash_protect_new(unsigned bank, size_t first, size_t last, bool on);

#endif
