/* client.list. */
#include "server/client.h"

#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "server/identity.h"
#include "server/request.h"

/* Whether both have a role on the board. */
static bool share_board(const struct client *asker, const struct client *other, const struct board *board)
{
    return client_role(asker, board) > RPC_ROLE_NONE && client_role(other, board) > RPC_ROLE_NONE;
}

/* One whose TLS handshake goes on is nobody yet. */
static bool may_see(const struct client *asker, const struct client *other)
{
    const struct server *server = asker->server;
    if (other->state == CLIENT_CLOSED || other->identity == NULL) {
        return false;
    }
    bool shared = other == asker || client_is_admin(asker);
    for (size_t i = 0; i < server->board_count && !shared; i++) {
        shared = share_board(asker, other, server->boards[i]);
    }
    return shared;
}

static void write_client(const struct client *asker, const struct client *other, struct json_writer *json)
{
    const struct server *server = asker->server;
    json_open_object(json, NULL);
    json_u64(json, "connection", other->number);
    json_text(json, "identity", other->identity);
    if (other->name[0] != '\0') {
        json_text(json, "client", other->name);
    }
    json_text(json, "role", identity_role_word(other->role));
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        if (share_board(asker, other, server->boards[i])) {
            json_text(json, NULL, board_name(server->boards[i]));
        }
    }
    json_close_array(json);
    json_text(json, "transport", client_transport_name(other->transport));
    if (client_is_admin(asker)) {
        json_text(json, "address", other->peer);
    }
    json_text(json, "since", other->since);
    json_u64(json, "in_flight", other->in_flight);
    json_u64(json, "bytes_in", net_stream_received(other->stream));
    json_u64(json, "bytes_out", net_stream_sent(other->stream));
    write_topics(other->topics, json);
    json_bool(json, "you", other == asker);
    json_close_object(json);
}

/* Those that have requests in flight, or have none; the number of them that there are to see. */
static size_t write_some(const struct client *asker, bool busy, size_t room, struct json_writer *json)
{
    size_t seen = 0;
    list_for_each (node, &asker->server->clients) {
        const struct client *other = list_entry(node, struct client, node);
        if ((other->in_flight > 0) != busy || !may_see(asker, other)) {
            continue;
        }
        if (seen++ < room) {
            write_client(asker, other, json);
        }
    }
    return seen;
}

bool method_client_list(struct request *request, struct params_client_list *params, struct err *err)
{
    (void)err;
    size_t limit = params->limit;
    struct json_writer *json = request_reply_begin(request);
    json_open_array(json, "clients");
    size_t busy = write_some(request->client, true, limit, json);
    size_t idle = write_some(request->client, false, busy < limit ? limit - busy : 0, json);
    json_close_array(json);
    json_u64(json, "total", busy + idle);
    request_reply_end(request);
    return true;
}
