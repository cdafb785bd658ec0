/*
 * A call with its limits: what may end it besides its answer.
 *
 *     SENT --answer--> over
 *      |  \--deadline: request.cancel--> over, `timeout`
 *      \--cancelled: request.cancel--> CANCELLED --answer--> over
 *                                          \--deadline--> over, `cancelled`
 */
#ifndef OCDMUX_CLIENT_PENDING_H
#define OCDMUX_CLIENT_PENDING_H

#include "client/connection.h"

struct ocdmux_pending {
    struct list node; /* in ocdmux.pending, or in no list: a blocking call's own */
    struct ocdmux *connection;
    struct engine_call *call; /* owned */
    struct ocdmux_call_options options;
    uint64_t deadline_us;
    bool cancelled; /* request.cancel has gone out, the deadline is that of its effect */
};

/* Puts the call into the output. Fails as engine_begin() does. It is ended by pending_finish(). */
bool pending_begin(struct ocdmux_pending *pending, struct ocdmux *connection, const char *method,
                   const char *params, const struct ocdmux_call_options *options, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* Once only. `interrupted`: options.cancelling is to know. */
void pending_cancel(struct ocdmux_pending *pending, bool interrupted);
/* Whether the answer is there, or the time over; cancels where the call's handler wants that. */
bool pending_is_over(struct ocdmux_pending *pending);
/* Its result or error; where the answer is not there it is given up, because of a second interrupt or the
 * deadline. */
bool pending_finish(struct ocdmux_pending *pending, bool interrupted, struct ocdmux_result *ret_result,
                    struct ocdmux_error *error) __attribute__((warn_unused_result));

#endif
