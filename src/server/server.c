/* Boards, listeners and clients together. */
#include "server/server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "board/board_lease.h"
#include "server/client.h"
#include "server/config_reload.h"
#include "server/events.h"
#include "server/gdb.h"
#include "server/metrics_page.h"
#include "server/places.h"
#include "server/request.h"
#include "server/target_waits.h"
#include "server/watch.h"

#define STOP_LOOK_MS 20u
/* When so many clients have left, the memory that they had goes back to the system: the allocator alone keeps
 * it as long as anything stands behind it. */
#define CROWD 256u
#define FEW 16u
#define GIVE_BACK_MS 200u
/* What clients are told last is with them after so long, or they do not read. */
#define STOP_FLUSH_MS 1000u
#define FLUSH_LOOK_MS 1u

/* NULL before its listener is open, and where it has none. */
static struct gdb *gdb_of(const struct server *server, const struct board *board)
{
    for (size_t i = 0; i < server->board_count; i++) {
        if (server->boards[i] == board) {
            return server->gdbs[i];
        }
    }
    return NULL;
}

static void on_link_changed(void *context, struct board *board, const char *reason)
{
    gdb_link_changed(gdb_of(context, board));
    events_link(context, board, reason);
    watch_link_changed(context, board, reason);
}

static void on_target_notified(void *context, struct board *board, const char *kind, const char *value)
{
    gdb_target_notified(gdb_of(context, board), kind, value);
    events_target(context, board, kind, value);
}

static bool on_states_seen(void *context, struct board *board)
{
    return target_waits_look(context, board);
}

static void on_lease_changed(void *context, struct board *board, enum lease_event event,
                             const struct lease_holder *holder, const struct lease_waiter *waiter)
{
    struct server *server = context;
    server->metrics.lease_events[server_board_index(server, board)][event]++;
    audit_lease(server->audit, board, lease_event_name(event),
                waiter != NULL ? &waiter->terms : &holder->terms);
    events_lease(server, board, event, holder, waiter);
    gdb_lease_changed(gdb_of(server, board), event, holder);
}

static void on_queue_changed(void *context, struct board *board)
{
    event_feeds_queue_changed(context, board);
}

static bool may_run(void *context, struct op *op, enum board_pass pass)
{
    const struct request *request = request_of(op);
    const struct watch_board *watches = watch_board_reading(op);
    (void)context;
    if (watches != NULL) {
        return watch_may_run(watches, pass);
    }
    return request == NULL || client_may_run(request->client, op->class->changes, pass);
}

static void on_link_used(void *context, struct op *op, uint64_t used_us)
{
    struct request *request = request_of(op);
    watch_link_used(context, op);
    if (request != NULL && !op->detached && op->state != OP_ENDING) {
        client_link_used(request->client, used_us);
    }
}

static const struct board_handler board_handler = {
    .lease_changed = on_lease_changed,
    .link_changed = on_link_changed,
    .target_notified = on_target_notified,
    .states_seen = on_states_seen,
    .queue_changed = on_queue_changed,
    .may_run = may_run,
    .link_used = on_link_used,
};

static bool is_full(const struct server *server)
{
    return server->counters.clients >= server->places;
}

/* Connections beyond the limit wait in the kernel's queue until one of the others has gone. */
static void update_listeners(struct server *server)
{
    bool pause = is_full(server);
    if (pause == server->listeners_paused) {
        return;
    }
    server->listeners_paused = pause;
    if (pause) {
        log_warn("%llu clients are connected: no more are taken for now",
                 (unsigned long long)server->counters.clients);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        if (pause) {
            net_listener_pause(server->listeners[i].net);
        } else {
            net_listener_resume(server->listeners[i].net);
        }
    }
}

static void on_accepted(void *context, int fd)
{
    const struct server_listener *listener = context;
    struct server *server = listener->server;
    if (is_full(server)) {
        close(fd);
        return;
    }
    client_new(server, fd, listener->tls ? server->tls : NULL);
    update_listeners(server);
}

void server_connection_gone(struct server *server, struct client *client)
{
    watch_end_all(client);
    for (size_t i = 0; i < server->board_count; i++) {
        board_lease_connection_gone(server->boards[i], client);
    }
}

/* As long as they leave it looks again: the last ones of a crowd are part of it. */
static void on_give_back(void *context)
{
    struct server *server = context;
    bool still = server->gone_clients >= FEW;
    server->gone_clients = 0;
    alloc_give_back();
    if (still) {
        loop_timer_set(server->give_back, GIVE_BACK_MS);
    }
}

