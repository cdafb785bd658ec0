/* Events: made once as text, without their number, then copied to every subscriber that has room. */
#include "server/events.h"

#include <inttypes.h>

#include "board/board_lease.h"

static void begin(struct strbuf *params, struct json_writer *json, const char *topic, struct board *board)
{
    json_writer_init(json, params);
    json_open_object(json, NULL);
    json_text(json, "topic", topic);
    json_text(json, "board", board_name(board));
}

/* The number is the connection's own, so it goes before what all share. */
static void send_event(struct client *client, const struct strbuf *params)
{
    struct strbuf line = STRBUF_INIT;
    strbuf_appendf(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":%" PRIu64 ",",
                   client->event_seq);
    strbuf_append(&line, params->data + 1, params->length - 1);
    strbuf_append_text(&line, "}\n");
    client->server->counters.notifications++;
    client_send(client, &line);
}

/* To those who subscribed, and to those whom `concerns` (NULL: nobody) names. A client without room misses
 * the event, and sees so by the next one's number. */
static void send_to(struct server *server, struct strbuf *params, struct json_writer *json,
                    enum rpc_topic topic, struct board *board,
                    bool (*concerns)(const struct client *client, const void *context), const void *context)
{
    uint64_t board_bit = 1ull << server_board_index(server, board);
    json_close_object(json);
    list_for_each_safe (node, next, &server->clients) {
        struct client *client = list_entry(node, struct client, node);
        bool wants = (client->topics & (1ull << topic)) != 0 && (client->topic_boards & board_bit) != 0;
        bool out = client->state == CLIENT_CLOSED || client_role(client, board) == RPC_ROLE_NONE;
        if (out || (!wants && (concerns == NULL || !concerns(client, context)))) {
            continue;
        }
        client->event_seq++;
        if (client_has_room(client)) {
            send_event(client, params);
        }
    }
    strbuf_fini(params);
}

static void finish(struct server *server, struct strbuf *params, struct json_writer *json,
                   enum rpc_topic topic, struct board *board)
{
    send_to(server, params, json, topic, board, NULL, NULL);
}

void events_link(struct server *server, struct board *board, const char *reason)
{
    struct strbuf params = STRBUF_INIT;
    struct json_writer json;
    begin(&params, &json, "link", board);
    json_text(&json, "state", ocd_link_state_name(ocd_link_get_state(board_link(board))));
    if (reason != NULL) {
        json_text(&json, "reason", reason);
    }
    finish(server, &params, &json, RPC_TOPIC_LINK, board);
}

void events_target(struct server *server, struct board *board, const char *kind, const char *value)
{
    struct strbuf params = STRBUF_INIT;
    struct json_writer json;
    begin(&params, &json, "target", board);
    json_text(&json, "kind", kind);
    json_text(&json, "value", value);
    finish(server, &params, &json, RPC_TOPIC_TARGET, board);
}

void events_operation(struct server *server, struct board *board, const struct operation *operation)
{
    struct strbuf params = STRBUF_INIT;
    struct json_writer json;
    begin(&params, &json, "operation", board);
    json_text(&json, "operation", operation->id);
    json_text(&json, "method", operation->method);
    json_text(&json, "state", operation_state_name(operation->state));
    finish(server, &params, &json, RPC_TOPIC_OPERATION, board);
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
    struct strbuf params = STRBUF_INIT;
    struct json_writer json;
    begin(&params, &json, "lease", board);
    json_text(&json, "kind", lease_event_name(event));
    json_text(&json, "identity", terms->identity);
    if (terms->client[0] != '\0') {
        json_text(&json, "client", terms->client);
    }
    if (terms->reason[0] != '\0') {
        json_text(&json, "reason", terms->reason);
    }
    if (holder != NULL) {
        json_text(&json, "since", holder->since);
    }
    if (news.lease->state != LEASE_FREE) {
        char expires[CLOCK_TEXT_SIZE];
        board_lease_expires(board, expires);
        json_text(&json, "expires", expires);
    }
    json_u64(&json, "waiting", news.lease->waiting);
    send_to(server, &params, &json, RPC_TOPIC_LEASE, board, lease_concerns, &news);
}
