/* What blocking functions and those of an event loop share: the connection and one move of its bytes. */
#ifndef OCDMUX_CLIENT_CONNECTION_H
#define OCDMUX_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "client/engine.h"
#include "client/ocdmux.h"
#include "client/transport.h"

/* A later time than any clock shows. */
#define CONNECTION_NEVER UINT64_MAX

struct ocdmux {
    struct transport *transport;
    int interrupt_fd;
    size_t interrupts; /* that came together with an answer: for the next call */
    char *server;
    struct engine *engine;
    char *buffer;        /* CONNECTION_READ_BYTES */
    struct list pending; /* struct ocdmux_pending, in the order in which they began */
    bool in_handler;     /* one of the caller's handlers runs */
    struct ocdmux_limits limits;
};

/* `timeout_ms` from now, 0: CONNECTION_NEVER. */
uint64_t connection_deadline(uint64_t timeout_ms);
/* The rest of the time until `deadline_us` for poll(), at most a minute; -1 for CONNECTION_NEVER. */
int connection_poll_timeout(uint64_t deadline_us);
/* Sends and receives once, as far as that goes without blocking; handlers are called. A failure stays in the
 * engine. */
void connection_move(struct ocdmux *connection);
/* Sends what goes without blocking; a failure shows at the next move. */
void connection_flush(struct ocdmux *connection);
/* Refuses what a handler may not do. */
bool connection_check_outside(const struct ocdmux *connection, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

#endif
