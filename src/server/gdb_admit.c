/*
 * Who may debug: the identity and its role, the target's port, and the lease. A board that is leased is its
 * holder's; else a lease is taken, behind what changes the board, and given back by the last that uses it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/gdb_private.h"
#include "server/identity.h"

/* gdb itself waits two seconds for an answer unless it was told otherwise. */
#define DEFAULT_WAIT_MS 1500u
#define LOOK_EVERY_MS 20u
/* Of the lease that is taken; it is renewed long before. */
#define LEASE_TTL_MS 600000u
#define LEASE_RENEW_MS 200000u
#define LEASE_CLIENT "gdb"
#define LEASE_REASON "gdb is attached"

/* ---- Who it is ---- */

static void set_wrong_token(struct err *err)
{
    err_set(err, ERR_UNAUTHENTICATED, "the token is wrong");
}

static void delay_refusal(struct gdb_session *session)
{
    uint64_t delay_ms =
        guard_note_failure(&session->gdb->server->guard, session->who.address, clock_now_us());
    log_warn("board %s, gdb %s: a wrong token: answered in %" PRIu64 " ms", board_name(session->gdb->board),
             session->peer, delay_ms);
    gdb_session_set_state(session, GDB_REFUSING);
    loop_timer_set(session->timer, delay_ms);
}

/* Whether its identity is known now; else it is refused, or will be. */
static bool take_token(struct gdb_session *session)
{
    const struct config_identities *identities = &session->gdb->server->config->identities;
    const char *token = session->preface.token;
    struct err err;
    if (token == NULL) {
        return true;
    }
    if (identities->token_count == 0) {
        err_reset(&err);
        err_set(&err, ERR_UNAUTHENTICATED, "this daemon has no tokens configured: leave `token` out");
        gdb_session_refuse(session, &err);
        return false;
    }
    const struct config_grant *grant = identity_of_token(identities, token, strlen(token));
    if (grant == NULL) {
        delay_refusal(session);
        return false;
    }
    session->who.grant = grant;
    snprintf(session->who.identity, sizeof session->who.identity, "%s", grant->identity);
    return true;
}

static bool check_role(const struct gdb_session *session, struct err *err)
{
    const struct login_peer *who = &session->who;
    enum rpc_role has = who->grant->roles[session->gdb->index];
    if (has >= RPC_ROLE_USER) {
        return true;
    }
    if (has == RPC_ROLE_NONE && strcmp(who->identity, CONFIG_ANONYMOUS) == 0) {
        return err_set(err, ERR_UNAUTHENTICATED,
                       "nobody knows who this is: 'ocdmux gdb' shows the token of $OCDMUX_TOKEN");
    }
    err_set(err, ERR_FORBIDDEN, "gdb needs the role user; %s has the role %s on %s", who->identity,
            identity_role_word(has), board_name(session->gdb->board));
    err_add_text(err, "role", "user");
    return false;
}

static bool check_board(const struct gdb_session *session, struct err *err)
{
    const char *wanted = session->preface.board;
    const char *own = board_name(session->gdb->board);
    if (wanted == NULL || strcmp(wanted, own) == 0) {
        return true;
    }
    err_set(err, ERR_NOT_FOUND, "this is the gdb listener of board \"%s\"", own);
    err_add_text(err, "parameter", "board");
    return false;
}

/* ---- Where it goes ---- */

static bool read_port(const char *text, unsigned *ret_port)
{
    char *end = NULL;
    unsigned long port = strtoul(text, &end, 10);
    bool good = text[0] >= '1' && text[0] <= '9' && *end == '\0' && port <= 65535;
    *ret_port = good ? (unsigned)port : 0;
    return good;
}

