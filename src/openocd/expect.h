/* Which board it has to be, as the configuration says: asked and judged in the handshake. Scripts and replies
 * only; the link sends them. */
#ifndef OCDMUX_OPENOCD_EXPECT_H
#define OCDMUX_OPENOCD_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "openocd/envelope.h"

#define OCD_EXPECT_MOST_IDCODES 16u

struct ocd_expect {
    char *command; /* Tcl, of the configuration; NULL: none */
    char *matches; /* what it must return: a pattern as of fnmatch(3), without white space at the end */
    uint32_t idcodes[OCD_EXPECT_MOST_IDCODES]; /* TAPs that the chain must have, as OpenOCD read them */
    size_t idcode_count;
};

void ocd_expect_script(const struct ocd_expect *expect, struct strbuf *script);
/* False with openocd_error, saying what was expected and what is there, for another board, and for one that
 * cannot be asked. */
bool ocd_expect_is_met(const struct ocd_expect *expect, const struct ocd_reply *reply, struct err *err)
    __attribute__((warn_unused_result));

#endif
