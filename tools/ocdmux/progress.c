/* Showing progress. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "print.h"

#define PROGRESS_BAR_WIDTH 30u
/* A rate over a shorter time says nothing. */
#define PROGRESS_RATE_AFTER_US 200000u

/* One notification. */
struct progress_point {
    uint64_t done;
    bool has_total;
    uint64_t total;
    bool bytes; /* the unit */
    bool queued;
    uint64_t place;
    char unit[32]; /* escaped */
};

void progress_init(struct progress *progress, bool lines)
{
    *progress = (struct progress){.style = PROGRESS_OFF};
    if (isatty(STDERR_FILENO)) {
        progress->style = PROGRESS_BAR;
    } else if (lines) {
        progress->style = PROGRESS_LINES;
    }
}

/* "" where there is no text; cut where it is too long. */
static void progress_copy_text(char *out, size_t size, const cJSON *params, const char *name)
{
    struct strbuf escaped = STRBUF_INIT;
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, name));
    if (text != NULL) {
        print_escape(&escaped, text, strlen(text), true);
    }
    (void)snprintf(out, size, "%s", strbuf_text(&escaped));
    strbuf_fini(&escaped);
}

static bool progress_read(const struct progress *progress, const cJSON *params,
                          struct progress_point *ret_point)
{
    struct progress_point point = {.done = 0};
    const char *phase = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, "phase"));
    if (phase == NULL || !ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(params, "done"), &point.done)) {
        return false;
    }
    point.has_total = ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(params, "total"), &point.total);
    point.queued = strcmp(phase, "queued") == 0;
    (void)!ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(params, "place"), &point.place);
    progress_copy_text(point.unit, sizeof(point.unit), params, "unit");
    point.bytes = strcmp(point.unit, "bytes") == 0;
    if (progress->piece_total != 0 && point.bytes) {
        point.done += progress->piece_base;
        point.has_total = true;
        point.total = progress->piece_total;
    }
    *ret_point = point;
    return true;
}

static unsigned progress_percent(const struct progress_point *point)
{
    if (!point->has_total || point->total == 0) {
        return 0;
    }
    return point->done >= point->total ? 100 : (unsigned)((double)point->done * 100 / (double)point->total);
}

/* "" while there is nothing to say. */
static void progress_format_rate(const struct progress *progress, const struct progress_point *point,
                                 char *out, size_t size)
{
    uint64_t elapsed = clock_now_us() - progress->phase_start_us;
    *out = '\0';
    if (elapsed < PROGRESS_RATE_AFTER_US || point->done <= progress->phase_start_done) {
        return;
    }
    double rate = (double)(point->done - progress->phase_start_done) * 1e6 / (double)elapsed;
    if (point->bytes) {
        (void)snprintf(out, size, ", %.1f KiB/s", rate / 1024);
    } else {
        (void)snprintf(out, size, ", %.1f %s/s", rate, point->unit);
    }
}

static void progress_draw_bar(struct progress *progress, const struct progress_point *point)
{
    char bar[PROGRESS_BAR_WIDTH + 1];
    char rate[64];
    unsigned percent = progress_percent(point);
    progress_format_rate(progress, point, rate, sizeof(rate));
    progress->drawn = true;
    /* CSI K clears the rest of the line. */
    fprintf(stderr, "\r%-8s ", progress->phase);
    if (point->queued && point->place == 0) {
        fputs("next\033[K", stderr);
        return;
    }
    if (point->queued) {
        fprintf(stderr, "behind %" PRIu64 "\033[K", point->place);
        return;
    }
    if (!point->has_total) {
        fprintf(stderr, "%" PRIu64 " %s%s\033[K", point->done, point->unit, rate);
        return;
    }
    for (unsigned i = 0; i < PROGRESS_BAR_WIDTH; i++) {
        bar[i] = i < percent * PROGRESS_BAR_WIDTH / 100 ? '#' : '.';
    }
    bar[PROGRESS_BAR_WIDTH] = '\0';
    fprintf(stderr, "[%s] %3u %%, %" PRIu64 " %s%s\033[K", bar, percent, point->done, point->unit, rate);
}

static void progress_print_line(struct progress *progress, const struct progress_point *point)
{
    char rate[64];
    progress_format_rate(progress, point, rate, sizeof(rate));
    if (point->queued) {
        /* Every request is told that it is queued; it is worth a line where something else goes first. */
        if (point->place > 0) {
            fprintf(stderr, "%s: behind %" PRIu64 "\n", progress->phase, point->place);
        }
    } else if (point->has_total) {
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " %s (%u %%)%s\n", progress->phase, point->done,
                point->total, point->unit, progress_percent(point), rate);
    } else {
        fprintf(stderr, "%s: %" PRIu64 " %s%s\n", progress->phase, point->done, point->unit, rate);
    }
}

/* Whether the phase is a new one. */
static bool progress_enter_phase(struct progress *progress, const cJSON *params,
                                 const struct progress_point *point)
{
    char phase[sizeof(progress->phase)];
    progress_copy_text(phase, sizeof(phase), params, "phase");
    if (strcmp(phase, progress->phase) == 0) {
        return false;
    }
    progress_end(progress);
    memcpy(progress->phase, phase, sizeof(phase));
    progress->phase_start_us = clock_now_us();
    progress->phase_start_done = point->done;
    progress->tenth = progress_percent(point) / 10;
    return true;
}

void progress_take(struct progress *progress, const cJSON *params)
{
    struct progress_point point;
    if (!progress_read(progress, params, &point)) {
        return;
    }
    if (progress->operation[0] == '\0') {
        progress_copy_text(progress->operation, sizeof(progress->operation), params, "operation");
    }
    bool entered = progress_enter_phase(progress, params, &point);
    unsigned tenth = progress_percent(&point) / 10;
    switch (progress->style) {
    case PROGRESS_BAR:
        progress_draw_bar(progress, &point);
        break;
    case PROGRESS_LINES:
        if (entered || tenth > progress->tenth) {
            progress_print_line(progress, &point);
            progress->tenth = tenth;
        }
        break;
    case PROGRESS_OFF:
        break;
    }
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) {
        fputc('\n', stderr);
        progress->drawn = false;
    }
}
