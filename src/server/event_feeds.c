/* Queue lengths and log lines on their way to subscribers. */
#include "server/event_feeds.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "server/events.h"

#define QUEUE_EVERY_US 100000u
#define MOST_LINES 256u
#define MOST_LINE_BYTES 1024u
#define SHOWN_IDENTITIES 64u

struct log_line {
    struct list node;
    enum log_level level;
    char time[CLOCK_TEXT_SIZE];
    char text[]; /* escaped */
};

/* Queues. */

static size_t queued_of(const struct sched_identity *identity)
{
    size_t sum = 0;
    list_for_each (node, &identity->queues) {
        sum += list_entry(node, struct sched_queue, node)->count;
    }
    return sum;
}

void event_feeds_write_queue(struct server *server, const struct board *board, struct json_writer *json)
{
    size_t index = server_board_index(server, board);
    size_t shown = 0;
    json_u64(json, "queued", server_queued(server, board));
    json_open_array(json, "queue");
    list_for_each (node, &server->shares) {
        const struct share *share = list_entry(node, struct share, node);
        size_t queued = queued_of(&share->boards[index]);
        if (queued > 0 && shown++ < SHOWN_IDENTITIES) {
            json_open_object(json, NULL);
            json_text(json, "identity", share->identity);
            json_u64(json, "queued", queued);
            json_close_object(json);
        }
    }
    json_close_array(json);
}

static void on_queue_timer(void *context)
{
    struct queue_feed *feed = context;
    struct server *server = feed->server;
    struct board *board = server->boards[feed->board];
    if (feed->told == server_queued(server, board)) {
        return;
    }
    feed->told = server_queued(server, board);
    feed->told_us = clock_now_us();
    events_queue(server, board);
}

void event_feeds_expect(struct server *server)
{
    for (size_t i = 0; i < CONFIG_MAX_BOARDS; i++) {
        server->feeds.queues[i].told = SIZE_MAX;
    }
}

void event_feeds_queue_changed(struct server *server, struct board *board)
{
    if (server->topic_users[RPC_TOPIC_QUEUE] == 0) {
        return;
    }
    struct queue_feed *feed = &server->feeds.queues[server_board_index(server, board)];
    if (loop_timer_is_set(feed->timer)) {
        return;
    }
    uint64_t since_us = clock_now_us() - feed->told_us;
    loop_timer_set(feed->timer, since_us < QUEUE_EVERY_US ? (QUEUE_EVERY_US - since_us + 999) / 1000 : 0);
}

/* The log. */

/* Where the text may be cut: no character is. */
static size_t cut_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        size_t taken = utf8_sequence(text + length, strlen(text + length));
        taken = taken > 0 ? taken : 1;
        if (length + taken > MOST_LINE_BYTES) {
            break;
        }
        length += taken;
    }
    return length;
}

static void add_line(struct event_feeds *feeds, enum log_level level, const char *time, const char *text)
{
    size_t length = cut_length(text);
    struct log_line *line = xcalloc(1, sizeof *line + length + 1);
    line->level = level;
    memcpy(line->time, time, strlen(time) + 1);
    memcpy(line->text, text, length);
    list_append(&feeds->lines, &line->node);
    feeds->line_count++;
}

/* Called from anywhere: sends nothing. */
static void take_line(void *context, enum log_level level, const char *time, const char *text)
{
    struct server *server = context;
    struct event_feeds *feeds = &server->feeds;
    if (server->topic_users[RPC_TOPIC_LOG] == 0) {
        return;
    }
    if (feeds->line_count >= MOST_LINES) {
        feeds->lines_left_out++;
        return;
    }
    add_line(feeds, level, time, text);
    loop_timer_set(feeds->log_timer, 0);
}

static void drop_line(struct event_feeds *feeds, struct log_line *line)
{
    list_remove(&line->node);
    feeds->line_count--;
    free(line);
}

static void note_left_out(struct event_feeds *feeds)
{
    char time[CLOCK_TEXT_SIZE];
    struct strbuf text = STRBUF_INIT;
    if (feeds->lines_left_out == 0) {
        return;
    }
    clock_wall_text(time);
    strbuf_appendf(&text, "%zu lines of the log were left out here", feeds->lines_left_out);
    feeds->lines_left_out = 0;
    add_line(feeds, LOG_LEVEL_WARN, time, strbuf_text(&text));
    strbuf_fini(&text);
}

static void on_log_timer(void *context)
{
    struct server *server = context;
    struct event_feeds *feeds = &server->feeds;
    note_left_out(feeds);
    while (!list_is_empty(&feeds->lines)) {
        struct log_line *line = list_entry(feeds->lines.next, struct log_line, node);
        events_log(server, log_level_name(line->level), line->time, line->text);
        drop_line(feeds, line);
    }
}

void event_feeds_init(struct server *server)
{
    struct event_feeds *feeds = &server->feeds;
    for (size_t i = 0; i < CONFIG_MAX_BOARDS; i++) {
        struct queue_feed *feed = &feeds->queues[i];
        feed->server = server;
        feed->board = i;
        feed->timer = loop_timer_new(server->loop, on_queue_timer, feed);
    }
    list_init(&feeds->lines);
    feeds->log_timer = loop_timer_new(server->loop, on_log_timer, server);
    log_set_sink(take_line, server);
}

void event_feeds_fini(struct server *server)
{
    struct event_feeds *feeds = &server->feeds;
    log_set_sink(NULL, NULL);
    for (size_t i = 0; i < CONFIG_MAX_BOARDS; i++) {
        loop_timer_free(feeds->queues[i].timer);
    }
    while (!list_is_empty(&feeds->lines)) {
        drop_line(feeds, list_entry(feeds->lines.next, struct log_line, node));
    }
    loop_timer_free(feeds->log_timer);
}
