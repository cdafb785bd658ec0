/* The runner: takes operations through their steps, one envelope on the link at a time. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "board/private.h"
#include "board/wrap.h"
#include "openocd/bundle.h"

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

/* An operation stays with the target that was the current one when it began. */
static void settle_target(struct op *op, const struct ocd_target *target)
{
    if (op->class->needs_target && op->target[0] == '\0') {
        memcpy(op->target, target->name, sizeof op->target);
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
    if (context->target != NULL) {
        settle_target(op, context->target);
        return true;
    }
    if (!op->class->needs_target && op->target[0] == '\0') {
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

bool runner_prepare(struct op *op, struct op_command *ret_command)
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
    if (verdict == OP_SEND) {
        *ret_command = command;
        return true;
    }
    strbuf_fini(&command.script);
    tell_progress(op, &before);
    settle(op, verdict, &err);
    return false;
}

void runner_postpone(struct op *op)
{
    struct board *board = op->board;
    sched_unpick(op);
    if (op->class->changes && op->answered) {
        board->changer = op;
    } else if (op->class->changes) {
        if (board->changer == op) {
            board->changer = flight_last_change(&board->flight);
        }
        board->changers_queued++;
        op->state = OP_QUEUED;
        op->started_us = 0;
    }
}

/* A command that has the envelope for itself. */
static bool send_one(struct board *board, struct err *err)
{
    const struct op_command *command = &board->flight.slots[0].command;
    struct strbuf script = STRBUF_INIT;
    struct envelope_data data;
    bool sent = exchange_begin(&board->exchange, &script, &data, ocd_link_info(board->link), command, err) &&
                ocd_link_send(board->link, &script, &data, command->limit_ms, command->changes, err);
    strbuf_fini(&script);
    if (!sent) {
        exchange_drop(&board->exchange);
    }
    return sent;
}

/* OpenOCD begins none of them after BUNDLE_MOST_MS: the link waits no longer than that, and for the last as
 * long as it would alone. */
static bool send_several(struct board *board, struct err *err)
{
    const struct flight *flight = &board->flight;
    struct strbuf script = STRBUF_INIT;
    struct strbuf words = STRBUF_INIT;
    const struct envelope_data data = {.words = &words};

    for (size_t i = 0; i < flight->count; i++) {
        struct strbuf wrapped = STRBUF_INIT;
        struct envelope_data none;
        wrap_command(&wrapped, &none, ocd_link_info(board->link), &flight->slots[i].command, NULL);
        bundle_add(&words, strbuf_text(&wrapped), wrapped.length);
        strbuf_fini(&wrapped);
    }
    strbuf_append_text(&script, bundle_script);
    bool sent = ocd_link_send(board->link, &script, &data, board->link_limit_ms + BUNDLE_MOST_MS,
                              flight_changes(flight), err);
    strbuf_fini(&script);
    strbuf_fini(&words);
    return sent;
}

/* What was going to be sent cannot be. */
static void fail_all(struct board *board, const struct err *err)
{
    struct op *op;
    while ((op = flight_first(&board->flight)) != NULL) {
        struct err own = *err;
        flight_drop(op);
        settle(op, OP_FAILED, &own);
    }
}

/* How long a client waited for its turn. */
static void note_wait(struct op *op, uint64_t now_us)
{
    if (op->connection != NULL && op->submitted_us != 0) {
        histogram_add(&op->board->counters.wait, now_us - op->submitted_us);
    }
    op->submitted_us = 0;
}

/* Counts what was sent, and forgets the scripts. */
static void note_sent(struct board *board)
{
    struct flight *flight = &board->flight;
    size_t riders = 0;
    bool is_short = true;
    flight->sent_us = clock_now_us();
    flight->change_count = board->change_count;
    for (size_t i = 0; i < flight->count; i++) {
        riders += flight->slots[i].riders;
        is_short = is_short && flight->slots[i].leader->class->short_commands &&
                   flight->slots[i].command.limit_ms == 0;
        strbuf_fini(&flight->slots[i].command.script);
        flight->slots[i].command.current_target = NULL; /* a survey may forget its name */
        flight->slots[i].leader = NULL;
    }
    health_sent(board, is_short);
    list_for_each (node, &flight->ops) {
        struct op *op = list_entry(node, struct op, flight_node);
        board->must_relearn = board->must_relearn || op->class->relearn;
        note_wait(op, flight->sent_us);
    }
    board->counters.joined += flight->count - 1;
    board->counters.shared_reads += riders - flight->count;
}

void runner_send(struct board *board)
{
    struct err err;
    err_reset(&err);
    if (board->flight.count > 1 ? send_several(board, &err) : send_one(board, &err)) {
        note_sent(board);
        return;
    }
    fail_all(board, &err);
    flight_clear(&board->flight);
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
static enum op_verdict file_failed(struct op *op, const struct op_command *command)
{
    bool again = command->file == OP_FILE_PUT || command->repeatable;
    op->board->must_relearn = true;
    if (op->refiled || !again) {
        op->refiled = false;
        return OP_FAILED;
    }
    op->refiled = true;
    return OP_GO;
}

/* The answers of an envelope. */
struct landing {
    struct ocd_reply replies[BUNDLE_MOST];
    size_t count; /* of those; what has a later slot did not run */
    uint64_t used_us;
    bool whole;     /* false: the file of the only command was not to be had */
    struct err why; /* then */
};

/* One operation gets its answer. */
static void land(struct op *op, const struct landing *landing)
{
    struct board *board = op->board;
    const struct flight_slot *slot = flight_slot_of(&board->flight, op);
    const struct ocd_reply *reply = &landing->replies[op->slot];
    struct op_context context;
    struct op_progress before = op->progress;
    uint64_t budget_before = op->budget;
    struct err err;

    err_reset(&err);
    /* May cancel it: then it is still in flight. */
    board->handler->link_used(board->context, op, flight_share_us(&board->flight, slot, landing->used_us));
    flight_drop(op);
    op->retried = false;
    op->answered = true;
    op->sent_change = op->sent_change || slot->command.changes;
    op->last_change = slot->change_count + (board->change_count - board->flight.change_count);

    enum op_verdict verdict = OP_FAILED;
    if (!landing->whole) {
        err = landing->why;
        verdict = file_failed(op, &slot->command);
    } else if (make_context(op, &context, &err)) {
        op->refiled = false;
        verdict = op->class->steps[op->step].reply(op, &context, reply, &err);
    }
    if (landing->whole && ocd_reply_ok(reply) && op->budget == budget_before) {
        learn_speed(op, slot->command.bytes, flight_slot_us(&board->flight, slot, landing->used_us));
    }
    tell_progress(op, &before);
    settle(op, verdict, &err);
}

/* Also of the answers that nobody wants any more. */
static void note_landed(struct board *board, const struct landing *landing)
{
    struct flight *flight = &board->flight;
    uint64_t words = 0;
    for (size_t i = 0; i < landing->count; i++) {
        const struct op_command *command = &flight->slots[i].command;
        words += command->words;
        uint64_t *sum = command->changes ? &board->counters.bytes_written : &board->counters.bytes_read;
        *sum += landing->whole && ocd_reply_ok(&landing->replies[i]) ? command->bytes : 0;
    }
    flight->words = words; /* the time is theirs */
    if (words > 0) {
        pace_learn(&board->pace, words, landing->used_us);
    }
}

/* Finds out what each command was answered. */
static bool take_answers(struct board *board, const struct ocd_reply *reply, struct landing *landing)
{
    struct flight *flight = &board->flight;
    err_reset(&landing->why);
    landing->used_us = clock_now_us() - flight->sent_us;
    landing->whole = true;
    if (flight->count > 1) {
        return bundle_split(reply, flight->count, landing->replies, &landing->count, &landing->why);
    }
    landing->replies[0] = *reply;
    landing->count = 1;
    landing->whole =
        exchange_end(&board->exchange, &flight->slots[0].command, &landing->replies[0], &landing->why);
    exchange_remove(&board->exchange); /* whoever has had his answer finds no file any more */
    return true;
}

/* Its command was not begun. */
static void put_back(struct op *op)
{
    flight_drop(op);
    runner_postpone(op);
    if (op->cancel_asked) {
        ends_cancelled(op);
    }
}

static void land_all(struct board *board, const struct landing *landing)
{
    struct op *op;
    note_landed(board, landing);
    board->counters.joined -= board->flight.count - landing->count;
    while ((op = flight_last(&board->flight)) != NULL && op->slot >= landing->count) {
        put_back(op);
    }
    while ((op = flight_first(&board->flight)) != NULL) {
        if (op->slot < landing->count) {
            land(op, landing);
        } else {
            put_back(op); /* it rode on a command that did not run */
        }
    }
}

void runner_on_reply(void *board_context, const struct ocd_reply *reply)
{
    struct board *board = board_context;
    struct landing landing;

    if (flight_is_empty(&board->flight)) {
        exchange_drop(&board->exchange);
        return;
    }
    board->kicking = true; /* nothing is sent before all have their answers */
    if (take_answers(board, reply, &landing)) {
        land_all(board, &landing);
    } else {
        log_warn("board %s: %s; they go one by one from now on", board->name, landing.why.message);
        board->one_by_one = true;
        ends_flight(board, landing.why.message);
    }
    board->kicking = false;
    flight_clear(&board->flight);
    exchange_drop(&board->exchange);
    board->change_count += board->outside_busy > 0;
    turns_kick(board);
}
