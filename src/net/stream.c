/*
 * Connections over bufferevents, plain ones and those of OpenSSL.
 *
 *   CONNECTING --> OPEN --> FLUSHING --> CLOSED     FLUSHING: the owner has let go, what is pending goes out
 *        |           |         ^           ^
 *        +--> FAILED +---------+-----------+        FAILED: told the owner, who closes
 *
 * A TLS connection is CONNECTING while its handshake lasts. Its callbacks are deferred, for libevent would
 * run them from inside of a write.
 *
 * Input: the bufferevent reads into its buffer while it is enabled for reading, and net_stream_deliver()
 * takes from there what the handler may have. Pausing disables reading and leaves the rest in the buffer.
 */
#include "net/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/tls_session.h"

/* So little is copied, one behind the other: a reference of its own would take several times its memory. */
#define SMALL_SIZE ((size_t)4 * 1024)

struct evbuffer *net_stream_input(const struct net_stream *stream)
{
    return bufferevent_get_input(stream->events);
}

static struct evbuffer *output_of(const struct net_stream *stream)
{
    return bufferevent_get_output(stream->events);
}

void net_stream_enable(struct net_stream *stream, short what)
{
    stream->inside = true;
    bufferevent_enable(stream->events, what);
    stream->inside = false;
}

void net_stream_require(bool worked)
{
    if (!worked) {
        fprintf(stderr, "ocdmux: libevent cannot set up a stream\n");
        abort();
    }
}

/* ---- The end ---- */

static void free_stream(void *object)
{
    struct net_stream *stream = object;
    line_cutter_fini(&stream->cutter);
    if (stream->tls != NULL) {
        tls_session_free(stream->tls);
    }
    free(stream);
}

/* Gives everything back now but the memory that callbacks on the stack still look at. */
static void shut(struct net_stream *stream)
{
    assert(stream->state != STREAM_CLOSED);
    stream->state = STREAM_CLOSED;
    list_remove(&stream->remnant.node);
    loop_timer_free(stream->limit);
    loop_timer_free(stream->handshake);
    event_free(stream->wake);
    if (stream->connecting != NULL) {
        event_free(stream->connecting);
    }
    bufferevent_setcb(stream->events, NULL, NULL, NULL, NULL);
    bufferevent_disable(stream->events, EV_READ | EV_WRITE);
    bufferevent_free(stream->events);
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    loop_bury(stream->loop, stream, free_stream);
}

static void finish_flush(struct net_stream *stream)
{
    if (stream->tls != NULL) {
        tls_session_shut(stream->tls);
    }
    if (!stream->ended || stream->tls != NULL) { /* else nothing unread is left */
        shutdown(stream->fd, SHUT_WR);
        socket_discard_input(stream->fd);
    }
    shut(stream);
}

static void on_flush_limit(void *context)
{
    shut(context);
}

static void end_remnant(struct loop_remnant *remnant)
{
    shut(list_entry(remnant, struct net_stream, remnant));
}

void net_stream_fail_with(struct net_stream *stream, const char *reason)
{
    if (stream->state == STREAM_FLUSHING) {
        shut(stream);
        return;
    }
    if (stream->state == STREAM_FAILED || stream->state == STREAM_CLOSED) {
        return;
    }
    stream->state = STREAM_FAILED;
    bufferevent_disable(stream->events, EV_READ | EV_WRITE);
    stream->handler->failed(stream->context, reason);
}

void net_stream_fail(struct net_stream *stream, int reason)
{
    net_stream_fail_with(stream, reason == 0 ? "connection lost" : strerror(reason));
}

static void on_readable(struct bufferevent *events, void *context)
{
    (void)events;
    struct net_stream *stream = context;
    if (stream->inside) {
        event_active(stream->wake, EV_TIMEOUT, 0);
        return;
    }
    net_stream_fetch(stream);
    net_stream_deliver(stream);
}

/* ---- Output ---- */

static void note_pending(struct net_stream *stream)
{
    if (net_stream_pending(stream) > stream->low_water) {
        stream->backed_up = true;
    }
}

static void on_written(struct bufferevent *events, void *context)
{
    (void)events;
    struct net_stream *stream = context;
    if (stream->inside) {
        stream->noted_written = true;
        event_active(stream->wake, EV_TIMEOUT, 0);
        return;
    }
    size_t pending = net_stream_pending(stream);
    if (stream->state == STREAM_FLUSHING) {
        if (pending == 0) {
            finish_flush(stream);
        }
        return;
    }
    if (stream->state == STREAM_OPEN && stream->backed_up && pending <= stream->low_water) {
        stream->backed_up = false;
        if (stream->handler->drained != NULL) {
            stream->handler->drained(stream->context);
        }
    }
}

