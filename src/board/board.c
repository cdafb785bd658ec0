/* The runner: takes operations through their steps and sees to every ending. */
#include "board/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "ops/target_ops.h"

#define SURVEY_DELAY_MS 100u
#define BUDGET_GROWTH 32u
#define ALONE_FACTOR 4u
#define BUDGET_LEAST 64u
#define BUDGET_MOST (1024u * 1024u)

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

    bool told_up; /* what the owner heard last of the link */
    struct loop_timer *kick_timer;
    bool kicking;
    struct board_counters counters;
};

static void kick(struct board *board);

/* Time. */

static uint64_t min_set(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a == 0 ? b : a;
    }
    return a < b ? a : b;
}

/* One timer serves all that an operation may wait for. */
static void arm_timer(struct op *op)
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

static void relearn(struct board *board)
{
    if (board->must_relearn && ocd_link_get_state(board->link) == OCD_LINK_IDLE) {
        board->must_relearn = false;
        ocd_link_relearn(board->link);
    }
}

static void end_op(struct op *op, struct err *err)
{
    struct board *board = op->board;

    release_locks(board, op);
    sched_remove(op);
    loop_timer_free(op->timer);
    board->counters.ended++;
    if (board->in_flight == op) {
        board->in_flight = NULL;
    }
    answer(op, err);
    op_free(op);
    relearn(board);
    /* Others may run now; not from here, for this may be the middle of anything. */
    loop_timer_set(board->kick_timer, 0);
}

static void end_cancelled(struct op *op)
{
    struct err err;
    err_set(&err, ERR_CANCELLED, "cancelled%s", op->state == OP_QUEUED ? " before it began" : "");
    end_op(op, &err);
}

static void end_unavailable(struct op *op, const char *reason)
{
    struct err err;
    struct ocd_link *link = op->board->link;
    err_set(&err, ERR_OPENOCD_UNAVAILABLE, "OpenOCD at %s is not available: %s", ocd_link_address(link),
            reason);
    err_add_integer(&err, "retry_in_ms", ocd_link_retry_in_ms(link));
    end_op(op, &err);
}

static void end_unknown(struct op *op, const char *reason)
{
    struct err err;
    err_set(&err, ERR_OUTCOME_UNKNOWN,
            "%s while the board was being changed: what was done of it is not known", reason);
    end_op(op, &err);
}

/* The deadline passed. What is in flight stays in flight: OpenOCD cannot be told to stop. */
static void deadline_passed(struct op *op)
{
    struct board *board = op->board;
    struct err err;
    bool in_flight = board->in_flight == op;

    if (in_flight && board->command.changes) {
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
        arm_timer(op);
        return;
    }
    if (in_flight) {
        board->in_flight = NULL;
        ocd_link_abandon(board->link);
    }
    end_op(op, &err);
}

static void on_op_timer(void *context)
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
        const char *reason = ocd_link_last_error(op->board->link);
        end_unavailable(op, reason[0] != '\0' ? reason : "it has not answered yet");
        return;
    }
    bool ready = op->ready_us != 0 && op->ready_us <= now;
    if (ready) {
        op->ready_us = 0;
    }
    arm_timer(op);
    if (ready) {
        kick(op->board); /* may end `op` */
    }
}

/* Steps. */

static void begin(struct op *op)
{
    struct board *board = op->board;
    op->state = OP_RUNNING;
    op->started_us = clock_now_us();
    op->begun_change = board->change_count;
    op->last_change = board->change_count;
    if (op->class->changes) {
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
                                   .now_us = clock_now_us()};
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
        end_op(op, NULL);
        return;
    case OP_FAILED:
        end_op(op, err);
        return;
    case OP_WAIT:
        op->ready_us = clock_now_us() + op->wait_ms * 1000ull;
        arm_timer(op);
        break;
    case OP_SEND:
    case OP_GO:
        break;
    }
    if (op->critical) {
        return;
    }
    if (op->state == OP_ENDING || op->cancel_asked) {
        end_cancelled(op);
    }
}

static void tell_progress(struct op *op, const struct op_progress *before)
{
    bool moved = op->progress.phase != before->phase || op->progress.done != before->done;
    if (moved && op->state == OP_RUNNING) {
        op->owner->progress(op->owner_context, op);
    }
}

