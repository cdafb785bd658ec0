/* The daemon's core: boards, listeners, clients, and what they share. */
#ifndef OCDMUX_SERVER_SERVER_H
#define OCDMUX_SERVER_SERVER_H

#include "base/private_dir.h"
#include "board/board.h"
#include "net/listener.h"
#include "net/loop.h"
#include "rpc/json_write.h"
#include "server/audit.h"
#include "server/config.h"
#include "server/event_feeds.h"
#include "server/guard.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/operations.h"
#include "server/stage.h"

#define SERVER_PROTOCOL 1
/* As long as OpenOCD may take for a large erase. */
#define STOP_LIMIT_MS 60000u

struct client;
struct gdb;
struct request;
struct watch_board;

/* A method's implementation: answers the request or makes it an operation, and returns true; or returns false
 * with `err` set. `params` is the method's own struct; what the handler wants to keep it takes out of it. */
typedef bool server_handler(struct request *request, void *params, struct err *err);

enum client_transport { CLIENT_TCP, CLIENT_TLS, CLIENT_UNIX, CLIENT_TRANSPORT_COUNT };

struct server_counters {
    uint64_t clients; /* connected now, or gone while the last of their operations runs */
    uint64_t connected[CLIENT_TRANSPORT_COUNT]; /* connected now */
    uint64_t clients_total;
    uint64_t requests;
    uint64_t errors;        /* error replies */
    uint64_t notifications; /* sent to clients */
    uint64_t events_lost;   /* by clients that did not read */
    uint64_t lines_refused; /* no JSON, too long, ... */
};

struct server_listener {
    struct server *server;
    struct net_listener *net;
    bool tls;
};

/*
 *   NONE --- server_stop() ---> WAITING --- what must not be cut off has ended ---> FLUSHING ---> stopped()
 *                                  +------ server_stop() again, or its limit ---> HURRYING ------>+
 *
 * HURRYING is FLUSHING that waits for no OpenOCD that was started.
 */
enum server_stop_state { SERVER_STOP_NONE, SERVER_STOP_WAITING, SERVER_STOP_FLUSHING, SERVER_STOP_HURRYING };

struct server {
    struct loop *loop;
    const struct config *config;
    server_handler *const *handlers; /* in the order of enum rpc_method_index */
    struct private_dir *share;       /* for files that OpenOCD may see too; NULL: none */
    struct board *boards[CONFIG_MAX_BOARDS];
    size_t board_count;
    struct watch_board *watches[CONFIG_MAX_BOARDS]; /* of each board */
    uint64_t last_watch;
    struct gdb *gdbs[CONFIG_MAX_BOARDS]; /* of the board at the same index; NULL: it takes no gdb */
    struct server_listener listeners[CONFIG_MAX_LISTENERS];
    size_t listener_count;
    struct list clients; /* struct client, closing ones too */
    struct list hearers; /* struct client by hearer_node: those that events may be for */
    size_t hearer_count;
    uint64_t places;              /* for clients: limits.max_clients, or fewer */
    uint64_t gone_clients;        /* since memory was given back last */
    struct loop_timer *give_back; /* set while many have just left */
    struct list shares;           /* struct share, of identities that run something */
    struct audit *audit;          /* NULL: none is kept */
    struct guard guard;           /* against those who try tokens */
    struct net_tls *tls;          /* NULL: none is configured */
    struct operations operations;
    struct list target_waits; /* struct request by wait_node: target.wait */
    struct event_feeds feeds;
    size_t topic_users[64]; /* clients that subscribed, by enum rpc_topic... */
    /* The members of board.status, which methods/ knows: for the snapshots of events. Whoever makes the
     * server sets it. */
    void (*write_board)(struct server *server, struct board *board, struct json_writer *json);
    struct stage_store stages;
    struct server_counters counters;
    struct metrics metrics;
    struct http *http;   /* of metrics and health; NULL: none is configured */
    size_t queued_bytes; /* of parameters that requests of all clients hold */
    uint64_t started_us;
    bool listeners_paused;
    enum server_stop_state stop_state;
    struct loop_timer *stop_timer; /* NULL: it does not stop */
    uint64_t stop_deadline_us;     /* of the state */
    void (*stopped)(void *context);
    void *stopped_context;
};

/* `config` and `handlers` must outlive the server. Fails with internal_error where a listener cannot be
 * opened, with stage_error where stages cannot be kept or the shared directory that is configured cannot be
 * made. */
bool server_new(struct server **ret_server, struct loop *loop, const struct config *config,
                server_handler *const *handlers, struct err *err) __attribute__((warn_unused_result));
/*
 * Closes the listeners, reads no more from clients, and cancels what is under way. When what must not be cut
 * off has ended, after STOP_LIMIT_MS at the latest, or when called a second time, all that is left is
 * answered, the clients are closed once they have taken that, and `stopped` is called.
 */
void server_stop(struct server *server, void (*stopped)(void *context), void *context);
/* Behind config_reload(): reads the certificate and its key anew, for connections to come, and opens the
 * audit file anew; the old ones stay where that fails. */
void server_reload(struct server *server);
/* The configuration has other identities than the `old` ones: connections whose entry is the same go on, the
 * others are closed. */
void server_identities_changed(struct server *server, const struct config_identities *old);
/* Closes everything at once. */
void server_free(struct server *server);

/* `name` NULL: the only board. Fails with invalid_params or not_found, naming the parameter `board`. */
bool server_find_board(struct server *server, const char *name, struct board **ret_board, struct err *err)
    __attribute__((warn_unused_result));
/* Operations of clients that wait or run on the board; not those of watches. */
size_t server_queued(struct server *server, const struct board *board);
size_t server_board_index(const struct server *server, const struct board *board);

/* Lets every board begin what was queued. */
void server_kick_boards(struct server *server);

/* The client will send no more: for the leases, and its watches end. May end requests of its that wait for a
 * lease. */
void server_connection_gone(struct server *server, struct client *client);
/* Called by clients as they go: lets in who waits for a place, and gives memory back behind a crowd. */
void server_client_gone(struct server *server);

#endif
