/* The connection to one OpenOCD: states, nonces, back-off. */
#include "openocd/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/stream.h"
#include "openocd/link_private.h"

#define CONNECT_LIMIT_MS 5000u
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS 5000u
/* After a frame that answers nothing, OpenOCD may have answered outside the envelope: it gets this long to
 * prove that the real answer is still to come. */
#define STRAY_LIMIT_MS 2000u
/* While an OpenOCD that was just started gets ready. */
#define EAGER_MS 50u

static void connect_now(struct ocd_link *link);

const char *ocd_link_state_name(enum ocd_link_state state)
{
    switch (state) {
    case OCD_LINK_DOWN:
        return "down";
    case OCD_LINK_CONNECTING:
        return "connecting";
    case OCD_LINK_HANDSHAKE:
        return "handshake";
    case OCD_LINK_IDLE:
        return "idle";
    case OCD_LINK_BUSY:
        return "busy";
    case OCD_LINK_ABANDONED:
        return "abandoned";
    }
    return "?";
}

static bool move_is_legal(enum ocd_link_state from, enum ocd_link_state to)
{
    switch (to) {
    case OCD_LINK_DOWN:
        return from != OCD_LINK_DOWN;
    case OCD_LINK_CONNECTING:
        return from == OCD_LINK_DOWN;
    case OCD_LINK_HANDSHAKE:
        return from == OCD_LINK_CONNECTING || from == OCD_LINK_IDLE;
    case OCD_LINK_IDLE:
        return from == OCD_LINK_HANDSHAKE || from == OCD_LINK_BUSY || from == OCD_LINK_ABANDONED;
    case OCD_LINK_BUSY:
        return from == OCD_LINK_IDLE;
    case OCD_LINK_ABANDONED:
        return from == OCD_LINK_BUSY;
    }
    return false;
}

void link_set_state(struct ocd_link *link, enum ocd_link_state state, const char *reason)
{
    enum ocd_link_state old_state = link->state;
    if (!move_is_legal(old_state, state)) {
        log_error("board %s: link moves %s -> %s, which cannot be", link->name,
                  ocd_link_state_name(old_state), ocd_link_state_name(state));
        abort();
    }
    link->state = state;
    bool news = state == OCD_LINK_DOWN || state == OCD_LINK_ABANDONED || old_state == OCD_LINK_ABANDONED ||
                (state == OCD_LINK_IDLE && old_state == OCD_LINK_HANDSHAKE);
    if (news) {
        log_info("board %s: link %s -> %s%s%s", link->name, ocd_link_state_name(old_state),
                 ocd_link_state_name(state), reason != NULL ? ": " : "", reason != NULL ? reason : "");
    } else {
        log_debug("board %s: link %s -> %s", link->name, ocd_link_state_name(old_state),
                  ocd_link_state_name(state));
    }
    link->handler->changed(link->context, old_state, reason);
}

void link_set_timer(struct ocd_link *link, uint64_t delay_ms)
{
    link->timer_at_us = clock_now_us() + delay_ms * 1000;
    loop_timer_set(link->timer, delay_ms);
}

static void fresh_nonce(struct ocd_link *link)
{
    snprintf(link->nonce, sizeof link->nonce, "%016" PRIx64 "%016" PRIx64, link->nonce_prefix,
             ++link->nonce_counter);
}

bool link_transmit(struct ocd_link *link, const struct strbuf *script, const struct envelope_data *data,
                   struct err *err)
{
    struct strbuf command = STRBUF_INIT;
    fresh_nonce(link);
    if (!envelope_encode_with_data(&command, link->nonce, strbuf_text(script), script->length, data)) {
        strbuf_fini(&command);
        link->nonce[0] = '\0';
        err_set(err, ERR_LIMIT_EXCEEDED, "the command is longer than the %u bytes that OpenOCD takes",
                ENVELOPE_MAX_COMMAND);
        err_add_text(err, "limit", "openocd_command_bytes");
        return false;
    }
    link->counters.envelopes++;
    link->sent_us = clock_now_us();
    net_stream_write_take(link->stream, &command);
    return true;
}

