/*
 * The protocol without sockets and clocks: bytes in, bytes out, calls and notifications. What blocks is built
 * on it (connection.c), and so can be what runs in an event loop:
 *
 *     engine_begin() --> output bytes --> (socket) --> engine_input() --> calls end, handlers are called
 *
 * A call:   WAITING --answer--> DONE --engine_release()--> gone
 *              |  \--engine_release()--> ABANDONED --answer--> gone
 *              \--the engine fails--> DONE
 *
 * Once something is wrong with the connection the engine has failed for good: every call is done with that
 * error.
 */
#ifndef OCDMUX_CLIENT_ENGINE_H
#define OCDMUX_CLIENT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ocdmux.h"

struct engine;
struct engine_call;

struct engine *engine_new(void);
/* Frees every call as well. NULL is allowed. */
void engine_free(struct engine *engine);

/* Lines longer than this, without their LF, are refused by engine_begin(); 0, as at the start: without limit.
 */
void engine_set_max_line(struct engine *engine, size_t bytes);
/* Gets the notifications that belong to no call; see ocdmux_set_event_handler(). */
void engine_set_event_handler(struct engine *engine, ocdmux_notification_fn *handler, void *arg);
/* Whether an event handler has returned false since this was asked last. */
bool engine_take_event_stop(struct engine *engine);

/*
 * Puts a call into the output. `params` is the text of an object, or NULL. `progress` asks for progress by
 * the call's own id as the token. Fails with invalid_params, line_too_long, or the engine's failure. The
 * caller releases the call.
 */
bool engine_begin(struct engine *engine, const char *method, const char *params, size_t params_length,
                  bool progress, struct engine_call **ret_call, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
uint64_t engine_call_id(const struct engine_call *call);
/* Gets the call's `progress` and `data`; one that returned false is not called again. */
void engine_call_set_handler(struct engine_call *call, ocdmux_notification_fn *handler, void *arg);
/* Whether the call's handler has returned false. */
bool engine_call_is_stopped(const struct engine_call *call);
bool engine_call_is_done(const struct engine_call *call);
/* Of a call that is done: hands over its result, or fails with its error. */
bool engine_call_finish(struct engine_call *call, struct ocdmux_result *ret_result,
                        struct ocdmux_error *error) __attribute__((warn_unused_result));
/* The caller wants nothing more of it; the answer to a call that is not done will be dropped. */
void engine_release(struct engine_call *call);
/* Puts a `request.cancel` for a call that is not done into the output, its answer is dropped. Does nothing
 * after a failure. */
void engine_cancel(struct engine_call *call);

/* The bytes to send; valid until the next call of anything here. */
void engine_output(const struct engine *engine, const char **ret_bytes, size_t *ret_length);
void engine_output_sent(struct engine *engine, size_t length);

/* Takes bytes of any cut; handlers are called from here. False with the error once the engine has failed. */
bool engine_input(struct engine *engine, const char *bytes, size_t length, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* The connection is gone, `reason` says how ("the server closed the connection"). */
void engine_fail_lost(struct engine *engine, const char *reason);
/* Whether it has failed; then `error` says how. */
bool engine_has_failed(const struct engine *engine, struct ocdmux_error *error);

#endif
