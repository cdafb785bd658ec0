/* Executing single instructions. */
#ifndef OCDMUX_OPS_TARGET_STEP_H
#define OCDMUX_OPS_TARGET_STEP_H

#include "ops/op.h"

struct step_op {
    struct op op;
    bool has_address;
    uint64_t address; /* where the first one begins */
    uint64_t count;   /* 1 or more */
    /* The result. */
    uint64_t done;
    struct strbuf pc; /* "0x..."; empty where it is not known */
};

/*
 * A command for each step: OpenOCD answers it when the step is over, for its drivers wait for that
 * themselves, half a second at the most. Ends early, and well, where the target is not halted behind a step.
 */
struct op *step_new(const char *target, const uint64_t *address, uint64_t count);

#endif
