/*
 * Whether OpenOCD still answers: a link that is idle is asked for the targets' states now and then, which
 * shows them as they are, too, and a short command that has no answer within a limit means that OpenOCD
 * hangs. Long ones have the link's own limit. A target that is missing is looked for as often, also between
 * the commands of others.
 *
 * While a debugger is attached to OpenOCD itself nothing is concluded from its silence: it may flash.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "board/private.h"
#include "ops/examine.h"

/* A debugger that nothing was heard of for so long is no excuse. */
#define EXCUSE_US (600ull * 1000000u)
#define US_PER_MS 1000u

static bool excuses(const struct board_health *health, uint64_t now_us)
{
    return (health->debuggers > 0 || health->debugger_flashes) && now_us - health->heard_us < EXCUSE_US;
}

bool health_is_excused(const struct board *board)
{
    return excuses(&board->health, clock_now_us());
}

static void examine_progress(void *context, struct op *op)
{
    (void)context;
    (void)op;
}

static void examine_ended(void *context, struct op *op, const struct err *err)
{
    struct board *board = context;
    (void)op;
    board->health.examining = false;
    if (err != NULL) {
        log_debug("board %s: examining: %s", board->name, err->message);
    }
    loop_timer_set(board->survey_timer, 0);
}

static const struct op_owner examine_owner = {.progress = examine_progress, .ended = examine_ended};

static bool misses_target(const struct board *board)
{
    return ocd_info_missing_target(ocd_link_info(board->link)) != NULL;
}

/* OpenOCD 0.12 looks for a target that it did not find at its start, or at a reset, only when it is told to.
 */
static void ask(struct board *board, uint64_t now_us)
{
    board->health.asked_us = now_us;
    if (!misses_target(board)) {
        loop_timer_set(board->survey_timer, 0);
        return;
    }
    board->health.examining = true;
    board_submit(board, &board->own_queue, examine_new(), &examine_owner, board, 0);
    loop_timer_set(board->kick_timer, 0);
}

static void give_up(struct board *board)
{
    char reason[128];
    snprintf(reason, sizeof reason, "OpenOCD does not answer: nothing within %u ms",
             (unsigned)board->health.limit_ms);
    ocd_link_reset(board->link, reason);
}

/* Clients that keep the link busy are no reason not to look: all that they ask for fails meanwhile. */
static void look_for_missing(struct board *board, uint64_t now_us)
{
    struct board_health *health = &board->health;
    bool due = now_us >= health->asked_us + (uint64_t)health->every_ms * US_PER_MS;
    if (due && !health->examining && misses_target(board) && !excuses(health, now_us)) {
        ask(board, now_us);
    }
}

/* Until when the timer sleeps; a millisecond at least, and not for longer than a target may be missing. */
static void sleep_until(struct board_health *health, uint64_t until_us, uint64_t now_us)
{
    uint64_t next_us = now_us + (uint64_t)health->every_ms * US_PER_MS;
    until_us = next_us < until_us ? next_us : until_us;
    loop_timer_set(health->timer, until_us > now_us ? (until_us - now_us) / US_PER_MS + 1 : 1);
}

static void on_timer(void *context)
{
    struct board *board = context;
    struct board_health *health = &board->health;
    uint64_t now_us = clock_now_us();
    uint64_t quiet_us = health->heard_us + (uint64_t)health->every_ms * US_PER_MS;
    uint64_t late_us = health->sent_us + (uint64_t)health->limit_ms * US_PER_MS;
    switch (ocd_link_get_state(board->link)) {
    case OCD_LINK_IDLE:
        if (now_us >= quiet_us && !health->examining) {
            ask(board, now_us);
            quiet_us = now_us + (uint64_t)health->every_ms * US_PER_MS;
        }
        look_for_missing(board, now_us);
        sleep_until(health, quiet_us, now_us);
        break;
    case OCD_LINK_BUSY:
    case OCD_LINK_ABANDONED:
        look_for_missing(board, now_us);
        if (!health->is_short || excuses(health, now_us)) {
            loop_timer_set(health->timer, health->every_ms);
        } else if (now_us >= late_us) {
            give_up(board);
        } else {
            sleep_until(health, late_us, now_us);
        }
        break;
    case OCD_LINK_HANDSHAKE: /* it has a limit of its own, and is followed by health_up() */
    case OCD_LINK_DOWN:
    case OCD_LINK_CONNECTING:
        break;
    }
}

void health_init(struct board *board, const struct board_options *options)
{
    board->health = (struct board_health){.timer = loop_timer_new(board->loop, on_timer, board),
                                          .every_ms = options->health_every_ms,
                                          .limit_ms = options->health_limit_ms};
}

void health_fini(struct board *board)
{
    loop_timer_free(board->health.timer);
}

void health_up(struct board *board)
{
    board->health.heard_us = clock_now_us();
    if (board->health.every_ms > 0) {
        loop_timer_set(board->health.timer, board->health.every_ms);
    }
}

void health_down(struct board *board)
{
    loop_timer_cancel(board->health.timer);
}

void health_heard(struct board *board)
{
    board->health.heard_us = clock_now_us();
}

void health_sent(struct board *board, bool is_short)
{
    board->health.sent_us = board->flight.sent_us;
    board->health.is_short = is_short;
}

void health_event(struct board *board, const char *event)
{
    struct board_health *health = &board->health;
    health->heard_us = clock_now_us();
    if (strcmp(event, "gdb-attach") == 0) {
        health->debuggers++;
    } else if (strcmp(event, "gdb-detach") == 0) {
        health->debuggers -= health->debuggers > 0;
        health->debugger_flashes = false;
    } else if (strcmp(event, "gdb-flash-erase-start") == 0 || strcmp(event, "gdb-flash-write-start") == 0) {
        health->debugger_flashes = true;
    } else if (strcmp(event, "gdb-flash-erase-end") == 0 || strcmp(event, "gdb-flash-write-end") == 0) {
        health->debugger_flashes = false;
    } else if (strcmp(event, "examine-end") == 0 && board->expects) {
        board->must_relearn = true; /* it may be another one now: nothing is sent before it was asked */
    }
}
