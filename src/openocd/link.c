/* The connection to one OpenOCD: states, handshake, nonces, back-off. */
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
#include "openocd/share_probe.h"
#include "openocd/stage_dir.h"

#define CONNECT_LIMIT_MS 5000u
#define HANDSHAKE_LIMIT_MS 10000u
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS 5000u
/* An OpenOCD of the wrong version will not change by itself soon. */
#define REFUSED_RETRY_MS 10000u
/* After a frame that answers nothing, OpenOCD may have answered outside the envelope: it gets this long to
 * prove that the real answer is still to come. */
#define STRAY_LIMIT_MS 2000u

/* The handshake's steps, in their order. */
enum handshake_step {
    STEP_VERSION,
    STEP_NOTIFICATIONS,
    STEP_STAGING,
    STEP_SHARE_READ, /* these two only where there is a directory to share */
    STEP_SHARE_WRITE,
    STEP_SURVEY,
    STEP_COUNT
};

struct ocd_link {
    struct loop *loop;
    struct net_address address;
    char *name;
    char *stage_dir;
    uint32_t limit_ms;
    const struct ocd_link_handler *handler;
    void *context;

    enum ocd_link_state state;
    struct net_stream *stream; /* NULL while DOWN */
    struct envelope_decoder *decoder;
    struct loop_timer *timer; /* DOWN: next try; else: the limit of what is under way */
    uint64_t timer_at_us;
    unsigned failures; /* in a row */
    enum handshake_step step;
    struct share_probe probe;

    char nonce[ENVELOPE_NONCE_SIZE]; /* of the command in flight; "" if there is none */
    uint64_t nonce_prefix;
    uint64_t nonce_counter;
    uint64_t sent_us;
    bool patient;   /* the command in flight: a stray does not cut its limit */
    bool saw_stray; /* a stray has cut its limit */

    struct ocd_info info;
    struct ocd_link_counters counters;
    char last_error[256];
};

static void connect_now(struct ocd_link *link);
static void go_down(struct ocd_link *link, uint64_t retry_ms, const char *reason);
static void handshake_send(struct ocd_link *link);

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

/* The only place that changes the state. Coming up and going down is news; one command after the other is
 * not. */
static void set_state(struct ocd_link *link, enum ocd_link_state state, const char *reason)
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

static void set_timer(struct ocd_link *link, uint64_t delay_ms)
{
    link->timer_at_us = clock_now_us() + delay_ms * 1000;
    loop_timer_set(link->timer, delay_ms);
}

static void fresh_nonce(struct ocd_link *link)
{
    snprintf(link->nonce, sizeof link->nonce, "%016" PRIx64 "%016" PRIx64, link->nonce_prefix,
             ++link->nonce_counter);
}

/* Puts a script on the wire, without touching the state. */
static bool transmit(struct ocd_link *link, const struct strbuf *script, const struct envelope_data *data,
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
    uint64_t most = BACKOFF_FIRST_MS << (link->failures < 6 ? link->failures : 6);
    if (most > BACKOFF_MOST_MS) {
        most = BACKOFF_MOST_MS;
    }
    link->failures++;
    /* Between half and all of it, so that many daemons do not knock in step. */
    return most / 2 + (clock_now_us() / 7) % (most / 2 + 1);
}

static void go_down(struct ocd_link *link, uint64_t retry_ms, const char *reason)
{
    bool in_flight = link->state == OCD_LINK_BUSY;
    snprintf(link->last_error, sizeof link->last_error, "%s", reason);
    net_stream_close(link->stream);
    link->stream = NULL;
    link->nonce[0] = '\0';
    share_probe_end(&link->probe);
    set_timer(link, retry_ms);
    set_state(link, OCD_LINK_DOWN, link->last_error);
    if (in_flight) {
        link->handler->lost(link->context, link->last_error);
    }
}

static void fail(struct ocd_link *link, const char *reason)
{
    go_down(link, backoff_ms(link), reason);
}

/* The handshake. */

