/* events.subscribe and events.unsubscribe. */
#include "server/events.h"

#include "methods/handlers_gen.h"
#include "methods/write.h"

void write_topics(uint64_t topics, struct json_writer *json)
{
    static const char *const words[] = {
        [RPC_TOPIC_TARGET] = "target", [RPC_TOPIC_LINK] = "link",   [RPC_TOPIC_OPERATION] = "operation",
        [RPC_TOPIC_LEASE] = "lease",   [RPC_TOPIC_QUEUE] = "queue", [RPC_TOPIC_LOG] = "log",
        [RPC_TOPIC_MEMORY] = "memory", [RPC_TOPIC_GDB] = "gdb"};
    json_open_array(json, "topics");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((topics & (1ull << i)) != 0) {
            json_text(json, NULL, words[i]);
        }
    }
    json_close_array(json);
}

/* The log is of no board, and may speak of each. */
static bool check_log(const struct client *client, uint64_t topics, struct err *err)
{
    if ((topics & (1ull << RPC_TOPIC_LOG)) == 0 || client_is_admin(client)) {
        return true;
    }
    err_set(err, ERR_FORBIDDEN, "the topic log needs the role admin on every board");
    err_add_text(err, "role", "admin");
    return false;
}

bool method_events_subscribe(struct request *request, struct params_events_subscribe *params, struct err *err)
{
    struct client *client = request->client;
    struct board *only = NULL;
    if (params->board.text != NULL && !request_find_board(request, params->board.text, &only, err)) {
        return false;
    }
    if (!check_log(client, params->topics, err)) {
        return false;
    }
    uint64_t boards = only != NULL ? 1ull << server_board_index(request->server, only) : UINT64_MAX;
    events_set_topics(client, client->topics | params->topics, client->topic_boards | boards);
    event_feeds_expect(request->server);
    struct json_writer *json = request_reply_begin(request);
    write_topics(client->topics, json);
    json_u64(json, "seq", client->event_seq);
    events_write_snapshot(client, json);
    request_reply_end(request);
    return true;
}

bool method_events_unsubscribe(struct request *request, struct params_events_unsubscribe *params,
                               struct err *err)
{
    struct client *client = request->client;
    (void)err;
    uint64_t topics = params->topics_given ? client->topics & ~params->topics : 0;
    events_set_topics(client, topics, topics != 0 ? client->topic_boards : 0);
    write_topics(client->topics, request_reply_begin(request));
    request_reply_end(request);
    return true;
}
