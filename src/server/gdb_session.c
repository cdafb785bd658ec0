/* The life of a session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "server/gdb_private.h"

/* After its last words a client has so long to take them. */
#define FLUSH_LIMIT_MS 5000u

static const char *state_name(enum gdb_state state)
{
    switch (state) {
    case GDB_OPENING:
        return "opening";
    case GDB_REFUSING:
        return "refusing";
    case GDB_WAITING:
        return "waiting";
    case GDB_ADMITTED:
        return "admitted";
    case GDB_CONNECTING:
        return "connecting";
    case GDB_ATTACHED:
        return "attached";
    case GDB_CLOSED:
        return "closed";
    }
    return "?";
}

void gdb_session_set_state(struct gdb_session *session, enum gdb_state state)
{
    log_debug("board %s, gdb %s: %s -> %s", board_name(session->gdb->board), session->peer,
              state_name(session->state), state_name(state));
    session->state = state;
}

static void free_session(void *object)
{
    struct gdb_session *session = object;
    gdb_preface_fini(&session->preface);
    strbuf_fini(&session->input);
    free(session);
}

/* gdb shows what comes while its target runs; at other times it only sees that the connection ends. */
static void say_why(struct gdb_session *session, const char *reason)
{
    struct strbuf packet = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    if (session->state == GDB_ATTACHED && session->running && session->acks_stopped) {
        strbuf_appendf(&text, "ocdmux: %s\n", reason);
        gdb_packet_append_text(&packet, strbuf_text(&text));
        net_stream_write_take(session->near, &packet);
    }
    strbuf_fini(&text);
    strbuf_fini(&packet);
}

void gdb_session_close(struct gdb_session *session, const char *reason)
{
    struct gdb *gdb = session->gdb;
    bool attached = session->state == GDB_ATTACHED;
    if (session->state == GDB_CLOSED) {
        return;
    }
    log_debug("board %s, gdb %s: closed: %s", board_name(gdb->board), session->peer, reason);
    say_why(session, reason);
    gdb_session_set_state(session, GDB_CLOSED);
    list_remove(&session->node);
    loop_timer_free(session->timer);
    net_stream_close_flushed(session->near, FLUSH_LIMIT_MS);
    gdb_pump_end(session);
    gdb_admit_end(session);
    if (attached) {
        gdb_tell(session, "detached");
        board_look(gdb->board);
    }
    gdb_session_gone(gdb);
    loop_bury(gdb->server->loop, session, free_session);
}

/* To a client with a preface as JSON; to a gdb as the answer to its packet. */
void gdb_session_refuse(struct gdb_session *session, const struct err *err)
{
    struct strbuf out = STRBUF_INIT;
    log_debug("board %s, gdb %s, %s: refused: %s", board_name(session->gdb->board), session->peer,
              session->who.identity, err->message);
    if (session->has_preface && session->state < GDB_ADMITTED) {
        struct json_writer json;
        strbuf_append_text(&out, "error ");
        json_writer_init(&json, &out);
        json_error(&json, NULL, err);
        strbuf_append_byte(&out, '\n');
    } else if (session->has_packet || (session->state == GDB_ATTACHED && !session->heard)) {
        strbuf_append_byte(&out, '+');
        gdb_packet_append_error(&out, err);
    }
    net_stream_write_take(session->near, &out);
    strbuf_fini(&out);
    gdb_session_close(session, err->message);
}

/* "ok", with what its user should know. */
static void answer_preface(struct gdb_session *session)
{
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    struct board *board = session->gdb->board;
    strbuf_append_text(&out, "ok ");
    json_writer_init(&json, &out);
    json_open_object(&json, NULL);
    json_text(&json, "board", board_name(board));
    json_text(&json, "target", session->target);
    json_open_array(&json, "warnings");
    if (!list_is_empty(&board_repairs(board)->pending)) {
        json_text(&json, NULL,
                  "a crash left flash to be mended (pending_repairs of board.status): what was kept of a "
                  "sector is given up when gdb erases it");
    }
    json_close_array(&json);
    json_close_object(&json);
    strbuf_append_byte(&out, '\n');
    net_stream_write_take(session->near, &out);
}

void gdb_session_admitted(struct gdb_session *session)
{
    gdb_session_set_state(session, GDB_ADMITTED);
    loop_timer_set(session->timer, GDB_LIMIT_MS);
    if (session->has_preface) {
        answer_preface(session);
    }
    gdb_session_look(session);
}

