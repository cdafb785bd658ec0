/* Events: made once as text, without their number, then copied to every subscriber that has room. */
#include "server/events.h"

#include <inttypes.h>

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

/* A client without room misses the event, and sees so by the next one's number. */
static void finish(struct server *server, struct strbuf *params, struct json_writer *json,
                   enum rpc_topic topic, struct board *board)
{
    uint64_t board_bit = 1ull << server_board_index(server, board);
    json_close_object(json);
    list_for_each_safe (node, next, &server->clients) {
        struct client *client = list_entry(node, struct client, node);
        bool wants = (client->topics & (1ull << topic)) != 0 && (client->topic_boards & board_bit) != 0;
        if (!wants || client->state == CLIENT_CLOSED) {
            continue;
        }
        client->event_seq++;
        if (client_has_room(client)) {
            send_event(client, params);
        }
    }
    strbuf_fini(params);
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