static uint64_t backoff_ms(struct ocd_link *link)
{
    if (link->eager) {
        return EAGER_MS;
    }
    uint64_t most = BACKOFF_FIRST_MS << (link->failures < 6 ? link->failures : 6);
    if (most > BACKOFF_MOST_MS) {
        most = BACKOFF_MOST_MS;
    }
    link->failures++;
    /* Between half and all of it, so that many daemons do not knock in step. */
    return most / 2 + (clock_now_us() / 7) % (most / 2 + 1);
}

/* Held, it only knows when others try. */
static void set_retry(struct ocd_link *link, uint64_t retry_ms)
{
    link_set_timer(link, retry_ms);
    if (link->held) {
        loop_timer_cancel(link->timer);
    }
}

void link_go_down(struct ocd_link *link, uint64_t retry_ms, const char *reason)
{
    bool in_flight = link->state == OCD_LINK_BUSY;
    snprintf(link->last_error, sizeof link->last_error, "%s", reason);
    net_stream_close(link->stream);
    link->stream = NULL;
    link->nonce[0] = '\0';
    share_probe_end(&link->probe);
    set_retry(link, retry_ms);
    link_set_state(link, OCD_LINK_DOWN, link->last_error);
    if (in_flight) {
        link->handler->lost(link->context, link->last_error);
    }
}

void link_fail(struct ocd_link *link, const char *reason)
{
    link_go_down(link, backoff_ms(link), reason);
}

/* What the decoder finds. It goes on through what it was fed even after the link went down over the first
 * part of it. */

static void on_reply(void *context, const char *nonce, const struct ocd_reply *reply)
{
    struct ocd_link *link = context;
    if (link->nonce[0] == '\0' || strcmp(nonce, link->nonce) != 0) {
        link->counters.strays++;
        log_debug("board %s: a reply to no command of ours was dropped", link->name);
        return;
    }
    link->nonce[0] = '\0';
    uint64_t used_us = clock_now_us() - link->sent_us;
    link->counters.busy_us += used_us;
    histogram_add(&link->counters.latency, used_us);
    switch (link->state) {
    case OCD_LINK_HANDSHAKE:
        link_handshake_reply(link, reply);
        break;
    case OCD_LINK_BUSY:
        loop_timer_cancel(link->timer);
        link_set_state(link, OCD_LINK_IDLE, NULL);
        link->handler->reply(link->context, reply);
        break;
    case OCD_LINK_ABANDONED:
        link->counters.late++;
        loop_timer_cancel(link->timer);
        link_set_state(link, OCD_LINK_IDLE, "the late reply came and was dropped");
        break;
    case OCD_LINK_DOWN:
    case OCD_LINK_CONNECTING:
    case OCD_LINK_IDLE:
        break;
    }
}

static void on_notification(void *context, const char *type, const char *value)
{
    struct ocd_link *link = context;
    if (link->stream == NULL) {
        return;
    }
    link->handler->notification(link->context, type, value);
}

static void on_stray(void *context, const char *bytes, size_t length)
{
    struct ocd_link *link = context;
    if (link->stream == NULL) {
        return;
    }
    link->counters.strays++;
    log_debug("board %s: a frame of %zu bytes outside any envelope was dropped: %.60s", link->name, length,
              bytes);
    uint64_t limit_us = clock_now_us() + STRAY_LIMIT_MS * 1000;
    bool waits = link->nonce[0] != '\0' && link->state != OCD_LINK_HANDSHAKE;
    if (waits && !link->patient && link->timer_at_us > limit_us) {
        link->saw_stray = true;
        link_set_timer(link, STRAY_LIMIT_MS);
    }
}

