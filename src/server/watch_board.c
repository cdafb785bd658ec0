/* Reading a board for its watches: one operation at a time, when the plan says so. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/range_read.h"
#include "rpc/json_write.h"
#include "server/events.h"
#include "server/watch.h"

/* A read that has not ended by then is told of: something else keeps the link. */
#define STALLED_US 3000000u

/* ---- the plan ---- */

/* An error as memory.changed has it. */
static char *error_text(const struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &text);
    json_error(&json, NULL, err);
    return strbuf_steal(&text);
}

static void note_down(struct watch_board *self, const char *reason)
{
    const struct ocd_link *link = board_link(self->board);
    struct err err;
    err_set(&err, ERR_OPENOCD_UNAVAILABLE, "OpenOCD at %s is not available: %s", ocd_link_address(link),
            reason != NULL && reason[0] != '\0' ? reason : "it has not answered yet");
    free(self->down_error);
    self->down_error = error_text(&err);
}

static void stop_plan(struct watch_board *self, uint64_t now_us)
{
    if (self->down_error == NULL) {
        note_down(self, ocd_link_last_error(board_link(self->board)));
    }
    watch_plan_stop(&self->plan, ERR_OPENOCD_UNAVAILABLE, self->down_error, now_us);
    clock_wall_text(self->read_time);
}

static size_t count_ranges(const struct watch_board *self)
{
    size_t count = 0;
    list_for_each (node, &self->watches) {
        count += list_entry(node, struct watch, node)->range_count;
    }
    return count;
}

static void make_plan(struct watch_board *self, uint64_t now_us)
{
    size_t capacity = count_ranges(self);
    struct watch_want *wants = capacity > 0 ? xcalloc(capacity, sizeof *wants) : NULL;
    size_t count = 0;
    list_for_each (node, &self->watches) {
        const struct watch *watch = list_entry(node, struct watch, node);
        for (size_t i = 0; i < watch->range_count; i++) {
            wants[count++] = (struct watch_want){.space = watch->space->number,
                                                 .address = watch->ranges[i].address,
                                                 .size = watch->ranges[i].size,
                                                 .period_us = watch->interval_us};
        }
    }
    watch_plan_set(&self->plan, wants, count, now_us);
    free(wants);
    self->stale = false;
    self->stalled = false; /* who has just come is told as well */
    if (!self->up) {
        stop_plan(self, now_us);
    }
    if (count == 0 && self->reading != NULL) {
        board_cancel(self->reading);
    }
}

/* ---- reading ---- */

static enum range_flow take_bytes(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                  struct err *err)
{
    struct watch_board *self = context;
    (void)err;
    memcpy(self->bytes + offset, bytes, length);
    self->got += length;
    return RANGE_MORE;
}

static void free_nothing(void *context)
{
    (void)context;
}

static const struct range_consumer consumer = {.take = take_bytes, .free = free_nothing};

static void tell_area(struct watch_board *self, const char *kind, const struct err *err)
{
    struct events_watch news = {.kind = kind,
                                .address = self->read.address,
                                .size = self->read.size,
                                .message = err != NULL ? err->message : NULL,
                                .watches = self->count};
    events_memory(self->server, self->board, &news);
}

static void read_failed(struct watch_board *self, const struct err *err, uint64_t now_us)
{
    char *text = error_text(err);
    if (watch_plan_failed(&self->plan, &self->read, err->kind, text, now_us)) {
        tell_area(self, "failing", err);
    }
    free(text);
}

/* A read that was cancelled, or that a lost link ended, says nothing of the memory. */
static bool says_something(const struct err *err)
{
    return err->kind != ERR_CANCELLED && err->kind != ERR_OPENOCD_UNAVAILABLE;
}

/* Nothing was read for long: that is a failure of all, until the read that waits has ended. */
static void tell_stalled(struct watch_board *self, uint64_t now_us)
{
    struct err err;
    err_set(&err, ERR_TIMEOUT, "nothing could be read for %u ms: OpenOCD is busy with another command",
            STALLED_US / 1000u);
    char *text = error_text(&err);
    watch_plan_stop(&self->plan, err.kind, text, now_us);
    clock_wall_text(self->read_time);
    free(text);
    self->stalled = true;
}

static void read_ended(void *context, struct op *op, const struct err *err)
{
    struct watch_board *self = context;
    uint64_t now_us = clock_now_us();
    (void)op;
    if (self->stalled && self->up) {
        watch_plan_restart(&self->plan, now_us);
    }
    self->stalled = false;
    self->reading = NULL;
    self->others = 0;
    self->reads++;
    loop_timer_set(self->timer, 0);
    if (!self->up || (err != NULL && !says_something(err))) {
        return;
    }
    clock_wall_text(self->read_time);
    if (err != NULL) {
        read_failed(self, err, now_us);
    } else if (self->got == self->read.size &&
               watch_plan_done(&self->plan, &self->read, self->bytes, now_us)) {
        tell_area(self, "readable", NULL);
    }
}