/* As OpenOCD said it, on the link's host. */
static bool ask_port(struct gdb_session *session, const struct ocd_target *target, struct err *err)
{
    const char *said = target->gdb_port;
    const struct net_address *host = &session->gdb->server->config->boards[session->gdb->index].openocd;
    unsigned port = 0;
    if (strcmp(said, "disabled") == 0 || strcmp(said, "undefined") == 0) {
        return err_set(
            err, ERR_UNSUPPORTED,
            "OpenOCD serves no gdb for %s: it says \"%s\"; give it a gdb_port in its configuration",
            target->name, said);
    }
    if (!read_port(said, &port)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "OpenOCD's gdb port for %s is \"%s\", which is no port that can be connected to; set "
                       "`openocd` of the board's `gdb`, or give OpenOCD a gdb_port that is a number",
                       target->name, said);
    }
    return net_address_with_port(host, port, &session->address) ||
           err_set(err, ERR_UNSUPPORTED, "set `openocd` of the board's `gdb`: its host is not known");
}

static bool find_target(struct gdb_session *session, struct err *err)
{
    const struct gdb *gdb = session->gdb;
    const char *wanted = session->preface.target != NULL ? session->preface.target : "";
    const struct ocd_info *info = board_info(gdb->board);
    if (!board_is_up(gdb->board)) {
        return ocd_link_unavailable(board_link(gdb->board), NULL, err);
    }
    const struct ocd_target *target = ocd_info_find_target(info, wanted);
    if (target == NULL) {
        err_set(err, ERR_NOT_FOUND, "the board has no target \"%s\"", wanted);
        err_add_text(err, "parameter", "target");
        return false;
    }
    const struct gdb_session *other = gdb_find_session(gdb, target->name, session);
    if (other != NULL) {
        return err_set(err, ERR_BOARD_BUSY, "gdb of %s is attached to %s already", other->who.identity,
                       target->name);
    }
    snprintf(session->target, sizeof session->target, "%s", target->name);
    if (gdb->config->has_openocd && target == ocd_info_find_target(info, "")) {
        session->address = gdb->config->openocd;
        return true;
    }
    return ask_port(session, target, err);
}

/* ---- The lease ---- */

static void admit(struct gdb_session *session, uint64_t number)
{
    session->lease_number = number;
    session->hold = board_lease_hold(session->gdb->board, session, number);
    gdb_session_admitted(session);
}

static void granted(struct gdb_session *session)
{
    struct gdb *gdb = session->gdb;
    uint64_t number = board_lease(gdb->board)->holder.number;
    snprintf(gdb->lease_id, sizeof gdb->lease_id, "%s", session->waiter.id);
    gdb->lease_number = number;
    loop_timer_set(gdb->renew, LEASE_RENEW_MS);
    admit(session, number);
}

static void on_answered(struct lease_waiter *waiter, enum lease_verdict verdict)
{
    struct gdb_session *session = waiter->user;
    struct err err;
    session->in_queue = false;
    if (verdict == LEASE_OK) {
        granted(session);
    } else if (session->state != GDB_CLOSED) {
        err_reset(&err);
        board_lease_busy(session->gdb->board, session, &err);
        gdb_session_refuse(session, &err);
    }
}

static uint64_t left_ms(const struct gdb_session *session)
{
    uint64_t now = clock_now_us();
    return session->deadline_us > now ? (session->deadline_us - now + 999) / 1000 : 0;
}

static void acquire(struct gdb_session *session)
{
    struct lease_terms *terms = &session->waiter.terms;
    bool waits = false;
    struct err err;
    snprintf(terms->identity, sizeof terms->identity, "%s", session->who.identity);
    snprintf(terms->client, sizeof terms->client, LEASE_CLIENT);
    snprintf(terms->reason, sizeof terms->reason, LEASE_REASON);
    terms->connection = session;
    terms->ttl_ms = LEASE_TTL_MS;
    session->waiter.answered = on_answered;
    session->waiter.user = session;
    err_reset(&err);
    gdb_session_set_state(session, GDB_WAITING);
    if (!board_lease_acquire(session->gdb->board, &session->waiter, left_ms(session), &waits, &err)) {
        gdb_session_refuse(session, &err);
    } else if (waits) {
        session->in_queue = true;
        loop_timer_cancel(session->timer); /* the lease looks at the time */
    } else {
        granted(session);
    }
}

/* Whether this is the holder without having named the id: nobody can tell who is anonymous. */
static bool is_holder(const struct gdb_session *session)
{
    const struct lease *lease = board_lease(session->gdb->board);
    return strcmp(session->who.identity, CONFIG_ANONYMOUS) != 0 &&
           strcmp(lease->holder.terms.identity, session->who.identity) == 0;
}

