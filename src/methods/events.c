/* events.subscribe and events.unsubscribe. */
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "server/request.h"

static void write_topics(uint64_t topics, struct json_writer *json)
{
    static const char *const words[] = {[RPC_TOPIC_TARGET] = "target",
                                        [RPC_TOPIC_LINK] = "link",
                                        [RPC_TOPIC_OPERATION] = "operation",
                                        [RPC_TOPIC_LEASE] = "lease"};
    json_open_array(json, "topics");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((topics & (1ull << i)) != 0) {
            json_text(json, NULL, words[i]);
        }
    }
    json_close_array(json);
}

bool method_events_subscribe(struct request *request, struct params_events_subscribe *params, struct err *err)
{
    struct server *server = request->server;
    struct client *client = request->client;
    struct board *only = NULL;
    if (params->board.text != NULL && !request_find_board(request, params->board.text, &only, err)) {
        return false;
    }
    client->topics |= params->topics;
    client->topic_boards |= only != NULL ? 1ull << server_board_index(server, only) : UINT64_MAX;
    struct json_writer *json = request_reply_begin(request);
    write_topics(client->topics, json);
    json_u64(json, "seq", client->event_seq);
    json_open_object(json, "snapshot");
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        struct board *board = server->boards[i];
        if ((only == NULL || only == board) && client_role(client, board) > RPC_ROLE_NONE) {
            json_open_object(json, NULL);
            write_board_status(board, json);
            json_close_object(json);
        }
    }
    json_close_array(json);
    json_close_object(json);
    request_reply_end(request);
    return true;
}

bool method_events_unsubscribe(struct request *request, struct params_events_unsubscribe *params,
                               struct err *err)
{
    struct client *client = request->client;
    (void)err;
    client->topics &= params->topics_given ? ~params->topics : 0;
    if (client->topics == 0) {
        client->topic_boards = 0;
    }
    write_topics(client->topics, request_reply_begin(request));
    request_reply_end(request);
    return true;
}