void server_client_gone(struct server *server)
{
    update_listeners(server);
    server->gone_clients++;
    if (server->gone_clients >= CROWD && !loop_timer_is_set(server->give_back)) {
        loop_timer_set(server->give_back, GIVE_BACK_MS);
    }
}

void server_kick_boards(struct server *server)
{
    for (size_t i = 0; i < server->board_count; i++) {
        board_kick(server->boards[i]);
    }
}

/* Where nobody asked for a certain one, files can go over the links just as well. */
static bool make_share(struct server *server, struct err *err)
{
    const struct config *config = server->config;
    struct private_dir_options options = {
        .parent = config->share_dir, .prefix = "ocdmux-share", .group = config->share_group};
    if (config->share_dir != NULL && strcmp(config->share_dir, CONFIG_NO_SHARE) == 0) {
        return true;
    }
    if (private_dir_new(&server->share, &options, err)) {
        return true;
    }
    if (config->share_dir != NULL || config->share_group != NULL) {
        err_prefix(err, "%s", config->share_dir != NULL ? "share_dir" : "share_group");
        return false;
    }
    log_warn("%s: files go over the links", err->message);
    err_reset(err);
    return true;
}

static void start_boards(struct server *server)
{
    const struct config *config = server->config;
    for (size_t i = 0; i < config->board_count; i++) {
        const struct config_board *from = &config->boards[i];
        const struct config_spawn *spawn = &from->spawn;
        struct openocd_process_options process = {.spawn = spawn->command,
                                                  .before_start = spawn->before_start,
                                                  .start_limit_ms = (uint32_t)spawn->start_limit_ms,
                                                  .stop_limit_ms = (uint32_t)spawn->stop_limit_ms,
                                                  .before_start_limit_ms = (uint32_t)spawn->before_limit_ms};
        struct board_options options = {.name = from->name,
                                        .address = from->openocd,
                                        .stage_dir = from->stage_dir,
                                        .share = server->share,
                                        .state_dir = config->state_dir,
                                        .link_limit_ms = (uint32_t)from->link_limit_ms,
                                        .unavailable_ms = 10000,
                                        .lease_grace_ms = (uint32_t)from->lease_grace_ms,
                                        .require_lease = from->require_lease,
                                        .expect = spawn->expects ? &spawn->expect : NULL,
                                        .process = spawn->command != NULL ? &process : NULL,
                                        .health_every_ms = (uint32_t)spawn->health_every_ms,
                                        .health_limit_ms = (uint32_t)spawn->health_limit_ms};
        server->boards[i] = board_new(server->loop, &options, &board_handler, server);
        server->watches[i] = watch_board_new(server, server->boards[i]);
        server->board_count++;
    }
}

static bool make_audit(struct server *server, struct err *err)
{
    const struct config *config = server->config;
    return config->audit_path == NULL ||
           audit_new(&server->audit, config->audit_path, config->audit_required, err);
}

static bool make_tls(struct server *server, struct err *err)
{
    const struct config_tls *tls = &server->config->identities.tls;
    struct net_tls_options options = {.certificate = tls->certificate,
                                      .key = tls->key,
                                      .client_ca = tls->client_ca,
                                      .client_required = tls->client_required,
                                      .handshake_ms = server->config->limits.login_ms};
    return tls->certificate == NULL || net_tls_new(&server->tls, &options, err);
}

void server_reload(struct server *server)
{
    struct err err;
    audit_reopen(server->audit);
    server->places = places_now(server->config); /* there may be another limit */
    update_listeners(server);
    if (server->tls == NULL) {
        log_info("no certificate is configured: none is reloaded");
        return;
    }
    err_reset(&err);
    if (net_tls_reload(server->tls, &err)) {
        log_info("the certificate and its key were reloaded");
    } else {
        log_error("%s: the old certificate and key stay", err.message);
    }
}

/* Who is known by his user must get to the sockets; strangers may then come, and do nothing. */
static void admit_users(struct server *server)
{
    const struct config *config = server->config;
    if (config->identities.user_count == 0 || config->anonymous_role != RPC_ROLE_NONE) {
        return;
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        net_listener_admit_all(server->listeners[i].net);
    }
}

