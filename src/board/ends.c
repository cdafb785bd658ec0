/* How operations end: deadlines, cancel, a link that is lost, and the timer that serves all that they wait
 * for. */
#include "base/clock.h"
#include "board/private.h"

static uint64_t min_set(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a == 0 ? b : a;
    }
    return a < b ? a : b;
}

/* One timer serves all that an operation may wait for. */
void ends_arm_timer(struct op *op)
{
    uint64_t next = min_set(min_set(op->deadline_us, op->unavailable_us), op->ready_us);
    if (next == 0) {
        loop_timer_cancel(op->timer);
        return;
    }
    uint64_t now = clock_now_us();
    loop_timer_set(op->timer, next <= now ? 0 : (next - now + 999) / 1000);
}

/* Ends. */

static void release_locks(struct board *board, struct op *op)
{
    if (board->changer == op) {
        board->changer = NULL;
    }
    if (op->class->changes && op->state == OP_QUEUED) {
        board->changers_queued--;
    }
    if (op->consistent && !op->class->changes && op->state != OP_QUEUED) {
        board->consistent--;
    }
    if (board->changers_queued == 0) {
        board->changer_waits = false;
    }
}

/* Tells the owner. The operation itself may have to go on: see OP_ENDING. */
static void answer(struct op *op, struct err *err)
{
    if (op->state == OP_ENDING) {
        return;
    }
    if (err != NULL && op->class->describe != NULL) {
        op->class->describe(op, err);
    }
    op->owner->ended(op->owner_context, op, err);
}

void ends_relearn(struct board *board)
{
    if (board->must_relearn && ocd_link_get_state(board->link) == OCD_LINK_IDLE) {
        board->must_relearn = false;
        ocd_link_relearn(board->link);
    }
}

void ends_op(struct op *op, struct err *err)
{
    struct board *board = op->board;

    release_locks(board, op);
    board_lease_ended(op);
    sched_remove(op);
    loop_timer_free(op->timer);
    board->counters.ended++;
    flight_drop(op);
    answer(op, err);
    op_free(op);
    board->handler->queue_changed(board->context, board);
    ends_relearn(board);
    /* Others may run now; not from here, for this may be the middle of anything. */
    loop_timer_set(board->kick_timer, 0);
}

void ends_cancelled(struct op *op)
{
    struct err err;
    err_set(&err, ERR_CANCELLED, "cancelled%s%s%s", op->state == OP_QUEUED ? " before it began" : "",
            op->cancel_reason != NULL ? ": " : "", op->cancel_reason != NULL ? op->cancel_reason : "");
    ends_op(op, &err);
}

void ends_unavailable(struct op *op, const char *reason)
{
    struct err err;
    (void)ocd_link_unavailable(op->board->link, reason, &err);
    ends_op(op, &err);
}

void ends_unknown(struct op *op, const char *reason)
{
    struct err err;
    err_set(&err, ERR_OUTCOME_UNKNOWN,
            "%s while the board was being changed: what was done of it is not known", reason);
    ends_op(op, &err);
}

void ends_flight(struct board *board, const char *reason)
{
    struct op *op;
    while ((op = flight_first(&board->flight)) != NULL) {
        const struct op_command *command = &flight_slot_of(&board->flight, op)->command;
        bool repeatable = command->repeatable;
        op->sent_change = op->sent_change || command->changes;
        flight_drop(op);
        if (op->sent_change) {
            ends_unknown(op, reason);
        } else if (repeatable && !op->retried && !op->cancel_asked) {
            op->retried = true;
        } else {
            ends_unavailable(op, reason);
        }
    }
}

/* The deadline passed. What is in flight stays in flight: OpenOCD cannot be told to stop. */
static void deadline_passed(struct op *op)
{
    struct board *board = op->board;
    struct err err;
    bool in_flight = op->in_flight;

    if (in_flight && flight_slot_of(&board->flight, op)->command.changes) {
        err_set(&err, ERR_OUTCOME_UNKNOWN,
                "the time limit passed while OpenOCD was changing the board: what came of it is "
                "not known");
    } else {
        err_set(&err, ERR_TIMEOUT, "the time limit passed%s",
                op->state == OP_QUEUED ? " while the request waited for its turn" : "");
    }
    op->deadline_us = 0;
    if (op->critical) {
        answer(op, &err);
        op->state = OP_ENDING;
        /* Its client may go now, and the client's queues with it. */
        sched_remove(op);
        sched_add(&board->own_queue, op);
        ends_arm_timer(op);
        return;
    }
    flight_drop(op);
    if (in_flight && flight_is_empty(&board->flight)) {
        ocd_link_abandon(board->link);
    }
    ends_op(op, &err);
}

void ends_on_timer(void *context)
{
    struct op *op = context;
    uint64_t now = clock_now_us();
    bool passed = op->deadline_us != 0 && op->deadline_us <= now;
    if (passed && op->unavailable_us == 0) {
        deadline_passed(op);
        return;
    }
    if (passed) {
        op->unavailable_us = now; /* it was the link that it waited for */
    }
    if (op->unavailable_us != 0 && op->unavailable_us <= now) {
        ends_unavailable(op, NULL);
        return;
    }
    bool ready = op->ready_us != 0 && op->ready_us <= now;
    if (ready) {
        op->ready_us = 0;
    }
    ends_arm_timer(op);
    if (ready) {
        turns_kick(op->board); /* may end `op` */
    }
}