static void run_step(struct op *op)
{
    struct board *board = op->board;
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
        if (ocd_link_send(board->link, &command.script, command.limit_ms, command.changes, &err)) {
            board->in_flight = op;
            board->command = command;
            strbuf_init(&board->command.script);
            board->sent_us = clock_now_us();
            op->sent_change = op->sent_change || command.changes;
            board->must_relearn = board->must_relearn || op->class->relearn;
            board->change_count += command.changes;
        } else {
            verdict = OP_FAILED;
        }
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

static void on_reply(void *board_context, const struct ocd_reply *reply)
{
    struct board *board = board_context;
    struct op *op = board->in_flight;
    struct op_context context;
    struct err err;
    uint64_t used_us = clock_now_us() - board->sent_us;

    if (op == NULL) {
        return;
    }
    struct op_progress before = op->progress;
    uint64_t budget_before = op->budget;
    err_reset(&err);
    board->handler->link_used(board->context, op, used_us); /* may cancel it: then it is still in flight */
    board->in_flight = NULL;
    op->retried = false;
    op->last_change = board->change_count;

    enum op_verdict verdict = OP_FAILED;
    if (make_context(op, &context, &err)) {
        verdict = op->class->steps[op->step].reply(op, &context, reply, &err);
    }
    if (ocd_reply_ok(reply)) {
        uint64_t *sum = board->command.changes ? &board->counters.bytes_written : &board->counters.bytes_read;
        *sum += board->command.bytes;
        if (op->budget == budget_before) {
            learn_speed(op, board->command.bytes, used_us);
        }
    }
    tell_progress(op, &before);
    settle(op, verdict, &err);
    kick(board);
}

/* Whose turn. */

static bool may_begin(struct board *board, const struct op *op)
{
    if (op->class->changes) {
        if (board->changer == NULL && board->consistent > 0) {
            board->changer_waits = true;
        }
        return board->changer == NULL && board->consistent == 0;
    }
    return !op->consistent || (board->changer == NULL && !board->changer_waits);
}

struct pick {
    struct board *board;
    enum board_pass pass;
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
        return false;
    }
    return op->state != OP_QUEUED || may_begin(pick->board, op);
}

static struct op *pick_op(struct board *board)
{
    struct pick pick = {.board = board, .pass = BOARD_PASS_OPEN};
    struct op *op = sched_pick(&board->sched, may_run, &pick);
    if (op == NULL && board->sched.count > 0) {
        pick.pass = BOARD_PASS_ALL;
        op = sched_pick(&board->sched, may_run, &pick);
    }
    return op;
}

static void kick(struct board *board)
{
    if (board->kicking) {
        return;
    }
    board->kicking = true;
    while (board->in_flight == NULL && ocd_link_get_state(board->link) == OCD_LINK_IDLE) {
        struct op *op = pick_op(board);
        if (op == NULL) {
            break;
        }
        run_step(op);
    }
    board->kicking = false;
}

static void on_kick_timer(void *context)
{
    kick(context);
}

void board_kick(struct board *board)
{
    kick(board);
}

/* The link. */

/* Calls `visit` for every operation of the board; `visit` may end the one that it gets. */
static void for_each_op(struct board *board, void (*visit)(struct op *op))
{
    list_for_each_safe (identity_node, identity_next, &board->sched.busy) {
        struct sched_identity *identity = list_entry(identity_node, struct sched_identity, node);
        list_for_each_safe (queue_node, queue_next, &identity->queues) {
            struct sched_queue *queue = list_entry(queue_node, struct sched_queue, node);
            list_for_each_safe (op_node, op_next, &queue->ops) {
                visit(list_entry(op_node, struct op, queue_node));
            }
        }
    }
}

static void start_waiting(struct op *op)
{
    if (op->unavailable_us == 0) {
        op->unavailable_us = clock_now_us() + op->board->unavailable_ms * 1000ull;
        arm_timer(op);
    }
}

static void stop_waiting(struct op *op)
{
    if (op->unavailable_us != 0) {
        op->unavailable_us = 0;
        arm_timer(op);
    }
}

static void on_lost(void *context, const char *reason)
{
    struct board *board = context;
    struct op *op = board->in_flight;
    if (op == NULL) {
        return;
    }
    board->in_flight = NULL;
    if (op->sent_change) {
        end_unknown(op, reason);
    } else if (board->command.repeatable && !op->retried && !op->cancel_asked) {
        op->retried = true;
    } else {
        end_unavailable(op, reason);
    }
}

/* Further attempts that fail, and a handshake that is run again, are no news. */
static void tell_link(struct board *board, bool up, const char *reason)
{
    if (board->told_up != up) {
        board->told_up = up;
        board->handler->link_changed(board->context, board, reason);
    }
}

static void on_changed(void *context, enum ocd_link_state old_state, const char *reason)
{
    struct board *board = context;
    switch (ocd_link_get_state(board->link)) {
    case OCD_LINK_DOWN:
        for_each_op(board, start_waiting);
        board->change_count++; /* nobody knows what happens to the board meanwhile */
        /* Between the commands of an operation that changes the board nothing is in flight, but OpenOCD's own
         * state (what is halted, what is probed) is lost all the same. */
        if (board->changer != NULL && board->changer != board->in_flight) {
            if (board->changer->sent_change) {
                end_unknown(board->changer, reason);
            }
        }
        tell_link(board, false, reason);
        break;
    case OCD_LINK_IDLE:
        if (old_state == OCD_LINK_ABANDONED) {
            relearn(board);
        }
        if (old_state == OCD_LINK_HANDSHAKE) {
            for_each_op(board, stop_waiting);
            tell_link(board, true, NULL);
        }
        if (board->in_flight == NULL) {
            loop_timer_set(board->kick_timer, 0);
        }
        break;
    case OCD_LINK_CONNECTING:
    case OCD_LINK_HANDSHAKE:
    case OCD_LINK_BUSY:
    case OCD_LINK_ABANDONED:
        break;
    }
}

