/* TLS over a connected, non-blocking socket: 1.2 and up, with the server's certificate and name verified. */
#ifndef OCDMUX_CLIENT_TLS_H
#define OCDMUX_CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/ocdmux.h"

struct tls;

/* Does the handshake before `deadline_us`; `host` is a name or an address, as the user gave it. `options` may
 * be NULL. Fails with invalid_params for files that cannot be used, else with connection_failed. */
bool tls_open(int fd, const char *server, const char *host, const struct ocdmux_tls *options,
              uint64_t deadline_us, struct tls **ret_tls, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* The socket stays open. NULL is allowed. */
void tls_free(struct tls *tls);

/* As in transport.h. */
ssize_t tls_read(struct tls *tls, void *bytes, size_t size);
ssize_t tls_write(struct tls *tls, const void *bytes, size_t length);
void tls_end_writing(struct tls *tls);
bool tls_has_input(const struct tls *tls);
/* What the last call that got nowhere waits for: POLLIN or POLLOUT. */
short tls_read_events(const struct tls *tls);
short tls_write_events(const struct tls *tls);
const char *tls_reason(const struct tls *tls);

#endif
