/* What has arrived, on its way from the bufferevent to the handler. */
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/stream_private.h"

/* As much as libevent 2.1 reads at a time, whatever it is told. */
#define LIBEVENT_READ_SIZE 4096u

static bool may_deliver(const struct net_stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->paused;
}

static void deliver_line_part(struct net_stream *stream, const char *bytes, size_t length)
{
    size_t taken = 0;
    enum line_cutter_result result = line_cutter_take(&stream->cutter, bytes, length, &taken);
    /* Taken out first: net_stream_write() looks whether more input waits. */
    evbuffer_drain(net_stream_input(stream), taken);
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
        evbuffer_drain(net_stream_input(stream), length);
    }
    stream->delivered += length;
}

void net_stream_deliver(struct net_stream *stream)
{
    assert(!stream->delivering);
    stream->delivering = true;
    while (may_deliver(stream)) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(net_stream_input(stream), -1, NULL, &piece, 1) < 1 || piece.iov_len == 0) {
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
        net_stream_enable(stream, EV_READ);
    }
}

void net_stream_fetch(struct net_stream *stream)
{
    struct evbuffer *input = net_stream_input(stream);
    struct evbuffer_iovec room;
    size_t have = evbuffer_get_length(input);
    int fd = bufferevent_getfd(stream->events);
    int there = 0;
    if (stream->tls != NULL || have < LIBEVENT_READ_SIZE || have >= STREAM_READ_SIZE ||
        ioctl(fd, FIONREAD, &there) != 0 || there <= 0) {
        return;
    }
    size_t want = (size_t)there < STREAM_READ_SIZE - have ? (size_t)there : STREAM_READ_SIZE - have;
    evbuffer_unfreeze(input, 0); /* the bufferevent lets nobody else add to its buffer */
    if (evbuffer_reserve_space(input, (ssize_t)want, &room, 1) == 1) {
        ssize_t got = recv(fd, room.iov_base, want, MSG_DONTWAIT);
        room.iov_len = got > 0 ? (size_t)got : 0;
        net_stream_require(evbuffer_commit_space(input, &room, 1) == 0);
    }
    evbuffer_freeze(input, 0);
}
