/* What the files of a board share. For nobody else. */
#ifndef OCDMUX_BOARD_PRIVATE_H
#define OCDMUX_BOARD_PRIVATE_H

#include "board/board.h"
#include "board/exchange.h"
#include "board/flight.h"
#include "board/lease.h"
#include "board/openocd_process.h"
#include "board/pace.h"

struct board_lease {
    struct lease lease;
    struct loop_timer *timer;
    char *directory; /* of its file; NULL: it is not kept */
    bool stale;      /* the file does not say what it should: it is tried again */
    struct loop_timer *retry;
};

struct board_health {
    struct loop_timer *timer; /* set while the link is up */
    uint32_t every_ms;        /* 0: nothing is asked */
    uint32_t limit_ms;
    uint64_t sent_us; /* of what is on the link, or was last */
    bool is_short;    /* it takes no longer than a piece of a long operation */
    uint64_t heard_us;
    uint64_t asked_us;  /* for the targets' states */
    bool examining;     /* a target that is missing is being looked for, or is to be */
    unsigned debuggers; /* that have attached to OpenOCD itself */
    bool debugger_flashes;
};

struct board {
    struct loop *loop;
    char *name;
    uint32_t unavailable_ms;
    uint32_t link_limit_ms;
    const struct board_handler *handler;
    void *context;

    struct ocd_link *link;
    struct sched sched;
    struct flight flight;     /* what is on the link, or about to be */
    struct exchange exchange; /* the file of its command, also where it was abandoned */
    struct pace pace;
    bool one_by_one; /* this OpenOCD does not answer as it should when several commands share an envelope */
    struct repairs repairs;
    struct board_lease lease;
    struct board_health health;
    struct openocd_process *process; /* NULL: OpenOCD is somebody else's */
    bool expects;                    /* a certain board */

    struct op *changer;     /* the changing operation that has begun */
    size_t changers_queued; /* changing operations that have not */
    size_t consistent;      /* consistent reads that have begun */
    bool changer_waits;     /* a changing operation waits for consistent reads: no further one begins */
    bool must_relearn;      /* raw Tcl was sent: the handshake has to be run again */
    uint64_t change_count;  /* grows with everything that may have changed the board */
    unsigned outside_busy;  /* how many change it past its operations just now */

    /* The board's own operations. */
    struct sched_identity own_identity;
    struct sched_queue own_queue;
    struct loop_timer *survey_timer;
    bool survey_queued;
    bool survey_again;             /* something was heard of since it was queued */
    bool states_wanted;            /* somebody waits for a change of the targets' states */
    struct loop_timer *look_timer; /* for them: asks now and then where no notification comes */

    bool told_up;                          /* what the owner heard last of the link */
    char connected_since[CLOCK_TEXT_SIZE]; /* "" while it is down */
    struct loop_timer *kick_timer;
    bool kicking;
    struct board_counters counters;
};

/* board_lease.c */

void board_lease_init(struct board *board, const struct board_options *options);
void board_lease_fini(struct board *board);
/* The operation is submitted, may begin, and has ended; the last frees what the first made. */
void board_lease_accept(struct op *op);
bool board_lease_may_begin(const struct op *op);
void board_lease_began(struct op *op);
/* The head of the queue waits for its own client to take what it read: no lease waits for the changes behind
 * it. */
void board_lease_pass_over(struct board *board, struct sched_queue *queue);
void board_lease_ended(struct op *op);

/* health.c */

void health_init(struct board *board, const struct board_options *options);
void health_fini(struct board *board);
/* The link came up, went down, had an answer. */
void health_up(struct board *board);
void health_down(struct board *board);
void health_heard(struct board *board);
void health_sent(struct board *board, bool is_short);
/* OpenOCD told of an event of a target. */
void health_event(struct board *board, const char *event);
/* A debugger that is attached to OpenOCD may keep it busy for longer than anything of ours would. */
bool health_is_excused(const struct board *board);

/* watched.c */

void watched_init(struct board *board, const struct board_options *options);
void watched_fini(struct board *board);
/* The link is up; it is down. */
void watched_up(struct board *board);
void watched_down(struct board *board, const char *reason);

/* ends.c */

/* Sets the operation's timer to the first of all that it waits for. */
void ends_arm_timer(struct op *op);
/* The operation's timer fired. */
void ends_on_timer(void *context);
/* Nobody will know what became of the commands on the link: ends those operations that cannot send theirs
 * again. */
void ends_flight(struct board *board, const char *reason);
/* Each tells the owner and frees the operation. */
void ends_op(struct op *op, struct err *err);
void ends_cancelled(struct op *op);
/* `reason` NULL: why the link is down. */
void ends_unavailable(struct op *op, const char *reason);
void ends_unknown(struct op *op, const char *reason);
/* Runs the handshake again if that is due and the link is idle. */
void ends_relearn(struct board *board);

/* runner.c */

/* Takes the operation's next step, up to the command that it wants to be sent: true, and the command is the
 * caller's. False: there is none, and the operation may have ended. */
bool runner_prepare(struct op *op, struct op_command *ret_command) __attribute__((warn_unused_result));
/*
 * What it was going to send is not sent now: it keeps its turn; of several the last has to be postponed
 * first. A change that has sent nothing yet has not begun then; one that was under way before is the one that
 * changes the board again.
 */
void runner_postpone(struct op *op);
/* Puts what the flight holds on the link, which is idle. Fails every operation of it where that cannot be. */
void runner_send(struct board *board);
void runner_on_reply(void *board_context, const struct ocd_reply *reply);

/* turns.c */

/* Runs what may run now. */
void turns_kick(struct board *board);

#endif