static void handshake_send(struct ocd_link *link)
{
    struct strbuf script = STRBUF_INIT;
    const struct envelope_data no_data = {.size = 0};
    struct err err;
    err_reset(&err);
    switch (link->step) {
    case STEP_VERSION:
        strbuf_append_text(&script, "version");
        break;
    case STEP_NOTIFICATIONS:
        strbuf_append_text(&script, "tcl_notifications on");
        break;
    case STEP_STAGING:
        stage_dir_script(link->stage_dir, link->info.stage_template, &script);
        break;
    case STEP_SHARE_READ:
        share_probe_read_script(&link->probe, &script);
        break;
    case STEP_SHARE_WRITE:
        share_probe_write_script(&link->probe, &script);
        break;
    case STEP_SURVEY:
        ocd_info_survey_script(&script);
        break;
    case STEP_COUNT:
        break;
    }
    if (!transmit(link, &script, &no_data, &err)) {
        fail(link, err.message);
    }
    strbuf_fini(&script);
}

static bool version_is_fit(struct ocd_link *link, const struct ocd_reply *reply)
{
    unsigned major = 0;
    unsigned minor = 0;
    char reason[192];
    size_t line = strcspn(reply->result, "\n");

    if (!ocd_parse_version(reply->result, reply->result_length, &major, &minor)) {
        go_down(link, REFUSED_RETRY_MS, "what answers there does not say which OpenOCD it is");
        return false;
    }
    snprintf(link->info.version, sizeof link->info.version, "%.*s", (int)line, reply->result);
    if (major == 0 && minor < 12) {
        snprintf(reason, sizeof reason, "OpenOCD %u.%u is too old: ocdmux needs 0.12 or later", major, minor);
        go_down(link, REFUSED_RETRY_MS, reason);
        return false;
    }
    return true;
}

static void take_stage_dir(struct ocd_link *link, const struct ocd_reply *reply)
{
    bool found = stage_dir_take(reply, link->info.stage_template, sizeof link->info.stage_template);
    link->info.files = found ? OCD_FILES_LINK : OCD_FILES_NONE;
}

/* The step after STEP_STAGING: whether there is anything to find out about a shared directory. */
static enum handshake_step begin_sharing(struct ocd_link *link)
{
    struct err err;
    err_reset(&err);
    if (link->probe.dir == NULL) {
        return STEP_SURVEY;
    }
    if (!share_probe_start(&link->probe, &err)) {
        log_warn("board %s: %s; files go over the link", link->name, err.message);
        return STEP_SURVEY;
    }
    return STEP_SHARE_READ;
}

static void take_shared(struct ocd_link *link, bool shared)
{
    share_probe_end(&link->probe);
    if (shared) {
        link->info.files = OCD_FILES_SHARED;
    }
}

/* The step after this one. */
static enum handshake_step take_share_step(struct ocd_link *link, const struct ocd_reply *reply)
{
    if (link->step == STEP_SHARE_READ && share_probe_was_read(&link->probe, reply)) {
        return STEP_SHARE_WRITE;
    }
    take_shared(link, link->step == STEP_SHARE_WRITE && share_probe_was_written(&link->probe, reply));
    return STEP_SURVEY;
}

static void say_files(const struct ocd_link *link)
{
    switch (link->info.files) {
    case OCD_FILES_NONE:
        log_warn("board %s: OpenOCD finds no directory for temporary files; flash cannot be written",
                 link->name);
        break;
    case OCD_FILES_LINK:
        log_debug("board %s: files go over the link", link->name);
        break;
    case OCD_FILES_SHARED:
        log_debug("board %s: files go through %s", link->name, private_dir_path(link->probe.dir));
        break;
    }
}

static void handshake_reply(struct ocd_link *link, const struct ocd_reply *reply)
{
    struct err err;
    enum handshake_step next = link->step + 1;
    err_reset(&err);
    switch (link->step) {
    case STEP_VERSION:
        if (!version_is_fit(link, reply)) {
            return;
        }
        break;
    case STEP_NOTIFICATIONS:
        if (!ocd_reply_ok(reply)) {
            log_warn("board %s: OpenOCD refuses to send notifications", link->name);
        }
        break;
    case STEP_STAGING:
        take_stage_dir(link, reply);
        next = begin_sharing(link);
        break;
    case STEP_SHARE_READ:
    case STEP_SHARE_WRITE:
        next = take_share_step(link, reply);
        break;
    case STEP_SURVEY:
        if (!ocd_reply_ok(reply)) {
            struct strbuf words = STRBUF_INIT;
            ocd_reply_words(reply, &words);
            err_set(&err, ERR_OPENOCD_ERROR, "OpenOCD does not list its targets: %.150s",
                    strbuf_text(&words));
            strbuf_fini(&words);
        }
        if (err.kind != ERR_NONE ||
            !ocd_info_read_survey(&link->info, reply->result, reply->result_length, &err)) {
            fail(link, err.message);
            return;
        }
        break;
    case STEP_COUNT:
        break;
    }
    link->step = next;
    if (link->step < STEP_COUNT) {
        handshake_send(link);
        return;
    }
    say_files(link);
    link->failures = 0;
    loop_timer_cancel(link->timer);
    set_state(link, OCD_LINK_IDLE, NULL);
}

