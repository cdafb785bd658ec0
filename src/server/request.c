/* From a line to its reply. */
#include "server/request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "board/board_lease.h"
#include "rpc/call.h"
#include "rpc/json.h"
#include "server/events.h"
#include "server/identity.h"
#include "server/watch.h"

#define MAX_BATCH 64u
#define SMALL_REQUEST_BYTES (64u * 1024u)
#define MAX_BATCH_REPLY_BYTES (8u * 1024u * 1024u)
#define PROGRESS_EVERY_US 100000u

/* The calls of one array; answered by one array when the last of them is. */
struct batch {
    struct client *client;
    size_t open; /* calls without an answer, and one while the line is still being read */
    struct strbuf replies;
};

/* Replies. */

static void send_line(struct client *client, struct strbuf *take_line)
{
    strbuf_append_byte(take_line, '\n');
    client_send(client, take_line);
}

static void batch_release(struct batch *batch)
{
    batch->open--;
    if (batch->open > 0) {
        return;
    }
    if (batch->replies.length > 0) {
        strbuf_append_byte(&batch->replies, ']');
        send_line(batch->client, &batch->replies);
    }
    strbuf_fini(&batch->replies);
    free(batch);
}

static void batch_add(struct batch *batch, struct strbuf *take_reply)
{
    strbuf_append_byte(&batch->replies, batch->replies.length == 0 ? '[' : ',');
    strbuf_append(&batch->replies, take_reply->data, take_reply->length);
    strbuf_fini(take_reply);
}

static void send_reply(struct client *client, struct batch *batch, struct strbuf *take_reply)
{
    if (batch != NULL) {
        batch_add(batch, take_reply);
    } else {
        send_line(client, take_reply);
    }
}

static void write_head(struct json_writer *json, const char *id, size_t id_length)
{
    json_open_object(json, NULL);
    json_text(json, "jsonrpc", "2.0");
    if (id_length > 0) {
        json_raw(json, "id", id, id_length);
    } else {
        json_null(json, "id");
    }
}

static void write_error(struct strbuf *out, struct json_span id, const struct err *err)
{
    struct json_writer json;
    json_writer_init(&json, out);
    write_head(&json, id.text, id.length);
    json_error(&json, "error", err);
    json_close_object(&json);
}

/* `method` NULL: nobody knows which. */
static void refuse(struct client *client, struct batch *batch, struct json_span id,
                   const struct rpc_method *method, const struct err *err)
{
    struct strbuf reply = STRBUF_INIT;
    client->server->counters.errors++;
    metrics_count_request(&client->server->metrics, method, err->kind);
    write_error(&reply, id, err);
    send_reply(client, batch, &reply);
}

struct json_writer *request_reply_begin(struct request *request)
{
    json_writer_init(&request->json, &request->reply);
    write_head(&request->json, request->id, strlen(request->id));
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
    struct batch *batch = request->batch;

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
        send_reply(client, batch, &request->reply);
    }
    if (batch != NULL) {
        batch_release(batch);
    }
    free_request(request);
    client_request_done(client);
}

static void replace_by_error(struct request *request, const struct err *err)
{
    request->server->counters.errors++;
    request->outcome = err->kind;
    strbuf_clear(&request->reply);
    write_error(&request->reply, (struct json_span){request->id, strlen(request->id)}, err);
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
    bool may_refuse = request->batch != NULL && !request->method->changes;
    if (may_refuse && request->batch->replies.length + request->reply.length > MAX_BATCH_REPLY_BYTES) {
        struct err err;
        err_set(&err, ERR_LIMIT_EXCEEDED, "the answers of this batch would be longer than %u bytes",
                MAX_BATCH_REPLY_BYTES);
        err_add_text(&err, "limit", "max_batch_reply_bytes");
        replace_by_error(request, &err);
    }
    finish(request);
}

