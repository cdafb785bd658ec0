/* What a watch tells its client: the difference between what was read and what it was told. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/json_write.h"
#include "server/reply.h"
#include "server/watch.h"

/* A client may have so much of anything on its way before a watch waits for its last notification to be
 * taken. */
#define BACKLOG_BYTES (32u * 1024u)
/* Failures are told that soon, also to those who want to be told of changes less often. */
#define FAILURE_US 1000000u
/* Bytes that have not changed between two that have: sent along, for a new entry is longer. */
#define GAP_BYTES 8u

/* ---- what is new ---- */

/* The areas that hold a range. */
struct holders {
    const struct watch_area *first;
    size_t count;
};

static struct holders find_holders(const struct watch *watch, const struct watch_range *range)
{
    const struct watch_plan *plan = &watch->board->plan;
    uint64_t last = range->address + (range->size - 1);
    size_t first = watch_plan_find(plan, watch->space->number, range->address);
    size_t end = first;
    while (end < plan->count && plan->areas[end].space == watch->space->number &&
           plan->areas[end].address <= last) {
        end++;
    }
    return (struct holders){.first = plan->areas + first, .count = end - first};
}

struct look {
    bool unknown;        /* something was not read yet */
    bool failing_news;   /* what can be read is not what was told */
    uint64_t read_us;    /* since then everything that can be read was read; UINT64_MAX: nothing can */
    uint64_t reached_us; /* the slowest area; 0: not known */
};

static const struct watch_area *first_failed(struct holders holders)
{
    for (size_t i = 0; i < holders.count; i++) {
        if (holders.first[i].state == WATCH_AREA_FAILED) {
            return &holders.first[i];
        }
    }
    return NULL;
}

static bool any_unknown(struct holders holders)
{
    for (size_t i = 0; i < holders.count; i++) {
        if (holders.first[i].state == WATCH_AREA_UNKNOWN) {
            return true;
        }
    }
    return false;
}

static struct look look_at(const struct watch *watch)
{
    struct look look = {.read_us = UINT64_MAX};
    bool measured = true;
    for (size_t i = 0; i < watch->range_count; i++) {
        const struct watch_range *range = &watch->ranges[i];
        struct holders holders = find_holders(watch, range);
        const struct watch_area *failed = first_failed(holders);
        bool unknown = any_unknown(holders);
        look.unknown = look.unknown || unknown;
        if (!unknown) {
            enum err_kind kind = failed != NULL ? failed->kind : ERR_NONE;
            bool back = range->lost && failed == NULL;
            look.failing_news = look.failing_news || kind != range->failing || back;
        }
        for (size_t j = 0; j < holders.count; j++) {
            const struct watch_area *area = &holders.first[j];
            if (area->state != WATCH_AREA_KNOWN) {
                continue;
            }
            look.read_us = area->read_us < look.read_us ? area->read_us : look.read_us;
            look.reached_us = area->reached_us > look.reached_us ? area->reached_us : look.reached_us;
            measured = measured && area->reached_us != 0;
        }
    }
    look.reached_us = measured ? look.reached_us : 0;
    return look;
}

/* ---- the notification ---- */

/* Bytes that are known, side by side in a range and in the plan. */
struct stretch {
    uint64_t address;
    size_t length;
    const uint8_t *bytes;
    size_t at; /* among the watch's */
};

/* From the area at `*index` on, as far as areas are known; moves `*index` behind them. */
static struct stretch next_stretch(const struct watch *watch, const struct watch_range *range,
                                   struct holders holders, size_t *index)
{
    const struct watch_area *area = &holders.first[*index];
    uint64_t range_last = range->address + (range->size - 1);
    uint64_t first = area->address > range->address ? area->address : range->address;
    uint64_t last = first;
    for (; *index < holders.count && holders.first[*index].state == WATCH_AREA_KNOWN; (*index)++) {
        last = holders.first[*index].address + (holders.first[*index].size - 1);
    }
    return (struct stretch){.address = first,
                            .length = (size_t)((last < range_last ? last : range_last) - first + 1),
                            .bytes = watch->board->plan.bytes + area->bytes_at + (first - area->address),
                            .at = range->at + (size_t)(first - range->address)};
}

static bool is_new(const struct watch *watch, const struct stretch *stretch, size_t i)
{
    return !watch->is_told[stretch->at + i] || watch->told[stretch->at + i] != stretch->bytes[i];
}

static bool has_news(const struct watch *watch, const struct stretch *stretch)
{
    for (size_t i = 0; i < stretch->length; i++) {
        if (is_new(watch, stretch, i)) {
            return true;
        }
    }
    return false;
}

static void write_change(struct watch *watch, const struct stretch *stretch, size_t begin, size_t end,
                         struct json_writer *json)
{
    memcpy(watch->told + stretch->at + begin, stretch->bytes + begin, end - begin);
    memset(watch->is_told + stretch->at + begin, true, (end - begin) * sizeof *watch->is_told);
    json_open_object(json, NULL);
    json_address(json, "address", stretch->address + begin);
    json_bytes(json, "data", stretch->bytes + begin, end - begin, watch->hex);
    json_close_object(json);
}

/* Runs of what is new. */
static void write_stretch(struct watch *watch, const struct stretch *stretch, struct json_writer *json)
{
    size_t begin = 0;
    size_t end = 0; /* of the run; `begin`: none is open */
    for (size_t i = 0; i < stretch->length; i++) {
        if (!is_new(watch, stretch, i)) {
            continue;
        }
        if (end > begin && i - end > GAP_BYTES) {
            write_change(watch, stretch, begin, end, json);
            end = begin;
        }
        begin = end > begin ? begin : i;
        end = i + 1;
    }
    if (end > begin) {
        write_change(watch, stretch, begin, end, json);
    }
}

