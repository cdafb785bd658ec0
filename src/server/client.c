/* A connection's life, and its bounds. */
#include "server/client.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/events.h"
#include "server/login.h"
#include "server/request.h"
#include "server/request_take.h"
#include "server/watch.h"

#define HALF_CLOSED_LINK_US 2000000u
/* Of requests that wait for clients that are gone: more is dropped. */
#define HALF_CLOSED_BYTES (64u * 1024u * 1024u)
/* Whoever left but this is served all the same. */
#define HALF_CLOSED_SMALL_BYTES (64u * 1024u)
/* After its last answer a half-closed client has this long to take it. */
#define FLUSH_LIMIT_MS 5000u

static void free_client(void *object)
{
    struct client *client = object;
    free(client->queues);
    free(client->identity);
    free(client);
}

/* A CLOSED client whose last operation has ended. */
static void bury(struct client *client)
{
    struct server *server = client->server;
    list_remove(&client->node);
    loop_timer_free(client->slow_timer);
    loop_timer_free(client->login_timer);
    if (client->share != NULL) {
        share_unref(client->share, server->loop);
    }
    loop_bury(server->loop, client, free_client);
    server->counters.clients--;
    server_client_gone(server);
}

static void set_closed(struct client *client)
{
    client->state = CLIENT_CLOSED;
    client->stream = NULL;
    client->server->counters.connected[client->transport]--;
    events_forget(client);
    loop_timer_cancel(client->slow_timer);
    loop_timer_free(client->login_timer);
    client->login_timer = NULL;
}

/* Ending one request may end others (those that wait for its operation), so each look starts from the
 * beginning. */
static struct request *next_to_orphan(struct client *client)
{
    list_for_each (node, &client->requests) {
        struct request *request = list_entry(node, struct request, node);
        if (!request->orphaned) {
            return request;
        }
    }
    return NULL;
}

static void orphan_requests(struct client *client)
{
    struct request *request;
    while ((request = next_to_orphan(client)) != NULL) {
        request_orphan(request);
    }
}

/* `flush_ms` 0: what was sent and not taken is lost. */
static void close_with(struct client *client, const char *reason, uint64_t flush_ms)
{
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    struct server *server = client->server;
    log_debug("client %s: closed: %s", client->peer, reason);
    if (flush_ms > 0) {
        net_stream_close_flushed(client->stream, flush_ms);
    } else {
        net_stream_close(client->stream);
    }
    set_closed(client);
    if (list_is_empty(&client->requests)) {
        bury(client);
    } else {
        orphan_requests(client);
    }
    server_connection_gone(server, client);
}

void client_close(struct client *client, const char *reason)
{
    close_with(client, reason, 0);
}

void client_close_flushed(struct client *client, const char *reason)
{
    close_with(client, reason, FLUSH_LIMIT_MS);
}

/* Stopping. */

/* One that is answered with what it waits for, or may be cancelled now. */
static bool may_stop(const struct request *request)
{
    return request->op == NULL && request->method != &rpc_methods[RPC_METHOD_OPERATION_WAIT] &&
           request->client->login != request;
}

/* As for orphans: each look starts from the beginning. */
static struct request *next_to_stop(struct client *client, bool all)
{
    list_for_each (node, &client->requests) {
        struct request *request = list_entry(node, struct request, node);
        if (may_stop(request) || (all && request->op == NULL && client->login != request)) {
            return request;
        }
    }
    return NULL;
}

static void stop_requests(struct client *client, bool all)
{
    struct request *request;
    while ((request = next_to_stop(client, all)) != NULL) {
        request_cancel(request, BOARD_STOP_REASON);
    }
}

void client_stop(struct client *client)
{
    if (client->state == CLIENT_OPEN && !client->reading_paused) {
        net_stream_pause(client->stream);
    }
    client->state = CLIENT_STOPPING;
    watch_end_all(client);
    stop_requests(client, false);
}

void client_stop_end(struct client *client, uint64_t limit_ms)
{
    stop_requests(client, true);
    close_with(client, BOARD_STOP_REASON, limit_ms);
}

enum rpc_role client_role(const struct client *client, const struct board *board)
{
    return client->grant->roles[server_board_index(client->server, board)];
}

bool client_is_admin(const struct client *client)
{
    for (size_t i = 0; i < client->server->board_count; i++) {
        if (client->grant->roles[i] != RPC_ROLE_ADMIN) {
            return false;
        }
    }
    return true;
}

struct sched_queue *client_queue(struct client *client, struct board *board)
{
    struct server *server = client->server;
    if (client->share == NULL) {
        client->share = share_ref(&server->shares, client->identity, server->board_count);
        client->queues = xcalloc(server->board_count, sizeof *client->queues);
        for (size_t i = 0; i < server->board_count; i++) {
            board_queue_init(server->boards[i], &client->queues[i], &client->share->boards[i]);
        }
    }
    return &client->queues[server_board_index(server, board)];
}

