/* What the files of a stream share. The struct is looked at by them alone. */
#ifndef OCDMUX_NET_STREAM_PRIVATE_H
#define OCDMUX_NET_STREAM_PRIVATE_H

#include "net/line_cutter.h"
#include "net/loop_event.h"
#include "net/socket.h"
#include "net/stream.h"

struct bufferevent;
struct evbuffer;
struct event;
struct ssl_st;

/* The most that one read takes, and so the most that waits in the buffer while the stream is paused. */
#define STREAM_READ_SIZE ((size_t)64 * 1024)

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
    bool delivering; /* net_stream_deliver() is on the stack */
    bool ended;      /* the peer's end was told */
    bool backed_up;  /* pending output is above the low-water mark: falling to it calls `drained` */
    size_t low_water;
    uint64_t delivered; /* bytes taken out of the input buffer */
    uint64_t accepted;  /* bytes given for writing */
    char peer[SOCKET_TEXT_SIZE];
    struct loop_remnant remnant; /* FLUSHING */
    struct loop_timer *limit;    /* FLUSHING */
};

/* stream.c */

/* Takes over `fd` and `take_tls` (NULL: none). It does not read yet. */
struct net_stream *net_stream_new(struct loop *loop, int fd, enum stream_state state,
                                  const struct net_stream_handler *handler, void *context, size_t max_line,
                                  struct ssl_st *take_tls);
struct evbuffer *net_stream_input(const struct net_stream *stream);
/* Ends the program, where libevent has no memory. */
void net_stream_require(bool worked);
/* EV_READ, EV_WRITE; what libevent calls back meanwhile is noted for the loop. */
void net_stream_enable(struct net_stream *stream, short what);
/* Tells the owner once that nothing works any more; by errno, where 0 is a lost connection, or in words. */
void net_stream_fail(struct net_stream *stream, int reason);
void net_stream_fail_with(struct net_stream *stream, const char *reason);

/* stream_input.c */

/* Hands over what the input buffer holds until it is empty or the handler pauses or closes. */
void net_stream_deliver(struct net_stream *stream);
/*
 * Where libevent has read as much as it can, the rest of what is there is fetched here, which saves four
 * system calls for each 4 KiB. Never more than is there, so that the end of the stream and errors stay for
 * libevent to see.
 */
void net_stream_fetch(struct net_stream *stream);

/* stream_open.c */

/* The TLS handshake is done. */
void net_stream_shaken(struct net_stream *stream);

#endif