static void on_too_long(void *context)
{
    on_stray(context, "line too long", sizeof "line too long" - 1);
}

static void on_broken(void *context, const char *reason)
{
    struct ocd_link *link = context;
    if (link->stream == NULL) {
        return;
    }
    char text[160];
    snprintf(text, sizeof text, "OpenOCD's answer cannot be read: %s", reason);
    link_fail(link, text);
}

static const struct envelope_handler decoder_handler = {
    .reply = on_reply,
    .notification = on_notification,
    .too_long = on_too_long,
    .stray = on_stray,
    .broken = on_broken,
};

/* What the stream says. */

static void on_connected(void *context)
{
    struct ocd_link *link = context;
    link->counters.connects++;
    link_handshake_start(link);
}

static void on_bytes(void *context, const uint8_t *bytes, size_t length)
{
    struct ocd_link *link = context;
    envelope_decoder_feed(link->decoder, bytes, length);
}

static void on_eof(void *context)
{
    struct ocd_link *link = context;
    link->refused = false;
    link_fail(link, "OpenOCD closed the connection");
}

static void on_failed(void *context, const char *reason)
{
    struct ocd_link *link = context;
    char text[256];
    link->refused = false;
    snprintf(text, sizeof text, "%s: %s",
             link->state == OCD_LINK_CONNECTING ? "cannot connect to OpenOCD" : "link lost", reason);
    link_fail(link, text);
}

static const struct net_stream_handler stream_handler = {
    .bytes = on_bytes,
    .connected = on_connected,
    .eof = on_eof,
    .failed = on_failed,
};

static void connect_now(struct ocd_link *link)
{
    envelope_decoder_reset(link->decoder);
    link->silent = false;
    link->stream = net_stream_connect(link->loop, &link->address, &stream_handler, link, 0);
    link_set_timer(link, CONNECT_LIMIT_MS);
    link_set_state(link, OCD_LINK_CONNECTING, NULL);
}

static void on_timer(void *context)
{
    struct ocd_link *link = context;
    switch (link->state) {
    case OCD_LINK_DOWN:
        connect_now(link);
        break;
    case OCD_LINK_CONNECTING:
        link_fail(link, "cannot connect to OpenOCD: no answer");
        break;
    case OCD_LINK_HANDSHAKE:
        link_fail(link,
                  "OpenOCD does not answer the handshake: it is busy, or what listens there is no OpenOCD");
        break;
    case OCD_LINK_BUSY:
    case OCD_LINK_ABANDONED:
        link->silent = !link->saw_stray;
        link_fail(link, link->saw_stray
                            ? "a frame that answers nothing came from OpenOCD, and no answer after it"
                            : "OpenOCD did not answer a command within the link's limit");
        break;
    case OCD_LINK_IDLE:
        break;
    }
}

struct ocd_link *ocd_link_new(struct loop *loop, const struct net_address *address,
                              const struct ocd_link_options *options, const struct ocd_link_handler *handler,
                              void *context)
{
    struct ocd_link *link = xcalloc(1, sizeof *link);
    link->loop = loop;
    link->address = *address;
    link->name = xstrdup(options->name);
    link->stage_dir = options->stage_dir != NULL ? xstrdup(options->stage_dir) : NULL;
    share_probe_init(&link->probe, options->share);
    link->limit_ms = options->limit_ms;
    link->expect = options->expect;
    link->held = options->held;
    link->handler = handler;
    link->context = context;
    link->state = OCD_LINK_DOWN;
    link->decoder = envelope_decoder_new(&decoder_handler, link);
    link->timer = loop_timer_new(loop, on_timer, link);
    /* Nonces must not repeat between two runs of the daemon on one OpenOCD; they are no secret. */
    if (getrandom(&link->nonce_prefix, sizeof link->nonce_prefix, 0) != (ssize_t)sizeof link->nonce_prefix) {
        link->nonce_prefix = clock_now_us();
    }
    set_retry(link, 0);
    return link;
}