static void start_handshake(struct ocd_link *link)
{
    link->step = STEP_VERSION;
    set_timer(link, link->limit_ms < HANDSHAKE_LIMIT_MS ? link->limit_ms : HANDSHAKE_LIMIT_MS);
    set_state(link, OCD_LINK_HANDSHAKE, NULL);
    handshake_send(link);
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
        handshake_reply(link, reply);
        break;
    case OCD_LINK_BUSY:
        loop_timer_cancel(link->timer);
        set_state(link, OCD_LINK_IDLE, NULL);
        link->handler->reply(link->context, reply);
        break;
    case OCD_LINK_ABANDONED:
        link->counters.late++;
        loop_timer_cancel(link->timer);
        set_state(link, OCD_LINK_IDLE, "the late reply came and was dropped");
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
        set_timer(link, STRAY_LIMIT_MS);
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
    fail(link, text);
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
    start_handshake(link);
}

static void on_bytes(void *context, const uint8_t *bytes, size_t length)
{
    struct ocd_link *link = context;
    envelope_decoder_feed(link->decoder, bytes, length);
}

static void on_eof(void *context)
{
    fail(context, "OpenOCD closed the connection");
}

static void on_failed(void *context, const char *reason)
{
    struct ocd_link *link = context;
    char text[256];
    snprintf(text, sizeof text, "%s: %s",
             link->state == OCD_LINK_CONNECTING ? "cannot connect to OpenOCD" : "link lost", reason);
    fail(link, text);
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
    link->stream = net_stream_connect(link->loop, &link->address, &stream_handler, link, 0);
    set_timer(link, CONNECT_LIMIT_MS);
    set_state(link, OCD_LINK_CONNECTING, NULL);
}

static void on_timer(void *context)
{
    struct ocd_link *link = context;
    switch (link->state) {
    case OCD_LINK_DOWN:
        connect_now(link);
        break;
    case OCD_LINK_CONNECTING:
        fail(link, "cannot connect to OpenOCD: no answer");
        break;
    case OCD_LINK_HANDSHAKE:
        fail(link, "OpenOCD does not answer the handshake: it is busy, or what listens there is no OpenOCD");
        break;
    case OCD_LINK_BUSY:
    case OCD_LINK_ABANDONED:
        fail(link, link->saw_stray ? "a frame that answers nothing came from OpenOCD, and no answer after it"
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
    link->handler = handler;
    link->context = context;
    link->state = OCD_LINK_DOWN;
    link->decoder = envelope_decoder_new(&decoder_handler, link);
    link->timer = loop_timer_new(loop, on_timer, link);
    /* Nonces must not repeat between two runs of the daemon on one OpenOCD; they are no secret. */
    if (getrandom(&link->nonce_prefix, sizeof link->nonce_prefix, 0) != (ssize_t)sizeof link->nonce_prefix) {
        link->nonce_prefix = clock_now_us();
    }
    set_timer(link, 0);
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
    if (!transmit(link, script, data, err)) {
        return false;
    }
    set_timer(link, limit_ms > link->limit_ms ? limit_ms : link->limit_ms);
    link->patient = patient;
    link->saw_stray = false;
    set_state(link, OCD_LINK_BUSY, NULL);
    return true;
}

void ocd_link_abandon(struct ocd_link *link)
{
    set_state(link, OCD_LINK_ABANDONED, "its deadline passed");
}

void ocd_link_relearn(struct ocd_link *link)
{
    start_handshake(link);
}
