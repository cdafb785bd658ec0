/* Tcl that several operations build. */
#ifndef OCDMUX_OPS_SCRIPT_H
#define OCDMUX_OPS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "memory/plan.h"
#include "openocd/info.h"

/* `TARGET read_memory ADDRESS WIDTH COUNT ?phys?` */
void script_read_memory(struct strbuf *script, const struct ocd_target *target,
                        const struct memory_access *access, bool physical);
/* `TARGET write_memory ADDRESS WIDTH {V V ...} ?phys?` with the elements that `bytes` (as in the target)
 * stand for. */
void script_write_memory(struct strbuf *script, const struct ocd_target *target,
                         const struct memory_access *access, bool physical, const uint8_t *bytes);

/*
 * Runs `body` with the named target as OpenOCD's current one ($t holds its name); the one of the survey is
 * put back afterwards. The result and the return code are those of `body`.
 */
void script_on_target(struct strbuf *script, const struct ocd_info *info, const char *target,
                      const char *body);

/*
 * A script that has a temporary file on OpenOCD's host in the variable `p`, which only OpenOCD's user can
 * read, and which is gone when the script ends, however it ends. `body` runs with `p` set; its result and
 * return code are the script's.
 */
void script_with_file(struct strbuf *script, const struct ocd_info *info, const char *body, size_t length);
/* Adds `set f [open $p wb]; $f puts -nonewline "..."; $f close;` with the bytes quoted. */
void script_fill_file(struct strbuf *body, const uint8_t *bytes, size_t length);
/* Adds `set f [open $p rb]; set d [$f read]; $f close; set d`. */
void script_drain_file(struct strbuf *body);

#endif