/* The preface is what begins with its first letter, which begins no packet. */
static void look_for_preface(struct gdb_session *session)
{
    static const char word[] = GDB_PREFACE_WORD;
    struct err err;
    struct strbuf *input = &session->input;
    const char *end = memchr(input->data, '\n', input->length);
    size_t length = end != NULL ? (size_t)(end - input->data) : input->length;
    size_t compared = length < sizeof word - 1 ? length : sizeof word - 1;
    session->has_preface = true;
    err_reset(&err);
    if (memcmp(input->data, word, compared) != 0 || length > GDB_PREFACE_MOST_BYTES) {
        err_set(&err, ERR_PARSE_ERROR, "neither gdb nor a preface of at most %u bytes",
                GDB_PREFACE_MOST_BYTES);
        gdb_session_refuse(session, &err);
        return;
    }
    if (end == NULL) {
        return;
    }
    size_t text = length > 0 && input->data[length - 1] == '\r' ? length - 1 : length;
    if (!gdb_preface_parse(&session->preface, input->data, text, &err)) {
        gdb_session_refuse(session, &err);
        return;
    }
    memmove(input->data, end + 1, input->length - length - 1);
    strbuf_truncate(input, input->length - length - 1);
    gdb_admit_begin(session);
}

static void look_opening(struct gdb_session *session)
{
    if (session->input.length > 0 && session->input.data[0] == GDB_PREFACE_WORD[0]) {
        look_for_preface(session);
    } else if (gdb_pump_scan(session) && session->has_packet) {
        gdb_admit_begin(session);
    }
}

void gdb_session_look(struct gdb_session *session)
{
    switch (session->state) {
    case GDB_OPENING:
        look_opening(session);
        break;
    case GDB_ADMITTED:
        if (gdb_pump_scan(session) && session->has_packet) {
            gdb_pump_connect(session);
        }
        break;
    case GDB_ATTACHED:
        gdb_pump_run(session);
        break;
    case GDB_REFUSING:
    case GDB_WAITING:
    case GDB_CONNECTING:
    case GDB_CLOSED:
        break;
    }
    if (session->state != GDB_CLOSED) {
        gdb_pump_update_reading(session);
    }
}

/* gdb's side. */

static void on_bytes(void *context, const uint8_t *bytes, size_t length)
{
    struct gdb_session *session = context;
    strbuf_append(&session->input, bytes, length);
    gdb_session_look(session);
}

static void on_connected(void *context)
{
    struct gdb_session *session = context;
    login_look(&session->gdb->server->config->identities, session->near, &session->who);
}

static void on_eof(void *context)
{
    gdb_session_close(context, "gdb has gone");
}

static void on_failed(void *context, const char *reason)
{
    gdb_session_close(context, reason);
}

static const struct net_stream_handler near_handler = {
    .bytes = on_bytes,
    .connected = on_connected,
    .eof = on_eof,
    .failed = on_failed,
};

static void on_timer(void *context)
{
    struct gdb_session *session = context;
    struct err err;
    switch (session->state) {
    case GDB_OPENING:
        gdb_session_close(session, "sent nothing that begins a session");
        break;
    case GDB_REFUSING:
    case GDB_WAITING:
        gdb_admit_on_timer(session);
        break;
    case GDB_ADMITTED:
        gdb_session_close(session, "sent nothing of gdb's");
        break;
    case GDB_CONNECTING:
        err_reset(&err);
        err_set(&err, ERR_OPENOCD_UNAVAILABLE, "nobody answers at OpenOCD's gdb port %s",
                session->address.text);
        gdb_session_refuse(session, &err);
        break;
    case GDB_ATTACHED:
    case GDB_CLOSED:
        break;
    }
}

void gdb_session_new(struct gdb *gdb, int fd)
{
    struct loop *loop = gdb->server->loop;
    struct gdb_session *session = xcalloc(1, sizeof *session);
    session->gdb = gdb;
    session->who.grant = &gdb->server->config->identities.anonymous;
    session->timer = loop_timer_new(loop, on_timer, session);
    loop_timer_set(session->timer, GDB_LIMIT_MS);
    list_append(&gdb->sessions, &session->node);
    if (gdb->config->listen.tls) {
        session->near = net_stream_accept_tls(loop, fd, gdb->server->tls, &near_handler, session, 0);
    } else {
        session->near = net_stream_accept(loop, fd, &near_handler, session, 0);
        on_connected(session);
    }
    snprintf(session->peer, sizeof session->peer, "%s", net_stream_peer(session->near));
    log_debug("board %s, gdb %s: connected", board_name(gdb->board), session->peer);
}
