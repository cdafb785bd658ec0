/* Whose turn it is on the link: readers between the pieces of what changes the board, and consistent reads
 * alone. */
#include "board/private.h"

static bool may_begin(struct board *board, const struct op *op)
{
    if (op->class->changes) {
        if (board->changer == NULL && board->consistent > 0) {
            board->changer_waits = true;
        }
        return board->changer == NULL && board->consistent == 0 && board_lease_may_begin(op);
    }
    return !op->consistent || (board->changer == NULL && !board->changer_waits);
}

struct pick {
    struct board *board;
    enum board_pass pass;
    bool held_up; /* changes keep somebody from getting the lease: then the pass is BOARD_PASS_ALL */
};

/* A begun operation that others may have to wait for is not kept behind them. */
static bool holds_others(const struct board *board, const struct op *op)
{
    return op == board->changer || (op->consistent && op->state == OP_RUNNING && !op->class->changes);
}

/*
 * A consistent read whose client does not take what it reads would keep the board from being changed: it
 * gives its hold up, and says `disturbed` where a change came between.
 */
static void let_go(struct board *board, struct op *op)
{
    if (board->changer_waits && holds_others(board, op) && op != board->changer) {
        op->consistent = false;
        board->consistent--;
    }
}

/* Whether its client lets it run in this pass; the board's own, what must be finished and what is detached
 * ask nobody. */
static bool client_lets_run(const struct pick *pick, struct op *op)
{
    struct board *board = pick->board;
    if (op->queue == &board->own_queue || op->state == OP_ENDING || op->detached) {
        return true;
    }
    enum board_pass pass = holds_others(board, op) ? BOARD_PASS_ALL : pick->pass;
    return board->handler->may_run(board->context, op, pass);
}

static bool may_run(void *context, struct op *op)
{
    const struct pick *pick = context;
    if (op->ready_us != 0) {
        return false;
    }
    if (!client_lets_run(pick, op)) {
        let_go(pick->board, op);
        if (pick->held_up) {
            board_lease_pass_over(pick->board, op->queue);
        }
        return false;
    }
    return op->state != OP_QUEUED || may_begin(pick->board, op);
}

/* Clients that have gone come behind the others, but not with changes that the next holder of the lease waits
 * for: as long as others read they would never end, and nobody could change the board. */
static struct op *pick_op(struct board *board)
{
    bool held_up = lease_is_held_up(&board->lease.lease);
    struct pick pick = {
        .board = board, .pass = held_up ? BOARD_PASS_ALL : BOARD_PASS_OPEN, .held_up = held_up};
    struct op *op = sched_pick(&board->sched, may_run, &pick);
    if (op == NULL && !held_up && board->sched.count > 0) {
        pick.pass = BOARD_PASS_ALL;
        op = sched_pick(&board->sched, may_run, &pick);
    }
    return op;
}

void turns_kick(struct board *board)
{
    if (board->kicking) {
        return;
    }
    board->kicking = true;
    ends_relearn(board);
    while (board->in_flight == NULL && ocd_link_get_state(board->link) == OCD_LINK_IDLE) {
        struct op *op = pick_op(board);
        if (op == NULL) {
            break;
        }
        runner_step(op);
    }
    board->kicking = false;
}
