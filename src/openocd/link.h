/*
 * The single TCL-RPC connection of a board: one command at a time, each in an envelope with a fresh nonce.
 *
 *            connect           handshake            survey read
 *   DOWN ------------> CONNECTING -----> HANDSHAKE ------------> IDLE <-----------------+
 *     ^                     |                |          send      |  ^ reply            | late reply
 *     |  failed, closed,    |                |                    v  |       abandon    |
 *     +-- limit passed -----+----------------+------------------ BUSY ------------> ABANDONED
 *
 * A lost link reconnects by itself, with bounded, jittered back-off. Nothing here decides what becomes of a
 * command that was in flight: its owner does.
 */
#ifndef OCDMUX_OPENOCD_LINK_H
#define OCDMUX_OPENOCD_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/private_dir.h"
#include "net/address.h"
#include "net/loop.h"
#include "openocd/envelope.h"
#include "openocd/expect.h"
#include "openocd/info.h"

enum ocd_link_state {
    OCD_LINK_DOWN,
    OCD_LINK_CONNECTING,
    OCD_LINK_HANDSHAKE,
    OCD_LINK_IDLE,
    OCD_LINK_BUSY,
    OCD_LINK_ABANDONED,
};

struct ocd_link_handler {
    /* The state changed; `reason` says why it went down, else NULL. May call into the link. */
    void (*changed)(void *context, enum ocd_link_state old_state, const char *reason);
    /* The answer to the command in flight; the link is IDLE already. */
    void (*reply)(void *context, const struct ocd_reply *reply);
    /* The command in flight will never be answered: the link is DOWN already. Not called for abandoned
     * commands. */
    void (*lost)(void *context, const char *reason);
    /* "target_event"/"halted" and so on; OpenOCD does not say which target. */
    void (*notification)(void *context, const char *type, const char *value);
};

struct ocd_link_options {
    const char *name;          /* the board's, for the log */
    const char *stage_dir;     /* on OpenOCD's host; NULL: the first of /dev/shm, /tmp that works */
    struct private_dir *share; /* of the daemon's; the handshake finds out whether OpenOCD sees it too. NULL:
                                * there is none. Must outlive the link */
    const struct ocd_expect *expect; /* what the board must be: else it is refused in the handshake. NULL:
                                        any will do. Must outlive the link */
    bool held;                       /* does not connect before ocd_link_release() */
    uint32_t limit_ms; /* the longest that a command may take, unless it asks for more; a handshake has ten
                          seconds if this is more */
};

struct ocd_link_counters {
    uint64_t envelopes; /* sent, those of handshakes among them */
    uint64_t connects;
    uint64_t strays; /* frames that answered nothing of ours */
    uint64_t late;   /* replies to abandoned commands */
    uint64_t busy_us;
    struct histogram latency; /* of each envelope that was answered */
};

struct ocd_link;

/* Starts to connect in the loop's next pass, unless it is held. `options` is copied. */
struct ocd_link *ocd_link_new(struct loop *loop, const struct net_address *address,
                              const struct ocd_link_options *options, const struct ocd_link_handler *handler,
                              void *context);
void ocd_link_free(struct ocd_link *link);

enum ocd_link_state ocd_link_get_state(const struct ocd_link *link);
const char *ocd_link_state_name(enum ocd_link_state state);
/* Valid from the first handshake on; the last known while the link is down. */
struct ocd_info *ocd_link_info(struct ocd_link *link);
const struct ocd_link_counters *ocd_link_counters(const struct ocd_link *link);
/* Why it is down: "" if it never was. */
const char *ocd_link_last_error(const struct ocd_link *link);
/* Sets the error openocd_unavailable, for `reason`; where that is NULL or "", for why it is down. Returns
 * false. */
bool ocd_link_unavailable(const struct ocd_link *link, const char *reason, struct err *err);
/* Until the next try to connect; 0 while connected or connecting. */
uint64_t ocd_link_retry_in_ms(const struct ocd_link *link);
const char *ocd_link_address(const struct ocd_link *link);
/* 0: it is not known yet. */
unsigned ocd_link_port(const struct ocd_link *link);
/* It went down because OpenOCD did not answer within the limit of a command. */
bool ocd_link_was_silent(const struct ocd_link *link);
/* It went down because the board is not shown to be the one that is expected. */
bool ocd_link_was_refused(const struct ocd_link *link);

/*
 * Sends one script; the link must be IDLE and is BUSY then. For `data`, which may be none, see
 * envelope_encode_with_data(). `limit_ms` 0 means the link's own. Fails with
 * limit_exceeded if the script is longer than OpenOCD takes; nothing was sent then. When a frame comes that
 * answers nothing, the true answer gets 2 s more, for it may never come; with `patient` it gets its whole
 * limit.
 */
bool ocd_link_send(struct ocd_link *link, const struct strbuf *script, const struct envelope_data *data,
                   uint32_t limit_ms, bool patient, struct err *err) __attribute__((warn_unused_result));
/* Its owner wants the reply no more: BUSY -> ABANDONED, until the reply comes and is dropped. */
void ocd_link_abandon(struct ocd_link *link);
/* Runs the handshake again, from IDLE: for what raw Tcl may have changed. */
void ocd_link_relearn(struct ocd_link *link);

/*
 * For an OpenOCD that somebody starts and ends. Held, the link is down, for that reason, and stays so; others
 * may try again in `retry_ms`. Released, it connects at once, and tries again quickly until it was up once.
 * `port` 0: where it was.
 */
void ocd_link_hold(struct ocd_link *link, const char *reason, uint64_t retry_ms);
void ocd_link_release(struct ocd_link *link, unsigned port);
/* Closes it, for that reason, and makes it anew. Nothing happens to one that is down. */
void ocd_link_reset(struct ocd_link *link, const char *reason);

#endif
