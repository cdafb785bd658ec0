/* Who watches what: beginning and ending of watches, their limits, and what is seen of them. */
#include "server/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/op.h"
#include "server/events.h"

void watch_id(const struct watch *watch, char id[WATCH_ID_SIZE])
{
    snprintf(id, WATCH_ID_SIZE, "watch-%" PRIu64, watch->number);
}

struct watch *watch_find(const struct client *client, const char *id)
{
    list_for_each (node, &client->watches) {
        struct watch *watch = list_entry(node, struct watch, client_node);
        char own[WATCH_ID_SIZE];
        watch_id(watch, own);
        if (strcmp(own, id) == 0) {
            return watch;
        }
    }
    return NULL;
}

/* ---- spaces ---- */

static struct watch_space *take_space(struct watch_board *self, const char *target, bool physical)
{
    list_for_each (node, &self->spaces) {
        struct watch_space *space = list_entry(node, struct watch_space, node);
        if (space->physical == physical && strcmp(space->target, target) == 0) {
            space->users++;
            return space;
        }
    }
    struct watch_space *space = xcalloc(1, sizeof *space);
    space->number = ++self->last_space;
    space->users = 1;
    space->physical = physical;
    snprintf(space->target, sizeof space->target, "%s", target);
    list_append(&self->spaces, &space->node);
    return space;
}

static void release_space(struct watch_space *space)
{
    if (--space->users == 0) {
        list_remove(&space->node);
        free(space);
    }
}

/* ---- what may be watched ---- */

static bool check_limit(uint64_t value, const char *name, uint64_t maximum, const char *whose,
                        struct err *err)
{
    if (value <= maximum) {
        return true;
    }
    err_set(err, ERR_LIMIT_EXCEEDED, "%s would be %" PRIu64 ", and %" PRIu64 " are allowed", whose, value,
            maximum);
    err_add_text(err, "limit", name);
    err_add_integer(err, "maximum", maximum);
    return false;
}

static bool check_limits(const struct client *client, const struct watch_board *self, size_t counted,
                         struct err *err)
{
    const struct config_limits *limits = &client->server->config->limits;
    return check_limit(client->watch_count + 1, "max_watches", limits->max_watches,
                       "the watches of this connection", err) &&
           check_limit(client->watch_bytes + counted, "max_watch_bytes", limits->max_watch_bytes,
                       "the bytes that this connection watches", err) &&
           check_limit(self->count + 1, "max_board_watches", limits->max_board_watches,
                       "the watches of this board", err) &&
           check_limit(self->counted + counted, "max_board_watch_bytes", limits->max_board_watch_bytes,
                       "the bytes that are watched on this board", err);
}

/* Before the first handshake nothing is known of targets. */
static bool check_target(struct board *board, const struct watch_terms *terms,
                         const struct ocd_target **ret_target, struct err *err)
{
    const struct ocd_target *target = ocd_info_find_target(board_info(board), terms->target);
    if (target == NULL && (board_is_up(board) || board_info(board)->target_count > 0)) {
        if (terms->target[0] == '\0') {
            return err_set(err, ERR_NOT_FOUND, "the board has no target");
        }
        err_set(err, ERR_NOT_FOUND, "the board has no target \"%s\"", terms->target);
        err_add_text(err, "parameter", "target");
        return false;
    }
    for (size_t i = 0; target != NULL && i < terms->count; i++) {
        if (!op_check_range(target, terms->ranges[i].address, terms->ranges[i].size, err)) {
            return false;
        }
    }
    *ret_target = target;
    return true;
}

/* ---- beginning and ending ---- */

static size_t count_range(uint64_t size)
{
    return size < WATCH_RANGE_BYTES ? WATCH_RANGE_BYTES : (size_t)size;
}

