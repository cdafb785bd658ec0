/* Showing progress. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "print.h"

#define PROGRESS_BAR_WIDTH 30u
/* A shorter bar tells nothing; then there is none. */
#define PROGRESS_BAR_LEAST 5u
/* Of a terminal that does not say. */
#define PROGRESS_COLUMNS 80u
/* A rate over a shorter time says nothing. */
#define PROGRESS_RATE_AFTER_US 200000u
/* More is told as "> 99 h". */
#define PROGRESS_MOST_SECONDS (100.0 * 3600)

/* One notification. */
struct progress_point {
    char phase[32]; /* escaped */
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

/* Escaped, and cut between two characters where it is too long. */
static void progress_copy(char *out, size_t size, const char *text)
{
    struct strbuf escaped = STRBUF_INIT;
    size_t length = 0;
    print_escape(&escaped, text, strlen(text), true);
    const char *whole = strbuf_text(&escaped);
    while (whole[length] != '\0') {
        size_t taken = utf8_sequence(whole + length, escaped.length - length);
        if (taken == 0 || length + taken >= size) {
            break;
        }
        length += taken;
    }
    memcpy(out, whole, length);
    out[length] = '\0';
    strbuf_fini(&escaped);
}

/* "" where there is no text. */
static void progress_copy_text(char *out, size_t size, const cJSON *params, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, name));
    progress_copy(out, size, text == NULL ? "" : text);
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
    progress_copy(point.phase, sizeof(point.phase), phase);
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

/* Units a second since the phase began; 0 while there is nothing to say. */
static double progress_rate(const struct progress *progress, const struct progress_point *point)
{
    uint64_t elapsed = clock_now_us() - progress->phase_start_us;
    if (elapsed < PROGRESS_RATE_AFTER_US || point->done <= progress->phase_start_done) {
        return 0;
    }
    return (double)(point->done - progress->phase_start_done) * 1e6 / (double)elapsed;
}

static void progress_add_rate(struct strbuf *line, const struct progress_point *point, double rate)
{
    if (rate <= 0) {
        return;
    }
    if (point->bytes) {
        strbuf_appendf(line, ", %.1f KiB/s", rate / 1024);
    } else {
        strbuf_appendf(line, ", %.1f %s/s", rate, point->unit);
    }
}

/* The time that is left at this rate, as ", 0:12 left". */
static void progress_add_left(struct strbuf *line, const struct progress_point *point, double rate)
{
    if (rate <= 0 || !point->has_total || point->done >= point->total) {
        return;
    }
    double left = (double)(point->total - point->done) / rate;
    if (left >= PROGRESS_MOST_SECONDS) {
        strbuf_append_text(line, ", > 99 h left");
        return;
    }
    /* Rounded up: what has not ended has a second left. */
    unsigned seconds = (unsigned)left + 1;
    if (seconds >= 3600) {
        strbuf_appendf(line, ", %u:%02u:%02u left", seconds / 3600, seconds / 60 % 60, seconds % 60);
    } else {
        strbuf_appendf(line, ", %u:%02u left", seconds / 60, seconds % 60);
    }
}

/* How many columns the character takes at most: what is not ASCII may be a wide one. */
static size_t progress_width_of(const char *bytes)
{
    return (unsigned char)bytes[0] < 0x80 ? 1 : 2;
}

/* Where the first character ends that does not fit into `columns`; the width of what does. */
static size_t progress_fit(const struct strbuf *line, size_t columns, size_t *ret_width)
{
    const char *text = strbuf_text(line);
    size_t width = 0;
    size_t i = 0;
    while (i < line->length && width + progress_width_of(text + i) <= columns) {
        size_t taken = utf8_sequence(text + i, line->length - i);
        width += progress_width_of(text + i);
        i += taken > 0 ? taken : 1;
    }
    *ret_width = width;
    return i;
}

static size_t progress_width(const struct strbuf *line)
{
    size_t width;
    (void)progress_fit(line, SIZE_MAX, &width);
    return width;
}

static void progress_cut(struct strbuf *line, size_t columns)
{
    size_t width;
    strbuf_truncate(line, progress_fit(line, columns, &width));
}

/* One less than there are: a terminal may wrap behind its last one. */
static size_t progress_columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return (known ? size.ws_col : PROGRESS_COLUMNS) - 1u;
}