void request_reply_whole(struct request *request, struct strbuf *take_json)
{
    json_writer_init(&request->json, &request->reply);
    write_head(&request->json, request->id, strlen(request->id));
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

/* Notifications. */

void request_notify_begin(struct request *request, struct strbuf *line, struct json_writer *json,
                          const char *method)
{
    (void)request;
    json_writer_init(json, line);
    json_open_object(json, NULL);
    json_text(json, "jsonrpc", "2.0");
    json_text(json, "method", method);
    json_open_object(json, "params");
}

void request_notify_end(struct request *request, struct strbuf *take_line, struct json_writer *json)
{
    json_close_object(json);
    json_close_object(json);
    request->server->counters.notifications++;
    send_line(request->client, take_line);
}

static void begin_progress(struct request *request, struct strbuf *line, struct json_writer *json)
{
    request_notify_begin(request, line, json, "progress");
    json_raw(json, "token", request->progress_token, strlen(request->progress_token));
    json_text(json, "operation", request->operation->id);
}

/* The first one: `place` operations go before it. */
static void send_queued(struct request *request, size_t place)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin_progress(request, &line, &json);
    json_text(&json, "phase", "queued");
    json_u64(&json, "done", 0);
    json_text(&json, "unit", "operations");
    json_u64(&json, "place", place);
    request_notify_end(request, &line, &json);
    request->progress_us = clock_now_us();
}

static void send_progress(struct request *request, const struct op_progress *progress)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin_progress(request, &line, &json);
    json_text(&json, "phase", progress->phase);
    json_u64(&json, "done", progress->done);
    if (progress->total > 0) {
        json_u64(&json, "total", progress->total);
    }
    json_text(&json, "unit", progress->unit);
    request_notify_end(request, &line, &json);
    request->progress_us = clock_now_us();
    request->progress_sent = *progress;
}

static bool progress_is_new(const struct request *request, const struct op_progress *progress)
{
    return progress->phase != NULL &&
           (progress->phase != request->progress_sent.phase || progress->done != request->progress_sent.done);
}

/* Operations. */

struct request *request_of(const struct op *op)
{
    return op->owner == &request_op_owner ? op->owner_context : NULL;
}

static void on_began(void *context, struct op *op)
{
    const struct request *request = context;
    struct operation *operation = request->operation;
    (void)op;
    if (operation != NULL) {
        operation->state = OPERATION_RUNNING;
        events_operation(request->server, request->board, operation);
    }
}

static void note_progress(struct request *request, const struct op *op)
{
    if (request->operation != NULL) {
        request->operation->progress = op->progress;
    }
}

static void on_progress(void *context, struct op *op)
{
    struct request *request = context;
    note_progress(request, op);
    if (request->operation != NULL) {
        events_progress(request->server, request->board, request->operation);
    }
    bool due = clock_now_us() - request->progress_us >= PROGRESS_EVERY_US;
    if (request->progress_token != NULL && due && progress_is_new(request, &op->progress) &&
        client_has_room(request->client)) {
        send_progress(request, &op->progress);
    }
}

/* Answers those who wait for the operation's end (operation.wait). */
static void answer_waiters(struct operation *operation)
{
    while (!list_is_empty(&operation->waiters)) {
        struct request *waiter = list_entry(operation->waiters.next, struct request, wait_node);
        list_remove(&waiter->wait_node);
        operation_write(operation, request_reply_begin(waiter), true);
        request_reply_end(waiter);
    }
}

static void end_record(struct request *request, const struct err *err, size_t result_begin)
{
    struct operation *operation = request->operation;
    struct strbuf text = STRBUF_INIT;
    if (err == NULL) {
        strbuf_append_byte(&text, '{');
        strbuf_append(&text, request->reply.data + result_begin, request->reply.length - result_begin);
        strbuf_append_byte(&text, '}');
        operations_end(&request->server->operations, operation, OPERATION_DONE, &text, NULL);
    } else {
        struct json_writer json;
        json_writer_init(&json, &text);
        json_error(&json, NULL, err);
        operations_end(&request->server->operations, operation,
                       err->kind == ERR_CANCELLED ? OPERATION_CANCELLED : OPERATION_FAILED, NULL, &text);
    }
    strbuf_fini(&text);
    events_operation(request->server, request->board, operation);
    answer_waiters(operation);
}

