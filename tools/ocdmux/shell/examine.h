/* gdb's x: memory by units, and what comes next. Pure but for the reading. */
#ifndef OCDMUX_SHELL_EXAMINE_H
#define OCDMUX_SHELL_EXAMINE_H

#include "shell/format.h"
#include "shell/value.h"

struct examine {
    struct format last; /* of the last x, and of the last print/FMT; zero at first */
    bool has_next;      /* whether x may go without an address */
    uint64_t next;
    struct value last_value; /* what $__ is, in memory; void at first */
};

/* What `x` without a format does the first time. */
void examine_init(struct examine *examine);
/*
 * Shows `format->count` units from `address` on and appends the lines. Fails, with `examine` and `out`
 * unchanged, as `access` does, and for /i.
 */
bool examine_memory(struct examine *examine, const struct value_access *access, const struct format *format,
                    uint64_t address, struct strbuf *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