static struct watch *make_watch(const struct watch_terms *terms, uint64_t least_interval_ms)
{
    struct watch *watch = xcalloc(1, sizeof *watch + terms->count * sizeof watch->ranges[0]);
    uint64_t interval_ms = terms->interval_ms < least_interval_ms ? least_interval_ms : terms->interval_ms;
    watch->interval_us = interval_ms * 1000;
    watch->hex = terms->hex;
    watch->range_count = terms->count;
    for (size_t i = 0; i < terms->count; i++) {
        watch->ranges[i] = (struct watch_range){.address = terms->ranges[i].address,
                                                .size = terms->ranges[i].size,
                                                .failing = ERR_NONE,
                                                .at = watch->size};
        watch->size += (size_t)terms->ranges[i].size;
        watch->counted += count_range(terms->ranges[i].size);
    }
    watch->told = xcalloc(watch->size, 1);
    watch->is_told = xcalloc(watch->size, sizeof *watch->is_told);
    return watch;
}

static void tell_others(struct watch *watch, const char *kind)
{
    struct watch_board *self = watch->board;
    struct events_watch news = {.kind = kind,
                                .client = watch->client,
                                .bytes = watch->size,
                                .interval_ms = watch->interval_us / 1000,
                                .watches = self->count};
    events_memory(self->server, self->board, &news);
}

static size_t count_terms(const struct watch_terms *terms)
{
    size_t counted = 0;
    for (size_t i = 0; i < terms->count; i++) {
        counted += count_range(terms->ranges[i].size);
    }
    return counted;
}

bool watch_begin(struct client *client, struct board *board, const struct watch_terms *terms,
                 const struct watch **ret_watch, struct err *err)
{
    struct watch_board *self = watch_board_of(client->server, board);
    const struct ocd_target *target = NULL;
    if (!check_target(board, terms, &target, err) || !check_limits(client, self, count_terms(terms), err)) {
        return false;
    }
    struct watch *watch = make_watch(terms, client->server->config->limits.min_watch_interval_ms);
    watch->board = self;
    watch->client = client;
    watch->number = ++client->server->last_watch;
    watch->space = take_space(self, target != NULL ? target->name : terms->target, terms->physical);
    list_append(&self->watches, &watch->node);
    list_append(&client->watches, &watch->client_node);
    self->count++;
    self->counted += watch->counted;
    client->watch_count++;
    client->watch_bytes += watch->counted;
    self->stale = true;
    loop_timer_set(self->timer, 0);
    tell_others(watch, "watched");
    *ret_watch = watch;
    return true;
}

void watch_end(struct watch *watch)
{
    struct watch_board *self = watch->board;
    struct client *client = watch->client;
    list_remove(&watch->node);
    list_remove(&watch->client_node);
    self->count--;
    self->counted -= watch->counted;
    client->watch_count--;
    client->watch_bytes -= watch->counted;
    self->stale = true;
    loop_timer_set(self->timer, 0);
    tell_others(watch, "unwatched");
    release_space(watch->space);
    free(watch->told);
    free(watch->is_told);
    free(watch);
}

void watch_end_all(struct client *client)
{
    while (!list_is_empty(&client->watches)) {
        watch_end(list_entry(client->watches.next, struct watch, client_node));
    }
}

/* ---- what is seen of them ---- */

void watch_write_status(const struct watch_board *self, struct json_writer *json)
{
    uint64_t shortest_us = UINT64_MAX;
    uint64_t reached_us = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < self->plan.count; i++) {
        const struct watch_area *area = &self->plan.areas[i];
        bytes += area->size;
        if (area->period_us < shortest_us) {
            shortest_us = area->period_us;
            reached_us = 0;
        }
        if (area->period_us == shortest_us && area->reached_us > reached_us) {
            reached_us = area->reached_us;
        }
    }
    json_open_object(json, "watches");
    json_u64(json, "count", self->count);
    json_u64(json, "bytes", bytes);
    json_u64(json, "reads", self->reads);
    if (shortest_us != UINT64_MAX) {
        json_u64(json, "interval_ms", shortest_us / 1000);
    }
    if (reached_us != 0) {
        json_u64(json, "reached_ms", (reached_us + 500) / 1000);
    }
    json_close_object(json);
}
