/* A loop for one pass. */
#ifndef OCDMUX_TESTS_LOOP_PASS_H
#define OCDMUX_TESTS_LOOP_PASS_H

#include "net/loop.h"

static inline void loop_pass_stop(void *context)
{
    loop_stop(context);
}

/* Lets the timers run that are due. */
static inline void loop_pass(struct loop *loop)
{
    struct loop_timer *stop = loop_timer_new(loop, loop_pass_stop, loop);
    loop_timer_set(stop, 1);
    loop_run(loop);
    loop_timer_free(stop);
}

#endif
