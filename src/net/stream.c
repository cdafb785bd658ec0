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
 * Input: the bufferevent reads into its buffer while it is enabled for reading, and deliver() takes from
 * there what the handler may have. Pausing disables reading and leaves the rest in the buffer.
 */
#include "net/stream.h"

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
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/line_cutter.h"
#include "net/loop_event.h"
#include "net/socket.h"
#include "net/tls_session.h"

/* The most that one read takes, and so the most that waits in the buffer while the stream is paused. */
#define READ_SIZE ((size_t)64 * 1024)
/* As much as libevent 2.1 reads at a time, whatever it is told. */
#define LIBEVENT_READ_SIZE 4096u
/* So little is copied, one behind the other: a reference of its own would take several times its memory. */
#define SMALL_SIZE ((size_t)4 * 1024)

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_FAILED, STREAM_FLUSHING, STREAM_CLOSED };

struct net_stream {
    struct loop *loop;
    const struct net_stream_handler *handler;
    void *context;
    enum stream_state state;
    int fd;
    struct bufferevent *events;
    struct ssl_st *tls;           /* NULL without TLS */
    struct loop_timer *handshake; /* a TLS handshake's limit */
    struct event *connecting;     /* CONNECTING: waits until the socket is writable */
    struct event *wake; /* runs on_wake() from the loop: what may not be called from inside a call */
    int connect_errno;  /* CONNECTING: the connection failed at once, for on_wake() to tell */
    struct line_cutter cutter;
    bool inside;        /* a call of libevent that may call back is on the stack */
    bool noted_written; /* it called on_written() */
    short noted_event;  /* and on_event(), with this */
    int noted_errno;
    bool paused;
    bool delivering; /* deliver() is on the stack */
    bool ended;      /* the peer's end was told */
    bool backed_up;  /* pending output is above the low-water mark: falling to it calls `drained` */
    size_t low_water;
    uint64_t delivered; /* bytes taken out of the input buffer */
    uint64_t accepted;  /* bytes given for writing */
    char peer[SOCKET_TEXT_SIZE];
    struct loop_remnant remnant; /* FLUSHING */
    struct loop_timer *limit;    /* FLUSHING */
};

static struct evbuffer *input_of(const struct net_stream *stream)
{
    return bufferevent_get_input(stream->events);
}

static struct evbuffer *output_of(const struct net_stream *stream)
{
    return bufferevent_get_output(stream->events);
}

static void enable(struct net_stream *stream, short what)
{
    stream->inside = true;
    bufferevent_enable(stream->events, what);
    stream->inside = false;
}

static void require(bool worked)
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

/* Tells the owner once that nothing works any more. */
static void fail_with(struct net_stream *stream, const char *reason)
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

static void fail(struct net_stream *stream, int reason)
{
    fail_with(stream, reason == 0 ? "connection lost" : strerror(reason));
}

/* ---- Input ---- */

static bool may_deliver(const struct net_stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->paused;
}

static void deliver_line_part(struct net_stream *stream, const char *bytes, size_t length)
{
    size_t taken = 0;
    enum line_cutter_result result = line_cutter_take(&stream->cutter, bytes, length, &taken);
    /* Taken out first: net_stream_write() looks whether more input waits. */
    evbuffer_drain(input_of(stream), taken);
    stream->delivered += taken;
    switch (result) {
    case LINE_CUTTER_MORE:
        return;
    case LINE_CUTTER_LINE:
        stream->handler->line(stream->context, stream->cutter.line.data, stream->cutter.line.length);
        line_cutter_drop(&stream->cutter);
        return;
    case LINE_CUTTER_TOO_LONG:
        stream->handler->line_too_long(stream->context);
        return;
    }
}

static void deliver_bytes(struct net_stream *stream, const uint8_t *bytes, size_t length)
{
    stream->handler->bytes(stream->context, bytes, length);
    if (stream->state != STREAM_CLOSED) {
        evbuffer_drain(input_of(stream), length);
    }
    stream->delivered += length;
}

