/* The event loop over libevent: one event_base, and the graveyard that it empties between callbacks. */
#include "net/loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/list.h"
#include "net/loop_event.h"
#include "net/loop_memory.h"

/* Ten years: what is later never fires, and no arithmetic on it overflows. */
#define MAX_DELAY_S (UINT64_C(10) * 365 * 24 * 3600)

struct loop {
    struct event_base *base;
    struct event *reaper; /* made active by the first burial of a pass */
    struct list graveyard;
    struct list remnants;
    bool stopped;
};

struct grave {
    struct list node;
    void *object;
    void (*free_object)(void *object);
};

struct loop_timer {
    struct event *event;
    void (*fire)(void *context);
    void *context;
};

struct loop_signal {
    struct event *event;
    void (*fire)(void *context);
    void *context;
};

/* Only a broken system, or no memory, makes these calls of libevent fail. */
static void require(bool worked, const char *what)
{
    if (!worked) {
        fprintf(stderr, "ocdmux: libevent: %s failed\n", what);
        abort();
    }
}

/* Buries what `loop` holds now; what a free_object() buries itself waits for the next call. */
static void empty_graveyard(struct loop *loop)
{
    struct list burials;
    list_init(&burials);
    while (!list_is_empty(&loop->graveyard)) {
        list_move_to_end(&burials, loop->graveyard.next);
    }
    while (!list_is_empty(&burials)) {
        struct grave *grave = list_entry(burials.next, struct grave, node);
        list_remove(&grave->node);
        grave->free_object(grave->object);
        free(grave);
    }
}

static void on_reaper(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    empty_graveyard(context);
}

static struct event_base *new_event_base(void)
{
    struct event_config *config = event_config_new();
    require(config != NULL, "event_config_new");
    /* Without these a timer may fire some milliseconds before its time: the coarse clock lags behind, and the
     * cached one behind a callback that took long. */
    require(event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0, "event_config_set_flag");
    require(event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0, "event_config_set_flag");
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    require(base != NULL, "event_base_new_with_config");
    return base;
}

struct loop *loop_new(void)
{
    /* libevent writes with writev(), which knows no MSG_NOSIGNAL. Children that are started must take this
     * back. */
    signal(SIGPIPE, SIG_IGN);
    loop_memory_init();
    struct loop *loop = xcalloc(1, sizeof *loop);
    list_init(&loop->graveyard);
    list_init(&loop->remnants);
    loop->base = new_event_base();
    loop->reaper = event_new(loop->base, -1, 0, on_reaper, loop);
    require(loop->reaper != NULL, "event_new");
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (!list_is_empty(&loop->remnants)) {
        struct loop_remnant *remnant = list_entry(loop->remnants.next, struct loop_remnant, node);
        remnant->end(remnant);
    }
    while (!list_is_empty(&loop->graveyard)) {
        empty_graveyard(loop);
    }
    event_free(loop->reaper);
    /* What libevent has put off holds on to streams that were freed: it lets go of them when that is run, and
     * not when the base is freed. */
    require(event_base_loop(loop->base, EVLOOP_NONBLOCK) >= 0, "event_base_loop");
    event_base_free(loop->base);
    free(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        int result = event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
        require(result >= 0, "event_base_loop");
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    /* libevent forgets a break that comes before the loop runs. */
    loop->stopped = true;
    event_base_loopbreak(loop->base);
}

void loop_bury(struct loop *loop, void *object, void (*free_object)(void *object))
{
    struct grave *grave = xmalloc(sizeof *grave);
    grave->object = object;
    grave->free_object = free_object;
    list_append(&loop->graveyard, &grave->node);
    event_active(loop->reaper, EV_TIMEOUT, 0);
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

void loop_adopt_remnant(struct loop *loop, struct loop_remnant *remnant)
{
    list_append(&loop->remnants, &remnant->node);
}

bool loop_has_remnants(const struct loop *loop)
{
    return !list_is_empty(&loop->remnants);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct loop_timer *timer = context;
    timer->fire(timer->context); /* may have freed the timer */
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*fire)(void *context), void *context)
{
    struct loop_timer *timer = xmalloc(sizeof *timer);
    timer->fire = fire;
    timer->context = context;
    timer->event = evtimer_new(loop->base, on_timer, timer);
    require(timer->event != NULL, "evtimer_new");
    return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    event_free(timer->event);
    free(timer);
}

void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
    uint64_t seconds = delay_ms / 1000;
    if (seconds > MAX_DELAY_S) {
        seconds = MAX_DELAY_S;
    }
    struct timeval delay = {(time_t)seconds, (suseconds_t)(delay_ms % 1000 * 1000)};
    /* This also takes back a firing that is due but has not run yet. */
    require(event_add(timer->event, &delay) == 0, "event_add");
}

void loop_timer_cancel(struct loop_timer *timer)
{
    event_del(timer->event);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return event_pending(timer->event, EV_TIMEOUT, NULL) != 0;
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct loop_signal *caught = context;
    caught->fire(caught->context); /* may have freed it */
}

struct loop_signal *loop_signal_new(struct loop *loop, int number, void (*fire)(void *context), void *context)
{
    struct loop_signal *caught = xmalloc(sizeof *caught);
    caught->fire = fire;
    caught->context = context;
    caught->event = evsignal_new(loop->base, number, on_signal, caught);
    require(caught->event != NULL, "evsignal_new");
    require(event_add(caught->event, NULL) == 0, "event_add");
    return caught;
}

void loop_signal_free(struct loop_signal *signal)
{
    if (signal == NULL) {
        return;
    }
    event_free(signal->event);
    free(signal);
}
