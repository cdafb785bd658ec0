/*
 * One board: its link, the operations that wait for it, and the runner that takes them through their steps,
 * one envelope on the link at a time. Alone measures time, sets budgets, and handles cancel, deadlines and a
 * lost link.
 *
 * Short commands that wait at the same moment travel in one envelope, in the order of their turns, each
 * failing on its own; together they take no longer than a piece of a long operation. A read that several
 * operations wait for at the same moment is made once for all of them.
 *
 * Changing operations run one at a time; reads go between their pieces. A `consistent` read makes changing
 * operations wait.
 */
#ifndef OCDMUX_BOARD_BOARD_H
#define OCDMUX_BOARD_BOARD_H

#include "base/histogram.h"
#include "base/private_dir.h"
#include "board/lease.h"
#include "board/openocd_process.h"
#include "board/repairs.h"
#include "board/sched.h"
#include "net/address.h"
#include "net/loop.h"
#include "openocd/link.h"
#include "ops/op.h"

struct board;

/* What everybody is told who waits, or is connected, when the daemon stops. */
#define BOARD_STOP_REASON "the daemon stops"

/* Clients that still listen come first; those that have sent their last (half-close) get what time is left.
 */
enum board_pass { BOARD_PASS_OPEN, BOARD_PASS_ALL };

struct board_handler {
    /* What happened to the lease: see lease_owner in board/lease.h. */
    void (*lease_changed)(void *context, struct board *board, enum lease_event event,
                          const struct lease_holder *holder, const struct lease_waiter *waiter);
    /* The link's state changed in a way that matters to clients: it came up or went down. */
    void (*link_changed)(void *context, struct board *board, const char *reason);
    /* OpenOCD said something of a target: kind "event", "state" or "reset". */
    void (*target_notified)(void *context, struct board *board, const char *kind, const char *value);
    /* The targets' states have been asked for again. Whether somebody waits for a change of them: then they
     * are soon asked for again. */
    bool (*states_seen)(void *context, struct board *board);
    /* Whether the next step of `op` may run now: its client can take the result, and has its turn in this
     * pass. */
    bool (*may_run)(void *context, struct op *op, enum board_pass pass);
    /* An operation came or went: board_queued() may be another. */
    void (*queue_changed)(void *context, struct board *board);
    /* A command of `op` kept the link busy for so long: of an envelope that it shares, its part. */
    void (*link_used)(void *context, struct op *op, uint64_t used_us);
};

struct board_options {
    const char *name;
    struct net_address address;
    const char *stage_dir;     /* on OpenOCD's host; NULL: found out */
    struct private_dir *share; /* files for commands go through it where OpenOCD sees it too; NULL: there is
                                * none. Must outlive the board */
    const char *state_dir;     /* for what must survive a crash; NULL: nowhere */
    uint32_t link_limit_ms;
    uint32_t unavailable_ms;         /* how long requests wait for a link that is down */
    uint32_t lease_grace_ms;         /* how long a lease is kept for a connection that has gone */
    bool require_lease;              /* nothing changes the board without */
    const struct ocd_expect *expect; /* which board it has to be; NULL: any. Must outlive the board */
    /* What starts OpenOCD; without its name. NULL: somebody else does. */
    const struct openocd_process_options *process;
    uint32_t health_every_ms; /* a link that is idle for so long is asked something; 0: never */
    uint32_t health_limit_ms; /* how long that, or any other short command, may go without an answer */
};

struct board_counters {
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t ended;        /* operations */
    uint64_t joined;       /* commands that travelled in another's envelope */
    uint64_t shared_reads; /* answered by another operation's command */
    struct histogram wait; /* of clients' operations, until the first command is on the link */
};

/* `options` is copied. */
struct board *board_new(struct loop *loop, const struct board_options *options,
                        const struct board_handler *handler, void *context);
/* No operation may be left. */
void board_free(struct board *board);

const char *board_name(const struct board *board);
struct ocd_link *board_link(struct board *board);
/* What the last survey said; targets come and go with it. */
struct ocd_info *board_info(struct board *board);
/* What a crash left to be mended in the board's flash. */
const struct repairs *board_repairs(const struct board *board);
const struct board_counters *board_counters(const struct board *board);
/* Operations that wait or run, those that only finish a piece among them; not the board's own survey. */
size_t board_queued(const struct board *board);
/* The first operation whose command is on the link; else a changing one that is between its pieces; else
 * NULL. */
struct op *board_running(struct board *board);
/* Since when the link is up, wall clock; "" while it is not. */
const char *board_connected_since(const struct board *board);
/* The link has been through a handshake and was not lost since; it may be going through another one. */
bool board_is_up(const struct board *board);

/* Of the OpenOCD that the board starts; false where somebody else does. */
bool board_process(const struct board *board, struct openocd_process_view *ret_view);
/* What is wrong with it, and in which words (empty where nothing is). */
enum ocd_problem board_problem(struct board *board, struct strbuf *words);

/* A connection's queue on this board. */
void board_queue_init(struct board *board, struct sched_queue *queue, struct sched_identity *identity);

/*
 * Queues an operation and takes it over; `owner` hears of its end exactly once, never from inside this call.
 * It begins with the next board_kick(), which the caller owes once nothing on its stack can be freed any
 * more. `timeout_ms` counts from now; 0: none.
 */
void board_submit(struct board *board, struct sched_queue *queue, struct op *take_op,
                  const struct op_owner *owner, void *owner_context, uint64_t timeout_ms);

/* Stops at the next step boundary (at once, if no command is in flight). The owner still hears of the end. */
void board_cancel(struct op *op);

/* Asks for the targets' states as soon as the link is free, or up: `states_seen` is called then. */
void board_look(struct board *board);

/* The board was changed past its operations: what was read of it before is old. */
void board_changed_outside(struct board *board);
/* Somebody is at it right now, and nobody can tell when within that it changes: between any two commands of a
 * read it counts as changed. Each true is followed by its false. */
void board_set_outside_busy(struct board *board, bool busy);
/* What OpenOCD was told may have changed what the handshake learned: it is run again. */
void board_relearn(struct board *board);
/* What was kept of the flash from `address` on is needed no more: it was erased past the board's operations.
 */
void board_forget_repairs(struct board *board, uint64_t address, uint64_t size);

/* Runs what may run now: after board_submit(), or when something that `may_run` looks at has changed. May end
 * operations. */
void board_kick(struct board *board);

/*
 * Cancels everything. True once nothing is under way that should not be cut off: a command that changes the
 * board, or an operation at a point where stopping would lose something.
 */
bool board_stop(struct board *board);

/* Behind that: what is left ends now, `cancelled`, or `outcome_unknown` where it was changing the board. */
void board_stop_all(struct board *board);

/* Behind that: ends the OpenOCD that the board started. True once there is none. */
bool board_stop_process(struct board *board);

/* Whether the board was changed between the commands of a read. */
bool board_op_disturbed(const struct op *op);

#endif