static bool too_many(struct err *err, const char *whose, const char *limit, uint64_t maximum)
{
    err_set(err, ERR_LIMIT_EXCEEDED, "%s %llu operations wait on this board already: try again later", whose,
            (unsigned long long)maximum);
    err_add_text(err, "limit", limit);
    err_add_integer(err, "maximum", maximum);
    return false;
}

bool client_may_queue(struct client *client, struct board *board, struct err *err)
{
    const struct config_limits *limits = &client->server->config->limits;
    if (client_queue(client, board)->identity->count >= limits->max_identity_operations) {
        return too_many(err, "of this identity", "max_identity_operations", limits->max_identity_operations);
    }
    if (server_queued(client->server, board) >= limits->max_board_operations) {
        return too_many(err, "of all clients", "max_board_operations", limits->max_board_operations);
    }
    return true;
}

bool client_has_room(const struct client *client)
{
    return client->stream != NULL &&
           net_stream_pending(client->stream) < client->server->config->limits.max_output_bytes;
}

/* Reading stops while the client has enough waiting, or does not take what it got. Nobody else notices. */
static bool may_read(const struct client *client)
{
    const struct config_limits *limits = &client->server->config->limits;
    return client->login == NULL && client->in_flight < limits->max_in_flight &&
           client->queued_bytes < limits->max_queued_bytes && client_has_room(client);
}

static void update_reading(struct client *client)
{
    if (client->state != CLIENT_OPEN) {
        return;
    }
    bool pause = !may_read(client);
    if (pause && !client->reading_paused) {
        net_stream_pause(client->stream);
    } else if (!pause && client->reading_paused) {
        net_stream_resume(client->stream);
    }
    client->reading_paused = pause;
}

/*
 * What the client's side has taken. The kernel holds megabytes for it, and asks for more only when a good
 * part of them is gone: by what it accepts, somebody who reads slowly looks like somebody who does not read.
 */
uint64_t client_taken_bytes(const struct client *client)
{
    if (client->stream == NULL) {
        return 0;
    }
    uint64_t sent = net_stream_sent(client->stream);
    int waiting = 0;
    if (ioctl(net_stream_fd(client->stream), SIOCOUTQ, &waiting) != 0 || waiting < 0) {
        return sent;
    }
    return (uint64_t)waiting <= sent ? sent - (uint64_t)waiting : 0;
}

uint64_t client_sent_bytes(const struct client *client)
{
    return client->stream == NULL ? 0 : net_stream_sent(client->stream) + net_stream_pending(client->stream);
}

/* The output has stood above its bound for slow_reader_ms: did the client take anything? */
static void on_slow_timer(void *context)
{
    struct client *client = context;
    if (client_has_room(client) && !client->awaited) {
        return;
    }
    if (client_taken_bytes(client) == client->taken_at_arming) {
        log_warn("client %s: does not read its answers", client->peer);
        client_close(client, "too slow a reader");
        return;
    }
    client->taken_at_arming = client_taken_bytes(client);
    loop_timer_set(client->slow_timer, client->server->config->limits.slow_reader_ms);
}

static void arm_slow_timer(struct client *client)
{
    if (!loop_timer_is_set(client->slow_timer)) {
        client->taken_at_arming = client_taken_bytes(client);
        loop_timer_set(client->slow_timer, client->server->config->limits.slow_reader_ms);
    }
}

void client_send(struct client *client, struct strbuf *take_line)
{
    if (client->stream == NULL) {
        strbuf_fini(take_line);
        return;
    }
    net_stream_write_take(client->stream, take_line);
    if (!client_has_room(client)) {
        arm_slow_timer(client);
    }
    update_reading(client);
}

void client_await_reader(struct client *client, size_t pending)
{
    size_t usual = client->server->config->limits.max_output_bytes / 2;
    client->awaited = pending > 0;
    net_stream_set_low_water(client->stream, client->awaited ? pending : usual);
    if (client->awaited) {
        arm_slow_timer(client);
    }
}

void client_request_done(struct client *client)
{
    bool last = list_is_empty(&client->requests);
    switch (client->state) {
    case CLIENT_OPEN:
        update_reading(client);
        break;
    case CLIENT_HALF_CLOSED:
        if (last) {
            client_close_flushed(client, "all answered");
        }
        break;
    case CLIENT_STOPPING:
        break;
    case CLIENT_CLOSED:
        if (last) {
            bury(client);
        }
        break;
    }
}

bool client_may_run(const struct client *client, bool changes, enum board_pass pass)
{
    switch (client->state) {
    case CLIENT_OPEN:
        return changes || client_has_room(client);
    case CLIENT_HALF_CLOSED:
        return pass == BOARD_PASS_ALL && (changes || client_has_room(client));
    case CLIENT_STOPPING:
    case CLIENT_CLOSED:
        return true; /* only what must not stop half-way is left */
    }
    return false;
}

