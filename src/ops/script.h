/* Tcl that several operations build. */
#ifndef OCDMUX_OPS_SCRIPT_H
#define OCDMUX_OPS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "memory/plan.h"
#include "openocd/info.h"

/*
 * In front of what lets a target go on, with it as the current one. OpenOCD 0.12 has not read the program
 * counter of a core that was halted already when OpenOCD was started, and takes it for 0: a `step` then lets
 * the core run away, and a `resume` does not see the breakpoint that it stands on. `reg` reads it.
 */
#define SCRIPT_KNOW_PC "if {[$t curstate] eq {halted}} {catch {reg pc}}; "

/* `TARGET read_memory ADDRESS WIDTH COUNT ?phys?` */
void script_read_memory(struct strbuf *script, const struct ocd_target *target,
                        const struct memory_access *access, bool physical);
/* `TARGET write_memory ADDRESS WIDTH {V V ...} ?phys?` with the elements that `bytes` (as in the target)
 * stand for. */
void script_write_memory(struct strbuf *script, const struct ocd_target *target,
                         const struct memory_access *access, bool physical, const uint8_t *bytes);

/*
 * Runs `body` with the named target as OpenOCD's current one ($t holds its name; it may set variables of its
 * own, but b, c, r, s and t are taken); the one of the survey is put back afterwards. The result and the
 * return code are those of `body`.
 */
void script_on_target(struct strbuf *script, const struct ocd_info *info, const char *target,
                      const char *body);

#endif
