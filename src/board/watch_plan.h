/*
 * What is read of a board for those who watch its memory, and when. Wants (a range of an address space and a
 * period) are cut into areas, so that each byte lies in one area: at the ends of wants, and at multiples of
 * WATCH_PIECE_BYTES. An area's period is the shortest of the wants on it. Pure.
 *
 *   wants     |------ 100 ms ------|
 *                       |------ 20 ms ------|
 *   areas     |  100 ms |  20 ms   |  20 ms |
 *
 * All areas are due at multiples of their periods, so that those of equal periods, or of multiples, fall due
 * together; areas that touch each other and are due are read at once, up to WATCH_PIECE_BYTES, which is one
 * short command. Bytes that nobody wants are never read: reading a peripheral may change it.
 *
 *   UNKNOWN --- read ---> KNOWN <--- read --- FAILED
 *      +------ cannot be read ---- +----------> FAILED
 *
 * Where a read of several areas fails, each of them is read by itself, until it has been read: then it is
 * known which of them it was. One that fails by itself is tried again less often.
 */
#ifndef OCDMUX_BOARD_WATCH_PLAN_H
#define OCDMUX_BOARD_WATCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err_kinds.h"

/* As much as the first command of a read of a range moves. */
#define WATCH_PIECE_BYTES 1024u
/* An area that cannot be read is not tried more often than so. */
#define WATCH_RETRY_US 1000000u

/* `space` is a number for what the addresses are of: a target, virtual or physical. */
struct watch_want {
    uint32_t space;
    uint64_t address;
    uint64_t size; /* 1 or more; does not pass the end of 64-bit addresses */
    uint64_t period_us;
};

enum watch_area_state {
    WATCH_AREA_UNKNOWN, /* not read yet */
    WATCH_AREA_KNOWN,
    WATCH_AREA_FAILED, /* `error` says why */
};

struct watch_area {
    uint32_t space;
    uint32_t size; /* 1 to WATCH_PIECE_BYTES */
    uint64_t address;
    uint64_t period_us;
    uint64_t due_us;
    enum watch_area_state state;
    bool alone;          /* not read with others: reading it with them has failed */
    uint64_t read_us;    /* when it was read last, well or not; 0: never */
    uint64_t reached_us; /* time from one good read to the next, smoothed; 0: not known */
    enum err_kind kind;  /* FAILED: of the error */
    char *error;         /* FAILED: its text, whatever the caller writes there; owned */
    size_t bytes_at;     /* KNOWN: where its bytes are in the plan's */
};

struct watch_plan {
    struct watch_area *areas; /* by space, then by address; none overlap */
    size_t count;
    uint8_t *bytes; /* of all areas, in their order */
    size_t size;
};

/* One read of areas that lie side by side. */
struct watch_read {
    uint32_t space;
    uint64_t address;
    uint64_t size; /* 1 to WATCH_PIECE_BYTES */
    uint64_t begun_us;
};

void watch_plan_init(struct watch_plan *plan);
void watch_plan_fini(struct watch_plan *plan);

/* Makes the areas anew; what is known of a byte stays known where its area was read as a whole. New areas are
 * due now. `wants` may be in any order, and is sorted by this call. */
void watch_plan_set(struct watch_plan *plan, struct watch_want *wants, size_t count, uint64_t now_us);

/* The read that has been due longest. False if none is due. */
bool watch_plan_next(const struct watch_plan *plan, uint64_t now_us, struct watch_read *ret_read);
/* When the next is due; UINT64_MAX where there are no areas. */
uint64_t watch_plan_due(const struct watch_plan *plan);

/*
 * What came of a read; one that is never told of leaves its areas due. Areas that are no longer there, or
 * were cut otherwise meanwhile, are passed over. Return whether that is news of an area: that it can be read
 * again, or no longer.
 */
bool watch_plan_done(struct watch_plan *plan, const struct watch_read *read, const uint8_t *bytes,
                     uint64_t now_us);
bool watch_plan_failed(struct watch_plan *plan, const struct watch_read *read, enum err_kind kind,
                       const char *error, uint64_t now_us);

/* Nothing can be read: all areas fail, and none is due before watch_plan_restart(). */
void watch_plan_stop(struct watch_plan *plan, enum err_kind kind, const char *error, uint64_t now_us);
/* Everything is due now, and nothing is known of what is FAILED. */
void watch_plan_restart(struct watch_plan *plan, uint64_t now_us);

/* The first area of the space that ends behind `address`; plan->count if there is none. */
size_t watch_plan_find(const struct watch_plan *plan, uint32_t space, uint64_t address);

#endif
