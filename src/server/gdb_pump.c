/*
 * The bytes between gdb and OpenOCD, unchanged. To OpenOCD go whole packets, each behind the answer to the
 * one before, so that others have their turn between them; more than that waits with gdb, which does not send
 * it by itself. What OpenOCD sends is always taken, for it serves nobody while it cannot write: a gdb that
 * does not read is ended.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/gdb_private.h"

/* More than a packet, so that one always fits. */
#define INPUT_MOST_BYTES ((size_t)2 * GDB_PACKET_MOST_BYTES)
#define FAR_MOST_BYTES ((size_t)256 * 1024)
#define NEAR_MOST_BYTES ((size_t)4 * 1024 * 1024)
#define FAR_FLUSH_MS 1000u

static struct board *board_of(const struct gdb_session *session)
{
    return session->gdb->board;
}

void gdb_pump_update_reading(struct gdb_session *session)
{
    bool full = session->input.length >= INPUT_MOST_BYTES ||
                (session->far != NULL && net_stream_pending(session->far) >= FAR_MOST_BYTES);
    if (full && !session->paused) {
        net_stream_pause(session->near);
    } else if (!full && session->paused) {
        net_stream_resume(session->near);
    }
    session->paused = full;
}

static void refuse_broken(struct gdb_session *session)
{
    struct err err;
    err_reset(&err);
    err_set(&err, ERR_INVALID_REQUEST, "%s", session->scanner.reason);
    /* Answered as the packet that it was to be, unless the answer to another one is still to come. */
    session->has_packet = session->scanner.packet_broken && !session->asking;
    gdb_session_refuse(session, &err);
}

static enum gdb_unit scan_unit(struct gdb_session *session)
{
    size_t taken = 0;
    enum gdb_unit unit = gdb_scanner_take(&session->scanner, session->input.data + session->scanned,
                                          session->input.length - session->scanned, &taken);
    session->scanned += taken;
    session->has_packet = unit == GDB_UNIT_PACKET;
    return unit;
}

bool gdb_pump_scan(struct gdb_session *session)
{
    while (!session->has_packet && session->scanned < session->input.length) {
        if (scan_unit(session) == GDB_UNIT_BROKEN) {
            refuse_broken(session);
            return false;
        }
    }
    return true;
}

/* Drops what was scanned. */
static void consume(struct gdb_session *session)
{
    struct strbuf *input = &session->input;
    memmove(input->data, input->data + session->scanned, input->length - session->scanned);
    strbuf_truncate(input, input->length - session->scanned);
    session->scanned = 0;
    session->has_packet = false;
}

static void forward(struct gdb_session *session)
{
    net_stream_write(session->far, session->input.data, session->scanned);
    consume(session);
}

/* Free Tcl can do all that OpenOCD's user can. */
static void deny_monitor(struct gdb_session *session)
{
    struct strbuf out = STRBUF_INIT;
    if (!session->acks_stopped) {
        strbuf_append_byte(&out, '+');
    }
    gdb_packet_append_text(
        &out, "ocdmux: forbidden: 'monitor' needs the role admin, for it is free Tcl; of others it "
              "takes halt, reset, reset halt, reset init, reset run, targets and version\n");
    gdb_packet_append(&out, "E01");
    net_stream_write_take(session->near, &out);
    log_info("board %s, gdb %s: a monitor command of %s was refused", board_name(board_of(session)),
             session->peer, session->who.identity);
    consume(session);
}

static void note_request(struct gdb_session *session, const struct gdb_request *request)
{
    session->request = *request;
    session->asking = request->answered;
    session->running = !request->answered;
    if (request->reads) {
        return;
    }
    if (request->answered) {
        board_set_outside_busy(board_of(session), true);
    } else {
        board_changed_outside(board_of(session));
    }
}

static void pass_packet(struct gdb_session *session)
{
    struct gdb_request request;
    bool admin = session->who.grant->roles[session->gdb->index] >= RPC_ROLE_ADMIN;
    gdb_request_read(&session->scanner, &request);
    if (request.monitors && !request.plain_monitor && !admin) {
        deny_monitor(session);
        return;
    }
    note_request(session, &request);
    forward(session);
}

/* Acknowledgements and interrupts go at once. */
static void pass_unit(struct gdb_session *session, enum gdb_unit unit)
{
    switch (unit) {
    case GDB_UNIT_INTERRUPT:
        board_changed_outside(board_of(session));
        forward(session);
        break;
    case GDB_UNIT_ACK:
    case GDB_UNIT_NACK:
        forward(session);
        break;
    case GDB_UNIT_BROKEN:
        refuse_broken(session);
        break;
    case GDB_UNIT_MORE:
    case GDB_UNIT_PACKET:
        break;
    }
}

