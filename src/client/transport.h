/*
 * The bytes to a server and back: a socket, with TLS over it or not, or the standard input and output of an
 * ssh. Nothing here blocks but opening and closing.
 */
#ifndef OCDMUX_CLIENT_TRANSPORT_H
#define OCDMUX_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/ocdmux.h"

struct transport;

/* Connects before the monotonic time `deadline_us` (base/clock.h). `tls` may be NULL. Fails as ocdmux_open()
 * does. */
bool transport_open(const char *server, const struct ocdmux_tls *tls, uint64_t deadline_us,
                    struct transport **ret_transport, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* NULL is allowed. */
void transport_close(struct transport *transport);

int transport_fd(const struct transport *transport);
/* What poll() is to wait for, for reading and, if `writing`, for writing; short of that no call of
 * transport_read() or transport_write() gets anywhere. 0 if there is something to read without waiting. */
short transport_events(const struct transport *transport, bool reading, bool writing);

/* As recv() and send() of a non-blocking socket: bytes moved, 0 at the end, or -1 with errno; where errno is
 * EPROTO, transport_reason() has TLS's words. */
ssize_t transport_read(struct transport *transport, void *bytes, size_t size);
ssize_t transport_write(struct transport *transport, const void *bytes, size_t length);
/* Tells the server that nothing more will come; reading goes on. */
void transport_end_writing(struct transport *transport);
/* Words for an errno of the two, for this transport. */
const char *transport_reason(const struct transport *transport, int reason);

#endif
