/* A board: its link's news, its own survey, and what others see of it. */
#include "board/board.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "board/private.h"
#include "ops/target_ops.h"

#define SURVEY_DELAY_MS 100u
/* The same where somebody waits for it, and how long to wait for a notification that does not come. */
#define WANTED_DELAY_MS 5u
#define LOOK_EVERY_MS 500u

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
        ends_arm_timer(op);
    }
}

static void stop_waiting(struct op *op)
{
    if (op->unavailable_us != 0) {
        op->unavailable_us = 0;
        ends_arm_timer(op);
    }
}

static void on_lost(void *context, const char *reason)
{
    ends_flight(context, reason);
}

/* Further attempts that fail, and a handshake that is run again, are no news. */
static void tell_link(struct board *board, bool up, const char *reason)
{
    if (board->told_up != up) {
        board->told_up = up;
        board->connected_since[0] = '\0';
        if (up) {
            clock_wall_text(board->connected_since);
        }
        board->handler->link_changed(board->context, board, reason);
    }
}

static void on_changed(void *context, enum ocd_link_state old_state, const char *reason)
{
    struct board *board = context;
    switch (ocd_link_get_state(board->link)) {
    case OCD_LINK_DOWN:
        health_down(board);
        for_each_op(board, start_waiting);
        exchange_lose(&board->exchange);
        board->change_count++; /* nobody knows what happens to the board meanwhile */
        /* Between the commands of an operation that changes the board nothing is in flight, but OpenOCD's own
         * state (what is halted, what is probed) is lost all the same. */
        if (board->changer != NULL && !board->changer->in_flight && board->changer->sent_change) {
            ends_unknown(board->changer, reason);
        }
        board->one_by_one = false;
        tell_link(board, false, reason);
        watched_down(board, reason);
        break;
    case OCD_LINK_IDLE:
        health_heard(board);
        if (old_state == OCD_LINK_ABANDONED) {
            exchange_drop(&board->exchange);
            ends_relearn(board);
        }
        if (old_state == OCD_LINK_HANDSHAKE) {
            board->must_relearn = false;
            exchange_sweep(&board->exchange);
            for_each_op(board, stop_waiting);
            watched_up(board);
            health_up(board);
            tell_link(board, true, NULL);
            if (board->states_wanted) {
                loop_timer_set(board->look_timer, 0);
            }
        }
        if (flight_is_empty(&board->flight)) {
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
    if (strcmp(kind, "event") == 0) {
        health_event(board, value);
    }
    if (!loop_timer_is_set(board->survey_timer)) {
        loop_timer_set(board->survey_timer, board->states_wanted ? WANTED_DELAY_MS : SURVEY_DELAY_MS);
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
    } else {
        board->states_wanted = board->handler->states_seen(board->context, board);
    }
    if (board->states_wanted) {
        loop_timer_set(board->look_timer, board->survey_again ? 0 : LOOK_EVERY_MS);
    }
    board->survey_again = false;
}

static const struct op_owner survey_owner = {.progress = survey_progress, .ended = survey_ended};

static void on_survey_timer(void *context)
{
    struct board *board = context;
    if (board->survey_queued) {
        board->survey_again = true;
    } else if (board_is_up(board)) {
        board->survey_queued = true;
        board_submit(board, &board->own_queue, survey_new(NULL), &survey_owner, board, 0);
        turns_kick(board);
    }
}

static const struct ocd_link_handler link_handler = {
    .changed = on_changed,
    .reply = runner_on_reply,
    .lost = on_lost,
    .notification = on_notification,
};

static void on_kick_timer(void *context)
{
    turns_kick(context);
}

/* The outside. */

struct board *board_new(struct loop *loop, const struct board_options *options,
                        const struct board_handler *handler, void *context)
{
    struct board *board = xcalloc(1, sizeof *board);
    struct ocd_link_options link_options = {.name = options->name,
                                            .stage_dir = options->stage_dir,
                                            .share = options->share,
                                            .expect = options->expect,
                                            .held = options->process != NULL,
                                            .limit_ms = options->link_limit_ms};
    board->loop = loop;
    board->name = xstrdup(options->name);
    board->unavailable_ms = options->unavailable_ms;
    board->link_limit_ms = options->link_limit_ms;
    board->handler = handler;
    board->context = context;
    repairs_init(&board->repairs, options->state_dir, options->name, options->address.text);
    board_lease_init(board, options);
    exchange_init(&board->exchange, options->share);
    flight_init(&board->flight);
    sched_init(&board->sched);
    sched_identity_init(&board->own_identity);
    sched_queue_init(&board->own_queue, &board->sched, &board->own_identity);
    board->survey_timer = loop_timer_new(loop, on_survey_timer, board);
    board->look_timer = loop_timer_new(loop, on_survey_timer, board);
    board->kick_timer = loop_timer_new(loop, on_kick_timer, board);
    board->expects = options->expect != NULL;
    health_init(board, options);
    board->link = ocd_link_new(loop, &options->address, &link_options, &link_handler, board);
    watched_init(board, options);
    return board;
}

void board_free(struct board *board)
{
    if (board == NULL) {
        return;
    }
    for_each_op(board, ends_cancelled);
    watched_fini(board);
    ocd_link_free(board->link);
    health_fini(board);
    flight_clear(&board->flight);
    exchange_fini(&board->exchange);
    repairs_fini(&board->repairs);
    board_lease_fini(board);
    loop_timer_free(board->survey_timer);
    loop_timer_free(board->look_timer);
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

const struct repairs *board_repairs(const struct board *board)
{
    return &board->repairs;
}

const struct board_counters *board_counters(const struct board *board)
{
    return &board->counters;
}

size_t board_queued(const struct board *board)
{
    return board->sched.count - (board->survey_queued ? 1 : 0);
}

const char *board_connected_since(const struct board *board)
{
    return board->connected_since;
}

struct op *board_running(struct board *board)
{
    struct op *op = flight_first(&board->flight);
    return op != NULL ? op : board->changer;
}

bool board_is_up(const struct board *board)
{
    switch (ocd_link_get_state(board->link)) {
    case OCD_LINK_DOWN:
    case OCD_LINK_CONNECTING:
        return false;
    case OCD_LINK_HANDSHAKE:
        return board->told_up; /* it is only asked anew what there is */
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
    op->submitted_us = now;
    op->timer = loop_timer_new(board->loop, ends_on_timer, op);
    op->deadline_us = timeout_ms > 0 ? now + timeout_ms * 1000 : 0;
    op->unavailable_us = board_is_up(board) ? 0 : now + board->unavailable_ms * 1000ull;
    board->changers_queued += op->class->changes;
    board_lease_accept(op);
    sched_add(queue, op);
    ends_arm_timer(op);
    board->handler->queue_changed(board->context, board);
}

void board_cancel(struct op *op)
{
    op->cancel_asked = true;
    if (!op->in_flight && !op->critical) {
        ends_cancelled(op);
    }
}

void board_look(struct board *board)
{
    board->states_wanted = true;
    loop_timer_set(board->look_timer, 0);
}

void board_changed_outside(struct board *board)
{
    board->change_count++;
}

void board_set_outside_busy(struct board *board, bool busy)
{
    board->change_count++;
    board->outside_busy += busy ? 1u : -1u;
}

void board_relearn(struct board *board)
{
    board->must_relearn = true;
    ends_relearn(board);
}

void board_forget_repairs(struct board *board, uint64_t address, uint64_t size)
{
    const struct ocd_info *info = ocd_link_info(board->link);
    const struct op_keeper *keeper = &board->repairs.keeper;
    for (size_t i = 0; i < info->bank_count; i++) {
        const struct ocd_bank *bank = &info->banks[i];
        uint64_t offset = address > bank->base ? address - bank->base : 0;
        uint64_t before = bank->base > address ? bank->base - address : 0;
        if (before < size) {
            keeper->forget(keeper->context, bank, offset, size - before);
        }
    }
}

void board_kick(struct board *board)
{
    turns_kick(board);
}

static void stop_op(struct op *op)
{
    op->cancel_reason = op->cancel_reason != NULL ? op->cancel_reason : BOARD_STOP_REASON;
    board_cancel(op);
}

bool board_stop(struct board *board)
{
    for_each_op(board, stop_op);
    return !flight_changes(&board->flight) && (board->changer == NULL || !board->changer->critical);
}

static void stop_op_now(struct op *op)
{
    bool changing = op->in_flight && flight_slot_of(&op->board->flight, op)->command.changes;
    if (changing || op->critical) {
        ends_unknown(op, "the daemon was stopped");
    } else {
        op->cancel_reason = BOARD_STOP_REASON;
        ends_cancelled(op);
    }
}

void board_stop_all(struct board *board)
{
    bool in_flight = !flight_is_empty(&board->flight);
    for_each_op(board, stop_op_now);
    if (in_flight) {
        ocd_link_abandon(board->link);
    }
}

bool board_op_disturbed(const struct op *op)
{
    return op->last_change != op->begun_change;
}