void gdb_pump_run(struct gdb_session *session)
{
    while (session->state == GDB_ATTACHED) {
        if (session->has_packet) {
            if (session->asking) {
                return;
            }
            pass_packet(session);
        } else if (session->scanned == session->input.length) {
            return;
        } else {
            pass_unit(session, scan_unit(session));
        }
    }
}

/* OpenOCD's side. */

static void end_request(struct gdb_session *session)
{
    const struct gdb_request *request = &session->request;
    session->asking = false;
    if (!request->reads) {
        board_set_outside_busy(board_of(session), false);
    }
}

static void take_answer(struct gdb_session *session)
{
    const struct gdb_request *request = &session->request;
    bool ok = gdb_reply_is_ok(&session->far_scanner);
    if (!session->asking) {
        session->running = false; /* the target has halted */
        return;
    }
    end_request(session);
    session->acks_stopped = session->acks_stopped || (request->stops_acks && ok);
    if (request->erases && ok) {
        board_forget_repairs(board_of(session), request->address, request->size);
    }
    if (request->monitors && !request->plain_monitor) {
        board_relearn(board_of(session));
    }
}

/* Whatever it is, gdb gets it as it came: this is only to know when a packet was answered. */
static void watch_far(struct gdb_session *session, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t taken = 0;
        enum gdb_unit unit = gdb_scanner_take(&session->far_scanner, bytes, length, &taken);
        if (unit == GDB_UNIT_PACKET && !gdb_reply_is_text(&session->far_scanner)) {
            take_answer(session);
        }
        bytes += taken;
        length -= taken;
    }
}

static void on_far_bytes(void *context, const uint8_t *bytes, size_t length)
{
    struct gdb_session *session = context;
    session->heard = true;
    net_stream_write(session->near, bytes, length);
    if (net_stream_pending(session->near) > NEAR_MOST_BYTES) {
        gdb_session_close(session, "gdb does not read what OpenOCD sends");
        return;
    }
    watch_far(session, (const char *)bytes, length);
    gdb_session_look(session);
}

static void on_far_connected(void *context)
{
    struct gdb_session *session = context;
    loop_timer_cancel(session->timer);
    clock_wall_text(session->since);
    gdb_session_set_state(session, GDB_ATTACHED);
    gdb_tell(session, "attached");
    board_changed_outside(board_of(session)); /* it removes all breakpoints */
    board_look(board_of(session));
    gdb_session_look(session);
}

static void on_far_drained(void *context)
{
    gdb_session_look(context);
}

static void on_far_failed(void *context, const char *reason)
{
    struct gdb_session *session = context;
    struct err err;
    err_reset(&err);
    if (session->state == GDB_CONNECTING) {
        err_set(&err, ERR_OPENOCD_UNAVAILABLE, "cannot connect to OpenOCD's gdb port %s: %s",
                session->address.text, reason);
        gdb_session_refuse(session, &err);
    } else if (!session->heard) {
        err_set(&err, ERR_OPENOCD_ERROR,
                "OpenOCD took gdb's connection and ended it at once; its log says why: a target that is not "
                "examined, or another gdb at its own port %s",
                session->address.text);
        gdb_session_refuse(session, &err);
    } else {
        gdb_session_close(session, reason);
    }
}

static void on_far_eof(void *context)
{
    on_far_failed(context, "OpenOCD has ended gdb's connection");
}

static const struct net_stream_handler far_handler = {
    .bytes = on_far_bytes,
    .connected = on_far_connected,
    .drained = on_far_drained,
    .eof = on_far_eof,
    .failed = on_far_failed,
};

void gdb_pump_connect(struct gdb_session *session)
{
    gdb_session_set_state(session, GDB_CONNECTING);
    loop_timer_set(session->timer, GDB_LIMIT_MS);
    session->far =
        net_stream_connect(session->gdb->server->loop, &session->address, &far_handler, session, 0);
}

void gdb_pump_end(struct gdb_session *session)
{
    if (session->asking) {
        end_request(session);
    }
    if (session->told_attach && session->heard) {
        session->gdb->expected_detaches++;
    }
    net_stream_close_flushed(session->far, FAR_FLUSH_MS);
    session->far = NULL;
}
