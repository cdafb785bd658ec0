/* Two descriptors joined to a server, for `ocdmux stdio`. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/error.h"
#include "client/transport.h"

#define RELAY_BYTES ((size_t)64 << 10)

/* One direction: what was read and not written yet. */
struct flow {
    char bytes[RELAY_BYTES];
    size_t begin;
    size_t end;
    bool ended; /* nothing more comes in */
};

struct relay {
    struct transport *transport;
    int in;
    int out;
    struct flow up;   /* from `in` to the server */
    struct flow down; /* from the server to `out` */
    bool told_end;    /* the server knows that `up` has ended */
};

static bool is_empty(const struct flow *flow)
{
    return flow->begin == flow->end;
}

static bool is_retry(int reason)
{
    return reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR;
}

static bool fail(struct ocdmux_error *error, const char *what, const char *reason)
{
    return error_set(error, OCDMUX_KIND_CONNECTION_LOST, "%s: %s", what, reason);
}

static void note_filled(struct flow *flow, ssize_t got)
{
    flow->begin = 0;
    flow->end = (size_t)got;
    flow->ended = got == 0;
}

static bool fill_up(struct relay *relay, struct ocdmux_error *error)
{
    ssize_t got = read(relay->in, relay->up.bytes, RELAY_BYTES);
    if (got < 0) {
        return is_retry(errno) || fail(error, "standard input", strerror(errno));
    }
    note_filled(&relay->up, got);
    return true;
}

static bool drain_up(struct relay *relay, struct ocdmux_error *error)
{
    struct flow *up = &relay->up;
    ssize_t sent = transport_write(relay->transport, up->bytes + up->begin, up->end - up->begin);
    if (sent < 0) {
        return is_retry(errno) || fail(error, "the server", transport_reason(relay->transport, errno));
    }
    up->begin += (size_t)sent;
    return true;
}

static bool fill_down(struct relay *relay, struct ocdmux_error *error)
{
    ssize_t got = transport_read(relay->transport, relay->down.bytes, RELAY_BYTES);
    if (got < 0) {
        return is_retry(errno) || fail(error, "the server", transport_reason(relay->transport, errno));
    }
    note_filled(&relay->down, got);
    return true;
}

static bool drain_down(struct relay *relay, struct ocdmux_error *error)
{
    struct flow *down = &relay->down;
    ssize_t sent = write(relay->out, down->bytes + down->begin, down->end - down->begin);
    if (sent < 0) {
        return is_retry(errno) || fail(error, "standard output", strerror(errno));
    }
    down->begin += (size_t)sent;
    return true;
}

/* Waits, and moves what can be moved. */
static bool turn(struct relay *relay, struct ocdmux_error *error)
{
    bool read_in = is_empty(&relay->up) && !relay->up.ended;
    bool write_server = !is_empty(&relay->up);
    bool read_server = is_empty(&relay->down) && !relay->down.ended;
    short events = transport_events(relay->transport, read_server, write_server);
    bool at_once = read_server && events == 0;
    struct pollfd waits[] = {
        {.fd = read_in ? relay->in : -1, .events = POLLIN},
        {.fd = events != 0 ? transport_fd(relay->transport) : -1, .events = events},
        {.fd = is_empty(&relay->down) ? -1 : relay->out, .events = POLLOUT},
    };
    if (poll(waits, 3, at_once ? 0 : -1) < 0) {
        return errno == EINTR || fail(error, "poll", strerror(errno));
    }
    bool server = waits[1].revents != 0 || at_once;
    return (waits[0].revents == 0 || fill_up(relay, error)) &&
           (!server || !write_server || drain_up(relay, error)) &&
           (!server || !read_server || fill_down(relay, error)) &&
           (waits[2].revents == 0 || drain_down(relay, error));
}

bool ocdmux_relay(const char *server, const struct ocdmux_tls *tls, int in, int out,
                  struct ocdmux_error *error)
{
    struct transport *transport = NULL;
    char *named = server == NULL ? ocdmux_default_server() : xstrdup(server);
    uint64_t deadline_us = clock_now_us() + OCDMUX_DEFAULT_CONNECT_TIMEOUT_MS * 1000ull;
    bool good = transport_open(named, tls, deadline_us, &transport, error);
    free(named);
    if (!good) {
        return false;
    }
    struct relay *relay = xcalloc(1, sizeof *relay);
    relay->transport = transport;
    relay->in = in;
    relay->out = out;
    while (good && !(relay->down.ended && is_empty(&relay->down))) {
        if (relay->up.ended && !relay->told_end) {
            transport_end_writing(transport);
            relay->told_end = true;
        }
        good = turn(relay, error);
    }
    transport_close(transport);
    free(relay);
    return good;
}
