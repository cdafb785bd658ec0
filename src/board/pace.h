/*
 * How much may travel in one envelope so that nobody waits longer for it than for a piece of a long
 * operation: learned from how long the last ones took. Work is counted in words, about the work of one access
 * to the target. Pure.
 */
#ifndef OCDMUX_BOARD_PACE_H
#define OCDMUX_BOARD_PACE_H

#include <stdint.h>

/* What one envelope may take. */
#define PACE_ENVELOPE_US 50000u

struct pace {
    uint64_t ns_per_word; /* 0: nothing is known yet */
};

/* Words that one envelope may hold, 1 or more. */
uint64_t pace_room(const struct pace *pace);
/* An envelope with `words` (1 or more) took `used_us`. Slower is believed sooner than faster, neither at
 * once: one that took for ever may have had reasons of its own. */
void pace_learn(struct pace *pace, uint64_t words, uint64_t used_us);

#endif
