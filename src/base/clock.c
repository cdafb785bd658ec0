/* The one place that reads a clock, so that tests can put their own in its place. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t fake_now_us;

uint64_t clock_now_us(void)
{
    if (fake_now_us != 0) {
        return fake_now_us;
    }
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
    /* 0 means "never" to callers, and a machine may have just started. */
    return now_us == 0 ? 1 : now_us;
}

void clock_wall_text(char text[CLOCK_TEXT_SIZE])
{
    clock_wall_text_in(text, 0);
}

void clock_wall_text_in(char text[CLOCK_TEXT_SIZE], uint64_t later_us)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t us = (uint64_t)now.tv_nsec / 1000u + later_us;
    now.tv_sec += (time_t)(us / 1000000u);
    now.tv_nsec = (long)(us % 1000000u) * 1000;
    struct tm parts;
    if (gmtime_r(&now.tv_sec, &parts) == NULL) {
        parts = (struct tm){.tm_mday = 1, .tm_year = 70};
    }
    size_t length = strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    unsigned milliseconds = (unsigned)(now.tv_nsec / 1000000) % 1000u;
    snprintf(text + length, CLOCK_TEXT_SIZE - length, ".%03uZ", milliseconds);
}

void clock_fake(uint64_t now_us)
{
    fake_now_us = now_us;
}
