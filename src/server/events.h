/* Events to the clients that subscribed to their topic, numbered in one row so that a gap shows. */
#ifndef OCDMUX_SERVER_EVENTS_H
#define OCDMUX_SERVER_EVENTS_H

#include "server/request.h"

void events_link(struct server *server, struct board *board, const char *reason);
void events_target(struct server *server, struct board *board, const char *kind, const char *value);
void events_operation(struct server *server, struct board *board, const struct operation *operation);

#endif
