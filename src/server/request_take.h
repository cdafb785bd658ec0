/* What a client sends, as lines. */
#ifndef OCDMUX_SERVER_REQUEST_TAKE_H
#define OCDMUX_SERVER_REQUEST_TAKE_H

#include <stddef.h>

struct client;

/* Calls of one line. */
#define REQUEST_MAX_BATCH 64u

/* A line of a client: one call or a batch. Answers what cannot be read. */
void request_take_line(struct client *client, const char *line, size_t length);
/* One that was skipped, for it was longer than `client->max_line`. */
void request_line_too_long(struct client *client);

#endif
