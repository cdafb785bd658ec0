/* Starting again: states, and the pause between. */
#include "board/respawn.h"

#define US_PER_MS 1000u
#define MOST_DOUBLINGS 20u

const char *respawn_state_name(enum respawn_state state)
{
    switch (state) {
    case RESPAWN_WAITING:
        return "waiting";
    case RESPAWN_PREPARING:
        return "preparing";
    case RESPAWN_STARTING:
        return "starting";
    case RESPAWN_RUNNING:
        return "running";
    case RESPAWN_ENDING:
    case RESPAWN_STOPPING:
        return "stopping";
    case RESPAWN_STOPPED:
        return "stopped";
    }
    return "?";
}

void respawn_init(struct respawn *respawn, const struct respawn_limits *limits, uint64_t now_us)
{
    *respawn = (struct respawn){.limits = *limits, .state = RESPAWN_WAITING, .due_us = now_us};
}

static enum respawn_action start(struct respawn *respawn, uint64_t now_us)
{
    respawn->state = RESPAWN_STARTING;
    respawn->due_us = now_us + respawn->limits.start_ms * US_PER_MS;
    respawn->up_us = 0;
    respawn->starts++;
    return RESPAWN_START;
}

static enum respawn_action end(struct respawn *respawn)
{
    respawn->state = RESPAWN_ENDING;
    respawn->due_us = 0;
    return RESPAWN_END;
}

enum respawn_action respawn_due(struct respawn *respawn, uint64_t now_us)
{
    if (respawn->due_us == 0 || now_us < respawn->due_us) {
        return RESPAWN_NOTHING;
    }
    switch (respawn->state) {
    case RESPAWN_WAITING:
        if (respawn->limits.prepares) {
            respawn->state = RESPAWN_PREPARING;
            respawn->due_us = 0; /* the command has a limit of its own */
            return RESPAWN_PREPARE;
        }
        return start(respawn, now_us);
    case RESPAWN_STARTING:
    case RESPAWN_RUNNING:
        return end(respawn);
    case RESPAWN_PREPARING:
    case RESPAWN_ENDING:
    case RESPAWN_STOPPING:
    case RESPAWN_STOPPED:
        break;
    }
    return RESPAWN_NOTHING;
}

enum respawn_action respawn_prepared(struct respawn *respawn, uint64_t now_us)
{
    return respawn->state == RESPAWN_PREPARING ? start(respawn, now_us) : RESPAWN_NOTHING;
}

static bool is_alive(const struct respawn *respawn)
{
    return respawn->state == RESPAWN_STARTING || respawn->state == RESPAWN_RUNNING;
}

void respawn_up(struct respawn *respawn, uint64_t now_us)
{
    if (is_alive(respawn)) {
        respawn->state = RESPAWN_RUNNING;
        respawn->due_us = 0;
        respawn->up_us = respawn->up_us != 0 ? respawn->up_us : now_us;
    }
}

void respawn_lost(struct respawn *respawn, uint64_t now_us)
{
    if (respawn->state == RESPAWN_RUNNING && respawn->due_us == 0) {
        respawn->due_us = now_us + respawn->limits.start_ms * US_PER_MS;
    }
}

enum respawn_action respawn_fail(struct respawn *respawn)
{
    return is_alive(respawn) ? end(respawn) : RESPAWN_NOTHING;
}

static uint64_t pause_us(const struct respawn *respawn)
{
    uint64_t doublings = respawn->failures < MOST_DOUBLINGS ? respawn->failures : MOST_DOUBLINGS;
    uint64_t pause_ms = respawn->limits.first_ms << doublings;
    return (pause_ms < respawn->limits.most_ms ? pause_ms : respawn->limits.most_ms) * US_PER_MS;
}

void respawn_ended(struct respawn *respawn, uint64_t now_us)
{
    if (respawn->state == RESPAWN_STOPPING || respawn->state == RESPAWN_STOPPED) {
        respawn->state = RESPAWN_STOPPED;
        return;
    }
    bool good = respawn->up_us != 0 && now_us - respawn->up_us >= respawn->limits.good_ms * US_PER_MS;
    if (good) {
        respawn->failures = 0;
    }
    respawn->due_us = now_us + pause_us(respawn);
    respawn->failures++;
    respawn->up_us = 0;
    respawn->state = RESPAWN_WAITING;
}

enum respawn_action respawn_stop(struct respawn *respawn)
{
    bool runs = respawn->state != RESPAWN_WAITING && respawn->state != RESPAWN_STOPPED;
    respawn->state = runs ? RESPAWN_STOPPING : RESPAWN_STOPPED;
    respawn->due_us = 0;
    return runs ? RESPAWN_END : RESPAWN_NOTHING;
}
