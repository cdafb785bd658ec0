/* One way to move bytes over the three that there are. */
#include "client/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "client/endpoint.h"
#include "client/error.h"
#include "client/ssh.h"
#include "client/tls.h"

struct transport {
    int fd;          /* owned */
    struct tls *tls; /* NULL without TLS */
    pid_t child;     /* ssh; 0: none */
};

static bool open_tls(struct transport *transport, const char *server, const struct ocdmux_tls *tls,
                     uint64_t deadline_us, struct ocdmux_error *error)
{
    char *host = endpoint_host(server);
    bool opened = tls_open(transport->fd, server, host, tls, deadline_us, &transport->tls, error);
    free(host);
    return opened;
}

bool transport_open(const char *server, const struct ocdmux_tls *tls, uint64_t deadline_us,
                    struct transport **ret_transport, struct ocdmux_error *error)
{
    struct transport *transport = xcalloc(1, sizeof *transport);
    transport->fd = -1;
    bool opened = strncmp(server, "ssh:", 4) == 0
                      ? ssh_start(server + 4, &transport->fd, &transport->child, error)
                      : endpoint_connect(server, deadline_us, &transport->fd, error);
    if (opened && strncmp(server, "tls:", 4) == 0) {
        opened = open_tls(transport, server, tls, deadline_us, error);
    }
    if (!opened) {
        transport_close(transport);
        return false;
    }
    *ret_transport = transport;
    return true;
}

void transport_close(struct transport *transport)
{
    if (transport == NULL) {
        return;
    }
    if (transport->tls != NULL) {
        tls_end_writing(transport->tls);
        tls_free(transport->tls);
    }
    if (transport->fd >= 0) {
        close(transport->fd);
    }
    if (transport->child > 0) {
        ssh_stop(transport->child);
    }
    free(transport);
}

int transport_fd(const struct transport *transport)
{
    return transport->fd;
}

short transport_events(const struct transport *transport, bool reading, bool writing)
{
    const struct tls *tls = transport->tls;
    if (reading && tls != NULL && tls_has_input(tls)) {
        return 0;
    }
    short in = tls != NULL ? tls_read_events(tls) : POLLIN;
    short out = tls != NULL ? tls_write_events(tls) : POLLOUT;
    return (short)((reading ? in : 0) | (writing ? out : 0));
}

ssize_t transport_read(struct transport *transport, void *bytes, size_t size)
{
    return transport->tls != NULL ? tls_read(transport->tls, bytes, size)
                                  : recv(transport->fd, bytes, size, 0);
}

ssize_t transport_write(struct transport *transport, const void *bytes, size_t length)
{
    return transport->tls != NULL ? tls_write(transport->tls, bytes, length)
                                  : send(transport->fd, bytes, length, MSG_NOSIGNAL);
}

void transport_end_writing(struct transport *transport)
{
    if (transport->tls != NULL) {
        tls_end_writing(transport->tls);
    } else {
        (void)shutdown(transport->fd, SHUT_WR);
    }
}

const char *transport_reason(const struct transport *transport, int reason)
{
    return reason == EPROTO && transport->tls != NULL ? tls_reason(transport->tls) : strerror(reason);
}
