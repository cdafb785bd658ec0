/*
 * One connection: cuts its lines into calls, bounds what it may have waiting, and sees to its end.
 *
 *   OPEN --- end of its input ---> HALF_CLOSED --- all answered, or 2 s of link time used --+
 *     |                                                                                     v
 *     +---- reset, write failed, too slow a reader, looked like HTTP --------------------> CLOSED
 *     |                                                                                     ^
 *     +---- the daemon stops ---> STOPPING --- all of it that must not be cut off is over --+
 *
 * A CLOSED client stays until the last of its operations has ended.
 */
#ifndef OCDMUX_SERVER_CLIENT_H
#define OCDMUX_SERVER_CLIENT_H

#include "base/clock.h"
#include "base/strbuf.h"
#include "board/sched.h"
#include "net/stream.h"
#include "rpc/params.h"
#include "server/server.h"
#include "server/share.h"

struct request;

enum client_state { CLIENT_OPEN, CLIENT_HALF_CLOSED, CLIENT_STOPPING, CLIENT_CLOSED };

struct client {
    struct list node; /* in server.clients */
    struct server *server;
    struct net_stream *stream; /* NULL once CLOSED */
    enum client_state state;
    uint64_t number; /* no other connection of this daemon has had it */
    enum client_transport transport;
    char since[CLOCK_TEXT_SIZE]; /* wall clock */
    char peer[64];
    char name[129]; /* what server.hello said; "" if nothing */
    char *identity; /* as server/login.h found out; owned */
    const struct config_grant *grant;
    enum rpc_role role;             /* the highest that it has on a board */
    char address[96];               /* what its wrong tokens count for */
    unsigned wrong_tokens;          /* so far */
    bool asked;                     /* for something else than server.hello: its identity stays */
    bool has_token;                 /* its identity is that of one */
    bool barred;                    /* the configuration that was read anew has no such entry */
    struct request *login;          /* a server.hello whose refusal waits; nothing is read meanwhile */
    struct loop_timer *login_timer; /* while it may do nothing */
    struct share *share;            /* NULL before it ran something */
    struct sched_queue *queues;     /* one for each board, with `share` */
    struct list requests;           /* struct request that are not answered yet */
    size_t in_flight;
    size_t queued_bytes; /* held by those requests */
    size_t max_line;     /* bytes of a line, as long as its role is what it is */
    bool first_line_seen;
    bool reading_paused;
    bool awaited;                  /* by client_await_reader() */
    struct loop_timer *slow_timer; /* runs while the output stands above its bound, or it is awaited */
    uint64_t taken_at_arming;
    uint64_t half_closed_used_us; /* link time since its input ended */
    struct list hearer_node;      /* in server.hearers, or in no list */
    uint64_t topics;              /* bits of enum rpc_topic... that it subscribed to */
    uint64_t topic_boards;        /* bits of board indexes */
    uint64_t event_seq;           /* of the last event that was for it */
    uint64_t events_lost;         /* of those, the last ones, that it had no room for and does not know of */
    struct list watches;          /* struct watch by client_node */
    size_t watch_count;
    size_t watch_bytes; /* as they count for its limit */
};

/* "tcp", "tls" or "unix". */
const char *client_transport_name(enum client_transport transport);

/* `tls` NULL: a plain connection. */
struct client *client_new(struct server *server, int fd, struct net_tls *tls);
/* Allowed at any time; what it waits for is cancelled, but for detached operations. */
void client_close(struct client *client, const char *reason);
/* The same, once it has taken what was sent to it, or some seconds have passed. */
void client_close_flushed(struct client *client, const char *reason);
/* The daemon stops: nothing more is read, and what waits for no operation is answered `cancelled`. */
void client_stop(struct client *client);
/* Behind it, when no operation runs any more: answers what is left, and closes once that is taken, or after
 * `limit_ms`. */
void client_stop_end(struct client *client, uint64_t limit_ms);

/* What it may do on the board. */
enum rpc_role client_role(const struct client *client, const struct board *board);
/* Whether it is admin of every board, and so sees what is of no board. */
bool client_is_admin(const struct client *client);
/* Its queue on the board, in its identity's share. */
struct sched_queue *client_queue(struct client *client, struct board *board);

/* Whether one operation more may wait there: limit_exceeded where its identity, or all together, have too
 * many.
 */
bool client_may_queue(struct client *client, struct board *board, struct err *err)
    __attribute__((warn_unused_result));

/* Sends a whole line, LF included; takes the buffer's memory. Dropped if the client is CLOSED. */
void client_send(struct client *client, struct strbuf *take_line);
/* Whether more output may be produced for it. */
bool client_has_room(const struct client *client);
/* Where the output that it was sent so far ends, and how far its side has taken that, in bytes since the
 * start; with TLS roughly. Both 0 once it is CLOSED. */
uint64_t client_sent_bytes(const struct client *client);
uint64_t client_taken_bytes(const struct client *client);
/* Something waits until no more than `pending` bytes of its output are left, which events_drained() tells; a
 * client that takes nothing until then is too slow a reader. 0: nothing does any more. */
void client_await_reader(struct client *client, size_t pending);
/* A request of its list was answered: reads on, or ends the connection. */
void client_request_done(struct client *client);
/* For board_handler.may_run. */
bool client_may_run(const struct client *client, bool changes, enum board_pass pass);
/* Link time that one of its requests took. */
void client_link_used(struct client *client, uint64_t used_us);

#endif
