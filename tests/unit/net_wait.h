/* Running the loop until something has happened, with a limit; for the tests of net/. */
#ifndef OCDMUX_TESTS_NET_WAIT_H
#define OCDMUX_TESTS_NET_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

/* The limit of a wait: turns of about a millisecond each. Nothing here takes more than a small part of it. */
#define NET_WAIT_TURNS 10000u

struct net_wait {
    struct loop *loop;
    struct loop_timer *timer;
    bool (*is_done)(void *context);
    void *context;
    unsigned turns;
    bool done;
};

static inline void net_wait_turn(void *context)
{
    struct net_wait *wait = context;
    wait->done = wait->is_done(wait->context);
    wait->turns++;
    if (wait->done || wait->turns >= NET_WAIT_TURNS) {
        loop_stop(wait->loop);
        return;
    }
    loop_timer_set(wait->timer, wait->turns < 16 ? 0 : 1);
}

/* Runs the loop until `is_done(context)`; false if that did not come within the limit. */
static inline bool net_wait_until(struct loop *loop, bool (*is_done)(void *context), void *context)
{
    struct net_wait wait = {.loop = loop, .is_done = is_done, .context = context};
    wait.timer = loop_timer_new(loop, net_wait_turn, &wait);
    loop_timer_set(wait.timer, 0);
    loop_run(loop);
    loop_timer_free(wait.timer);
    return wait.done;
}

static inline bool net_wait_turns_passed(void *context)
{
    unsigned *turns = context;
    return (*turns)-- == 0;
}

/* Lets the loop turn some times, to show that something does not happen. */
static inline void net_wait_idle(struct loop *loop)
{
    unsigned turns = 12;
    (void)net_wait_until(loop, net_wait_turns_passed, &turns);
}

#endif
