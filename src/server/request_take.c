/* From a line to its requests: each call is checked before a handler sees it, and what cannot be read is
 * answered. */
#include "server/request_take.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "board/board_lease.h"
#include "rpc/call.h"
#include "rpc/json.h"
#include "server/identity.h"
#include "server/reply.h"
#include "server/request_private.h"

#define SMALL_REQUEST_BYTES (64u * 1024u)

/* Who may. */

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

/* One call. */

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

static bool id_is_taken(struct client *client, struct json_span id)
{
    char *text = xstrndup(id.text, id.length);
    bool taken = id.length > 0 && request_find(client, text) != NULL;
    free(text);
    return taken;
}

/* Small requests are always taken: they are what is needed to look at a daemon that is full, and to cancel.
 */
static bool check_line_room(const struct client *client, const struct rpc_call *call, struct err *err)
{
    return call->params.length <= SMALL_REQUEST_BYTES ||
           request_check_room(client->server, call->params.length, err);
}

static void note_refusal(const struct client *client, const struct rpc_method *method, const struct err *err)
{
    if (audit_wants(method)) {
        audit_refused(client->server->audit, client, method->name, err);
    }
}

static void take_call(struct client *client, struct reply_batch *batch, struct json_span span)
{
    struct rpc_call call;
    struct err err;

    err_reset(&err);
    client->server->counters.requests++;
    if (!rpc_call_parse(span, &call, &err)) {
        reply_refuse(client, batch, call.id, NULL, &err);
        return;
    }
    if (id_is_taken(client, call.id)) {
        /* Answered with id null, so that nobody takes it for the answer to the first request. */
        err_set(&err, ERR_INVALID_REQUEST, "id %.*s: a request with this id is still in flight",
                (int)call.id.length, call.id.text);
        reply_refuse(client, batch, (struct json_span){"", 0}, call.method, &err);
        return;
    }
    if (!check_role(client, call.method, &err)) {
        note_refusal(client, call.method, &err);
        reply_refuse(client, batch, call.id, call.method, &err);
        return;
    }
    if (!check_line_room(client, &call, &err)) {
        reply_refuse(client, batch, call.id, call.method, &err);
        return;
    }
    client->asked = client->asked || call.method != &rpc_methods[RPC_METHOD_SERVER_HELLO];
    struct request *request = request_new(client, batch, &call);
    if (!run_handler(request, call.params, &err)) {
        request_fail(request, &err);
    }
}

/* Lines. */

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
    if (count == 0 || count > REQUEST_MAX_BATCH) {
        if (count == 0) {
            err_set(&err, ERR_INVALID_REQUEST, "a batch without calls");
        } else {
            err_set(&err, ERR_LIMIT_EXCEEDED, "a batch of %zu calls: at most %u are taken", count,
                    REQUEST_MAX_BATCH);
            err_add_text(&err, "limit", "max_batch");
            err_add_integer(&err, "maximum", REQUEST_MAX_BATCH);
        }
        reply_refuse(client, NULL, no_id, NULL, &err);
        return;
    }
    struct reply_batch *batch = reply_batch_new(client);
    json_cursor_init(&cursor, span);
    while (client->state != CLIENT_CLOSED && json_next_element(&cursor, &element)) {
        take_call(client, batch, element);
    }
    reply_batch_release(batch);
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
        reply_refuse(client, NULL, no_id, NULL, &err);
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
    reply_refuse(client, NULL, (struct json_span){"", 0}, NULL, &err);
}
