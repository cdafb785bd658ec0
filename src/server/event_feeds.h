/*
 * What is told merged, and never from where it happened: the lengths of the boards' queues, at most ten times
 * a second each and only the newest; and the daemon's log, whose lines may come from anywhere and wait for
 * the loop, a bounded number of them.
 */
#ifndef OCDMUX_SERVER_EVENT_FEEDS_H
#define OCDMUX_SERVER_EVENT_FEEDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "rpc/json_write.h"
#include "server/config.h"

struct board;
struct server;

struct queue_feed {
    struct server *server;
    size_t board;             /* its index */
    struct loop_timer *timer; /* set while there may be something to tell, or the last time is too near */
    uint64_t told_us;
    size_t told; /* board_queued() then; SIZE_MAX: not all have heard of it */
};

struct event_feeds {
    struct queue_feed queues[CONFIG_MAX_BOARDS];
    struct list lines; /* of the log, that wait to be sent */
    size_t line_count;
    size_t lines_left_out; /* behind the last of them */
    struct loop_timer *log_timer;
};

/* The server's loop is set. From now on it takes the log's lines. */
void event_feeds_init(struct server *server);
void event_feeds_fini(struct server *server);
/* Somebody begins to listen, who knows the lengths as they are now: the next change is told in any case. */
void event_feeds_expect(struct server *server);
/* The board's queue may have another length. */
void event_feeds_queue_changed(struct server *server, struct board *board);
/* "queued", and "queue": [{identity, queued}]. */
void event_feeds_write_queue(struct server *server, const struct board *board, struct json_writer *json);

#endif
