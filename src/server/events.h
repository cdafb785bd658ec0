/* Events to the clients that subscribed to their topic, numbered in one row so that a gap shows. */
#ifndef OCDMUX_SERVER_EVENTS_H
#define OCDMUX_SERVER_EVENTS_H

#include "board/lease.h"
#include "server/request.h"

void events_link(struct server *server, struct board *board, const char *reason);
void events_target(struct server *server, struct board *board, const char *kind, const char *value);
void events_operation(struct server *server, struct board *board, const struct operation *operation);
/* To those who wait for the lease, and to whoever it was taken from, also without a subscription. */
void events_lease(struct server *server, struct board *board, enum lease_event event,
                  const struct lease_holder *holder, const struct lease_waiter *waiter);

#endif