/* Hands over what the input buffer holds until it is empty or the handler pauses or closes. */
static void deliver(struct net_stream *stream)
{
    assert(!stream->delivering);
    stream->delivering = true;
    while (may_deliver(stream)) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(input_of(stream), -1, NULL, &piece, 1) < 1 || piece.iov_len == 0) {
            break;
        }
        if (stream->handler->line != NULL) {
            deliver_line_part(stream, piece.iov_base, piece.iov_len);
        } else {
            deliver_bytes(stream, piece.iov_base, piece.iov_len);
        }
    }
    stream->delivering = false;
    bool reading = (bufferevent_get_enabled(stream->events) & EV_READ) != 0;
    if (may_deliver(stream) && !stream->ended && !reading) {
        enable(stream, EV_READ);
    }
}

/*
 * Where libevent has read as much as it can, the rest of what is there is fetched here, which saves four
 * system calls for each 4 KiB. Never more than is there, so that the end of the stream and errors stay for
 * libevent to see.
 */
static void fetch_more(struct net_stream *stream)
{
    struct evbuffer *input = input_of(stream);
    struct evbuffer_iovec room;
    size_t have = evbuffer_get_length(input);
    int fd = bufferevent_getfd(stream->events);
    int there = 0;
    if (stream->tls != NULL || have < LIBEVENT_READ_SIZE || have >= READ_SIZE ||
        ioctl(fd, FIONREAD, &there) != 0 || there <= 0) {
        return;
    }
    size_t want = (size_t)there < READ_SIZE - have ? (size_t)there : READ_SIZE - have;
    evbuffer_unfreeze(input, 0); /* the bufferevent lets nobody else add to its buffer */
    if (evbuffer_reserve_space(input, (ssize_t)want, &room, 1) == 1) {
        ssize_t got = recv(fd, room.iov_base, want, MSG_DONTWAIT);
        room.iov_len = got > 0 ? (size_t)got : 0;
        require(evbuffer_commit_space(input, &room, 1) == 0);
    }
    evbuffer_freeze(input, 0);
}

static void on_readable(struct bufferevent *events, void *context)
{
    (void)events;
    struct net_stream *stream = context;
    if (stream->inside) {
        event_active(stream->wake, EV_TIMEOUT, 0);
        return;
    }
    fetch_more(stream);
    deliver(stream);
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
    bool more_to_answer = stream->delivering && evbuffer_get_length(input_of(stream)) > 0;
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
        require(evbuffer_add(output_of(stream), (const char *)bytes + sent, length - sent) == 0);
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
    require(evbuffer_add_reference(output_of(stream), memory + sent, length - sent, free_taken, memory) == 0);
    stream->inside = false;
    note_pending(stream);
}

/* ---- What the loop brings ---- */

static void fail_tls(struct net_stream *stream, int reason)
{
    char text[160];
    unsigned long code = bufferevent_get_openssl_error(stream->events);
    if (code == 0 && reason != 0 && reason != EAGAIN) {
        fail(stream, reason);
        return;
    }
    tls_session_error_text(code, text, sizeof text);
    fail_with(stream, text);
}

static void on_handshake_done(struct net_stream *stream)
{
    loop_timer_cancel(stream->handshake);
    if (stream->state == STREAM_FLUSHING) {
        return;
    }
    stream->state = STREAM_OPEN;
    enable(stream, stream->paused ? EV_WRITE : EV_READ | EV_WRITE);
    if (stream->handler->connected != NULL) {
        stream->handler->connected(stream->context);
    }
}

static void on_handshake_limit(void *context)
{
    fail_with(context, "the TLS handshake took too long");
}

static void on_peer_end(struct net_stream *stream)
{
    stream->ended = true;
    if (stream->tls != NULL) {
        /* libevent has stopped both ways. */
        bufferevent_disable(stream->events, EV_READ | EV_WRITE);
        enable(stream, EV_WRITE);
    }
    stream->handler->eof(stream->context);
}

