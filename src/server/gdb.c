/* A board's gdb listener, and what is known of gdbs. */
#include "server/config_reload.h"
#include "server/gdb_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "server/events.h"

static void update_listener(struct gdb *gdb)
{
    if (gdb->net == NULL) {
        return;
    }
    if (gdb->count >= GDB_MOST_SESSIONS) {
        net_listener_pause(gdb->net);
    } else {
        net_listener_resume(gdb->net);
    }
}

static void on_accepted(void *context, int fd)
{
    struct gdb *gdb = context;
    if (gdb->count >= GDB_MOST_SESSIONS) {
        close(fd);
        return;
    }
    gdb->count++;
    if (gdb->count == GDB_MOST_SESSIONS) {
        log_warn("board %s: %u connections to its gdb listener: no more are taken for now",
                 board_name(gdb->board), GDB_MOST_SESSIONS);
    }
    update_listener(gdb);
    gdb_session_new(gdb, fd);
}

void gdb_session_gone(struct gdb *gdb)
{
    gdb->count--;
    update_listener(gdb);
}

bool gdb_new(struct gdb **ret_gdb, struct server *server, size_t index, struct err *err)
{
    struct gdb *gdb = xcalloc(1, sizeof *gdb);
    const struct config *config = server->config;
    gdb->server = server;
    gdb->board = server->boards[index];
    gdb->index = index;
    gdb->config = &config->boards[index].gdb;
    list_init(&gdb->sessions);
    if (!net_listener_new(&gdb->net, server->loop, &gdb->config->listen, on_accepted, gdb, err)) {
        err_prefix(err, "board %s: gdb", board_name(gdb->board));
        free(gdb);
        return false;
    }
    gdb->renew = loop_timer_new(server->loop, gdb_admit_renew, gdb);
    /* As for the listeners of the JSON protocol. */
    if (config->identities.user_count > 0 && config->anonymous_role == RPC_ROLE_NONE) {
        net_listener_admit_all(gdb->net);
    }
    log_info("board %s: takes gdb on %s", board_name(gdb->board), net_listener_text(gdb->net));
    *ret_gdb = gdb;
    return true;
}

static void close_where(struct gdb *gdb, bool (*fits)(const struct gdb_session *session, uint64_t number),
                        uint64_t number, const char *reason)
{
    bool found = true;
    while (found) { /* closing one may close others */
        found = false;
        list_for_each (node, &gdb->sessions) {
            struct gdb_session *session = list_entry(node, struct gdb_session, node);
            if (fits(session, number)) {
                gdb_session_close(session, reason);
                found = true;
                break;
            }
        }
    }
}

static bool fits_all(const struct gdb_session *session, uint64_t number)
{
    (void)session;
    (void)number;
    return true;
}

static bool fits_lease(const struct gdb_session *session, uint64_t number)
{
    return session->hold != NULL && session->lease_number == number;
}

static bool fits_withdrawn(const struct gdb_session *session, uint64_t number)
{
    (void)number;
    return session->who.grant == NULL;
}

void gdb_identities_changed(struct gdb *gdb, const struct config_identities *old)
{
    if (gdb == NULL) {
        return;
    }
    list_for_each (node, &gdb->sessions) {
        struct gdb_session *session = list_entry(node, struct gdb_session, node);
        if (session->who.grant != NULL) {
            session->who.grant = config_reload_grant(gdb->server->config, old, session->who.grant);
        }
    }
    close_where(gdb, fits_withdrawn, 0, "its entry in the configuration has changed");
}

void gdb_stop(struct gdb *gdb)
{
    if (gdb == NULL || gdb->net == NULL) {
        return;
    }
    net_listener_free(gdb->net);
    gdb->net = NULL;
    close_where(gdb, fits_all, 0, BOARD_STOP_REASON);
}

void gdb_free(struct gdb *gdb)
{
    if (gdb == NULL) {
        return;
    }
    gdb_stop(gdb);
    loop_timer_free(gdb->renew);
    free(gdb);
}

