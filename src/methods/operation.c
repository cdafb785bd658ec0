/* operation.list, status, cancel and wait. */
#include <string.h>

#include "methods/handlers_gen.h"
#include "server/request.h"

/* More than these would make one answer too large; operation.status knows all. */
#define LISTED_ENDED 256u

/* Other identities' operations are for admins of their board. */
static bool may_see(struct request *request, const struct operation *operation)
{
    struct board *board = NULL;
    struct err err;
    if (strcmp(operation->identity, request->client->identity) == 0) {
        return true;
    }
    return server_find_board(request->server, operation->board, &board, &err) &&
           client_role(request->client, board) == RPC_ROLE_ADMIN;
}

static bool find(struct request *request, const struct rpc_text *id, struct operation **ret_operation,
                 struct err *err)
{
    struct operation *operation = operations_find(&request->server->operations, id->text);
    if (operation == NULL) {
        err_set(err, ERR_NOT_FOUND,
                "there is no operation \"%s\", or no more: results are kept for %u minutes", id->text,
                OPERATIONS_KEEP_MS / 60000);
        err_add_text(err, "parameter", "operation");
        return false;
    }
    if (!may_see(request, operation)) {
        err_set(err, ERR_FORBIDDEN, "operation %s belongs to another identity: that needs the role admin",
                operation->id);
        err_add_text(err, "role", "admin");
        return false;
    }
    *ret_operation = operation;
    return true;
}

/* The ended ones from `skip` on: the newest. */
static void write_list(struct request *request, const struct list *operations, const char *board, size_t skip,
                       struct json_writer *json)
{
    size_t index = 0;
    list_for_each (node, operations) {
        if (index++ < skip) {
            continue;
        }
        const struct operation *operation = list_entry(node, struct operation, node);
        if ((board == NULL || strcmp(operation->board, board) == 0) && may_see(request, operation)) {
            json_open_object(json, NULL);
            operation_write(operation, json, false);
            json_close_object(json);
        }
    }
}

bool method_operation_list(struct request *request, struct params_operation_list *params, struct err *err)
{
    struct board *board = NULL;
    if (params->board.text != NULL && !request_find_board(request, params->board.text, &board, err)) {
        return false;
    }
    struct json_writer *json = request_reply_begin(request);
    json_open_array(json, "operations");
    size_t ended = request->server->operations.ended_count;
    size_t skip = ended > LISTED_ENDED ? ended - LISTED_ENDED : 0;
    write_list(request, &request->server->operations.active, params->board.text, 0, json);
    write_list(request, &request->server->operations.ended, params->board.text, skip, json);
    json_close_array(json);
    json_bool(json, "truncated", skip > 0);
    request_reply_end(request);
    return true;
}

bool method_operation_status(struct request *request, struct params_operation_status *params, struct err *err)
{
    struct operation *operation = NULL;
    if (!find(request, &params->operation, &operation, err)) {
        return false;
    }
    operation_write(operation, request_reply_begin(request), true);
    request_reply_end(request);
    return true;
}

bool method_operation_cancel(struct request *request, struct params_operation_cancel *params, struct err *err)
{
    struct operation *operation = NULL;
    if (!find(request, &params->operation, &operation, err)) {
        return false;
    }
    bool active = operation->op != NULL;
    if (active) {
        board_cancel(operation->op);
    }
    json_bool(request_reply_begin(request), "found", active);
    request_reply_end(request);
    return true;
}

static void wait_over(void *context)
{
    struct request *request = context;
    struct err err;
    err_set(&err, ERR_TIMEOUT, "the time limit passed before the operation ended");
    request_fail(request, &err);
}

bool method_operation_wait(struct request *request, struct params_operation_wait *params, struct err *err)
{
    struct operation *operation = NULL;
    if (!find(request, &params->operation, &operation, err)) {
        return false;
    }
    if (operation->op == NULL) {
        operation_write(operation, request_reply_begin(request), true);
        request_reply_end(request);
        return true;
    }
    list_append(&operation->waiters, &request->wait_node);
    request->wait_timer = loop_timer_new(request->server->loop, wait_over, request);
    loop_timer_set(request->wait_timer, params->timeout_ms);
    return true;
}
