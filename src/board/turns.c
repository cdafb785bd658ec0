/* Whose turn it is on the link: readers between the pieces of what changes the board, and consistent reads
 * alone. */
#include "board/private.h"

/* One that is about to be sent and ends with its answer is out of the way of whatever follows it in the same
 * envelope. */
static bool is_being_changed(const struct board *board)
{
    return board->changer != NULL && !(board->changer->in_flight && board->changer->ends);
}

static bool may_begin(struct board *board, const struct op *op)
{
    if (op->class->changes) {
        if (board->changer == NULL && board->consistent > 0) {
            board->changer_waits = true;
        }
        return !is_being_changed(board) && board->consistent == 0 && board_lease_may_begin(op);
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

/* A command that failed the link, or the file of which was not to be had, tries again by itself. */
static bool may_share(const struct op *op)
{
    return op->class->short_commands && !op->retried && !op->refiled && !op->critical;
}

/* The command of `op` goes with the others of the envelope, or takes the answer of one of them. False: it has
 * to wait for the next. */
static bool join(struct board *board, struct op *op, struct op_command *command)
{
    size_t slot = 0;
    if (flight_find(&board->flight, op, command, &slot)) {
        flight_ride(&board->flight, op, command, slot);
        return true;
    }
    if (!flight_takes(&board->flight, command, pace_room(&board->pace))) {
        return false;
    }
    board->change_count += command->changes;
    flight_add(&board->flight, op, command, board->change_count);
    return true;
}

/* The next ones in the order of their turns, until the envelope is full or one comes that does not fit. */
static void fill(struct board *board)
{
    struct op *op;
    while (board->flight.count < BUNDLE_MOST && (op = pick_op(board)) != NULL) {
        struct op_command command;
        if (!may_share(op)) {
            sched_unpick(op);
            return;
        }
        if (!runner_prepare(op, &command)) {
            continue;
        }
        bool joined = join(board, op, &command);
        strbuf_fini(&command.script);
        if (!joined) {
            runner_postpone(op);
            return;
        }
    }
}

static const struct ocd_target *target_of(struct board *board, const struct op *op)
{
    return ocd_info_find_target(ocd_link_info(board->link), op->target);
}

/* The operation on the link that `op` could share its answer with. */
static bool wants_the_same(struct board *board, const struct op *op)
{
    for (size_t i = 0; i < board->flight.count; i++) {
        const struct op *leader = board->flight.slots[i].leader;
        if (leader->class == op->class && op->class->same_command(op, leader) &&
            target_of(board, leader) == target_of(board, op)) {
            return true;
        }
    }
    return false;
}

/* A consistent read that has not begun overtakes no change that waits. */
static bool overtakes(const struct board *board, const struct op *op)
{
    return op->consistent && op->state == OP_QUEUED && board->changers_queued > 0;
}

/* Its turn has not come, but what it waits for is about to be read. */
static void ride(struct board *board, struct op *op)
{
    struct pick pick = {.board = board, .pass = BOARD_PASS_ALL};
    struct op_command command;
    if (op == NULL || op->class->same_command == NULL || op->retried || op->refiled || overtakes(board, op) ||
        !wants_the_same(board, op) || !may_run(&pick, op) || !runner_prepare(op, &command)) {
        return;
    }
    size_t slot = 0;
    if (flight_find(&board->flight, op, &command, &slot)) {
        flight_ride(&board->flight, op, &command, slot);
    }
    strbuf_fini(&command.script);
}

static void visit_heads(struct board *board, void (*visit)(struct board *board, struct op *op))
{
    list_for_each_safe (identity_node, identity_next, &board->sched.busy) {
        struct sched_identity *identity = list_entry(identity_node, struct sched_identity, node);
        list_for_each_safe (queue_node, queue_next, &identity->queues) {
            visit(board, sched_head(list_entry(queue_node, struct sched_queue, node)));
        }
    }
}

static bool has_shareable(const struct flight *flight)
{
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->slots[i].command.shareable) {
            return true;
        }
    }
    return false;
}

/* Sends the command of `op`, and what may go with it. */
static void set_out(struct board *board, struct op *op, struct op_command *take_command)
{
    flight_clear(&board->flight);
    board->change_count += take_command->changes;
    flight_add(&board->flight, op, take_command, board->change_count);
    if (board->flight.slots[0].command.words > 0 && may_share(op) && !board->one_by_one) {
        fill(board);
    }
    if (has_shareable(&board->flight) && board->sched.count > 1) {
        visit_heads(board, ride);
    }
    runner_send(board);
}

void turns_kick(struct board *board)
{
    if (board->kicking) {
        return;
    }
    board->kicking = true;
    ends_relearn(board);
    while (flight_is_empty(&board->flight) && ocd_link_get_state(board->link) == OCD_LINK_IDLE) {
        struct op *op = pick_op(board);
        struct op_command command;
        if (op == NULL) {
            break;
        }
        if (runner_prepare(op, &command)) {
            set_out(board, op, &command);
        }
    }
    board->kicking = false;
}