static void on_ended(void *context, struct op *op, const struct err *err)
{
    struct request *request = context;
    struct err failure;
    size_t result_begin = 0;

    if (op->started_us != 0) {
        note_progress(request, op);
        if (request->progress_token != NULL && progress_is_new(request, &op->progress)) {
            send_progress(request, &op->progress);
        }
    }
    request->op = NULL;
    if (err == NULL) {
        struct json_writer *json = request_reply_begin(request);
        result_begin = request->reply.length;
        request->write_result(request, op, json);
        if (op->class->long_read) {
            json_bool(json, "disturbed", board_op_disturbed(op));
        }
        if (request->operation != NULL) {
            json_text(json, "operation", request->operation->id);
        }
    } else {
        failure = *err;
        if (request->operation != NULL) {
            err_add_text(&failure, "operation", request->operation->id);
        }
    }
    if (request->operation != NULL) {
        end_record(request, err == NULL ? NULL : &failure, result_begin);
    }
    if (err == NULL) {
        request_reply_end(request);
    } else {
        log_debug("board %s, client %s, %s: %s", board_name(request->board), request->client->peer,
                  request->method->name, err->message);
        request_fail(request, &failure);
    }
}

const struct op_owner request_op_owner = {.began = on_began, .progress = on_progress, .ended = on_ended};

bool request_run(struct request *request, struct op *take_op, request_result *write_result)
{
    struct server *server = request->server;
    struct board *board = request->board;
    size_t place = server_queued(server, board);
    struct err err;

    err_reset(&err);
    if (!client_may_queue(request->client, board, &err) || !audit_begin(server->audit, request, &err)) {
        op_free(take_op);
        request_fail(request, &err);
        return true;
    }
    if (take_op->target[0] == '\0') {
        snprintf(take_op->target, sizeof take_op->target, "%s", request->target);
    }
    assert(!take_op->class->changes || request->method->changes); /* the lease was asked for */
    take_op->connection = request->client;
    take_op->lease_number = request->lease_number;
    request->op = take_op;
    request->write_result = write_result;
    if (take_op->class->long_running) {
        request->operation = operations_add(&server->operations, board_name(board), request->method->name,
                                            request->client->identity, request->client->name, take_op);
        request->operation->changes = request->method->changes;
        events_operation(server, board, request->operation);
    }
    if (request->progress_token != NULL && request->operation == NULL) {
        free(request->progress_token); /* progress names an operation, and short ones have no id */
        request->progress_token = NULL;
    }
    if (request->progress_token != NULL) {
        send_queued(request, place);
    }
    board_submit(board, client_queue(request->client, board), take_op, &request_op_owner, request,
                 request->timeout_ms);
    return true;
}

void request_cancel(struct request *request)
{
    if (request->op != NULL) {
        board_cancel(request->op);
        return;
    }
    if (request->client->login == request && !request->orphaned) {
        return; /* else the answer to a wrong token would not wait */
    }
    struct err err;
    err_set(&err, ERR_CANCELLED, "cancelled");
    request_fail(request, &err);
}

