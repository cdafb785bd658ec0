/* Events: made once as text for each, then copied to every subscriber that has room. */
#include "server/events.h"

static void begin(struct server *server, struct strbuf *line, struct json_writer *json, const char *topic,
                  struct board *board)
{
    json_writer_init(json, line);
    json_open_object(json, NULL);
    json_text(json, "jsonrpc", "2.0");
    json_text(json, "method", "event");
    json_open_object(json, "params");
    json_u64(json, "seq", ++server->event_seq);
    json_text(json, "topic", topic);
    json_text(json, "board", board_name(board));
}

/* A client without room misses the event, and sees so by its number. */
static void finish(struct server *server, struct strbuf *line, struct json_writer *json, enum rpc_topic topic,
                   struct board *board)
{
    uint64_t board_bit = 1ull << server_board_index(server, board);
    json_close_object(json);
    json_close_object(json);
    strbuf_append_byte(line, '\n');
    list_for_each_safe(node, next, &server->clients)
    {
        struct client *client = list_entry(node, struct client, node);
        bool wants = (client->topics & (1ull << topic)) != 0 && (client->topic_boards & board_bit) != 0;
        if (wants && client->state != CLIENT_CLOSED && client_has_room(client)) {
            struct strbuf copy = STRBUF_INIT;
            strbuf_append(&copy, line->data, line->length);
            server->counters.notifications++;
            client_send(client, &copy);
        }
    }
    strbuf_fini(line);
}

void events_link(struct server *server, struct board *board, const char *reason)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin(server, &line, &json, "link", board);
    json_text(&json, "state", board_is_up(board) ? "up" : "down");
    if (reason != NULL) {
        json_text(&json, "reason", reason);
    }
    finish(server, &line, &json, RPC_TOPIC_LINK, board);
}

void events_target(struct server *server, struct board *board, const char *kind, const char *value)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin(server, &line, &json, "target", board);
    json_text(&json, "kind", kind);
    json_text(&json, "value", value);
    finish(server, &line, &json, RPC_TOPIC_TARGET, board);
}

void events_operation(struct server *server, struct board *board, const struct operation *operation)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin(server, &line, &json, "operation", board);
    json_text(&json, "operation", operation->id);
    json_text(&json, "method", operation->method);
    json_text(&json, "state", operation_state_name(operation->state));
    finish(server, &line, &json, RPC_TOPIC_OPERATION, board);
}
