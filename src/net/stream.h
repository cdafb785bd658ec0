/*
 * A connection, read as lines or as raw bytes, with output that is counted so that its owner can bound it.
 * The only user of libevent's bufferevents; TLS is another way to open one.
 *
 * Callbacks run from the loop, never from inside a call of this interface. After net_stream_close() none
 * runs.
 */
#ifndef OCDMUX_NET_STREAM_H
#define OCDMUX_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/tls.h"

struct net_stream;

struct net_stream_handler {
    /* A line stream: one line without its LF and without a CR before that. NUL-terminated behind `length` (it
     * may hold NULs too), and gone when the callback returns. Set this or `bytes`, not both. */
    void (*line)(void *context, const char *line, size_t length);
    /* A line stream: a line passed the limit. Called once for it, at once; reading goes on behind its LF. */
    void (*line_too_long)(void *context);
    /* A byte stream: what arrived. */
    void (*bytes)(void *context, const uint8_t *bytes, size_t length);
    /* net_stream_connect() succeeded, or the handshake of net_stream_accept_tls(). May be NULL for accepted
     * connections. */
    void (*connected)(void *context);
    /* Pending output fell to the low-water mark (net_stream_set_low_water) or below. May be NULL. */
    void (*drained)(void *context);
    /* The peer will send no more (half-close); everything before it was delivered, a last line without LF was
     * not. Writing still works. */
    void (*eof)(void *context);
    /* Connecting, reading or writing failed: nothing works any more, and the owner closes. */
    void (*failed)(void *context, const char *reason);
};

/* Takes over the connected non-blocking socket `fd`; TCP_NODELAY is set where it applies. `max_line` is the
 * longest line in bytes, without its LF (ignored on byte streams). The handler must outlive the stream. */
struct net_stream *net_stream_accept(struct loop *loop, int fd, const struct net_stream_handler *handler,
                                     void *context, size_t max_line);

/*
 * The same with TLS: the handshake comes first, and ends in `connected`, or in `failed` after the
 * time of its `handshake_ms` at the latest. The peer's close_notify is its `eof`, and writing goes on behind
 * it; a connection that ends without one has `failed`, for nobody knows what was cut off. A close after
 * everything was sent sends close_notify.
 */
struct net_stream *net_stream_accept_tls(struct loop *loop, int fd, struct net_tls *tls,
                                         const struct net_stream_handler *handler, void *context,
                                         size_t max_line);

/* Starts to connect; ends in `connected` or `failed`. */
struct net_stream *net_stream_connect(struct loop *loop, const struct net_address *address,
                                      const struct net_stream_handler *handler, void *context,
                                      size_t max_line);

/* Closes at once, dropping pending output; allowed inside callbacks of the stream itself. NULL is allowed. */
void net_stream_close(struct net_stream *stream);
/* Stops reading, sends what is pending for at most `limit_ms`, then closes. No callback runs any more. */
void net_stream_close_flushed(struct net_stream *stream, uint64_t limit_ms);

/* Queues a copy. One call's bytes go out in one send where the socket takes them. */
void net_stream_write(struct net_stream *stream, const void *bytes, size_t length);
/* Queues the buffer's memory itself and leaves `take_buf` empty: for large replies. */
void net_stream_write_take(struct net_stream *stream, struct strbuf *take_buf);

/* Bytes queued and not yet taken by the socket. */
size_t net_stream_pending(const struct net_stream *stream);
/* Bytes that the socket has taken since the start, with those that TLS adds: it grows as long as the peer
 * reads. */
uint64_t net_stream_sent(const struct net_stream *stream);
/* Bytes received since the start. */
uint64_t net_stream_received(const struct net_stream *stream);
void net_stream_set_low_water(struct net_stream *stream, size_t bytes);
/* Of lines that are not complete yet. */
void net_stream_set_max_line(struct net_stream *stream, size_t max_line);

/* While paused no line or bytes are delivered, `eof` is held back too, and at most one buffer's worth (64 KiB
 * more than what a line in progress holds) is taken from the socket. Resuming delivers what was held from the
 * loop. */
void net_stream_pause(struct net_stream *stream);
void net_stream_resume(struct net_stream *stream);

/* The certificate that the peer showed; false if none, or without TLS, or before `connected`. */
bool net_stream_certificate(const struct net_stream *stream, struct net_certificate *ret_certificate)
    __attribute__((warn_unused_result));
/* "127.0.0.1:40312" or "unix"; valid as long as the stream. */
const char *net_stream_peer(const struct net_stream *stream);
/* Of the socket; for peer credentials. */
int net_stream_fd(const struct net_stream *stream);

#endif