/* Calls `visit` for every stretch until one call returns true; whether one did. */
static bool find_stretch(struct watch *watch,
                         bool (*visit)(struct watch *watch, const struct stretch *stretch,
                                       struct json_writer *json),
                         struct json_writer *json)
{
    for (size_t i = 0; i < watch->range_count; i++) {
        struct holders holders = find_holders(watch, &watch->ranges[i]);
        for (size_t j = 0; j < holders.count;) {
            if (holders.first[j].state != WATCH_AREA_KNOWN) {
                j++;
                continue;
            }
            struct stretch stretch = next_stretch(watch, &watch->ranges[i], holders, &j);
            if (visit(watch, &stretch, json)) {
                return true;
            }
        }
    }
    return false;
}

static bool visit_news(struct watch *watch, const struct stretch *stretch, struct json_writer *json)
{
    (void)json;
    return has_news(watch, stretch);
}

static bool visit_writing(struct watch *watch, const struct stretch *stretch, struct json_writer *json)
{
    write_stretch(watch, stretch, json);
    return false;
}

static void write_range(const struct watch_range *range, struct json_writer *json)
{
    json_address(json, "address", range->address);
    json_u64(json, "size", range->size);
}

static void write_errors(struct watch *watch, struct json_writer *json)
{
    bool open = false;
    for (size_t i = 0; i < watch->range_count; i++) {
        struct watch_range *range = &watch->ranges[i];
        const struct watch_area *failed = first_failed(find_holders(watch, range));
        if (failed == NULL || failed->kind == range->failing) {
            continue;
        }
        if (!open) {
            json_open_array(json, "errors");
            open = true;
        }
        json_open_object(json, NULL);
        write_range(range, json);
        json_raw(json, "error", failed->error, strlen(failed->error));
        json_close_object(json);
        range->failing = failed->kind;
    }
    if (open) {
        json_close_array(json);
    }
}

static void write_recovered(struct watch *watch, struct json_writer *json)
{
    bool open = false;
    for (size_t i = 0; i < watch->range_count; i++) {
        struct watch_range *range = &watch->ranges[i];
        struct holders holders = find_holders(watch, range);
        bool was_failing = range->failing != ERR_NONE || range->lost;
        if (!was_failing || first_failed(holders) != NULL || any_unknown(holders)) {
            continue;
        }
        if (!open) {
            json_open_array(json, "recovered");
            open = true;
        }
        json_open_object(json, NULL);
        write_range(range, json);
        json_close_object(json);
        range->failing = ERR_NONE;
        range->lost = false;
    }
    if (open) {
        json_close_array(json);
    }
}

static void write_params(struct watch *watch, const struct look *look, struct json_writer *json)
{
    char id[WATCH_ID_SIZE];
    uint64_t reached_us = look->reached_us > watch->interval_us ? look->reached_us : watch->interval_us;
    watch_id(watch, id);
    json_text(json, "watch", id);
    json_u64(json, "seq", watch->seq);
    json_text(json, "board", board_name(watch->board->board));
    json_text(json, "time", watch->board->read_time);
    json_bool(json, "whole", watch->seq == 1);
    if (look->reached_us != 0) {
        json_u64(json, "interval_ms", (reached_us + 500) / 1000);
    }
    json_open_array(json, "changes");
    (void)find_stretch(watch, visit_writing, json);
    json_close_array(json);
    write_errors(watch, json);
    write_recovered(watch, json);
}

static void send_notification(struct watch *watch, const struct look *look, uint64_t now_us)
{
    struct client *client = watch->client;
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    watch->seq++;
    reply_notify_begin(&line, &json, "memory.changed");
    write_params(watch, look, &json);
    reply_notify_end(client, &line, &json);
    /* By the read's time, not by that of the notification: so that each next one goes out with its read, and
     * none an interval behind it. */
    watch->sent_us = look->read_us != UINT64_MAX ? look->read_us : now_us;
    watch->sent_end = client_sent_bytes(client);
}

/* Not one that has the last notification still to come. */
static bool takes_more(const struct watch *watch)
{
    const struct client *client = watch->client;
    uint64_t taken = client_taken_bytes(client);
    return client_has_room(client) &&
           (taken >= watch->sent_end || client_sent_bytes(client) - taken <= BACKLOG_BYTES);
}

/* When the next notification may go out. */
static uint64_t next_turn(const struct watch *watch, bool failing_news)
{
    uint64_t wait_us = watch->interval_us;
    if (watch->seq == 0) {
        return 0;
    }
    if (failing_news && wait_us > FAILURE_US) {
        wait_us = FAILURE_US;
    }
    return watch->sent_us + wait_us;
}

uint64_t watch_send(struct watch *watch, uint64_t now_us)
{
    struct look look = look_at(watch);
    bool read = look.read_us != UINT64_MAX && look.read_us > watch->looked_us;
    if ((look.unknown && !look.failing_news) || (!read && !look.failing_news)) {
        return UINT64_MAX;
    }
    if (look.unknown && watch->seq == 0) {
        return UINT64_MAX; /* the first tells of everything */
    }
    if (!look.failing_news && !find_stretch(watch, visit_news, NULL)) {
        watch->looked_us = look.read_us;
        return UINT64_MAX;
    }
    uint64_t turn_us = next_turn(watch, look.failing_news);
    if (now_us < turn_us) {
        return turn_us;
    }
    if (!takes_more(watch)) {
        return now_us + watch->interval_us;
    }
    watch->looked_us = look.read_us != UINT64_MAX ? look.read_us : watch->looked_us;
    send_notification(watch, &look, now_us);
    return UINT64_MAX;
}
