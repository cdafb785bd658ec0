/*
 * The event loop: timers, signals, and a graveyard for what may not be freed under its own callback. One
 * thread.
 */
#ifndef OCDMUX_NET_LOOP_H
#define OCDMUX_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct loop_timer;
struct loop_signal;

struct loop *loop_new(void);
/* Frees what is buried; streams, listeners, timers and signals must be gone by then. */
void loop_free(struct loop *loop);
/* Returns after loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Calls free_object(object) once the callbacks that are now on the stack have returned. */
void loop_bury(struct loop *loop, void *object, void (*free_object)(void *object));

/* A timer that is not set yet. `fire` runs once for each time it is set. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*fire)(void *context), void *context);
/* Allowed inside its own callback. NULL is allowed. */
void loop_timer_free(struct loop_timer *timer);
/* Fires once, `delay_ms` from now (0: in the next pass of the loop); replaces an earlier setting. */
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_cancel(struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Whether something that has no owner any more still works: streams that send what was written to them. What
 * is left of it ends with loop_free(). */
bool loop_has_remnants(const struct loop *loop);

/* `fire` runs in the loop each time the process gets `number` (SIGTERM, ...). */
struct loop_signal *loop_signal_new(struct loop *loop, int number, void (*fire)(void *context),
                                    void *context);
void loop_signal_free(struct loop_signal *signal);

#endif
