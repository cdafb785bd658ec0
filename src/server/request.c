/* The life of a request: counted in, answered once, counted out. */
#include "server/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "board/board_lease.h"
#include "rpc/json.h"
#include "server/reply.h"
#include "server/request_private.h"

/* The beginning. */

struct request *request_new(struct client *client, struct reply_batch *batch, const struct rpc_call *call)
{
    struct request *request = xcalloc(1, sizeof *request);
    request->client = client;
    request->server = client->server;
    request->method = call->method;
    request->id = xstrndup(call->id.length > 0 ? call->id.text : "", call->id.length);
    request->held_bytes = call->params.length;
    request->batch = batch;
    list_init(&request->wait_node);
    list_append(&client->requests, &request->node);
    client->in_flight++;
    client->queued_bytes += request->held_bytes;
    client->server->queued_bytes += request->held_bytes;
    if (batch != NULL) {
        reply_batch_hold(batch);
    }
    return request;
}

bool request_check_room(const struct server *server, size_t bytes, struct err *err)
{
    uint64_t limit = server->config->limits.max_total_queued_bytes;
    if (server->queued_bytes + bytes <= limit) {
        return true;
    }
    err_set(
        err, ERR_LIMIT_EXCEEDED,
        "%zu bytes more are too many: the requests of all clients that wait here hold %zu bytes already, of "
        "%llu: try again later",
        bytes, server->queued_bytes, (unsigned long long)limit);
    err_add_text(err, "limit", "max_total_queued_bytes");
    err_add_integer(err, "maximum", limit);
    return false;
}

/* Not the client's own count: its reading would stop, and with it what cancels the request. */
bool request_load(struct request *request, size_t bytes, struct err *err)
{
    if (!request_check_room(request->server, bytes, err)) {
        return false;
    }
    request->loaded_bytes += bytes;
    request->server->queued_bytes += bytes;
    return true;
}

struct request *request_find(struct client *client, const char *id)
{
    list_for_each (node, &client->requests) {
        struct request *request = list_entry(node, struct request, node);
        if (strcmp(request->id, id) == 0) {
            return request;
        }
    }
    return NULL;
}

/* The end. */

static struct json_span id_of(const struct request *request)
{
    return json_span_of(request->id, strlen(request->id));
}

struct json_writer *request_reply_begin(struct request *request)
{
    json_writer_init(&request->json, &request->reply);
    reply_write_head(&request->json, id_of(request));
    json_open_object(&request->json, "result");
    return &request->json;
}

static void free_request(struct request *request)
{
    loop_timer_free(request->wait_timer);
    if (request->stage != NULL) {
        stage_unpin(request->stage);
    }
    if (request->lease_waiter != NULL) {
        board_lease_leave(request->board, request->lease_waiter);
        free(request->lease_waiter);
    }
    list_remove(&request->wait_node);
    strbuf_fini(&request->reply);
    strbuf_fini(&request->audit.params);
    free(request->id);
    free(request->progress_token);
    free(request->target);
    free(request);
}

/* The reply stands in request->reply. */
static void finish(struct request *request)
{
    struct client *client = request->client;
    struct reply_batch *batch = request->batch;

    metrics_count_request(&request->server->metrics, request->method, request->outcome);
    list_remove(&request->node);
    if (client->login == request) {
        client->login = NULL;
    }
    client->in_flight--;
    client->queued_bytes -= request->held_bytes;
    request->server->queued_bytes -= request->held_bytes + request->loaded_bytes;
    if (request->id[0] == '\0') {
        strbuf_fini(&request->reply); /* a notification gets no answer */
    } else {
        reply_send(client, batch, &request->reply);
    }
    if (batch != NULL) {
        reply_batch_release(batch);
    }
    free_request(request);
    client_request_done(client);
}

static void replace_by_error(struct request *request, const struct err *err)
{
    request->server->counters.errors++;
    request->outcome = err->kind;
    strbuf_clear(&request->reply);
    reply_write_error(&request->reply, id_of(request), err);
}

/* The result that stands in the reply. */
static struct json_span result_of(const struct request *request)
{
    struct json_span result = {"", 0};
    if (request->audit.params.length > 0) {
        json_find_member(json_span_of(request->reply.data, request->reply.length), "result", &result);
    }
    return result;
}

void request_reply_end(struct request *request)
{
    json_close_object(&request->json);
    json_close_object(&request->json);
    audit_end(request->server->audit, request, NULL, result_of(request));
    /* A change that was made is not answered as if it had not been. */
    if (!request->method->changes && reply_batch_is_full(request->batch, request->reply.length)) {
        struct err err;
        reply_batch_full_error(&err);
        replace_by_error(request, &err);
    }
    finish(request);
}

void request_reply_whole(struct request *request, struct strbuf *take_json)
{
    json_writer_init(&request->json, &request->reply);
    reply_write_head(&request->json, id_of(request));
    json_raw(&request->json, "result", take_json->data, take_json->length);
    json_close_object(&request->json);
    strbuf_fini(take_json);
    finish(request);
}

void request_fail(struct request *request, const struct err *err)
{
    audit_end(request->server->audit, request, err, (struct json_span){"", 0});
    replace_by_error(request, err);
    finish(request);
}

/* Before its end. */

void request_cancel(struct request *request, const char *reason)
{
    if (request->op != NULL) {
        request->op->cancel_reason = reason;
        board_cancel(request->op);
        return;
    }
    if (request->client->login == request && !request->orphaned) {
        return; /* else the answer to a wrong token would not wait */
    }
    struct err err;
    err_set(&err, ERR_CANCELLED, "cancelled%s%s", reason != NULL ? ": " : "", reason != NULL ? reason : "");
    request_fail(request, &err);
}

void request_orphan(struct request *request)
{
    request->orphaned = true;
    if (request->op != NULL && request->op->detached && request->op->state != OP_QUEUED) {
        return;
    }
    request_cancel(request, NULL);
}