static void take_event(struct net_stream *stream, short what, int reason)
{
    if ((what & BEV_EVENT_ERROR) != 0) {
        if (stream->tls != NULL) {
            fail_tls(stream, reason);
        } else {
            fail(stream, reason);
        }
        return;
    }
    if (stream->tls != NULL && (what & BEV_EVENT_CONNECTED) != 0) {
        on_handshake_done(stream);
        return;
    }
    if ((what & BEV_EVENT_EOF) == 0) {
        return;
    }
    bool held = stream->paused || evbuffer_get_length(input_of(stream)) > 0;
    if (stream->state == STREAM_OPEN && stream->tls != NULL && held) {
        stream->noted_event |= what; /* comes behind what waits before it: resuming wakes */
    } else if (stream->state == STREAM_OPEN) {
        on_peer_end(stream);
    } else if (stream->state == STREAM_CONNECTING) {
        fail(stream, 0);
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

static void set_connected(struct net_stream *stream)
{
    if (socket_is_own_peer(stream->fd)) {
        fail(stream, ECONNREFUSED);
        return;
    }
    socket_tune(stream->fd);
    if (stream->state == STREAM_FLUSHING) {
        enable(stream, EV_WRITE);
        return;
    }
    stream->state = STREAM_OPEN;
    enable(stream, stream->paused ? EV_WRITE : EV_READ | EV_WRITE);
    if (stream->handler->connected != NULL) {
        stream->handler->connected(stream->context);
    }
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
        fail(context, problem);
    } else {
        set_connected(context);
    }
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
        fail(stream, stream->connect_errno);
        return;
    }
    deliver(stream);
    if (noted_written && stream->state != STREAM_CLOSED) {
        on_written(stream->events, stream);
    }
    if (noted_event != 0 && stream->state != STREAM_CLOSED) {
        take_event(stream, noted_event, stream->noted_errno);
    }
}

/* ---- The beginning ---- */

static struct bufferevent *new_events(struct event_base *base, int fd, struct ssl_st *tls)
{
    if (tls == NULL) {
        return bufferevent_socket_new(base, fd, 0);
    }
    return bufferevent_openssl_socket_new(base, fd, tls, BUFFEREVENT_SSL_ACCEPTING, 0);
}

/* Takes over `take_tls`; NULL: none. */
static struct net_stream *new_stream(struct loop *loop, int fd, enum stream_state state,
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
    require(stream->wake != NULL && stream->events != NULL);
    bufferevent_setcb(stream->events, on_readable, on_written, on_event, stream);
    require(bufferevent_set_max_single_read(stream->events, READ_SIZE) == 0);
    require(bufferevent_set_max_single_write(stream->events, SSIZE_MAX) == 0);
    return stream;
}

struct net_stream *net_stream_accept(struct loop *loop, int fd, const struct net_stream_handler *handler,
                                     void *context, size_t max_line)
{
    struct net_stream *stream = new_stream(loop, fd, STREAM_OPEN, handler, context, max_line, NULL);
    socket_tune_accepted(fd);
    socket_peer_text(fd, stream->peer);
    enable(stream, EV_READ); /* for writing it is from the start */
    return stream;
}

struct net_stream *net_stream_accept_tls(struct loop *loop, int fd, struct net_tls *tls,
                                         const struct net_stream_handler *handler, void *context,
                                         size_t max_line)
{
    struct net_stream *stream =
        new_stream(loop, fd, STREAM_CONNECTING, handler, context, max_line, tls_session_new(tls));
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
    struct net_stream *stream = new_stream(loop, fd, STREAM_CONNECTING, handler, context, max_line, NULL);
    bufferevent_disable(stream->events, EV_READ | EV_WRITE);
    socket_address_text(&address->storage, address->length, stream->peer);
    if (problem != 0 && problem != EINPROGRESS) {
        stream->connect_errno = problem;
        event_active(stream->wake, EV_TIMEOUT, 0);
        return stream;
    }
    /* A Unix socket is connected already; it is writable too, and the loop tells so. */
    stream->connecting = event_new(loop_event_base(loop), fd, EV_WRITE, on_connect_ready, stream);
    require(stream->connecting != NULL && event_add(stream->connecting, NULL) == 0);
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
    return stream->delivered + evbuffer_get_length(input_of(stream));
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
    /* deliver() goes on by itself where this is called from below it. */
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
