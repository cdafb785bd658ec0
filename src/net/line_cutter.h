/*
 * Cuts a stream of bytes into lines. Every byte is looked at once, whatever pieces it comes in, and an
 * over-long line holds no memory while the rest of it goes by. Pure.
 */
#ifndef OCDMUX_NET_LINE_CUTTER_H
#define OCDMUX_NET_LINE_CUTTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

enum line_cutter_state {
    LINE_CUTTER_COLLECTING,
    LINE_CUTTER_SKIPPING, /* up to the LF of a line that was reported as too long */
};

struct line_cutter {
    enum line_cutter_state state;
    size_t max_line; /* bytes, without LF and without a CR before it */
    struct strbuf line;
};

enum line_cutter_result {
    LINE_CUTTER_MORE,     /* all bytes were taken; the line goes on */
    LINE_CUTTER_LINE,     /* `line` holds one, NUL-terminated, without LF and CR, until line_cutter_drop() */
    LINE_CUTTER_TOO_LONG, /* the line passed max_line: comes once for it, before its LF where that is not
                             there yet */
};

void line_cutter_init(struct line_cutter *cutter, size_t max_line);
void line_cutter_fini(struct line_cutter *cutter);

/* Takes bytes up to the first result and says how many. After LINE_CUTTER_LINE comes line_cutter_drop(). */
enum line_cutter_result line_cutter_take(struct line_cutter *cutter, const char *bytes, size_t length,
                                         size_t *ret_taken);

/* Forgets the line that was given, and its memory where it was a long one. */
void line_cutter_drop(struct line_cutter *cutter);

#endif