/* Notifications do not say which target they are about: the survey that follows does. */
static void on_notification(void *context, const char *type, const char *value)
{
    static const char prefix[] = "target_";
    struct board *board = context;
    const char *kind = strncmp(type, prefix, sizeof prefix - 1) == 0 ? type + sizeof prefix - 1 : type;
    board->change_count++;
    if (!loop_timer_is_set(board->survey_timer)) {
        loop_timer_set(board->survey_timer, SURVEY_DELAY_MS);
    }
    board->handler->target_notified(board->context, board, kind, value);
}

static void survey_progress(void *context, struct op *op)
{
    (void)context;
    (void)op;
}

static void survey_ended(void *context, struct op *op, const struct err *err)
{
    struct board *board = context;
    (void)op;
    board->survey_queued = false;
    if (err != NULL) {
        log_debug("board %s: survey: %s", board->name, err->message);
    }
}

static const struct op_owner survey_owner = {.progress = survey_progress, .ended = survey_ended};

static void on_survey_timer(void *context)
{
    struct board *board = context;
    if (!board->survey_queued && board_is_up(board)) {
        board->survey_queued = true;
        board_submit(board, &board->own_queue, survey_new(NULL), &survey_owner, board, 0);
        kick(board);
    }
}

static const struct ocd_link_handler link_handler = {
    .changed = on_changed,
    .reply = on_reply,
    .lost = on_lost,
    .notification = on_notification,
};

/* The outside. */

struct board *board_new(struct loop *loop, const struct board_options *options,
                        const struct board_handler *handler, void *context)
{
    struct board *board = xcalloc(1, sizeof *board);
    struct ocd_link_options link_options = {
        .name = options->name, .stage_dir = options->stage_dir, .limit_ms = options->link_limit_ms};
    board->loop = loop;
    board->name = xstrdup(options->name);
    board->unavailable_ms = options->unavailable_ms;
    board->handler = handler;
    board->context = context;
    sched_init(&board->sched);
    sched_identity_init(&board->own_identity);
    sched_queue_init(&board->own_queue, &board->sched, &board->own_identity);
    board->survey_timer = loop_timer_new(loop, on_survey_timer, board);
    board->kick_timer = loop_timer_new(loop, on_kick_timer, board);
    board->link = ocd_link_new(loop, &options->address, &link_options, &link_handler, board);
    return board;
}

void board_free(struct board *board)
{
    if (board == NULL) {
        return;
    }
    for_each_op(board, end_cancelled);
    ocd_link_free(board->link);
    loop_timer_free(board->survey_timer);
    loop_timer_free(board->kick_timer);
    free(board->name);
    free(board);
}

const char *board_name(const struct board *board)
{
    return board->name;
}

struct ocd_link *board_link(struct board *board)
{
    return board->link;
}

struct ocd_info *board_info(struct board *board)
{
    return ocd_link_info(board->link);
}

const struct board_counters *board_counters(const struct board *board)
{
    return &board->counters;
}

size_t board_queued(const struct board *board)
{
    return board->sched.count - (board->survey_queued ? 1 : 0);
}

struct op *board_running(struct board *board)
{
    return board->in_flight != NULL ? board->in_flight : board->changer;
}

bool board_is_up(const struct board *board)
{
    switch (ocd_link_get_state(board->link)) {
    case OCD_LINK_DOWN:
    case OCD_LINK_CONNECTING:
    case OCD_LINK_HANDSHAKE:
        return false;
    case OCD_LINK_IDLE:
    case OCD_LINK_BUSY:
    case OCD_LINK_ABANDONED:
        return true;
    }
    return false;
}

void board_queue_init(struct board *board, struct sched_queue *queue, struct sched_identity *identity)
{
    sched_queue_init(queue, &board->sched, identity);
}

void board_submit(struct board *board, struct sched_queue *queue, struct op *take_op,
                  const struct op_owner *owner, void *owner_context, uint64_t timeout_ms)
{
    struct op *op = take_op;
    uint64_t now = clock_now_us();
    op->board = board;
    op->owner = owner;
    op->owner_context = owner_context;
    op->state = OP_QUEUED;
    op->timer = loop_timer_new(board->loop, on_op_timer, op);
    op->deadline_us = timeout_ms > 0 ? now + timeout_ms * 1000 : 0;
    op->unavailable_us = board_is_up(board) ? 0 : now + board->unavailable_ms * 1000ull;
    board->changers_queued += op->class->changes;
    sched_add(queue, op);
    arm_timer(op);
}

void board_cancel(struct op *op)
{
    op->cancel_asked = true;
    if (op->board->in_flight != op && !op->critical) {
        end_cancelled(op);
    }
}

bool board_stop(struct board *board)
{
    for_each_op(board, board_cancel);
    bool changing = board->in_flight != NULL && board->command.changes;
    return !changing && (board->changer == NULL || !board->changer->critical);
}

bool board_op_disturbed(const struct op *op)
{
    return op->last_change != op->begun_change;
}
