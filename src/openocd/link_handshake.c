/* The handshake: which OpenOCD it is, whether the board is the right one, and what there is. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "openocd/link_private.h"
#include "openocd/stage_dir.h"

#define HANDSHAKE_LIMIT_MS 10000u
/* An OpenOCD of the wrong version will not change by itself soon. */
#define REFUSED_RETRY_MS 10000u

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
    case STEP_EXPECT:
        ocd_expect_script(link->expect, &script);
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
    if (!link_transmit(link, &script, &no_data, &err)) {
        link_fail(link, err.message);
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
        link_go_down(link, REFUSED_RETRY_MS, "what answers there does not say which OpenOCD it is");
        return false;
    }
    snprintf(link->info.version, sizeof link->info.version, "%.*s", (int)line, reply->result);
    if (major == 0 && minor < 12) {
        snprintf(reason, sizeof reason, "OpenOCD %u.%u is too old: ocdmux needs 0.12 or later", major, minor);
        link_go_down(link, REFUSED_RETRY_MS, reason);
        return false;
    }
    return true;
}

static bool board_is_fit(struct ocd_link *link, const struct ocd_reply *reply)
{
    struct err err;
    err_reset(&err);
    if (ocd_expect_is_met(link->expect, reply, &err)) {
        return true;
    }
    link->refused = true;
    link_fail(link, err.message);
    return false;
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

void link_handshake_reply(struct ocd_link *link, const struct ocd_reply *reply)
{
    struct err err;
    enum handshake_step next = link->step + 1;
    err_reset(&err);
    switch (link->step) {
    case STEP_VERSION:
        if (!version_is_fit(link, reply)) {
            return;
        }
        next = link->expect != NULL ? STEP_EXPECT : STEP_NOTIFICATIONS;
        break;
    case STEP_EXPECT:
        if (!board_is_fit(link, reply)) {
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
            link_fail(link, err.message);
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
    link->eager = false;
    link->refused = false;
    loop_timer_cancel(link->timer);
    link_set_state(link, OCD_LINK_IDLE, NULL);
}

void link_handshake_start(struct ocd_link *link)
{
    link->step = STEP_VERSION;
    link_set_timer(link, link->limit_ms < HANDSHAKE_LIMIT_MS ? link->limit_ms : HANDSHAKE_LIMIT_MS);
    link_set_state(link, OCD_LINK_HANDSHAKE, NULL);
    handshake_send(link);
}