/* Appends the bar, as long as `room` allows, and `text` behind it. */
static void progress_add_bar(struct strbuf *line, size_t columns, unsigned percent, const struct strbuf *text)
{
    size_t taken = progress_width(line) + progress_width(text) + 2;
    size_t length = taken < columns ? columns - taken : 0;
    length = length < PROGRESS_BAR_WIDTH ? length : PROGRESS_BAR_WIDTH;
    if (length >= PROGRESS_BAR_LEAST) {
        strbuf_append_byte(line, '[');
        for (unsigned i = 0; i < length; i++) {
            strbuf_append_byte(line, i < percent * length / 100 ? '#' : '.');
        }
        strbuf_append_byte(line, ']');
    }
    strbuf_append(line, text->data, text->length);
}

static void progress_draw_bar(struct progress *progress, const struct progress_point *point)
{
    struct strbuf line = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    size_t columns = progress_columns();
    double rate = progress_rate(progress, point);
    progress->drawn = true;
    strbuf_appendf(&line, "%-8s ", progress->phase);
    if (point->queued && point->place == 0) {
        strbuf_append_text(&line, "next");
    } else if (point->queued) {
        strbuf_appendf(&line, "behind %" PRIu64, point->place);
    } else if (!point->has_total) {
        strbuf_appendf(&line, "%" PRIu64 " %s", point->done, point->unit);
        progress_add_rate(&line, point, rate);
    } else {
        unsigned percent = progress_percent(point);
        strbuf_appendf(&text, " %3u %%, %" PRIu64 " %s", percent, point->done, point->unit);
        progress_add_rate(&text, point, rate);
        progress_add_left(&text, point, rate);
        progress_add_bar(&line, columns, percent, &text);
    }
    progress_cut(&line, columns);
    /* CSI K clears the rest of the line. */
    fprintf(stderr, "\r%s\033[K", strbuf_text(&line));
    strbuf_fini(&text);
    strbuf_fini(&line);
}

static void progress_print_line(const struct progress *progress, const struct progress_point *point)
{
    struct strbuf line = STRBUF_INIT;
    if (point->queued) {
        /* Every request is told that it is queued; it is worth a line where something else goes first. */
        if (point->place > 0) {
            fprintf(stderr, "%s: behind %" PRIu64 "\n", progress->phase, point->place);
        }
        return;
    }
    strbuf_appendf(&line, "%s: %" PRIu64, progress->phase, point->done);
    if (point->has_total) {
        strbuf_appendf(&line, " of %" PRIu64 " %s (%u %%)", point->total, point->unit,
                       progress_percent(point));
    } else {
        strbuf_appendf(&line, " %s", point->unit);
    }
    progress_add_rate(&line, point, progress_rate(progress, point));
    fprintf(stderr, "%s\n", strbuf_text(&line));
    strbuf_fini(&line);
}

/* Whether the phase is a new one. */
static bool progress_enter_phase(struct progress *progress, const struct progress_point *point)
{
    if (strcmp(point->phase, progress->phase) == 0) {
        return false;
    }
    progress_end(progress);
    memcpy(progress->phase, point->phase, sizeof(progress->phase));
    progress->phase_start_us = clock_now_us();
    progress->phase_start_done = point->done;
    progress->tenth = progress_percent(point) / 10;
    return true;
}

static void progress_take_point(struct progress *progress, const struct progress_point *point)
{
    bool entered = progress_enter_phase(progress, point);
    unsigned tenth = progress_percent(point) / 10;
    switch (progress->style) {
    case PROGRESS_BAR:
        progress_draw_bar(progress, point);
        break;
    case PROGRESS_LINES:
        if (entered || tenth > progress->tenth) {
            progress_print_line(progress, point);
            progress->tenth = tenth;
        }
        break;
    case PROGRESS_OFF:
        break;
    }
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
    progress_take_point(progress, &point);
}

void progress_show(struct progress *progress, const char *phase, uint64_t done, uint64_t total)
{
    struct progress_point point = {.done = done, .has_total = true, .total = total, .bytes = true};
    progress_copy(point.phase, sizeof(point.phase), phase);
    progress_copy(point.unit, sizeof(point.unit), "bytes");
    progress_take_point(progress, &point);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) {
        fputc('\n', stderr);
        progress->drawn = false;
    }
}
