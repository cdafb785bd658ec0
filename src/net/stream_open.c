/* How a connection begins: accepted, with a TLS handshake, or by connecting. */
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "net/socket.h"
#include "net/stream_private.h"
#include "net/tls_session.h"

static void set_open(struct net_stream *stream)
{
    stream->state = STREAM_OPEN;
    net_stream_enable(stream, stream->paused ? EV_WRITE : EV_READ | EV_WRITE);
    if (stream->handler->connected != NULL) {
        stream->handler->connected(stream->context);
    }
}

void net_stream_shaken(struct net_stream *stream)
{
    loop_timer_cancel(stream->handshake);
    if (stream->state == STREAM_FLUSHING) {
        return;
    }
    set_open(stream);
}

static void on_handshake_limit(void *context)
{
    net_stream_fail_with(context, "the TLS handshake took too long");
}

static void set_connected(struct net_stream *stream)
{
    if (socket_is_own_peer(stream->fd)) {
        net_stream_fail(stream, ECONNREFUSED);
        return;
    }
    socket_tune(stream->fd);
    if (stream->state == STREAM_FLUSHING) {
        net_stream_enable(stream, EV_WRITE);
        return;
    }
    set_open(stream);
}

static void on_connect_ready(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    int problem = 0;
    socklen_t length = sizeof problem;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        net_stream_fail(context, problem);
    } else {
        set_connected(context);
    }
}

struct net_stream *net_stream_accept(struct loop *loop, int fd, const struct net_stream_handler *handler,
                                     void *context, size_t max_line)
{
    struct net_stream *stream = net_stream_new(loop, fd, STREAM_OPEN, handler, context, max_line, NULL);
    socket_tune_accepted(fd);
    socket_peer_text(fd, stream->peer);
    net_stream_enable(stream, EV_READ); /* for writing it is from the start */
    return stream;
}

struct net_stream *net_stream_accept_tls(struct loop *loop, int fd, struct net_tls *tls,
                                         const struct net_stream_handler *handler, void *context,
                                         size_t max_line)
{
    struct net_stream *stream =
        net_stream_new(loop, fd, STREAM_CONNECTING, handler, context, max_line, tls_session_new(tls));
    socket_tune_accepted(fd);
    socket_peer_text(fd, stream->peer);
    stream->handshake = loop_timer_new(loop, on_handshake_limit, stream);
    loop_timer_set(stream->handshake, tls_session_limit_ms(tls));
    return stream;
}

/* 0, EINPROGRESS, or why it failed. */
static int start_connecting(int fd, const struct net_address *address)
{
    if (fd < 0) {
        return errno;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) == 0) {
        return 0;
    }
    return errno == EINTR ? EINPROGRESS : errno;
}

struct net_stream *net_stream_connect(struct loop *loop, const struct net_address *address,
                                      const struct net_stream_handler *handler, void *context,
                                      size_t max_line)
{
    int fd = socket_open(address->storage.ss_family);
    int problem = start_connecting(fd, address);
    struct net_stream *stream = net_stream_new(loop, fd, STREAM_CONNECTING, handler, context, max_line, NULL);
    bufferevent_disable(stream->events, EV_READ | EV_WRITE);
    socket_address_text(&address->storage, address->length, stream->peer);
    if (problem != 0 && problem != EINPROGRESS) {
        stream->connect_errno = problem;
        event_active(stream->wake, EV_TIMEOUT, 0);
        return stream;
    }
    /* A Unix socket is connected already; it is writable too, and the loop tells so. */
    stream->connecting = event_new(loop_event_base(loop), fd, EV_WRITE, on_connect_ready, stream);
    net_stream_require(stream->connecting != NULL && event_add(stream->connecting, NULL) == 0);
    return stream;
}
