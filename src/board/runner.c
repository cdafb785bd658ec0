/* The runner: takes operations through their steps, one command on the link at a time. */
#include "base/clock.h"
#include "board/private.h"

#define BUDGET_GROWTH 32u
#define ALONE_FACTOR 4u
#define BUDGET_LEAST 64u
#define BUDGET_MOST (1024u * 1024u)

static void begin(struct op *op)
{
    struct board *board = op->board;
    op->state = OP_RUNNING;
    op->started_us = clock_now_us();
    op->begun_change = board->change_count;
    op->last_change = board->change_count;
    if (op->class->changes) {
        board_lease_began(op);
        board->changer = op;
        board->changers_queued--;
        board->changer_waits = false;
    } else if (op->consistent) {
        board->consistent++;
    }
    if (op->owner->began != NULL) {
        op->owner->began(op->owner_context, op);
    }
}

static bool make_context(struct op *op, struct op_context *context, struct err *err)
{
    struct ocd_info *info = ocd_link_info(op->board->link);
    *context = (struct op_context){.info = info,
                                   .target = ocd_info_find_target(info, op->target),
                                   .budget = op->budget,
                                   .now_us = clock_now_us(),
                                   .keeper = &op->board->repairs.keeper};
    if (context->target != NULL || (!op->class->needs_target && op->target[0] == '\0')) {
        return true;
    }
    if (op->target[0] == '\0') {
        err_set(err, ERR_NOT_FOUND, "the board has no target");
    } else {
        err_set(err, ERR_NOT_FOUND, "the board has no target \"%s\"", op->target);
        err_add_text(err, "parameter", "target");
    }
    return false;
}

static void settle(struct op *op, enum op_verdict verdict, struct err *err)
{
    sched_turn_over(op);
    switch (verdict) {
    case OP_DONE:
        ends_op(op, NULL);
        return;
    case OP_FAILED:
        ends_op(op, err);
        return;
    case OP_WAIT:
        op->ready_us = clock_now_us() + op->wait_ms * 1000ull;
        ends_arm_timer(op);
        break;
    case OP_SEND:
    case OP_GO:
        break;
    }
    if (op->critical) {
        return;
    }
    if (op->state == OP_ENDING || op->cancel_asked) {
        ends_cancelled(op);
    }
}

static void tell_progress(struct op *op, const struct op_progress *before)
{
    bool moved = op->progress.phase != before->phase || op->progress.done != before->done;
    if (moved && op->state == OP_RUNNING) {
        op->owner->progress(op->owner_context, op);
    }
}

/* Puts the command on the link. */
static bool send_command(struct op *op, const struct op_command *command, struct err *err)
{
    struct board *board = op->board;
    struct strbuf script = STRBUF_INIT;
    struct envelope_data data;
    bool sent = exchange_begin(&board->exchange, &script, &data, ocd_link_info(board->link), command, err) &&
                ocd_link_send(board->link, &script, &data, command->limit_ms, command->changes, err);
    strbuf_fini(&script);
    if (!sent) {
        exchange_drop(&board->exchange);
        return false;
    }
    board->in_flight = op;
    board->command = *command;
    strbuf_init(&board->command.script);
    board->sent_us = clock_now_us();
    op->sent_change = op->sent_change || command->changes;
    board->must_relearn = board->must_relearn || op->class->relearn;
    board->change_count += command->changes;
    return true;
}

void runner_step(struct op *op)
{
    struct op_context context;
    struct op_command command = {.script = STRBUF_INIT};
    struct op_progress before = op->progress;
    struct err err;

    err_reset(&err);
    if (op->state == OP_QUEUED) {
        begin(op);
    }
    enum op_verdict verdict = OP_FAILED;
    if (make_context(op, &context, &err)) {
        verdict = op->class->steps[op->step].send(op, &context, &command, &err);
    }
    if (verdict == OP_SEND && !send_command(op, &command, &err)) {
        verdict = OP_FAILED;
    }
    strbuf_fini(&command.script);
    if (verdict != OP_SEND) {
        tell_progress(op, &before);
        settle(op, verdict, &err);
    }
}

/* How much the next command should move, from how fast this one was. */
static void learn_speed(struct op *op, uint64_t bytes, uint64_t elapsed_us)
{
    if (bytes == 0 || op->command_ms == 0) {
        return;
    }
    /* While nobody waits, reads go in longer commands: the first who comes waits for one of them, once. */
    bool alone = op->board->sched.count == 1 && !op->class->changes;
    uint64_t command_us = op->command_ms * 1000ull * (alone ? ALONE_FACTOR : 1);
    uint64_t want = bytes * command_us / (elapsed_us + 1);
    uint64_t most = (bytes > op->budget ? bytes : op->budget) * BUDGET_GROWTH;
    uint64_t budget = want < most ? want : most;
    if (budget > BUDGET_MOST) {
        budget = BUDGET_MOST;
    }
    op->budget = budget < BUDGET_LEAST ? BUDGET_LEAST : budget;
}

/*
 * OpenOCD could not use the file of its command. The way that files take may have changed: it is found out
 * anew, and the command gets a second try, unless its script has run already and may not run twice.
 */
static enum op_verdict file_failed(struct op *op)
{
    struct board *board = op->board;
    bool again = board->command.file == OP_FILE_PUT || board->command.repeatable;
    board->must_relearn = true;
    if (op->refiled || !again) {
        op->refiled = false;
        return OP_FAILED;
    }
    op->refiled = true;
    return OP_GO;
}

void runner_on_reply(void *board_context, const struct ocd_reply *reply)
{
    struct board *board = board_context;
    struct op *op = board->in_flight;
    struct op_context context;
    struct err err;
    uint64_t used_us = clock_now_us() - board->sent_us;

    if (op == NULL) {
        exchange_drop(&board->exchange);
        return;
    }
    struct ocd_reply taken = *reply;
    struct op_progress before = op->progress;
    uint64_t budget_before = op->budget;
    err_reset(&err);
    board->handler->link_used(board->context, op, used_us); /* may cancel it: then it is still in flight */
    board->in_flight = NULL;
    op->retried = false;
    op->last_change = board->change_count;

    enum op_verdict verdict = OP_FAILED;
    bool whole = exchange_end(&board->exchange, &board->command, &taken, &err);
    if (!whole) {
        verdict = file_failed(op);
    } else if (make_context(op, &context, &err)) {
        op->refiled = false;
        verdict = op->class->steps[op->step].reply(op, &context, &taken, &err);
    }
    exchange_drop(&board->exchange);
    if (whole && ocd_reply_ok(reply)) {
        uint64_t *sum = board->command.changes ? &board->counters.bytes_written : &board->counters.bytes_read;
        *sum += board->command.bytes;
        if (op->budget == budget_before) {
            learn_speed(op, board->command.bytes, used_us);
        }
    }
    tell_progress(op, &before);
    settle(op, verdict, &err);
    turns_kick(board);
}
