/*
 * Several commands in one envelope: OpenOCD polls its targets once for each envelope, and each command is
 * caught on its own. What comes back holds all lengths before the first byte that a command gave, so that no
 * answer can be taken for another's. Pure.
 *
 *   "COUNT CODE RESULT LOG OPTIONS CODE ...:" result NUL log NUL options NUL result NUL ...
 *
 * with the return code of each command and the lengths of its three parts, as in the envelope itself. COUNT
 * is the number of those that ran: none is begun once BUNDLE_MOST_MS have passed, but for the first.
 */
#ifndef OCDMUX_OPENOCD_BUNDLE_H
#define OCDMUX_OPENOCD_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "openocd/envelope.h"

/* Commands of one bundle. */
#define BUNDLE_MOST 64u
/* After this time what has not been begun is left for another envelope. */
#define BUNDLE_MOST_MS 100

/* The script that runs the words beside it (struct envelope_data), each a script of its own. */
extern const char bundle_script[];

/* Adds a script to the words. */
void bundle_add(struct strbuf *words, const char *script, size_t length);

/*
 * Splits OpenOCD's answer to a bundle of `count` (1 to BUNDLE_MOST) into the answers to each that ran, the
 * first `*ret_count` (1 or more), which point into `reply`. Fails with openocd_error, and gives none, where
 * it is not exactly that.
 */
bool bundle_split(const struct ocd_reply *reply, size_t count, struct ocd_reply ret_replies[],
                  size_t *ret_count, struct err *err) __attribute__((warn_unused_result));

#endif
