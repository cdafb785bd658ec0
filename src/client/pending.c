/* Calls with their limits, for blocking calls and event loops alike. */
#include "client/pending.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "client/error.h"

bool pending_begin(struct ocdmux_pending *pending, struct ocdmux *connection, const char *method,
                   const char *params, const struct ocdmux_call_options *options, struct ocdmux_error *error)
{
    *pending = (struct ocdmux_pending){.connection = connection};
    list_init(&pending->node);
    if (options != NULL) {
        pending->options = *options;
    }
    if (!engine_begin(connection->engine, method, params, params == NULL ? 0 : strlen(params),
                      pending->options.progress, &pending->call, error)) {
        return false;
    }
    engine_call_set_handler(pending->call, pending->options.notify, pending->options.arg);
    pending->deadline_us = connection_deadline(pending->options.timeout_ms);
    return true;
}

void pending_cancel(struct ocdmux_pending *pending, bool interrupted)
{
    uint64_t limit = pending->options.cancel_wait_ms;
    if (pending->cancelled) {
        return;
    }
    engine_cancel(pending->call);
    pending->cancelled = true;
    pending->deadline_us = connection_deadline(limit == 0 ? OCDMUX_DEFAULT_CANCEL_WAIT_MS : limit);
    if (interrupted && pending->options.cancelling != NULL) {
        pending->options.cancelling(pending->options.arg);
    }
}

bool pending_is_over(struct ocdmux_pending *pending)
{
    if (engine_call_is_done(pending->call)) {
        return true;
    }
    if (engine_call_is_stopped(pending->call)) {
        pending_cancel(pending, false);
    }
    return clock_now_us() >= pending->deadline_us;
}

static bool pending_give_up(struct ocdmux_pending *pending, bool interrupted, struct ocdmux_error *error)
{
    if (pending->cancelled) {
        return error_set(error, OCDMUX_KIND_CANCELLED,
                         "%s the server had answered the cancel: the request may go on there",
                         interrupted ? "interrupted again before" : "gave up before");
    }
    engine_cancel(pending->call);
    connection_flush(pending->connection);
    return error_set(error, OCDMUX_KIND_TIMEOUT,
                     "no answer within %" PRIu64 " ms; asked the server to cancel the request",
                     pending->options.timeout_ms);
}

bool pending_finish(struct ocdmux_pending *pending, bool interrupted, struct ocdmux_result *ret_result,
                    struct ocdmux_error *error)
{
    bool good = engine_call_is_done(pending->call) ? engine_call_finish(pending->call, ret_result, error)
                                                   : pending_give_up(pending, interrupted, error);
    engine_release(pending->call);
    pending->call = NULL;
    pending->cancelled = true; /* too late now */
    return good;
}
