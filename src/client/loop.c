/* The connection in an event loop of the caller's. */
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/error.h"
#include "client/pending.h"

bool ocdmux_begin_text(struct ocdmux *connection, const char *method, const char *params,
                       const struct ocdmux_call_options *options, struct ocdmux_pending **ret_pending,
                       struct ocdmux_error *error)
{
    struct ocdmux_pending *pending = xcalloc(1, sizeof *pending);
    if (!pending_begin(pending, connection, method, params, options, error)) {
        free(pending);
        return false;
    }
    list_append(&connection->pending, &pending->node);
    if (ret_pending != NULL) {
        *ret_pending = pending;
    }
    return true;
}

bool ocdmux_begin(struct ocdmux *connection, const char *method, const cJSON *params,
                  const struct ocdmux_call_options *options, struct ocdmux_pending **ret_pending,
                  struct ocdmux_error *error)
{
    char *text = params == NULL ? NULL : cJSON_PrintUnformatted(params);
    if (params != NULL && text == NULL) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "the parameters cannot be written as JSON");
    }
    bool good = ocdmux_begin_text(connection, method, text, options, ret_pending, error);
    cJSON_free(text);
    return good;
}

void ocdmux_cancel(struct ocdmux_pending *pending)
{
    pending_cancel(pending, false);
}

int ocdmux_fd(const struct ocdmux *connection)
{
    return transport_fd(connection->transport);
}

short ocdmux_events(const struct ocdmux *connection)
{
    const char *bytes;
    size_t length;
    engine_output(connection->engine, &bytes, &length);
    short events = transport_events(connection->transport, true, length > 0);
    return events == 0 ? POLLIN : events;
}

/* Whether there is something to do that no descriptor tells. */
static bool loop_has_work(const struct ocdmux *connection)
{
    if (transport_events(connection->transport, true, false) == 0) {
        return true;
    }
    list_for_each (node, &connection->pending) {
        const struct ocdmux_pending *pending = list_entry(node, struct ocdmux_pending, node);
        if (engine_call_is_done(pending->call) ||
            (engine_call_is_stopped(pending->call) && !pending->cancelled)) {
            return true;
        }
    }
    return false;
}

int ocdmux_timeout(const struct ocdmux *connection)
{
    uint64_t deadline_us = CONNECTION_NEVER;
    if (loop_has_work(connection)) {
        return 0;
    }
    list_for_each (node, &connection->pending) {
        const struct ocdmux_pending *pending = list_entry(node, struct ocdmux_pending, node);
        deadline_us = pending->deadline_us < deadline_us ? pending->deadline_us : deadline_us;
    }
    return connection_poll_timeout(deadline_us);
}

static void loop_end(struct ocdmux *connection, struct ocdmux_pending *pending)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    list_remove(&pending->node);
    (void)!pending_finish(pending, false, &result, &error);
    if (pending->options.done != NULL) {
        connection->in_handler = true;
        pending->options.done(pending->options.arg, &result, &error);
        connection->in_handler = false;
    }
    ocdmux_result_fini(&result);
    ocdmux_error_fini(&error);
    free(pending);
}

/* Handlers may begin calls, which go to the end of the list, and cancel any; they end none. */
static void loop_end_calls(struct ocdmux *connection)
{
    list_for_each_safe (node, following, &connection->pending) {
        struct ocdmux_pending *pending = list_entry(node, struct ocdmux_pending, node);
        if (pending_is_over(pending)) {
            loop_end(connection, pending);
        }
    }
}

bool ocdmux_process(struct ocdmux *connection, struct ocdmux_error *error)
{
    if (!connection_check_outside(connection, error)) {
        return false;
    }
    if (!engine_has_failed(connection->engine, error)) {
        connection_move(connection);
    }
    loop_end_calls(connection);
    return !engine_has_failed(connection->engine, error);
}