static void free_decoder(void *decoder)
{
    envelope_decoder_free(decoder);
}

void ocd_link_free(struct ocd_link *link)
{
    if (link == NULL) {
        return;
    }
    net_stream_close(link->stream);
    share_probe_end(&link->probe);
    loop_timer_free(link->timer);
    loop_bury(link->loop, link->decoder, free_decoder);
    ocd_info_fini(&link->info);
    free(link->name);
    free(link->stage_dir);
    loop_bury(link->loop, link, free);
}

enum ocd_link_state ocd_link_get_state(const struct ocd_link *link)
{
    return link->state;
}

struct ocd_info *ocd_link_info(struct ocd_link *link)
{
    return &link->info;
}

const struct ocd_link_counters *ocd_link_counters(const struct ocd_link *link)
{
    return &link->counters;
}

const char *ocd_link_last_error(const struct ocd_link *link)
{
    return link->last_error;
}

bool ocd_link_unavailable(const struct ocd_link *link, const char *reason, struct err *err)
{
    if (reason == NULL || reason[0] == '\0') {
        reason = ocd_link_last_error(link);
    }
    bool known = ocd_link_port(link) != 0; /* else it was to be started, and has not said where it listens */
    err_set(err, ERR_OPENOCD_UNAVAILABLE, "OpenOCD%s%s is not available: %s", known ? " at " : "",
            known ? ocd_link_address(link) : "", reason[0] != '\0' ? reason : "it has not answered yet");
    err_add_integer(err, "retry_in_ms", ocd_link_retry_in_ms(link));
    return false;
}

uint64_t ocd_link_retry_in_ms(const struct ocd_link *link)
{
    uint64_t now = clock_now_us();
    if (link->state != OCD_LINK_DOWN || link->timer_at_us <= now) {
        return 0;
    }
    return (link->timer_at_us - now) / 1000;
}

const char *ocd_link_address(const struct ocd_link *link)
{
    return link->address.text;
}

bool ocd_link_send(struct ocd_link *link, const struct strbuf *script, const struct envelope_data *data,
                   uint32_t limit_ms, bool patient, struct err *err)
{
    if (!link_transmit(link, script, data, err)) {
        return false;
    }
    link_set_timer(link, limit_ms > link->limit_ms ? limit_ms : link->limit_ms);
    link->patient = patient;
    link->saw_stray = false;
    link_set_state(link, OCD_LINK_BUSY, NULL);
    return true;
}

void ocd_link_abandon(struct ocd_link *link)
{
    link_set_state(link, OCD_LINK_ABANDONED, "its deadline passed");
}

void ocd_link_relearn(struct ocd_link *link)
{
    link_handshake_start(link);
}

unsigned ocd_link_port(const struct ocd_link *link)
{
    return net_address_port(&link->address);
}

bool ocd_link_was_silent(const struct ocd_link *link)
{
    return link->silent;
}

bool ocd_link_was_refused(const struct ocd_link *link)
{
    return link->refused;
}

void ocd_link_hold(struct ocd_link *link, const char *reason, uint64_t retry_ms)
{
    link->held = true;
    link->refused = false;
    if (link->state != OCD_LINK_DOWN) {
        link_go_down(link, retry_ms, reason);
        return;
    }
    snprintf(link->last_error, sizeof link->last_error, "%s", reason);
    set_retry(link, retry_ms);
}

void ocd_link_release(struct ocd_link *link, unsigned port)
{
    if (!link->held || link->state != OCD_LINK_DOWN) {
        return;
    }
    if (port != 0) {
        net_address_set_port(&link->address, port);
    }
    link->held = false;
    link->eager = true;
    link->failures = 0;
    set_retry(link, 0);
}

void ocd_link_reset(struct ocd_link *link, const char *reason)
{
    if (link->state != OCD_LINK_DOWN) {
        link->silent = true;
        link_fail(link, reason);
    }
}