/*
 * Sends at once what the socket takes, where nothing is queued before it: that saves a turn of the loop and
 * three system calls for each reply. Answers to lines that came together are left to the loop, which sends
 * them together. An error is not looked at, for the loop will meet it too.
 */
static size_t send_now(const struct net_stream *stream, const void *bytes, size_t length)
{
    bool more_to_answer = stream->delivering && evbuffer_get_length(net_stream_input(stream)) > 0;
    if (stream->state != STREAM_OPEN || stream->tls != NULL || more_to_answer ||
        net_stream_pending(stream) > 0) {
        return 0;
    }
    ssize_t sent = send(stream->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (size_t)sent : 0;
}

static bool may_write(const struct net_stream *stream)
{
    return stream->state == STREAM_CONNECTING || stream->state == STREAM_OPEN;
}

void net_stream_write(struct net_stream *stream, const void *bytes, size_t length)
{
    if (!may_write(stream) || length == 0) {
        return;
    }
    size_t sent = send_now(stream, bytes, length);
    stream->accepted += length;
    if (sent < length) {
        stream->inside = true;
        net_stream_require(evbuffer_add(output_of(stream), (const char *)bytes + sent, length - sent) == 0);
        stream->inside = false;
        note_pending(stream);
    }
}

static void free_taken(const void *bytes, size_t length, void *memory)
{
    (void)bytes;
    (void)length;
    free(memory);
}

void net_stream_write_take(struct net_stream *stream, struct strbuf *take_buf)
{
    size_t length = take_buf->length;
    if (!may_write(stream) || length == 0) {
        strbuf_fini(take_buf);
        return;
    }
    if (length <= SMALL_SIZE) {
        net_stream_write(stream, take_buf->data, length);
        strbuf_fini(take_buf);
        return;
    }
    size_t sent = send_now(stream, take_buf->data, length);
    stream->accepted += length;
    if (sent == length) {
        strbuf_fini(take_buf);
        return;
    }
    char *memory = strbuf_steal(take_buf);
    stream->inside = true;
    net_stream_require(
        evbuffer_add_reference(output_of(stream), memory + sent, length - sent, free_taken, memory) == 0);
    stream->inside = false;
    note_pending(stream);
}

/* ---- What the loop brings ---- */

static void fail_tls(struct net_stream *stream, int reason)
{
    char text[160];
    unsigned long code = bufferevent_get_openssl_error(stream->events);
    if (code == 0 && reason != 0 && reason != EAGAIN) {
        net_stream_fail(stream, reason);
        return;
    }
    tls_session_error_text(code, text, sizeof text);
    net_stream_fail_with(stream, text);
}

static void on_peer_end(struct net_stream *stream)
{
    stream->ended = true;
    if (stream->tls != NULL) {
        /* libevent has stopped both ways. */
        bufferevent_disable(stream->events, EV_READ | EV_WRITE);
        net_stream_enable(stream, EV_WRITE);
    }
    stream->handler->eof(stream->context);
}

static void take_event(struct net_stream *stream, short what, int reason)
{
    if ((what & BEV_EVENT_ERROR) != 0) {
        if (stream->tls != NULL) {
            fail_tls(stream, reason);
        } else {
            net_stream_fail(stream, reason);
        }
        return;
    }
    if (stream->tls != NULL && (what & BEV_EVENT_CONNECTED) != 0) {
        net_stream_shaken(stream);
        return;
    }
    if ((what & BEV_EVENT_EOF) == 0) {
        return;
    }
    bool held = stream->paused || evbuffer_get_length(net_stream_input(stream)) > 0;
    if (stream->state == STREAM_OPEN && stream->tls != NULL && held) {
        stream->noted_event |= what; /* comes behind what waits before it: resuming wakes */
    } else if (stream->state == STREAM_OPEN) {
        on_peer_end(stream);
    } else if (stream->state == STREAM_CONNECTING) {
        net_stream_fail(stream, 0);
    }
}

static void on_event(struct bufferevent *events, short what, void *context)
{
    int reason = errno; /* of the read or write that failed just now */
    (void)events;
    struct net_stream *stream = context;
    if (stream->inside) {
        stream->noted_event |= what;
        stream->noted_errno = reason;
        event_active(stream->wake, EV_TIMEOUT, 0);
        return;
    }
    take_event(stream, what, reason);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct net_stream *stream = context;
    short noted_event = stream->noted_event;
    bool noted_written = stream->noted_written;
    stream->noted_event = 0;
    stream->noted_written = false;
    if (stream->connect_errno != 0) {
        net_stream_fail(stream, stream->connect_errno);
        return;
    }
    net_stream_deliver(stream);
    if (noted_written && stream->state != STREAM_CLOSED) {
        on_written(stream->events, stream);
    }
    if (noted_event != 0 && stream->state != STREAM_CLOSED) {
        take_event(stream, noted_event, stream->noted_errno);
    }
}

/* ---- The beginning, and the end as the owner wants it ---- */

static struct bufferevent *new_events(struct event_base *base, int fd, struct ssl_st *tls)
{
    if (tls == NULL) {
        return bufferevent_socket_new(base, fd, 0);
    }
    return bufferevent_openssl_socket_new(base, fd, tls, BUFFEREVENT_SSL_ACCEPTING, 0);
}

struct net_stream *net_stream_new(struct loop *loop, int fd, enum stream_state state,
                                  const struct net_stream_handler *handler, void *context, size_t max_line,
                                  struct ssl_st *take_tls)
{
    assert((handler->line != NULL) != (handler->bytes != NULL));
    struct event_base *base = loop_event_base(loop);
    struct net_stream *stream = xcalloc(1, sizeof *stream);
    stream->loop = loop;
    stream->handler = handler;
    stream->context = context;
    stream->state = state;
    stream->fd = fd;
    line_cutter_init(&stream->cutter, max_line);
    list_init(&stream->remnant.node);
    stream->remnant.end = end_remnant;
    stream->wake = event_new(base, -1, 0, on_wake, stream);
    stream->tls = take_tls;
    stream->events = new_events(base, fd, take_tls);
    net_stream_require(stream->wake != NULL && stream->events != NULL);
    bufferevent_setcb(stream->events, on_readable, on_written, on_event, stream);
    net_stream_require(bufferevent_set_max_single_read(stream->events, STREAM_READ_SIZE) == 0);
    net_stream_require(bufferevent_set_max_single_write(stream->events, SSIZE_MAX) == 0);
    return stream;
}

void net_stream_close(struct net_stream *stream)
{
    if (stream != NULL) {
        shut(stream);
    }
}

void net_stream_close_flushed(struct net_stream *stream, uint64_t limit_ms)
{
    if (stream == NULL) {
        return;
    }
    bool shaking = stream->tls != NULL && stream->state == STREAM_CONNECTING;
    if (stream->state == STREAM_FAILED || stream->connect_errno != 0 || shaking) {
        shut(stream);
        return;
    }
    if (net_stream_pending(stream) == 0) {
        finish_flush(stream);
        return;
    }
    stream->state = STREAM_FLUSHING;
    bufferevent_disable(stream->events, EV_READ);
    loop_adopt_remnant(stream->loop, &stream->remnant);
    stream->limit = loop_timer_new(stream->loop, on_flush_limit, stream);
    loop_timer_set(stream->limit, limit_ms);
}

/* ---- The rest ---- */

size_t net_stream_pending(const struct net_stream *stream)
{
    return evbuffer_get_length(output_of(stream));
}

uint64_t net_stream_sent(const struct net_stream *stream)
{
    /* A reply of megabytes goes out in pieces, and is pending as a whole until the last of them. */
    return stream->tls != NULL ? tls_session_sent(stream->tls)
                               : stream->accepted - net_stream_pending(stream);
}

uint64_t net_stream_received(const struct net_stream *stream)
{
    return stream->delivered + evbuffer_get_length(net_stream_input(stream));
}

void net_stream_set_low_water(struct net_stream *stream, size_t bytes)
{
    stream->low_water = bytes;
    bufferevent_setwatermark(stream->events, EV_WRITE, bytes, 0);
    note_pending(stream);
}

void net_stream_set_max_line(struct net_stream *stream, size_t max_line)
{
    stream->cutter.max_line = max_line;
}

void net_stream_pause(struct net_stream *stream)
{
    stream->paused = true;
    bufferevent_disable(stream->events, EV_READ);
}

void net_stream_resume(struct net_stream *stream)
{
    if (!stream->paused) {
        return;
    }
    stream->paused = false;
    /* net_stream_deliver() goes on by itself where this is called from below it. */
    if (stream->state == STREAM_OPEN && !stream->delivering) {
        event_active(stream->wake, EV_TIMEOUT, 0);
    }
}

bool net_stream_certificate(const struct net_stream *stream, struct net_certificate *ret_certificate)
{
    return stream->tls != NULL && stream->state == STREAM_OPEN &&
           tls_session_certificate(stream->tls, ret_certificate);
}

const char *net_stream_peer(const struct net_stream *stream)
{
    return stream->peer;
}

int net_stream_fd(const struct net_stream *stream)
{
    return stream->fd;
}
