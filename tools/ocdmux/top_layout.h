/*
 * The picture of `ocdmux top` as lines of text for a terminal of any size: no line is wider than the
 * terminal, and nothing that others wrote gets through unescaped. Pure.
 */
#ifndef OCDMUX_TOOL_TOP_LAYOUT_H
#define OCDMUX_TOOL_TOP_LAYOUT_H

#include <stddef.h>

#include "base/strbuf.h"
#include "top_model.h"

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEADER, TOP_SELECTED, TOP_WARNING };

struct top_line {
    struct strbuf text;
    enum top_style style;
};

struct top_view {
    struct top_line *lines; /* owned */
    size_t count;           /* at most the terminal's rows */
    size_t rows;
    size_t columns;
};

/* Fills `view`, which top_view_fini() frees. */
void top_layout(const struct top_model *model, size_t rows, size_t columns, struct top_view *view);
void top_view_fini(struct top_view *view);

/* Appends the text, escaped, cut to `columns`; with `pad` filled up with spaces. Without `utf8` what is not
 * ASCII is '?', and so is with it what takes no column or nobody knows how many. */
void top_layout_append(struct strbuf *out, const char *text, size_t columns, bool pad, bool utf8);
/* Appends "950", "1.2K", "34M": at most five columns. */
void top_layout_number(struct strbuf *out, double value);

#endif
