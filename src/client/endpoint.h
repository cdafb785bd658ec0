/* Where a server is, and a connection to it. */
#ifndef OCDMUX_CLIENT_ENDPOINT_H
#define OCDMUX_CLIENT_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ocdmux.h"

/*
 * A non-blocking, close-on-exec socket that is connected to "tcp:HOST:PORT", "tls:HOST:PORT" (TLS
 * itself is the caller's) or "unix:PATH" before the monotonic time `deadline_us` (base/clock.h). Each of a
 * host's addresses is tried. Fails as ocdmux_open() does.
 */
bool endpoint_connect(const char *server, uint64_t deadline_us, int *ret_fd, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* HOST of "tcp:HOST:PORT" or "tls:HOST:PORT", which endpoint_connect() has taken; the caller frees it. */
char *endpoint_host(const char *server);

#endif
