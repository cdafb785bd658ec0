/* Writes bytes to memory, piece by piece: the widest aligned accesses that the target takes, byte accesses at
 * the ends. */
#ifndef OCDMUX_OPS_RANGE_WRITE_H
#define OCDMUX_OPS_RANGE_WRITE_H

#include "ops/op.h"

struct range_write {
    struct op op;
    uint64_t address;
    uint8_t *bytes;
    uint64_t size;
    uint64_t done;
    bool physical;
    unsigned width; /* bits of the widest access that is tried now */
};

/* Takes `bytes` (free()) over. */
struct op *range_write_new(const char *target, uint64_t address, uint8_t *take_bytes, uint64_t size,
                           bool physical);

#endif
