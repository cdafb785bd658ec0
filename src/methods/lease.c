/* lease.acquire, renew, release, status and break. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "board/board_lease.h"
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "server/events.h"
#include "server/request.h"

static const char *state_name(enum lease_state state)
{
    switch (state) {
    case LEASE_FREE:
        return "free";
    case LEASE_HELD:
        return "held";
    case LEASE_ABSENT:
        return "absent";
    case LEASE_OVERDUE:
        return "overdue";
    }
    return "?";
}

static void write_terms(const struct lease_terms *terms, struct json_writer *json)
{
    json_text(json, "identity", terms->identity);
    if (terms->client[0] != '\0') {
        json_text(json, "client", terms->client);
    }
    if (terms->reason[0] != '\0') {
        json_text(json, "reason", terms->reason);
    }
}

static void write_volatile(const struct board *board, struct json_writer *json)
{
    if (board_lease_is_volatile(board)) {
        json_bool(json, "volatile", true);
    }
}

static void write_holder(const struct board *board, struct json_writer *json)
{
    const struct lease *lease = board_lease(board);
    char expires[CLOCK_TEXT_SIZE];
    board_lease_expires(board, expires);
    json_open_object(json, "lease");
    json_text(json, "state", state_name(lease->state));
    write_terms(&lease->holder.terms, json);
    json_text(json, "since", lease->holder.since);
    json_text(json, "expires", expires);
    write_volatile(board, json);
    json_close_object(json);
}

void write_lease(const struct board *board, struct json_writer *json)
{
    const struct lease *lease = board_lease(board);
    size_t place = 0;
    if (lease->state != LEASE_FREE) {
        write_holder(board, json);
    }
    json_open_array(json, "lease_queue");
    list_for_each (node, &lease->waiters) {
        json_open_object(json, NULL);
        json_u64(json, "place", ++place);
        const struct lease_waiter *waiter = list_entry(node, const struct lease_waiter, node);
        write_terms(&waiter->terms, json);
        json_text(json, "since", waiter->since);
        json_u64(json, "expected_wait_ms", lease_expected_wait_ms(lease, place, clock_now_us()));
        json_close_object(json);
    }
    json_close_array(json);
    json_bool(json, "require_lease", lease->required);
}

/* What the holder is told. */
static void write_times(const struct board *board, struct json_writer *json)
{
    char expires[CLOCK_TEXT_SIZE];
    board_lease_expires(board, expires);
    json_text(json, "board", board_name(board));
    json_u64(json, "ttl_ms", board_lease(board)->holder.terms.ttl_ms);
    json_text(json, "expires", expires);
    write_volatile(board, json);
}

static void answer_granted(struct request *request, const struct lease_waiter *waiter)
{
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "lease", waiter->id);
    write_times(request->board, json);
    request_reply_end(request);
}

static void on_answered(struct lease_waiter *waiter, enum lease_verdict verdict)
{
    struct request *request = waiter->user;
    struct err err;
    request->lease_waiter = NULL;
    if (verdict == LEASE_OK) {
        answer_granted(request, waiter);
    } else if (verdict == LEASE_GONE) {
        err_set(&err, ERR_CANCELLED, "cancelled: the connection sends no more");
        request_fail(request, &err);
    } else {
        board_lease_busy(request->board, request->client, &err);
        request_fail(request, &err);
    }
    free(waiter);
}

static struct lease_waiter *new_waiter(struct request *request, const struct params_lease_acquire *params)
{
    const struct client *client = request->client;
    struct lease_waiter *waiter = xcalloc(1, sizeof *waiter);
    struct lease_terms *terms = &waiter->terms;
    snprintf(terms->identity, sizeof terms->identity, "%s", client->identity);
    snprintf(terms->client, sizeof terms->client, "%s", client->name);
    snprintf(terms->reason, sizeof terms->reason, "%s",
             params->reason.text != NULL ? params->reason.text : "");
    terms->connection = client;
    terms->ttl_ms = params->ttl_ms;
    terms->detached = params->detach;
    waiter->answered = on_answered;
    waiter->user = request;
    return waiter;
}

bool method_lease_acquire(struct request *request, struct params_lease_acquire *params, struct err *err)
{
    bool waits = false;
    if (!request_find_board(request, params->board.text, &request->board, err)) {
        return false;
    }
    struct lease_waiter *waiter = new_waiter(request, params);
    events_hear(request->client);
    if (!board_lease_acquire(request->board, waiter, params->wait_ms, &waits, err)) {
        free(waiter);
        return false;
    }
    if (waits) {
        request->lease_waiter = waiter;
        return true;
    }
    answer_granted(request, waiter);
    free(waiter);
    return true;
}

bool method_lease_renew(struct request *request, struct params_lease_renew *params, struct err *err)
{
    struct board *board = NULL;
    events_hear(request->client); /* it may become the holder's own connection */
    if (!request_find_board(request, params->board.text, &board, err) ||
        !request_check_lease(request, board, params->lease.text, err) ||
        !board_lease_renew(board, request->client, params->lease.text, params->ttl_ms, err)) {
        return false;
    }
    write_times(board, request_reply_begin(request));
    request_reply_end(request);
    return true;
}

bool method_lease_release(struct request *request, struct params_lease_release *params, struct err *err)
{
    if (!request_find_board(request, params->board.text, &request->board, err) ||
        !request_check_lease(request, request->board, params->lease.text, err) ||
        !board_lease_release(request->board, request->client, params->lease.text, err)) {
        return false;
    }
    json_text(request_reply_begin(request), "board", board_name(request->board));
    request_reply_end(request);
    return true;
}

bool method_lease_status(struct request *request, struct params_lease_status *params, struct err *err)
{
    struct board *board = NULL;
    if (!request_find_board(request, params->board.text, &board, err) ||
        !request_check_lease(request, board, params->lease.text, err)) {
        return false;
    }
    const struct lease *lease = board_lease(board);
    size_t place = lease_place_of(lease, request->client);
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "board", board_name(board));
    json_bool(json, "yours", lease_is_held_by(lease, request->client, params->lease.text));
    if (place != 0) {
        json_u64(json, "place", place);
    }
    write_lease(board, json);
    request_reply_end(request);
    return true;
}

bool method_lease_break(struct request *request, struct params_lease_break *params, struct err *err)
{
    if (!request_find_board(request, params->board.text, &request->board, err)) {
        return false;
    }
    bool broken = board_lease_break(request->board);
    json_bool(request_reply_begin(request), "found", broken);
    request_reply_end(request);
    return true;
}