struct gdb_session *gdb_find_session(const struct gdb *gdb, const char *target, const struct gdb_session *but)
{
    list_for_each (node, &gdb->sessions) {
        struct gdb_session *session = list_entry(node, struct gdb_session, node);
        if (session != but && session->hold != NULL && strcmp(session->target, target) == 0) {
            return session;
        }
    }
    return NULL;
}

void gdb_lease_changed(struct gdb *gdb, enum lease_event event, const struct lease_holder *holder)
{
    if (gdb == NULL) {
        return;
    }
    switch (event) {
    case LEASE_EVENT_RELEASED:
        close_where(gdb, fits_lease, holder->number, "the lease of the board was released");
        break;
    case LEASE_EVENT_EXPIRED:
        close_where(gdb, fits_lease, holder->number, "the lease of the board has expired");
        break;
    case LEASE_EVENT_BROKEN:
        close_where(gdb, fits_lease, holder->number, "the lease of the board was broken");
        break;
    case LEASE_EVENT_QUEUED:
    case LEASE_EVENT_LEFT:
    case LEASE_EVENT_GRANTED:
    case LEASE_EVENT_RENEWED:
    case LEASE_EVENT_ABSENT:
    case LEASE_EVENT_RESUMED:
    case LEASE_EVENT_OVERDUE:
        break;
    }
}

/* Gdbs that another OpenOCD, or this one without the link, told of: nobody knows of them now. */
void gdb_link_changed(struct gdb *gdb)
{
    if (gdb != NULL && !board_is_up(gdb->board)) {
        gdb->outside = 0;
        gdb->expected_detaches = 0;
    }
}

static void note_attach(struct gdb *gdb)
{
    list_for_each (node, &gdb->sessions) {
        struct gdb_session *session = list_entry(node, struct gdb_session, node);
        if (session->far != NULL && !session->told_attach) {
            session->told_attach = true;
            return;
        }
    }
    gdb->outside++;
}

static void note_detach(struct gdb *gdb)
{
    if (gdb->expected_detaches > 0) {
        gdb->expected_detaches--;
        return;
    }
    list_for_each (node, &gdb->sessions) {
        struct gdb_session *session = list_entry(node, struct gdb_session, node);
        if (gdb->outside == 0 && session->told_attach) {
            session->told_attach = false; /* OpenOCD lets it go: that its connection ends is heard soon */
            return;
        }
    }
    gdb->outside -= gdb->outside > 0;
}

void gdb_target_notified(struct gdb *gdb, const char *kind, const char *value)
{
    if (gdb == NULL || strcmp(kind, "event") != 0) {
        return;
    }
    if (strcmp(value, "gdb-attach") == 0) {
        note_attach(gdb);
    } else if (strcmp(value, "gdb-detach") == 0) {
        note_detach(gdb);
    }
}

void gdb_tell(const struct gdb_session *session, const char *kind)
{
    const struct gdb *gdb = session->gdb;
    log_info("board %s, gdb %s: %s (%s, %s)", board_name(gdb->board), session->peer, kind,
             session->who.identity, session->target);
    events_gdb(gdb->server, gdb->board, kind, session->who.identity, session->target);
    audit_gdb(gdb->server->audit, gdb->board, kind, session->who.identity, session->peer, session->target);
}

void gdb_write_status(const struct gdb *gdb, struct json_writer *json)
{
    if (gdb == NULL || gdb->net == NULL) {
        return;
    }
    json_open_object(json, "gdb");
    json_text(json, "listen", net_listener_text(gdb->net));
    json_open_array(json, "clients");
    list_for_each (node, &gdb->sessions) {
        const struct gdb_session *session = list_entry(node, const struct gdb_session, node);
        if (session->state != GDB_ATTACHED) {
            continue;
        }
        json_open_object(json, NULL);
        json_text(json, "identity", session->who.identity);
        json_text(json, "peer", session->peer);
        json_text(json, "target", session->target);
        json_text(json, "since", session->since);
        json_close_object(json);
    }
    json_close_array(json);
    json_u64(json, "outside", gdb->outside);
    json_close_object(json);
}
