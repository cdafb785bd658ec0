/*
 * Events: made once as text, without their number, then copied to every subscriber that has room. Who has
 * none loses them, and is told how many, and what is true by now, as soon as he has some again.
 */
#include "server/events.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "board/board_lease.h"

/* The JSON of a result that goes with an event; longer ones are asked for. */
#define RESULT_MOST_BYTES 4096u
#define PROGRESS_EVERY_US 100000u
/* What is kept for all those who do not read: a subscriber has no room for events beyond its part of it. Nor
 * has it, if that is less, beyond what its output may hold anyway. */
#define MOST_KEPT_BYTES ((size_t)64 * 1024 * 1024)
#define LEAST_ROOM_BYTES ((size_t)4 * 1024)

struct event {
    enum rpc_topic topic;
    struct board *board; /* NULL: it is of none */
    struct json_writer json;
    struct strbuf members; /* "{..." without its end: for everybody */
    struct strbuf own; /* ",..." more members, for the operation's own identity and admins; may be empty */
    const char *identity;
    /* Whom it concerns even without a subscription; NULL: nobody. */
    bool (*concerns)(const struct client *client, const void *context);
    const void *context;
};

static bool is_wanted(const struct server *server, enum rpc_topic topic)
{
    return server->topic_users[topic] > 0;
}

static struct json_writer *begin(struct event *event, enum rpc_topic topic, const char *word,
                                 struct board *board)
{
    *event = (struct event){.topic = topic, .board = board};
    strbuf_init(&event->members);
    strbuf_init(&event->own);
    json_writer_init(&event->json, &event->members);
    json_open_object(&event->json, NULL);
    json_text(&event->json, "topic", word);
    if (board != NULL) {
        json_text(&event->json, "board", board_name(board));
    }
    return &event->json;
}

/* The number is the connection's own, so it goes before what all share. */
static void send_numbered(struct client *client, const char *members, size_t length, const struct strbuf *own)
{
    struct strbuf line = STRBUF_INIT;
    strbuf_appendf(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":%" PRIu64 ",",
                   ++client->event_seq);
    strbuf_append(&line, members + 1, length - 1);
    if (own != NULL) {
        strbuf_append(&line, own->data, own->length);
    }
    strbuf_append_text(&line, "}}\n");
    client->server->counters.notifications++;
    client_send(client, &line);
}

static bool sees_board(const struct client *client, struct board *board)
{
    uint64_t bit = 1ull << server_board_index(client->server, board);
    return (client->topic_boards & bit) != 0 && client_role(client, board) > RPC_ROLE_NONE;
}

void events_write_snapshot(const struct client *client, struct json_writer *json)
{
    struct server *server = client->server;
    json_open_object(json, "snapshot");
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        if (sees_board(client, server->boards[i])) {
            json_open_object(json, NULL);
            server->write_board(server, server->boards[i], json);
            json_close_object(json);
        }
    }
    json_close_array(json);
    json_close_object(json);
}

/* The event that stands for those that the client lost, with the state as it is by now. */
static void tell_lost(struct client *client)
{
    struct strbuf members = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &members);
    json_open_object(&json, NULL);
    json_text(&json, "topic", "dropped");
    json_u64(&json, "lost", client->events_lost);
    events_write_snapshot(client, &json);
    client->events_lost = 0;
    send_numbered(client, members.data, members.length, NULL);
    strbuf_fini(&members);
}

/* How much of anything may be on its way to a client that is to get one event more. */
static size_t event_room(const struct server *server)
{
    size_t part = MOST_KEPT_BYTES / (server->hearer_count > 0 ? server->hearer_count : 1);
    size_t room = part > LEAST_ROOM_BYTES ? part : LEAST_ROOM_BYTES;
    size_t most = server->config->limits.max_output_bytes;
    return room < most ? room : most;
}

static bool has_room(const struct client *client)
{
    return client->stream != NULL && net_stream_pending(client->stream) < event_room(client->server);
}

void events_drained(struct client *client)
{
    if (client->events_lost == 0) {
        return;
    }
    if (has_room(client)) {
        tell_lost(client);
        client_await_reader(client, 0);
    } else { /* told when half of the room is free; what it does not read has an end like any output */
        client_await_reader(client, event_room(client->server) / 2);
    }
}