/* Under a lease that is held: behind the holder's own changes. */
static void use(struct gdb_session *session, uint64_t number)
{
    struct err err;
    if (!board_lease_is_changing(session->gdb->board)) {
        admit(session, number);
        return;
    }
    if (left_ms(session) > 0) {
        gdb_session_set_state(session, GDB_WAITING);
        loop_timer_set(session->timer, LOOK_EVERY_MS);
        return;
    }
    err_reset(&err);
    err_set(&err, ERR_BOARD_BUSY,
            "the board is being changed, under the same lease: gdb comes when that has "
            "ended");
    gdb_session_refuse(session, &err);
}

static void take_lease(struct gdb_session *session)
{
    struct board *board = session->gdb->board;
    const char *id = session->preface.lease;
    uint64_t number = 0;
    struct err err;
    bool ok = true;
    err_reset(&err);
    if (id != NULL) {
        ok = board_lease_admit(board, session, id, true, &number, &err);
    } else if (board_lease(board)->state == LEASE_FREE) {
        acquire(session);
        return;
    } else if (is_holder(session)) {
        ok = board_lease_join(board, session, session->who.identity, &number, &err);
    } else {
        ok = board_lease_busy(board, session, &err);
    }
    if (ok) {
        use(session, number);
    } else {
        gdb_session_refuse(session, &err);
    }
}

/* ---- The outside ---- */

void gdb_admit_begin(struct gdb_session *session)
{
    uint64_t wait_ms = session->preface.has_wait ? session->preface.wait_ms : DEFAULT_WAIT_MS;
    struct err err;
    err_reset(&err);
    session->deadline_us = clock_now_us() + wait_ms * 1000;
    if (!take_token(session)) {
        return;
    }
    if (!check_role(session, &err) || !check_board(session, &err) || !find_target(session, &err)) {
        gdb_session_refuse(session, &err);
        return;
    }
    take_lease(session);
}

void gdb_admit_on_timer(struct gdb_session *session)
{
    struct err err;
    if (session->state == GDB_WAITING) {
        take_lease(session);
        return;
    }
    err_reset(&err);
    set_wrong_token(&err);
    gdb_session_refuse(session, &err);
}

/* The lease that was taken for gdb goes with the last that it holds. */
static void release(struct gdb *gdb, uint64_t number)
{
    struct err err;
    list_for_each (node, &gdb->sessions) {
        if (list_entry(node, const struct gdb_session, node)->lease_number == number) {
            return;
        }
    }
    gdb->lease_number = 0;
    loop_timer_cancel(gdb->renew);
    err_reset(&err);
    if (!board_lease_release(gdb->board, NULL, gdb->lease_id, &err)) {
        log_debug("board %s: the lease of gdb has ended before", board_name(gdb->board));
    }
}

void gdb_admit_end(struct gdb_session *session)
{
    struct gdb *gdb = session->gdb;
    uint64_t number = session->lease_number;
    if (session->in_queue) {
        session->in_queue = false;
        board_lease_leave(gdb->board, &session->waiter);
    }
    if (session->hold != NULL) {
        board_lease_end_hold(gdb->board, session->hold);
        session->hold = NULL;
        session->lease_number = 0;
    }
    if (number != 0 && number == gdb->lease_number) {
        release(gdb, number);
    }
    board_lease_connection_gone(gdb->board, session);
}

void gdb_admit_renew(void *context)
{
    struct gdb *gdb = context;
    struct err err;
    err_reset(&err);
    list_for_each (node, &gdb->sessions) {
        struct gdb_session *session = list_entry(node, struct gdb_session, node);
        if (session->hold != NULL && session->lease_number == gdb->lease_number) {
            if (!board_lease_renew(gdb->board, session, gdb->lease_id, 0, &err)) {
                log_error("board %s: the lease of gdb cannot be renewed: %s", board_name(gdb->board),
                          err.message);
            }
            loop_timer_set(gdb->renew, LEASE_RENEW_MS);
            return;
        }
    }
}