static void read_progress(void *context, struct op *op)
{
    (void)context;
    (void)op;
}

static const struct op_owner read_owner = {.progress = read_progress, .ended = read_ended};

static const struct watch_space *find_space(const struct watch_board *self, uint32_t number)
{
    list_for_each (node, &self->spaces) {
        const struct watch_space *space = list_entry(node, struct watch_space, node);
        if (space->number == number) {
            return space;
        }
    }
    return NULL;
}

static void begin_read(struct watch_board *self)
{
    const struct watch_space *space = find_space(self, self->read.space);
    if (space == NULL) {
        return;
    }
    struct range_read_source source = {.target = space->target,
                                       .address = self->read.address,
                                       .size = self->read.size,
                                       .physical = space->physical};
    self->got = 0;
    self->others = 0;
    self->reading = range_read_new(&source, "read", &consumer, self);
    board_submit(self->board, &self->queue, self->reading, &read_owner, self, 0);
    board_kick(self->board);
}

/* ---- the timer ---- */

static uint64_t send_all(struct watch_board *self, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;
    list_for_each (node, &self->watches) {
        uint64_t turn_us = watch_send(list_entry(node, struct watch, node), now_us);
        next_us = turn_us < next_us ? turn_us : next_us;
    }
    return next_us;
}

/* When the timer has to fire again, but for what the end of a read does. */
static void arm(struct watch_board *self, uint64_t next_us, uint64_t now_us)
{
    uint64_t due_us = UINT64_MAX;
    if (self->reading == NULL) {
        due_us = watch_plan_due(&self->plan);
    } else if (!self->stalled) {
        due_us = self->read.begun_us + STALLED_US;
    }
    next_us = due_us < next_us ? due_us : next_us;
    if (next_us != UINT64_MAX && !loop_timer_is_set(self->timer)) {
        loop_timer_set(self->timer, next_us <= now_us ? 0 : (next_us - now_us + 999) / 1000);
    }
}

static void on_timer(void *context)
{
    struct watch_board *self = context;
    uint64_t now_us = clock_now_us();
    if (self->stale) {
        make_plan(self, now_us);
    }
    if (self->reading != NULL && !self->stalled && now_us >= self->read.begun_us + STALLED_US) {
        tell_stalled(self, now_us);
    }
    uint64_t next_us = send_all(self, now_us);
    if (self->reading == NULL && self->up && watch_plan_next(&self->plan, now_us, &self->read)) {
        begin_read(self);
    }
    arm(self, next_us, now_us);
}

/* ---- the outside ---- */

struct watch_board *watch_board_new(struct server *server, struct board *board)
{
    struct watch_board *self = xcalloc(1, sizeof *self);
    self->server = server;
    self->board = board;
    list_init(&self->watches);
    list_init(&self->spaces);
    watch_plan_init(&self->plan);
    sched_identity_init(&self->identity);
    board_queue_init(board, &self->queue, &self->identity);
    self->timer = loop_timer_new(server->loop, on_timer, self);
    return self;
}

void watch_board_free(struct watch_board *self)
{
    if (self == NULL) {
        return;
    }
    watch_plan_fini(&self->plan);
    loop_timer_free(self->timer);
    free(self->down_error);
    free(self);
}

struct watch_board *watch_board_of(struct server *server, const struct board *board)
{
    return server->watches[server_board_index(server, board)];
}

/* However soon it is back, those who were told of what they watch will be told of this. */
static void note_lost(struct watch_board *self)
{
    list_for_each (node, &self->watches) {
        struct watch *watch = list_entry(node, struct watch, node);
        for (size_t i = 0; i < watch->range_count; i++) {
            watch->ranges[i].lost = watch->seq > 0;
        }
    }
}

void watch_link_changed(struct server *server, struct board *board, const char *reason)
{
    struct watch_board *self = watch_board_of(server, board);
    uint64_t now_us = clock_now_us();
    self->up = board_is_up(board);
    if (self->up) {
        watch_plan_restart(&self->plan, now_us);
    } else {
        note_down(self, reason);
        note_lost(self);
        stop_plan(self, now_us);
    }
    if (!self->up && self->reading != NULL) {
        board_cancel(self->reading);
    }
    loop_timer_set(self->timer, 0);
}

struct watch_board *watch_board_reading(const struct op *op)
{
    return op->owner == &read_owner ? op->owner_context : NULL;
}

bool watch_may_run(const struct watch_board *self, enum board_pass pass)
{
    return pass == BOARD_PASS_ALL || self->others >= WATCH_PATIENCE;
}

void watch_link_used(struct server *server, const struct op *op)
{
    struct watch_board *self = watch_board_of(server, op->board);
    if (watch_board_reading(op) != NULL) {
        self->others = 0;
    } else if (self->reading != NULL) {
        self->others++;
    }
}

size_t watch_queued(const struct watch_board *self)
{
    return self->reading != NULL ? 1 : 0;
}
