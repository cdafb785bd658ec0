/* Two descriptors joined to a server, for `ocdmux stdio` and `ocdmux gdb`. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/error.h"
#include "client/transport.h"

#define RELAY_BYTES ((size_t)64 << 10)
#define RELAY_LINGER_MS 2000u

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

static struct relay *open_relay(const char *server, const struct ocdmux_tls *tls, int in, int out,
                                struct ocdmux_error *error)
{
    struct transport *transport = NULL;
    char *named = server == NULL ? ocdmux_default_server() : xstrdup(server);
    uint64_t deadline_us = clock_now_us() + OCDMUX_DEFAULT_CONNECT_TIMEOUT_MS * 1000ull;
    bool good = transport_open(named, tls, deadline_us, &transport, error);
    free(named);
    if (!good) {
        return NULL;
    }
    struct relay *relay = xcalloc(1, sizeof *relay);
    relay->transport = transport;
    relay->in = in;
    relay->out = out;
    return relay;
}

static void close_relay(struct relay *relay)
{
    transport_close(relay->transport);
    free(relay);
}

static bool run(struct relay *relay, struct ocdmux_error *error)
{
    bool good = true;
    while (good && !(relay->down.ended && is_empty(&relay->down))) {
        if (relay->up.ended && is_empty(&relay->up) && !relay->told_end) {
            transport_end_writing(relay->transport);
            relay->told_end = true;
        }
        good = turn(relay, error);
    }
    return good;
}

bool ocdmux_relay(const char *server, const struct ocdmux_tls *tls, int in, int out,
                  struct ocdmux_error *error)
{
    struct relay *relay = open_relay(server, tls, in, out, error);
    if (relay == NULL) {
        return false;
    }
    bool good = run(relay, error);
    close_relay(relay);
    return good;
}

/* The greeting. */

static bool wait_server(const struct relay *relay, bool writing, uint64_t deadline_us,
                        struct ocdmux_error *error)
{
    short events = transport_events(relay->transport, !writing, writing);
    uint64_t now = clock_now_us();
    uint64_t left_ms = deadline_us > now ? (deadline_us - now + 999) / 1000 : 0;
    struct pollfd wait = {.fd = transport_fd(relay->transport), .events = events};
    if (left_ms == 0) {
        return error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "no answer in time");
    }
    return events == 0 || poll(&wait, 1, left_ms > 60000 ? 60000 : (int)left_ms) >= 0 || errno == EINTR ||
           fail(error, "poll", strerror(errno));
}

static bool send_greeting(struct relay *relay, const char *line, uint64_t deadline_us,
                          struct ocdmux_error *error)
{
    size_t left = strlen(line);
    while (left > 0) {
        ssize_t sent = transport_write(relay->transport, line, left);
        if (sent < 0 && !is_retry(errno)) {
            return fail(error, "the server", transport_reason(relay->transport, errno));
        }
        size_t taken = sent > 0 ? (size_t)sent : 0;
        line += taken;
        left -= taken;
        if (left > 0 && !wait_server(relay, true, deadline_us, error)) {
            return false;
        }
    }
    return true;
}

/* Into the buffer of what goes out, where it is left behind the line. */
static bool receive_greeting(struct relay *relay, uint64_t deadline_us, struct ocdmux_error *error)
{
    struct flow *down = &relay->down;
    while (memchr(down->bytes, '\n', down->end) == NULL) {
        if (down->end >= OCDMUX_GREETING_BYTES) {
            return error_set(error, OCDMUX_KIND_PROTOCOL, "the answer is too long");
        }
        if (!wait_server(relay, false, deadline_us, error)) {
            return false;
        }
        ssize_t got =
            transport_read(relay->transport, down->bytes + down->end, OCDMUX_GREETING_BYTES - down->end);
        if (got == 0) {
            return fail(error, "the server", "ended the connection without an answer");
        }
        if (got < 0 && !is_retry(errno)) {
            return fail(error, "the server", transport_reason(relay->transport, errno));
        }
        down->end += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool greet(struct relay *relay, const char *line, ocdmux_greeting_fn *answered, void *arg,
                  uint64_t timeout_ms, struct ocdmux_error *error)
{
    struct flow *down = &relay->down;
    uint64_t deadline_us = clock_now_us() + timeout_ms * 1000;
    if (!send_greeting(relay, line, deadline_us, error) || !receive_greeting(relay, deadline_us, error)) {
        return false;
    }
    char *end = memchr(down->bytes, '\n', down->end);
    *end = '\0';
    down->begin = (size_t)(end - down->bytes) + 1;
    return answered(arg, down->bytes, error);
}

/*
 * The server has ended. Whoever is at the near end may be about to write before it reads what came last, and
 * must not fail at that: it is told the end, and what it still sends goes nowhere.
 */
static void linger(struct relay *relay)
{
    uint64_t deadline_us = clock_now_us() + RELAY_LINGER_MS * 1000ull;
    if (shutdown(relay->out, SHUT_WR) != 0) {
        close(relay->out);
    }
    while (!relay->up.ended) {
        uint64_t now = clock_now_us();
        struct pollfd wait = {.fd = relay->in, .events = POLLIN};
        if (now >= deadline_us || poll(&wait, 1, (int)((deadline_us - now) / 1000 + 1)) <= 0) {
            return;
        }
        relay->up.ended = read(relay->in, relay->up.bytes, RELAY_BYTES) <= 0;
    }
}

bool ocdmux_relay_after(const char *server, const struct ocdmux_tls *tls, const char *line,
                        ocdmux_greeting_fn *answered, void *arg, uint64_t timeout_ms, int in, int out,
                        struct ocdmux_error *error)
{
    struct relay *relay = open_relay(server, tls, in, out, error);
    if (relay == NULL) {
        return false;
    }
    bool good = greet(relay, line, answered, arg, timeout_ms, error);
    if (good) {
        good = run(relay, error);
        linger(relay);
    }
    close_relay(relay);
    return good;
}
