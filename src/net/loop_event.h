/*
 * What the other files of net/ see of the loop behind its contract. Not for anybody else: nothing above net/
 * knows libevent.
 */
#ifndef OCDMUX_NET_LOOP_EVENT_H
#define OCDMUX_NET_LOOP_EVENT_H

#include "base/list.h"
#include "net/loop.h"

struct event_base;

struct event_base *loop_event_base(struct loop *loop);

/* Something that has no owner any more but still works for a while: loop_free() ends what is left of it. */
struct loop_remnant {
    struct list node; /* list_init() before use; list_remove() takes it off the loop's list */
    void (*end)(struct loop_remnant *remnant);
};

/* `end` must take the remnant off the list. */
void loop_adopt_remnant(struct loop *loop, struct loop_remnant *remnant);

#endif
