/* Waiting for the states of targets. */
#include "server/target_waits.h"

#include <string.h>

static const struct ocd_target *target_of(const struct request *request)
{
    return ocd_info_find_target(board_info(request->board), request->target);
}

static void wait_over(void *context)
{
    struct request *request = context;
    const struct ocd_target *target = target_of(request);
    struct err err;
    if (target == NULL) {
        err_set(&err, ERR_TIMEOUT, "the time limit passed, and no such target was seen");
    } else {
        err_set(&err, ERR_TIMEOUT, "the time limit passed before %s was %s: it is %s", target->name,
                request->wait_state, target->state);
        err_add_text(&err, "target", target->name);
        err_add_text(&err, "state", target->state);
    }
    err_add_integer(&err, "timeout_ms", request->timeout_ms);
    request_fail(request, &err);
}

bool target_waits_add(struct request *request, const char *state)
{
    request->wait_state = state;
    list_append(&request->server->target_waits, &request->wait_node);
    request->wait_timer = loop_timer_new(request->server->loop, wait_over, request);
    loop_timer_set(request->wait_timer, request->timeout_ms);
    board_look(request->board);
    return true;
}

static void answer(struct request *request, const struct ocd_target *target)
{
    list_remove(&request->wait_node);
    if (target == NULL) {
        struct err err;
        err_set(&err, ERR_NOT_FOUND, "the board has no target%s%s%s", request->target[0] != '\0' ? " \"" : "",
                request->target, request->target[0] != '\0' ? "\"" : "");
        err_add_text(&err, "parameter", "target");
        request_fail(request, &err);
        return;
    }
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "target", target->name);
    json_text(json, "state", target->state);
    request_reply_end(request);
}

/* The first whose waiting is over. Answering it may end others, so each look starts from the beginning. */
static struct request *find_ready(struct server *server, const struct board *board)
{
    list_for_each (node, &server->target_waits) {
        struct request *request = list_entry(node, struct request, wait_node);
        if (request->board != board) {
            continue;
        }
        const struct ocd_target *target = target_of(request);
        if (target == NULL || strcmp(target->state, request->wait_state) == 0) {
            return request;
        }
    }
    return NULL;
}

bool target_waits_look(struct server *server, struct board *board)
{
    struct request *ready;
    while ((ready = find_ready(server, board)) != NULL) {
        answer(ready, target_of(ready));
    }
    list_for_each (node, &server->target_waits) {
        if (list_entry(node, struct request, wait_node)->board == board) {
            return true;
        }
    }
    return false;
}
