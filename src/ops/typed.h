/*
 * Typed accesses: each element once, with exactly the width that was asked for. Only where OpenOCD refuses
 * width 64 (as on a Cortex-M, whose bus has 32 bits) is a 64-bit element two 32-bit accesses, in the target's
 * byte order.
 */
#ifndef OCDMUX_OPS_TYPED_H
#define OCDMUX_OPS_TYPED_H

#include "ops/op.h"

struct typed_access {
    struct op op;
    uint64_t address;
    unsigned width;   /* bits that were asked for */
    uint64_t count;   /* elements */
    uint64_t done;    /* elements */
    uint64_t *values; /* `count` of them: read so far, or to be written */
    bool physical;
    bool repeatable;    /* a read that may be made twice */
    bool trying_halves; /* width 64 was refused just now: do two halves work? */
    bool halves;        /* so the command was sent; what is known may change before its answer */
    struct strbuf bytes;
};

struct op *typed_read_new(const char *target, uint64_t address, unsigned width, uint64_t count, bool physical,
                          bool repeatable);
/* Takes `values` (free()) over. */
struct op *typed_write_new(const char *target, uint64_t address, unsigned width, uint64_t *take_values,
                           uint64_t count, bool physical);

#endif