static bool open_listeners(struct server *server, struct err *err)
{
    const struct config *config = server->config;
    for (size_t i = 0; i < config->listener_count; i++) {
        struct server_listener *listener = &server->listeners[i];
        listener->server = server;
        listener->tls = config->listeners[i].tls;
        if (!net_listener_new(&listener->net, server->loop, &config->listeners[i], on_accepted, listener,
                              err)) {
            return false;
        }
        server->listener_count++;
        log_info("listening on %s", net_listener_text(listener->net));
    }
    admit_users(server);
    return true;
}

static bool open_gdbs(struct server *server, struct err *err)
{
    for (size_t i = 0; i < server->board_count; i++) {
        if (server->config->boards[i].gdb.listens && !gdb_new(&server->gdbs[i], server, i, err)) {
            return false;
        }
    }
    return true;
}

static void stop_gdbs(struct server *server)
{
    for (size_t i = 0; i < server->board_count; i++) {
        gdb_stop(server->gdbs[i]);
    }
}

bool server_new(struct server **ret_server, struct loop *loop, const struct config *config,
                server_handler *const *handlers, struct err *err)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->loop = loop;
    server->config = config;
    server->handlers = handlers;
    server->started_us = clock_now_us();
    server->places = places_now(config);
    server->give_back = loop_timer_new(loop, on_give_back, server);
    list_init(&server->clients);
    list_init(&server->hearers);
    list_init(&server->target_waits);
    list_init(&server->shares);
    guard_init(&server->guard);
    event_feeds_init(server);
    operations_init(&server->operations, loop);
    if (!make_audit(server, err) || !make_tls(server, err) || !make_share(server, err) ||
        !stage_store_init(&server->stages, loop, config, err)) {
        server_free(server);
        return false;
    }
    if (!open_listeners(server, err)) {
        server_free(server);
        return false;
    }
    if (!metrics_page_open(server, err)) {
        server_free(server);
        return false;
    }
    start_boards(server);
    if (!open_gdbs(server, err)) {
        server_free(server);
        return false;
    }
    *ret_server = server;
    return true;
}

/* Closing one may end others, so each look starts from the beginning. */
static struct client *next_open_client(struct server *server)
{
    list_for_each (node, &server->clients) {
        struct client *client = list_entry(node, struct client, node);
        if (client->state != CLIENT_CLOSED) {
            return client;
        }
    }
    return NULL;
}

static void close_clients(struct server *server)
{
    struct client *client;
    while ((client = next_open_client(server)) != NULL) {
        client_close(client, BOARD_STOP_REASON);
    }
}

/* Closing one may end others, so each look starts from the beginning. */
static struct client *next_barred_client(struct server *server)
{
    list_for_each (node, &server->clients) {
        struct client *client = list_entry(node, struct client, node);
        if (client->barred && client->state != CLIENT_CLOSED) {
            return client;
        }
    }
    return NULL;
}

void server_identities_changed(struct server *server, const struct config_identities *old)
{
    struct client *client;
    list_for_each_safe (node, next, &server->clients) {
        client = list_entry(node, struct client, node);
        const struct config_grant *grant = config_reload_grant(server->config, old, client->grant);
        client->barred = client->barred || grant == NULL;
        client->grant = grant != NULL ? grant : &server->config->identities.anonymous;
        if (client->barred) { /* where next_barred_client() begins to look */
            list_remove(&client->node);
            list_prepend(&server->clients, &client->node);
        }
    }
    for (size_t i = 0; i < server->board_count; i++) {
        gdb_identities_changed(server->gdbs[i], old);
    }
    while ((client = next_barred_client(server)) != NULL) {
        log_info("client %s: the configuration has another entry for %s, or none", client->peer,
                 client->identity);
        client_close(client, "its entry in the configuration has changed");
    }
    admit_users(server);
}

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        net_listener_free(server->listeners[i].net);
    }
    server->listener_count = 0;
}

/* Each OpenOCD that was started has a limit for its end. */
static bool processes_have_stopped(struct server *server)
{
    bool all = true;
    for (size_t i = 0; i < server->board_count; i++) {
        all = board_stop_process(server->boards[i]) && all;
    }
    return all;
}

static struct client *next_client_to_stop(struct server *server)
{
    list_for_each (node, &server->clients) {
        struct client *client = list_entry(node, struct client, node);
        if (client->state == CLIENT_OPEN || client->state == CLIENT_HALF_CLOSED) {
            return client;
        }
    }
    return NULL;
}