void request_orphan(struct request *request)
{
    request->orphaned = true;
    if (request->op != NULL && request->op->detached && request->op->state != OP_QUEUED) {
        return;
    }
    request_cancel(request);
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

/* Calls. */

static bool refuse_role(const struct client *client, const struct rpc_method *method, enum rpc_role has,
                        const char *where, struct err *err)
{
    err_set(err, ERR_FORBIDDEN, "%s needs the role %s; %s has the role %s%s%s", method->name,
            identity_role_word(method->role), client->identity, identity_role_word(has),
            where[0] != '\0' ? " on " : "", where);
    err_add_text(err, "role", identity_role_word(method->role));
    return false;
}

/* What can be said before the board is known: that the role suffices nowhere. */
static bool check_role(const struct client *client, const struct rpc_method *method, struct err *err)
{
    if (method == &rpc_methods[RPC_METHOD_SERVER_HELLO] || client->role >= method->role) {
        return true;
    }
    if (client->role == RPC_ROLE_NONE && strcmp(client->identity, CONFIG_ANONYMOUS) == 0) {
        return err_set(err, ERR_UNAUTHENTICATED,
                       "nobody knows who this is: call server.hello with a token first");
    }
    return refuse_role(client, method, client->role, "", err);
}

bool request_find_board(struct request *request, const char *name, struct board **ret_board, struct err *err)
{
    struct board *board = NULL;
    if (!server_find_board(request->server, name, &board, err)) {
        return false;
    }
    enum rpc_role has = client_role(request->client, board);
    if (has < request->method->role) {
        return refuse_role(request->client, request->method, has, board_name(board), err);
    }
    *ret_board = board;
    return true;
}

bool request_check_lease(const struct request *request, const struct board *board, const char *id,
                         struct err *err)
{
    const struct client *client = request->client;
    const struct lease *lease = board_lease(board);
    const char *holder = lease->holder.terms.identity;
    if (id == NULL || !lease_is_held_by(lease, NULL, id) || strcmp(holder, client->identity) == 0 ||
        client_role(client, board) >= RPC_ROLE_ADMIN) {
        return true;
    }
    err_set(err, ERR_FORBIDDEN, "the lease is one of %s: %s can name it only as an admin of the board",
            holder, client->identity);
    err_add_text(err, "role", identity_role_word(RPC_ROLE_ADMIN));
    return false;
}

static bool take_common(struct request *request, struct rpc_common *common, struct err *err)
{
    request->timeout_ms = common->timeout_ms != 0 ? common->timeout_ms : request->method->default_timeout_ms;
    request->progress_token = common->progress.text;
    common->progress.text = NULL;
    request->target = common->target.text != NULL ? common->target.text : xstrdup("");
    common->target.text = NULL;
    return request_find_board(request, common->board.text, &request->board, err) &&
           request_check_lease(request, request->board, common->lease.text, err) &&
           board_lease_admit(request->board, request->client, common->lease.text, request->method->changes,
                             &request->lease_number, err);
}

static bool run_handler(struct request *request, struct json_span params_span, struct err *err)
{
    const struct rpc_method *method = request->method;
    void *params = xcalloc(1, method->params_size > 0 ? method->params_size : 1);
    bool ok = false;

    if (rpc_params_parse(method, params_span, params, err)) {
        audit_take(request->server->audit, request, params_span);
        if (!method->board || take_common(request, params, err)) {
            ok = request->server->handlers[method - rpc_methods](request, params, err);
        }
        rpc_params_fini(method, params);
    }
    free(params);
    return ok;
}

static struct request *new_request(struct client *client, struct batch *batch, const struct rpc_call *call)
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
        batch->open++;
    }
    return request;
}

static bool id_is_taken(struct client *client, struct json_span id)
{
    char *text = xstrndup(id.text, id.length);
    bool taken = id.length > 0 && request_find(client, text) != NULL;
    free(text);
    return taken;
}

static bool check_room(const struct server *server, size_t bytes, struct err *err)
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

/* Small requests are always taken: they are what is needed to look at a daemon that is full, and to cancel.
 */
static bool check_line_room(const struct client *client, const struct rpc_call *call, struct err *err)
{
    return call->params.length <= SMALL_REQUEST_BYTES || check_room(client->server, call->params.length, err);
}

/* Not the client's own count: its reading would stop, and with it what cancels the request. */
bool request_load(struct request *request, size_t bytes, struct err *err)
{
    if (!check_room(request->server, bytes, err)) {
        return false;
    }
    request->loaded_bytes += bytes;
    request->server->queued_bytes += bytes;
    return true;
}

