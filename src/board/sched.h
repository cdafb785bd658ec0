/*
 * Whose turn it is: round-robin over identities that have work, then over an identity's queues (one for each
 * connection), each of which is first in, first out. Between the pieces of a long operation others get their
 * turn as well. Pure.
 *
 *   sched -> identity A -> queue (connection 1): op, op, op
 *                       -> queue (connection 2): op
 *         -> identity B -> queue (connection 3): op
 *
 * Behind operations whose command is on the link already (op->in_flight) the next of the same queue may go as
 * well, if those end with the answer.
 *
 * An identity or queue joins the end of its ring when it gets its first operation, and moves to the end when
 * it was served; one whose head may not run now is passed over and keeps its place.
 */
#ifndef OCDMUX_BOARD_SCHED_H
#define OCDMUX_BOARD_SCHED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct op;

struct sched {
    struct list busy; /* struct sched_identity with work */
    size_t count;     /* operations in all queues */
};

struct sched_identity {
    struct list node;   /* in sched.busy, or in no list */
    struct list queues; /* struct sched_queue with work */
    size_t count;       /* operations in them */
};

struct sched_queue {
    struct list node; /* in sched_identity.queues, or in no list */
    struct list ops;  /* struct op by queue_node; the head is the one that runs */
    size_t count;
    struct sched *sched;
    struct sched_identity *identity;
};

void sched_init(struct sched *sched);
void sched_identity_init(struct sched_identity *identity);
/* Both must outlive the queue; it must be empty when it goes. */
void sched_queue_init(struct sched_queue *queue, struct sched *sched, struct sched_identity *identity);

/* `op` is in no queue. */
void sched_add(struct sched_queue *queue, struct op *op);
/* `op` is in a queue; wherever it stands in it. */
void sched_remove(struct op *op);

/* The operation of the queue that is the next to run; NULL if there is none, or if it has to wait for what is
 * on the link. */
struct op *sched_head(const struct sched_queue *queue);

/*
 * The next operation whose turn it is and that `may_run` allows; NULL if there is none. It stays at the head
 * of its queue until sched_remove().
 */
struct op *sched_pick(struct sched *sched, bool (*may_run)(void *context, struct op *op), void *context);

/* It was picked, but cannot be served yet: it is the next to be picked again. */
void sched_unpick(struct op *op);

/*
 * The turn of `op`, which is in a queue, is over: whoever came meanwhile goes before its queue and its
 * identity.
 */
void sched_turn_over(struct op *op);

#endif