void client_link_used(struct client *client, uint64_t used_us)
{
    if (client->state != CLIENT_HALF_CLOSED) {
        return;
    }
    client->half_closed_used_us += used_us;
    if (client->half_closed_used_us > HALF_CLOSED_LINK_US) {
        client_close(client, "gone, and its time on the link is used up");
    }
}

static bool looks_like_http(const char *line)
{
    static const char *const verbs[] = {"GET ",    "POST ",    "PUT ",   "HEAD ",  "OPTIONS ",
                                        "DELETE ", "CONNECT ", "PATCH ", "TRACE ", "PRI * HTTP"};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strncmp(line, verbs[i], strlen(verbs[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void on_line(void *context, const char *line, size_t length)
{
    struct client *client = context;
    if (length == 0) {
        return;
    }
    if (!client->first_line_seen && looks_like_http(line)) {
        client_close(client, "speaks HTTP");
        return;
    }
    client->first_line_seen = true;
    request_take_line(client, line, length);
    update_reading(client);
    server_kick_boards(client->server);
}

static void on_line_too_long(void *context)
{
    struct client *client = context;
    client->first_line_seen = true;
    request_line_too_long(client);
}

static void on_drained(void *context)
{
    struct client *client = context;
    loop_timer_cancel(client->slow_timer);
    events_drained(client);
    update_reading(client);
    server_kick_boards(client->server);
}

/* What waits for clients that have sent their last, in bytes of parameters. */
static size_t bytes_of_the_gone(const struct server *server)
{
    size_t sum = 0;
    list_for_each (node, &server->clients) {
        const struct client *client = list_entry(node, struct client, node);
        sum += client->state != CLIENT_OPEN ? client->queued_bytes : 0;
    }
    return sum;
}

static void on_eof(void *context)
{
    struct client *client = context;
    if (client->state == CLIENT_STOPPING) {
        return;
    }
    client->state = CLIENT_HALF_CLOSED;
    server_connection_gone(client->server, client);
    if (client->state != CLIENT_HALF_CLOSED) {
        return; /* it only waited for a lease */
    }
    if (client->queued_bytes > HALF_CLOSED_SMALL_BYTES &&
        bytes_of_the_gone(client->server) > HALF_CLOSED_BYTES) {
        client_close(client, "gone, and too much waits for clients that are gone");
        return;
    }
    if (list_is_empty(&client->requests)) {
        client_close_flushed(client, "all answered");
    }
}

/* The TLS handshake is over: now it is known who has come. */
static void on_connected(void *context)
{
    login_begin(context);
}

static void on_failed(void *context, const char *reason)
{
    client_close(context, reason);
}

static const struct net_stream_handler stream_handler = {
    .line = on_line,
    .line_too_long = on_line_too_long,
    .connected = on_connected,
    .drained = on_drained,
    .eof = on_eof,
    .failed = on_failed,
};

const char *client_transport_name(enum client_transport transport)
{
    switch (transport) {
    case CLIENT_TCP:
        return "tcp";
    case CLIENT_TLS:
        return "tls";
    case CLIENT_UNIX:
        return "unix";
    case CLIENT_TRANSPORT_COUNT:
        break;
    }
    return "?";
}

struct client *client_new(struct server *server, int fd, struct net_tls *tls)
{
    size_t max_line = server->config->limits.max_line_bytes;
    struct client *client = xcalloc(1, sizeof *client);
    client->server = server;
    client->state = CLIENT_OPEN;
    client->grant = &server->config->identities.anonymous;
    list_init(&client->requests);
    list_init(&client->watches);
    list_init(&client->hearer_node);
    client->slow_timer = loop_timer_new(server->loop, on_slow_timer, client);
    client->stream = tls == NULL
                         ? net_stream_accept(server->loop, fd, &stream_handler, client, max_line)
                         : net_stream_accept_tls(server->loop, fd, tls, &stream_handler, client, max_line);
    net_stream_set_low_water(client->stream, server->config->limits.max_output_bytes / 2);
    snprintf(client->peer, sizeof client->peer, "%s", net_stream_peer(client->stream));
    list_append(&server->clients, &client->node);
    server->counters.clients++;
    server->counters.clients_total++;
    client->number = server->counters.clients_total;
    client->transport = tls != NULL                         ? CLIENT_TLS
                        : strcmp(client->peer, "unix") == 0 ? CLIENT_UNIX
                                                            : CLIENT_TCP;
    server->counters.connected[client->transport]++;
    clock_wall_text(client->since);
    log_debug("client %s: connected", client->peer);
    if (tls == NULL) {
        login_begin(client);
    }
    return client;
}