static void note_refusal(const struct client *client, const struct rpc_method *method, const struct err *err)
{
    if (method->changes) {
        audit_refused(client->server->audit, client, method->name, err);
    }
}

static void take_call(struct client *client, struct batch *batch, struct json_span span)
{
    struct rpc_call call;
    struct err err;

    err_reset(&err);
    client->server->counters.requests++;
    if (!rpc_call_parse(span, &call, &err)) {
        refuse(client, batch, call.id, NULL, &err);
        return;
    }
    if (id_is_taken(client, call.id)) {
        /* Answered with id null, so that nobody takes it for the answer to the first request. */
        err_set(&err, ERR_INVALID_REQUEST, "id %.*s: a request with this id is still in flight",
                (int)call.id.length, call.id.text);
        refuse(client, batch, (struct json_span){"", 0}, call.method, &err);
        return;
    }
    if (!check_role(client, call.method, &err)) {
        note_refusal(client, call.method, &err);
        refuse(client, batch, call.id, call.method, &err);
        return;
    }
    if (!check_line_room(client, &call, &err)) {
        refuse(client, batch, call.id, call.method, &err);
        return;
    }
    client->asked = client->asked || call.method != &rpc_methods[RPC_METHOD_SERVER_HELLO];
    struct request *request = new_request(client, batch, &call);
    if (!run_handler(request, call.params, &err)) {
        request_fail(request, &err);
    }
}

static void take_batch(struct client *client, struct json_span span)
{
    struct json_cursor cursor;
    struct json_span element;
    struct json_span no_id = {"", 0};
    struct err err;
    size_t count = 0;

    json_cursor_init(&cursor, span);
    while (json_next_element(&cursor, &element)) {
        count++;
    }
    if (count == 0 || count > MAX_BATCH) {
        if (count == 0) {
            err_set(&err, ERR_INVALID_REQUEST, "a batch without calls");
        } else {
            err_set(&err, ERR_LIMIT_EXCEEDED, "a batch of %zu calls: at most %u are taken", count, MAX_BATCH);
            err_add_text(&err, "limit", "max_batch");
            err_add_integer(&err, "maximum", MAX_BATCH);
        }
        refuse(client, NULL, no_id, NULL, &err);
        return;
    }
    struct batch *batch = xcalloc(1, sizeof *batch);
    batch->client = client;
    batch->open = 1;
    json_cursor_init(&cursor, span);
    while (client->state != CLIENT_CLOSED && json_next_element(&cursor, &element)) {
        take_call(client, batch, element);
    }
    batch_release(batch);
}

void request_take_line(struct client *client, const char *line, size_t length)
{
    struct json_problem problem;
    struct json_span no_id = {"", 0};

    if (!json_check(line, length, &problem)) {
        struct err err;
        err_set(&err, problem.limit ? ERR_INVALID_REQUEST : ERR_PARSE_ERROR, "byte %zu of the line: %s",
                problem.offset, problem.reason);
        if (!problem.limit) {
            err_add_integer(&err, "offset", problem.offset);
        }
        client->server->counters.lines_refused++;
        refuse(client, NULL, no_id, NULL, &err);
        return;
    }
    struct json_span span = json_span_of(line, length);
    if (json_span_kind(span) == JSON_ARRAY) {
        take_batch(client, span);
    } else {
        take_call(client, NULL, span);
    }
}

void request_line_too_long(struct client *client)
{
    struct err err;
    uint64_t limit = client->max_line;
    err_set(&err, ERR_LINE_TOO_LONG, "a line longer than %llu bytes was skipped", (unsigned long long)limit);
    err_add_integer(&err, "maximum", limit);
    client->server->counters.lines_refused++;
    refuse(client, NULL, (struct json_span){"", 0}, NULL, &err);
}