static void set_stop_state(struct server *server, enum server_stop_state state, uint64_t limit_ms)
{
    server->stop_state = state;
    server->stop_deadline_us = clock_now_us() + limit_ms * 1000u;
    loop_timer_set(server->stop_timer, 0);
}

/* Everybody who waits is told how it ended. */
static void end_clients(struct server *server, enum server_stop_state state)
{
    struct client *client;
    for (size_t i = 0; i < server->board_count; i++) {
        board_stop_all(server->boards[i]);
    }
    while ((client = next_open_client(server)) != NULL) {
        client_stop_end(client, STOP_FLUSH_MS);
    }
    set_stop_state(server, state, STOP_FLUSH_MS);
}

static bool boards_have_stopped(struct server *server)
{
    bool all = true;
    for (size_t i = 0; i < server->board_count; i++) {
        all = board_stop(server->boards[i]) && all;
    }
    return all;
}

static void look_whether_stopped(void *context)
{
    struct server *server = context;
    bool late = clock_now_us() >= server->stop_deadline_us;
    bool flushed = late || !loop_has_remnants(server->loop);
    switch (server->stop_state) {
    case SERVER_STOP_NONE:
        return;
    case SERVER_STOP_WAITING:
        if (boards_have_stopped(server) || late) {
            end_clients(server, SERVER_STOP_FLUSHING);
            return;
        }
        loop_timer_set(server->stop_timer, STOP_LOOK_MS);
        return;
    case SERVER_STOP_FLUSHING:
        flushed = processes_have_stopped(server) && flushed;
        break;
    case SERVER_STOP_HURRYING:
        break;
    }
    if (flushed) {
        server->stopped(server->stopped_context);
        return;
    }
    loop_timer_set(server->stop_timer, FLUSH_LOOK_MS);
}

static void stop_clients(struct server *server)
{
    struct client *client;
    while ((client = next_client_to_stop(server)) != NULL) {
        client_stop(client);
    }
}

void server_stop(struct server *server, void (*stopped)(void *context), void *context)
{
    server->stopped = stopped;
    server->stopped_context = context;
    switch (server->stop_state) {
    case SERVER_STOP_NONE:
        server->stop_timer = loop_timer_new(server->loop, look_whether_stopped, server);
        close_listeners(server);
        stop_gdbs(server);
        set_stop_state(server, SERVER_STOP_WAITING, STOP_LIMIT_MS);
        stop_clients(server);
        look_whether_stopped(server);
        return;
    case SERVER_STOP_WAITING:
        end_clients(server, SERVER_STOP_HURRYING);
        return;
    case SERVER_STOP_FLUSHING:
    case SERVER_STOP_HURRYING:
        stopped(context);
        return;
    }
}

void server_free(struct server *server)
{
    http_free(server->http);
    close_listeners(server);
    stop_gdbs(server);
    close_clients(server);
    for (size_t i = 0; i < server->board_count; i++) {
        gdb_free(server->gdbs[i]);
        server->gdbs[i] = NULL;
        board_free(server->boards[i]);
        watch_board_free(server->watches[i]);
    }
    event_feeds_fini(server);
    private_dir_free(server->share);
    loop_timer_free(server->stop_timer);
    loop_timer_free(server->give_back);
    operations_fini(&server->operations);
    stage_store_fini(&server->stages);
    guard_fini(&server->guard);
    net_tls_free(server->tls);
    audit_free(server->audit);
    free(server);
}

bool server_find_board(struct server *server, const char *name, struct board **ret_board, struct err *err)
{
    if (name == NULL && server->board_count == 1) {
        *ret_board = server->boards[0];
        return true;
    }
    if (name == NULL) {
        err_set(err, ERR_INVALID_PARAMS, "board: is missing: this daemon has %zu boards",
                server->board_count);
        err_add_text(err, "parameter", "board");
        return false;
    }
    for (size_t i = 0; i < server->board_count; i++) {
        if (strcmp(board_name(server->boards[i]), name) == 0) {
            *ret_board = server->boards[i];
            return true;
        }
    }
    err_set(err, ERR_NOT_FOUND, "there is no board \"%s\"", name);
    err_add_text(err, "parameter", "board");
    return false;
}

size_t server_queued(struct server *server, const struct board *board)
{
    return board_queued(board) - watch_queued(watch_board_of(server, board));
}

size_t server_board_index(const struct server *server, const struct board *board)
{
    size_t index = 0;
    while (server->boards[index] != board) {
        index++;
    }
    return index;
}
