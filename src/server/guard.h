/*
 * Slows down those who give wrong tokens: each address has a count of its failures, and the answer to the
 * next one waits twice as long as that to the last. Nobody else waits. Pure.
 */
#ifndef OCDMUX_SERVER_GUARD_H
#define OCDMUX_SERVER_GUARD_H

#include <stdint.h>

#include "base/list.h"

#define GUARD_FIRST_DELAY_MS 100u
#define GUARD_MAX_DELAY_MS 5000u
/* After so long without a failure an address is forgotten. */
#define GUARD_FORGET_US 600000000u
/* Addresses that are remembered; beyond that the one whose last failure is the oldest goes. */
#define GUARD_MAX_ADDRESSES 1024u
#define GUARD_ADDRESS_SIZE 96

struct guard {
    struct list entries; /* the newest failure last */
    uint32_t count;
};

void guard_init(struct guard *guard);
void guard_fini(struct guard *guard);

/* Counts a failure of `address`, and says how long its answer shall wait, in milliseconds. */
uint64_t guard_note_failure(struct guard *guard, const char *address, uint64_t now_us);

/* The delay that belongs to the nth failure, n from 1. */
uint64_t guard_delay_ms(uint64_t failures);

#endif
