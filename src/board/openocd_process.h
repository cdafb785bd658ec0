/*
 * The OpenOCD that a board starts and looks after: its output goes to the log and is kept, its end is told
 * with its cause, and it is started again. When is decided in board/respawn.h.
 *
 * Callbacks run from the loop, never from inside a call of this interface.
 */
#ifndef OCDMUX_BOARD_OPENOCD_PROCESS_H
#define OCDMUX_BOARD_OPENOCD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "board/respawn.h"
#include "net/loop.h"
#include "openocd/complaint.h"

#define OPENOCD_PROCESS_LINES 20u
#define OPENOCD_PROCESS_LINE_SIZE 256u
#define OPENOCD_PROCESS_WHY_SIZE 256u

struct openocd_process_options {
    const char *name;          /* the board's, for the log */
    char *const *spawn;        /* NULL-ended; must outlive the process */
    char *const *before_start; /* runs to its end before each start; NULL: nothing does. Likewise */
    uint32_t start_limit_ms;   /* from its start until it answers; also from where it answers no more */
    uint32_t stop_limit_ms;    /* from SIGTERM to SIGKILL */
    uint32_t before_start_limit_ms;
};

struct openocd_process_handler {
    /* It can be connected to. `port` is where it says that it listens; 0: it does not say. */
    void (*listening)(void *context, unsigned port);
    /* It ended, or must end, with the reason as one line; it is started again in `retry_ms`, if that is not
     * 0. Comes twice where it had to be killed: when it is told to end, and when it has. */
    void (*gone)(void *context, const char *reason, uint64_t retry_ms);
};

/* What there is to see of it. */
struct openocd_process_view {
    enum respawn_state state;
    long pid;                    /* 0: none runs */
    char since[CLOCK_TEXT_SIZE]; /* wall clock, of the state */
    uint64_t restarts;           /* starts but the first */
    uint64_t retry_in_ms;        /* while it waits */
    char ended[CLOCK_TEXT_SIZE]; /* the last end, wall clock; "" if there was none */
    bool ended_by_signal;
    int end_number;                     /* the signal, or the exit status */
    enum ocd_problem problem;           /* until it answers again */
    char why[OPENOCD_PROCESS_WHY_SIZE]; /* of `problem`; "" where there is none */
    /* The newest last; escaped as in the log. */
    const char *lines[OPENOCD_PROCESS_LINES];
    size_t line_count;
};

struct openocd_process;

/* Starts it in the loop's next pass. `options` is copied. */
struct openocd_process *openocd_process_new(struct loop *loop, const struct openocd_process_options *options,
                                            const struct openocd_process_handler *handler, void *context);
/* Kills what runs. NULL is allowed. */
void openocd_process_free(struct openocd_process *process);

/* It answers; it does not any more, and may again. */
void openocd_process_up(struct openocd_process *process);
void openocd_process_lost(struct openocd_process *process);
/* It has to be ended and started again, because of `problem`; `words` say more. */
void openocd_process_fail(struct openocd_process *process, enum ocd_problem problem, const char *words);
/* Ends it for good; true once it is over. May be called again. */
bool openocd_process_stop(struct openocd_process *process);

void openocd_process_look(const struct openocd_process *process, struct openocd_process_view *ret_view);

#endif
