/*
 * What `ocdmux watch` knows of the memory that it watches, and how it shows that: as lines, one for each row
 * in which something changed, or as a table that is drawn over the one before.
 */
#ifndef OCDMUX_TOOL_WATCH_VIEW_H
#define OCDMUX_TOOL_WATCH_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "client/ocdmux.h"

#define WATCH_VIEW_RANGES 64u

struct watch_view_range {
    uint64_t address;
    size_t size;           /* a multiple of the width in bytes */
    uint8_t *bytes;        /* owned */
    uint8_t *marks;        /* for each byte, of enum watch_view_mark; owned */
    struct strbuf problem; /* why it cannot be read; empty: it can */
    bool problem_is_news;  /* since the last notification */
    bool recovery_is_news;
};

struct watch_view {
    struct watch_view_range ranges[WATCH_VIEW_RANGES];
    size_t count;
    unsigned width; /* bits of a unit: 8, 16 or 32 */
    bool big_endian;
    bool whole_is_news; /* the last notification was the first */
    uint64_t changes;   /* notifications with changes, without the first */
    uint64_t reached_ms;
    char time[40];
    size_t drawn; /* lines of the table that stand above the cursor */
};

void watch_view_init(struct watch_view *view, unsigned width);
void watch_view_fini(struct watch_view *view);
/* There is room for WATCH_VIEW_RANGES. */
void watch_view_add(struct watch_view *view, uint64_t address, size_t size);

/* Takes the parameters of a memory.changed in; what it brings is marked, and nothing else. False where it is
 * not as the protocol says. */
bool watch_view_take(struct watch_view *view, const cJSON *params) __attribute__((warn_unused_result));
/* What the last notification has brought, a line each. */
void watch_view_print_news(const struct watch_view *view, struct strbuf *out);
/* The table, over the one that was drawn before, on a terminal of that size. */
void watch_view_draw(struct watch_view *view, size_t lines, size_t columns, struct strbuf *out);

#endif