static void lose(struct client *client)
{
    client->event_seq++;
    client->events_lost++;
    client->server->counters.events_lost++;
    events_drained(client);
}

static bool is_own(const struct client *client, const struct event *event)
{
    return event->own.length > 0 && (strcmp(client->identity, event->identity) == 0 ||
                                     client_role(client, event->board) == RPC_ROLE_ADMIN);
}

static void deliver(struct client *client, const struct event *event)
{
    events_drained(client);
    if (!has_room(client)) {
        lose(client);
        return;
    }
    send_numbered(client, event->members.data, event->members.length,
                  is_own(client, event) ? &event->own : NULL);
}

static bool is_for(const struct client *client, const struct event *event)
{
    if (client->state == CLIENT_CLOSED) {
        return false;
    }
    bool wants = (client->topics & (1ull << event->topic)) != 0;
    if (event->board == NULL) {
        return wants;
    }
    if (wants && sees_board(client, event->board)) {
        return true;
    }
    return event->concerns != NULL && client_role(client, event->board) > RPC_ROLE_NONE &&
           event->concerns(client, event->context);
}

static void finish(struct server *server, struct event *event)
{
    if (event->concerns != NULL || is_wanted(server, event->topic)) {
        list_for_each_safe (node, next, &server->hearers) {
            struct client *client = list_entry(node, struct client, hearer_node);
            if (is_for(client, event)) {
                deliver(client, event);
            }
        }
    }
    strbuf_fini(&event->members);
    strbuf_fini(&event->own);
}

void events_hear(struct client *client)
{
    if (list_is_empty(&client->hearer_node) && client->state != CLIENT_CLOSED) {
        list_append(&client->server->hearers, &client->hearer_node);
        client->server->hearer_count++;
    }
}

void events_forget(struct client *client)
{
    events_set_topics(client, 0, 0);
    if (!list_is_empty(&client->hearer_node)) {
        list_remove(&client->hearer_node);
        client->server->hearer_count--;
    }
}

void events_set_topics(struct client *client, uint64_t topics, uint64_t boards)
{
    size_t *users = client->server->topic_users;
    for (size_t i = 0; i < 64; i++) {
        users[i] -= (client->topics >> i) & 1;
        users[i] += (topics >> i) & 1;
    }
    if (topics != 0) {
        events_hear(client);
    }
    client->topics = topics;
    client->topic_boards = boards;
}

void events_link(struct server *server, struct board *board, const char *reason)
{
    struct event event;
    struct json_writer *json = begin(&event, RPC_TOPIC_LINK, "link", board);
    json_text(json, "state", ocd_link_state_name(ocd_link_get_state(board_link(board))));
    if (reason != NULL) {
        json_text(json, "reason", reason);
    }
    finish(server, &event);
}

void events_target(struct server *server, struct board *board, const char *kind, const char *value)
{
    struct event event;
    struct json_writer *json = begin(&event, RPC_TOPIC_TARGET, "target", board);
    json_text(json, "kind", kind);
    json_text(json, "value", value);
    finish(server, &event);
}

static void append_member(struct strbuf *out, const char *name, const struct strbuf *value, size_t most)
{
    if (value->length > 0 && value->length <= most) {
        strbuf_appendf(out, ",\"%s\":", name);
        strbuf_append(out, value->data, value->length);
    }
}

void events_operation(struct server *server, struct board *board, struct operation *operation)
{
    struct event event;
    operation->event_us = clock_now_us();
    if (!is_wanted(server, RPC_TOPIC_OPERATION)) {
        return;
    }
    struct json_writer *json = begin(&event, RPC_TOPIC_OPERATION, "operation", board);
    event.identity = operation->identity;
    json_text(json, "operation", operation->id);
    json_text(json, "method", operation->method);
    json_text(json, "identity", operation->identity);
    if (operation->client[0] != '\0') {
        json_text(json, "client", operation->client);
    }
    json_text(json, "state", operation_state_name(operation->state));
    if (operation->progress.phase != NULL) {
        operation_write_progress(json, "progress", &operation->progress);
    }
    append_member(&event.own, "result", &operation->result, RESULT_MOST_BYTES);
    append_member(&event.own, "error", &operation->error, SIZE_MAX);
    finish(server, &event);
}

