/*
 * Events to the clients that subscribed to their topic, numbered in one row for each connection. A client
 * that does not read loses them (its output is bounded, and so is what is kept for all subscribers together)
 * and gets the event `dropped` in their place, with their number and a snapshot. May be called from anywhere
 * in the server: nothing is called back.
 */
#ifndef OCDMUX_SERVER_EVENTS_H
#define OCDMUX_SERVER_EVENTS_H

#include "board/lease.h"
#include "server/request.h"

void events_link(struct server *server, struct board *board, const char *reason);
void events_target(struct server *server, struct board *board, const char *kind, const char *value);
void events_operation(struct server *server, struct board *board, struct operation *operation);
/* The same where the last one is 100 ms ago. */
void events_progress(struct server *server, struct board *board, struct operation *operation);
void events_queue(struct server *server, struct board *board);
/* A line of the daemon's log. */
void events_log(struct server *server, const char *level, const char *time, const char *text);
/* Of watches of memory; what is NULL or 0 is left out. */
struct events_watch {
    const char *kind;
    const struct client *client; /* whose watch it is */
    uint64_t bytes;
    uint64_t interval_ms;
    uint64_t address; /* with `size` */
    uint64_t size;
    const char *message;
    size_t watches;
};
void events_memory(struct server *server, struct board *board, const struct events_watch *news);
/* A gdb has attached or detached. */
void events_gdb(struct server *server, struct board *board, const char *kind, const char *identity,
                const char *target);
/* To those who wait for the lease, and to whoever it was taken from, also without a subscription. */
void events_lease(struct server *server, struct board *board, enum lease_event event,
                  const struct lease_holder *holder, const struct lease_waiter *waiter);

/* What the client hears of from now on: bits of enum rpc_topic..., and bits of board indexes. */
void events_set_topics(struct client *client, uint64_t topics, uint64_t boards);
/* From now on events may concern it, subscribed or not: it asks for leases. Else nobody looks at it. */
void events_hear(struct client *client);
/* It is CLOSED. */
void events_forget(struct client *client);
/* "snapshot" of the boards that it hears of. */
void events_write_snapshot(const struct client *client, struct json_writer *json);
/* It has room for output again. */
void events_drained(struct client *client);

#endif
