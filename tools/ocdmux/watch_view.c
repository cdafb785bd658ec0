/* Watched memory, shown. */
#include "watch_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "fields.h"
#include "print.h"

enum watch_view_mark { MARK_UNKNOWN, MARK_KNOWN, MARK_CHANGED };

#define REVERSE "\x1b[7m"
#define PLAIN "\x1b[0m"

void watch_view_init(struct watch_view *view, unsigned width)
{
    *view = (struct watch_view){.width = width};
}

void watch_view_fini(struct watch_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        free(view->ranges[i].bytes);
        free(view->ranges[i].marks);
        strbuf_fini(&view->ranges[i].problem);
    }
    view->count = 0;
}

void watch_view_add(struct watch_view *view, uint64_t address, size_t size)
{
    struct watch_view_range *range = &view->ranges[view->count++];
    *range = (struct watch_view_range){.address = address, .size = size};
    range->bytes = xcalloc(size, 1);
    range->marks = xcalloc(size, 1);
    strbuf_init(&range->problem);
}

/* ---- taking in ---- */

static void forget_news(struct watch_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        struct watch_view_range *range = &view->ranges[i];
        range->problem_is_news = false;
        range->recovery_is_news = false;
        for (size_t j = 0; j < range->size; j++) {
            range->marks[j] = range->marks[j] == MARK_CHANGED ? MARK_KNOWN : range->marks[j];
        }
    }
}

static void put_bytes(struct watch_view *view, uint64_t address, const uint8_t *bytes, size_t length,
                      bool whole)
{
    for (size_t i = 0; i < view->count; i++) {
        struct watch_view_range *range = &view->ranges[i];
        for (size_t j = 0; j < length; j++) {
            uint64_t at = address + j - range->address;
            if (at < range->size) {
                bool new = range->marks[at] == MARK_UNKNOWN || range->bytes[at] != bytes[j];
                range->bytes[at] = bytes[j];
                range->marks[at] = new && !whole ? MARK_CHANGED : range->marks[at];
                range->marks[at] = range->marks[at] == MARK_UNKNOWN ? MARK_KNOWN : range->marks[at];
            }
        }
    }
}

static bool take_change(struct watch_view *view, const cJSON *change, bool whole)
{
    struct strbuf bytes = STRBUF_INIT;
    uint64_t address = 0;
    const char *data = field_text(change, "data");
    if (data == NULL || !field_u64(change, "address", &address) || !hex_decode(&bytes, data, strlen(data))) {
        return false;
    }
    put_bytes(view, address, (const uint8_t *)bytes.data, bytes.length, whole);
    strbuf_fini(&bytes);
    return true;
}

/* An element of `errors` (with `error`) or of `recovered`, for all ranges that are what it names. */
static bool take_range(struct watch_view *view, const cJSON *item)
{
    uint64_t address = 0;
    uint64_t size = 0;
    const cJSON *error = field_get(item, "error");
    if (!field_u64(item, "address", &address) || !field_u64(item, "size", &size)) {
        return false;
    }
    for (size_t i = 0; i < view->count; i++) {
        struct watch_view_range *range = &view->ranges[i];
        if (range->address != address || range->size != size) {
            continue;
        }
        strbuf_clear(&range->problem);
        range->problem_is_news = error != NULL;
        range->recovery_is_news = error == NULL;
        if (error != NULL) {
            const char *kind = field_text(field_get(error, "data"), "kind");
            const char *message = field_text(error, "message");
            strbuf_appendf(&range->problem, "%s: %s", kind == NULL ? "error" : kind,
                           message == NULL ? "" : message);
        }
    }
    return true;
}

static bool take_ranges(struct watch_view *view, const cJSON *items)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items)
    {
        if (!take_range(view, item)) {
            return false;
        }
    }
    return true;
}

bool watch_view_take(struct watch_view *view, const cJSON *params)
{
    const cJSON *changes = field_array(params, "changes");
    const char *time = field_text(params, "time");
    const cJSON *item = NULL;
    bool whole = field_true(params, "whole");
    if (changes == NULL || time == NULL) {
        return false;
    }
    forget_news(view);
    view->whole_is_news = whole;
    cJSON_ArrayForEach(item, changes)
    {
        if (!take_change(view, item, whole)) {
            return false;
        }
    }
    view->changes += !whole && cJSON_GetArraySize(changes) > 0;
    snprintf(view->time, sizeof view->time, "%s", time);
    if (!field_u64(params, "interval_ms", &view->reached_ms)) {
        view->reached_ms = 0;
    }
    return take_ranges(view, field_array(params, "errors")) &&
           take_ranges(view, field_array(params, "recovered"));
}

/* ---- rows ---- */

/* As many units a line as `read` prints. */
static size_t row_bytes(const struct watch_view *view)
{
    return view->width == 8 ? 8 : 16;
}

static uint8_t unit_mark(const struct watch_view *view, const struct watch_view_range *range, size_t at)
{
    uint8_t mark = MARK_KNOWN;
    for (size_t i = at; i < at + view->width / 8; i++) {
        if (range->marks[i] == MARK_UNKNOWN) {
            return MARK_UNKNOWN;
        }
        mark = range->marks[i] == MARK_CHANGED ? MARK_CHANGED : mark;
    }
    return mark;
}

static uint32_t unit_value(const struct watch_view *view, const struct watch_view_range *range, size_t at)
{
    uint32_t value = 0;
    size_t bytes = view->width / 8;
    for (size_t i = 0; i < bytes; i++) {
        size_t from = view->big_endian ? at + i : at + bytes - 1 - i;
        value = value << 8 | range->bytes[from];
    }
    return value;
}

