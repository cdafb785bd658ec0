/* What the files of a board share. For nobody else. */
#ifndef OCDMUX_BOARD_PRIVATE_H
#define OCDMUX_BOARD_PRIVATE_H

#include "board/board.h"
#include "board/exchange.h"
#include "board/lease.h"

struct board_lease {
    struct lease lease;
    struct loop_timer *timer;
    char *directory; /* of its file; NULL: it is not kept */
    bool stale;      /* the file does not say what it should: it is tried again */
    struct loop_timer *retry;
};

struct board {
    struct loop *loop;
    char *name;
    uint32_t unavailable_ms;
    const struct board_handler *handler;
    void *context;

    struct ocd_link *link;
    struct sched sched;
    struct op *in_flight;      /* its command is on the link */
    struct op_command command; /* that command */
    uint64_t sent_us;
    struct exchange exchange; /* the file of that command, also where it was abandoned */
    struct repairs repairs;
    struct board_lease lease;

    struct op *changer;     /* the changing operation that has begun */
    size_t changers_queued; /* changing operations that have not */
    size_t consistent;      /* consistent reads that have begun */
    bool changer_waits;     /* a changing operation waits for consistent reads: no further one begins */
    bool must_relearn;      /* raw Tcl was sent: the handshake has to be run again */
    uint64_t change_count;  /* grows with everything that may have changed the board */

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

/* ends.c */

/* Sets the operation's timer to the first of all that it waits for. */
void ends_arm_timer(struct op *op);
/* The operation's timer fired. */
void ends_on_timer(void *context);
/* Each tells the owner and frees the operation. */
void ends_op(struct op *op, struct err *err);
void ends_cancelled(struct op *op);
void ends_unavailable(struct op *op, const char *reason);
void ends_unknown(struct op *op, const char *reason);
/* Runs the handshake again if that is due and the link is idle. */
void ends_relearn(struct board *board);

/* runner.c */

/* Takes the operation's next step; the link is idle. May end it. */
void runner_step(struct op *op);
void runner_on_reply(void *board_context, const struct ocd_reply *reply);

/* turns.c */

/* Runs what may run now. */
void turns_kick(struct board *board);

#endif
