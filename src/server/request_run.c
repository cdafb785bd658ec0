/* A request as an operation on its board: from its place in the queue, over its progress, to its result. */
#include "server/request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/json.h"
#include "server/events.h"
#include "server/reply.h"

#define PROGRESS_EVERY_US 100000u

/* Progress. */

static void begin_progress(struct request *request, struct strbuf *line, struct json_writer *json)
{
    reply_notify_begin(line, json, "progress");
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
    reply_notify_end(request->client, &line, &json);
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
    reply_notify_end(request->client, &line, &json);
    request->progress_us = clock_now_us();
    request->progress_sent = *progress;
}

static bool progress_is_new(const struct request *request, const struct op_progress *progress)
{
    return progress->phase != NULL &&
           (progress->phase != request->progress_sent.phase || progress->done != request->progress_sent.done);
}

/* The operation. */

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
