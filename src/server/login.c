/* Identities of clients, and the slow answers to wrong tokens. */
#include "server/login.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/guard.h"
#include "server/identity.h"

static void on_login_limit(void *context)
{
    client_close(context, "did not say who it is");
}

static void set_identity(struct client *client, const struct config_grant *grant, const char *name,
                         const char *how)
{
    free(client->identity);
    client->identity = xstrdup(name);
    client->grant = grant;
    client->role = grant->highest;
    client->max_line = client->server->config->limits.max_line_bytes;
    if (client->role == RPC_ROLE_NONE && client->max_line > LOGIN_MAX_LINE) {
        client->max_line = LOGIN_MAX_LINE;
    }
    net_stream_set_max_line(client->stream, client->max_line);
    log_debug("client %s: %s by %s", client->peer, client->identity, how);
    if (grant != &client->server->config->identities.anonymous) {
        audit_login(client->server->audit, client, how);
    }
    if (client->role > RPC_ROLE_NONE) {
        loop_timer_free(client->login_timer);
        client->login_timer = NULL;
    } else if (client->login_timer == NULL) {
        client->login_timer = loop_timer_new(client->server->loop, on_login_limit, client);
        loop_timer_set(client->login_timer, client->server->config->limits.login_ms);
    }
}

/* Members of a group are told apart by their names on this machine, as its password file has them. */
static void name_member(uid_t uid, char *name, size_t size)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];
    snprintf(name, size, "uid:%u", (unsigned)uid);
    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL &&
        strlen(found->pw_name) < size && strcmp(found->pw_name, CONFIG_ANONYMOUS) != 0) {
        snprintf(name, size, "%s", found->pw_name);
    }
}

static bool take_user(const struct config_identities *identities, const struct net_stream *stream,
                      struct login_peer *peer)
{
    struct net_peer user;
    if (!net_peer_init(&user, net_stream_fd(stream))) {
        return false;
    }
    snprintf(peer->address, sizeof peer->address, "unix uid %u", (unsigned)user.uid);
    const struct config_grant *grant = identity_of_peer(identities, &user);
    uid_t uid = user.uid;
    net_peer_fini(&user);
    if (grant == NULL) {
        return false;
    }
    if (grant->identity[0] == '\0') {
        name_member(uid, peer->identity, sizeof peer->identity);
    } else {
        snprintf(peer->identity, sizeof peer->identity, "%s", grant->identity);
    }
    peer->grant = grant;
    peer->how = "user";
    return true;
}

static bool take_certificate(const struct config_identities *identities, const struct net_stream *stream,
                             struct login_peer *peer)
{
    struct net_certificate certificate;
    if (!net_stream_certificate(stream, &certificate)) {
        return false;
    }
    const struct config_grant *grant = identity_of_certificate(identities, &certificate);
    if (grant == NULL) {
        log_info("client %s: the certificate of %s, SHA-256 %s, is of no identity", net_stream_peer(stream),
                 certificate.subject, certificate.fingerprint);
        peer->strange_certificate = true;
        return false;
    }
    snprintf(peer->identity, sizeof peer->identity, "%s", grant->identity);
    peer->grant = grant;
    peer->how = "certificate";
    return true;
}

/* The peer without its port: who comes again has another one. */
static void set_address(const struct net_stream *stream, struct login_peer *peer)
{
    snprintf(peer->address, sizeof peer->address, "%s", net_stream_peer(stream));
    char *colon = strrchr(peer->address, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
}

void login_look(const struct config_identities *identities, const struct net_stream *stream,
                struct login_peer *ret_peer)
{
    ret_peer->strange_certificate = false;
    set_address(stream, ret_peer);
    if (take_user(identities, stream, ret_peer) || take_certificate(identities, stream, ret_peer)) {
        return;
    }
    ret_peer->grant = &identities->anonymous;
    ret_peer->how = "nothing";
    snprintf(ret_peer->identity, sizeof ret_peer->identity, "%s", identities->anonymous.identity);
}

void login_begin(struct client *client)
{
    struct login_peer peer;
    login_look(&client->server->config->identities, client->stream, &peer);
    if (peer.strange_certificate) {
        audit_login_failed(client->server->audit, client, "certificate", "the certificate is of no identity");
    }
    snprintf(client->address, sizeof client->address, "%s", peer.address);
    set_identity(client, peer.grant, peer.identity, peer.how);
}

static void set_wrong(struct err *err)
{
    err_set(err, ERR_UNAUTHENTICATED, "the token is wrong");
}

static void on_delay_over(void *context)
{
    struct request *request = context;
    struct client *client = request->client;
    struct err err;
    bool last = client->wrong_tokens >= LOGIN_MAX_WRONG;
    set_wrong(&err);
    request_fail(request, &err);
    /* The request kept it from being buried. */
    if (last && client->state == CLIENT_OPEN) {
        client_close_flushed(client, "too many wrong tokens");
    }
}

static enum login_result delay(struct request *request)
{
    struct client *client = request->client;
    uint64_t delay_ms = guard_note_failure(&client->server->guard, client->address, clock_now_us());
    client->wrong_tokens++;
    audit_login_failed(client->server->audit, client, "token", "the token is wrong");
    log_warn("client %s: a wrong token, %u on this connection by now: answered in %" PRIu64 " ms",
             client->peer, client->wrong_tokens, delay_ms);
    client->login = request;
    request->wait_timer = loop_timer_new(client->server->loop, on_delay_over, request);
    loop_timer_set(request->wait_timer, delay_ms);
    return LOGIN_DELAYED;
}

static enum login_result refuse(struct err *err, const char *reason)
{
    err_set(err, ERR_INVALID_PARAMS, "token: %s", reason);
    err_add_text(err, "parameter", "token");
    return LOGIN_REFUSED;
}

enum login_result login_by_token(struct request *request, const char *token, size_t length, struct err *err)
{
    struct client *client = request->client;
    const struct config_identities *identities = &client->server->config->identities;
    if (identities->token_count == 0) {
        err_set(err, ERR_UNAUTHENTICATED, "this daemon has no tokens configured: leave `token` out");
        return LOGIN_REFUSED;
    }
    if (client->asked || client->has_token) {
        return refuse(err, "must come before any other call of the connection, and once");
    }
    if (client->login != NULL) {
        return refuse(err, "another one of this connection is being refused");
    }
    const struct config_grant *grant = identity_of_token(identities, token, length);
    if (grant == NULL) {
        return delay(request);
    }
    client->has_token = true;
    set_identity(client, grant, grant->identity, "token");
    return LOGIN_DONE;
}