void events_progress(struct server *server, struct board *board, struct operation *operation)
{
    if (clock_now_us() - operation->event_us >= PROGRESS_EVERY_US) {
        events_operation(server, board, operation);
    }
}

void events_queue(struct server *server, struct board *board)
{
    struct event event;
    event_feeds_write_queue(server, board, begin(&event, RPC_TOPIC_QUEUE, "queue", board));
    finish(server, &event);
}

void events_log(struct server *server, const char *level, const char *time, const char *text)
{
    struct event event;
    struct json_writer *json = begin(&event, RPC_TOPIC_LOG, "log", NULL);
    json_text(json, "time", time);
    json_text(json, "level", level);
    json_text(json, "text", text);
    finish(server, &event);
}

void events_memory(struct server *server, struct board *board, const struct events_watch *news)
{
    struct event event;
    struct json_writer *json = begin(&event, RPC_TOPIC_MEMORY, "memory", board);
    json_text(json, "kind", news->kind);
    if (news->client != NULL) {
        json_text(json, "identity", news->client->identity);
    }
    if (news->client != NULL && news->client->name[0] != '\0') {
        json_text(json, "client", news->client->name);
    }
    if (news->bytes > 0) {
        json_u64(json, "bytes", news->bytes);
        json_u64(json, "interval_ms", news->interval_ms);
    }
    if (news->size > 0) {
        json_address(json, "address", news->address);
        json_u64(json, "size", news->size);
    }
    if (news->message != NULL) {
        json_text(json, "message", news->message);
    }
    json_u64(json, "watches", news->watches);
    finish(server, &event);
}

void events_gdb(struct server *server, struct board *board, const char *kind, const char *identity,
                const char *target)
{
    struct event event;
    struct json_writer *json = begin(&event, RPC_TOPIC_GDB, "gdb", board);
    json_text(json, "kind", kind);
    json_text(json, "identity", identity);
    json_text(json, "target", target);
    finish(server, &event);
}

struct lease_news {
    const struct lease *lease;
    enum lease_event event;
    const struct lease_holder *holder; /* NULL: it is about somebody who waits */
};

/* Whose place in the queue, or whose lease, it is about: they hear of it without having subscribed. */
static bool lease_concerns(const struct client *client, const void *context)
{
    const struct lease_news *news = context;
    switch (news->event) {
    case LEASE_EVENT_RENEWED:
    case LEASE_EVENT_RESUMED:
    case LEASE_EVENT_ABSENT:
        return false;
    case LEASE_EVENT_QUEUED:
        return lease_is_held_by(news->lease, client, NULL);
    case LEASE_EVENT_LEFT:
    case LEASE_EVENT_GRANTED:
        return lease_place_of(news->lease, client) != 0;
    case LEASE_EVENT_OVERDUE:
    case LEASE_EVENT_RELEASED:
    case LEASE_EVENT_EXPIRED:
    case LEASE_EVENT_BROKEN:
        return lease_place_of(news->lease, client) != 0 || news->holder->terms.connection == client;
    }
    return false;
}

void events_lease(struct server *server, struct board *board, enum lease_event event,
                  const struct lease_holder *holder, const struct lease_waiter *waiter)
{
    const struct lease_terms *terms = waiter != NULL ? &waiter->terms : &holder->terms;
    struct lease_news news = {.lease = board_lease(board), .event = event, .holder = holder};
    struct event sent;
    struct json_writer *json = begin(&sent, RPC_TOPIC_LEASE, "lease", board);
    json_text(json, "kind", lease_event_name(event));
    json_text(json, "identity", terms->identity);
    if (terms->client[0] != '\0') {
        json_text(json, "client", terms->client);
    }
    if (terms->reason[0] != '\0') {
        json_text(json, "reason", terms->reason);
    }
    if (holder != NULL) {
        json_text(json, "since", holder->since);
    }
    if (news.lease->state != LEASE_FREE) {
        char expires[CLOCK_TEXT_SIZE];
        board_lease_expires(board, expires);
        json_text(json, "expires", expires);
    }
    json_u64(json, "waiting", news.lease->waiting);
    sent.concerns = lease_concerns;
    sent.context = &news;
    finish(server, &sent);
}