static int address_digits(const struct watch_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        if (view->ranges[i].address + (view->ranges[i].size - 1) > UINT32_MAX) {
            return 16;
        }
    }
    return 8;
}

static size_t row_end(const struct watch_view *view, const struct watch_view_range *range, size_t at)
{
    return range->size - at < row_bytes(view) ? range->size : at + row_bytes(view);
}

static void append_row(const struct watch_view *view, const struct watch_view_range *range, size_t at,
                       bool marked, struct strbuf *out)
{
    int digits = (int)view->width / 4;
    strbuf_appendf(out, "0x%0*" PRIx64 ":", address_digits(view), range->address + at);
    for (size_t end = row_end(view, range, at); at < end; at += view->width / 8) {
        uint8_t mark = unit_mark(view, range, at);
        bool shown = marked && mark == MARK_CHANGED;
        strbuf_append_byte(out, ' ');
        if (mark == MARK_UNKNOWN) {
            strbuf_appendf(out, "%*s", digits + 2, "-");
            continue;
        }
        strbuf_appendf(out, "%s0x%0*" PRIx32 "%s", shown ? REVERSE : "", digits, unit_value(view, range, at),
                       shown ? PLAIN : "");
    }
    strbuf_append_byte(out, '\n');
}

/* ---- lines ---- */

static bool has_news(const struct watch_view *view, const struct watch_view_range *range, size_t at)
{
    for (size_t end = row_end(view, range, at); at < end; at++) {
        bool first = view->whole_is_news && range->marks[at] == MARK_KNOWN;
        if (first || range->marks[at] == MARK_CHANGED) {
            return true;
        }
    }
    return false;
}

static void append_problem(const struct watch_view_range *range, struct strbuf *out)
{
    print_escape(out, strbuf_text(&range->problem), range->problem.length, true);
}

static void append_place(const struct watch_view *view, const struct watch_view_range *range,
                         struct strbuf *out)
{
    print_escape(out, view->time, strlen(view->time), true);
    strbuf_appendf(out, " 0x%0*" PRIx64 ": ", address_digits(view), range->address);
}

void watch_view_print_news(const struct watch_view *view, struct strbuf *out)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct watch_view_range *range = &view->ranges[i];
        if (range->problem_is_news) {
            append_place(view, range, out);
            strbuf_appendf(out, "%zu bytes cannot be read: ", range->size);
            append_problem(range, out);
            strbuf_append_byte(out, '\n');
        }
        if (range->recovery_is_news) {
            append_place(view, range, out);
            strbuf_appendf(out, "%zu bytes can be read again\n", range->size);
        }
        for (size_t at = 0; at < range->size; at += row_bytes(view)) {
            if (has_news(view, range, at)) {
                print_escape(out, view->time, strlen(view->time), true);
                strbuf_append_byte(out, ' ');
                append_row(view, range, at, false, out);
            }
        }
    }
}

/* ---- the table ---- */

static void append_head(const struct watch_view *view, struct strbuf *out)
{
    print_escape(out, view->time, strlen(view->time), true);
    strbuf_appendf(out, "  %" PRIu64 " changes", view->changes);
    if (view->reached_ms > 0) {
        strbuf_appendf(out, ", every %" PRIu64 " ms", view->reached_ms);
    }
    strbuf_append_byte(out, '\n');
}

/* Cut to the width of the terminal, so that it takes one line. */
static void append_table_problem(const struct watch_view_range *range, size_t columns, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "cannot be read: ");
    append_problem(range, &text);
    size_t length = text.length < columns ? text.length : columns - 1;
    while (length > 0 && length < text.length && ((unsigned char)text.data[length] & 0xc0) == 0x80) {
        length--; /* not in the middle of a character */
    }
    strbuf_append(out, text.data, length);
    strbuf_append_byte(out, '\n');
    strbuf_fini(&text);
}

static void append_body(const struct watch_view *view, size_t columns, struct strbuf *out)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct watch_view_range *range = &view->ranges[i];
        if (range->problem.length > 0) {
            append_table_problem(range, columns, out);
        }
        for (size_t at = 0; at < range->size; at += row_bytes(view)) {
            append_row(view, range, at, true, out);
        }
    }
}

/* The first `lines` lines of `text`, with the number of those that do not fit in the last of them. */
static size_t append_lines(struct strbuf *out, const struct strbuf *text, size_t lines)
{
    size_t total = 0;
    for (size_t i = 0; i < text->length; i++) {
        total += text->data[i] == '\n';
    }
    if (total <= lines) {
        strbuf_append(out, text->data, text->length);
        return total;
    }
    size_t at = 0;
    for (size_t seen = 0; seen + 1 < lines; at++) {
        seen += text->data[at] == '\n';
    }
    strbuf_append(out, text->data, at);
    strbuf_appendf(out, "... %zu lines more\n", total - (lines - 1));
    return lines;
}

void watch_view_draw(struct watch_view *view, size_t lines, size_t columns, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    append_head(view, &text);
    append_body(view, columns, &text);
    if (view->drawn > 0) {
        strbuf_appendf(out, "\x1b[%zuA", view->drawn);
    }
    strbuf_append_text(out, "\r\x1b[J");
    view->drawn = append_lines(out, &text, lines > 2 ? lines - 1 : 1);
    strbuf_fini(&text);
}
