/*
 * When a process that is looked after is started, given up and started again. Pure: time is passed in.
 *
 *              due               prepared           up             lost
 *   WAITING ---------> PREPARING --------> STARTING ----> RUNNING <----+ (comes up again, or time over)
 *      ^     |  (nothing to prepare)          ^  |           |   |-----+
 *      |     +--------------------------------+  | time over | failed
 *      |                                         v           v
 *      +------------------ ended -------------- ENDING <-----+
 *
 *   any of them -- stop --> STOPPING -- ended --> STOPPED
 *
 * The pause before a start doubles from `first_ms` up to `most_ms`, and is short again behind a run in which
 * it was up for `good_ms`.
 */
#ifndef OCDMUX_BOARD_RESPAWN_H
#define OCDMUX_BOARD_RESPAWN_H

#include <stdbool.h>
#include <stdint.h>

enum respawn_state {
    RESPAWN_WAITING,
    RESPAWN_PREPARING, /* another command runs first */
    RESPAWN_STARTING,
    RESPAWN_RUNNING,
    RESPAWN_ENDING, /* it was told to end, and is started again then */
    RESPAWN_STOPPING,
    RESPAWN_STOPPED,
};

/* What the owner has to do now. */
enum respawn_action {
    RESPAWN_NOTHING,
    RESPAWN_PREPARE,
    RESPAWN_START,
    RESPAWN_END, /* whatever runs; then comes respawn_ended() */
};

struct respawn_limits {
    uint64_t first_ms;
    uint64_t most_ms;
    uint64_t good_ms;
    uint64_t start_ms; /* from the start until it is up, and from where it is up no more until it is again */
    bool prepares;
};

struct respawn {
    struct respawn_limits limits;
    enum respawn_state state;
    uint64_t due_us;   /* when respawn_due() has something to do; 0: never */
    uint64_t up_us;    /* since when it is up, in this run; 0: it was not */
    uint64_t failures; /* in a row */
    uint64_t starts;
};

/* "waiting", "preparing", "starting", "running", "stopping", "stopped". */
const char *respawn_state_name(enum respawn_state state);

/* It is due at once. */
void respawn_init(struct respawn *respawn, const struct respawn_limits *limits, uint64_t now_us);
enum respawn_action respawn_due(struct respawn *respawn, uint64_t now_us);
/* The preparation has ended, well or not. */
enum respawn_action respawn_prepared(struct respawn *respawn, uint64_t now_us);
/* It does its work; it does not any more, but has not ended. */
void respawn_up(struct respawn *respawn, uint64_t now_us);
void respawn_lost(struct respawn *respawn, uint64_t now_us);
/* It has to be started anew. */
enum respawn_action respawn_fail(struct respawn *respawn);
/* It has ended, or could not be started. */
void respawn_ended(struct respawn *respawn, uint64_t now_us);
/* For good. */
enum respawn_action respawn_stop(struct respawn *respawn);

#endif
