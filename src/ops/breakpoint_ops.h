/* Listing, setting and removing breakpoints and watchpoints. Each ends with what OpenOCD lists then. */
#ifndef OCDMUX_OPS_BREAKPOINT_OPS_H
#define OCDMUX_OPS_BREAKPOINT_OPS_H

#include "openocd/target_text.h"
#include "ops/op.h"

struct breakpoint_op {
    struct op op;
    struct ocd_breakpoint wanted;
    bool has_data; /* `wanted.value` and `wanted.mask` count */
    bool any_kind; /* remove: `wanted.kind` does not count */
    /* What OpenOCD lists. */
    struct ocd_breakpoint *points;
    size_t count;
};

struct op *breakpoint_list_new(const char *target);
/*
 * `length` 0: 2 for breakpoints on Cortex-M, else 4. `has_data`: `value` and `mask` of a watchpoint count.
 * Fails with target_error in OpenOCD's words where there is no comparator left, or a breakpoint already.
 */
struct op *breakpoint_add_new(const char *target, const struct ocd_breakpoint *wanted, bool has_data);
/* What is at the address, of `kind` or of any (NULL); fails with not_found where there is nothing. */
struct op *breakpoint_remove_new(const char *target, uint64_t address, const enum ocd_breakpoint_kind *kind);

#endif
