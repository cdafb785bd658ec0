/* The text format: one function escapes, everything else goes straight through. */
#include "server/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void metrics_text_family(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_escaped(struct strbuf *out, const char *value)
{
    size_t left = strlen(value);
    while (left > 0) {
        size_t length = utf8_sequence(value, left);
        if (length == 0) {
            strbuf_append_text(out, REPLACEMENT);
            length = 1;
        } else if (*value == '\n') {
            strbuf_append_text(out, "\\n");
        } else {
            if (*value == '\\' || *value == '"') {
                strbuf_append_byte(out, '\\');
            }
            strbuf_append(out, value, length);
        }
        value += length;
        left -= length;
    }
}

static void append_label(struct strbuf *out, const struct metrics_label *label, bool first)
{
    strbuf_appendf(out, "%s%s=\"", first ? "{" : ",", label->name);
    append_escaped(out, label->value);
    strbuf_append_byte(out, '"');
}

/* `last` is added behind them; NULL: nothing. */
static void append_head(struct strbuf *out, const char *name, const char *suffix,
                        const struct metrics_label *labels, const struct metrics_label *last)
{
    bool any = false;
    strbuf_append_text(out, name);
    strbuf_append_text(out, suffix);
    for (; labels != NULL && labels->name != NULL; labels++) {
        append_label(out, labels, !any);
        any = true;
    }
    if (last != NULL) {
        append_label(out, last, !any);
        any = true;
    }
    strbuf_append_text(out, any ? "} " : " ");
}

void metrics_text_sample(struct strbuf *out, const char *name, const struct metrics_label *labels,
                         uint64_t value)
{
    append_head(out, name, "", labels, NULL);
    strbuf_appendf(out, "%" PRIu64 "\n", value);
}

static void append_seconds(struct strbuf *out, uint64_t value_us)
{
    strbuf_appendf(out, "%" PRIu64 ".%06" PRIu64 "\n", value_us / 1000000, value_us % 1000000);
}

void metrics_text_seconds(struct strbuf *out, const char *name, const struct metrics_label *labels,
                          uint64_t value_us)
{
    append_head(out, name, "", labels, NULL);
    append_seconds(out, value_us);
}

void metrics_text_histogram(struct strbuf *out, const char *name, const struct metrics_label *labels,
                            const struct histogram *histogram)
{
    struct metrics_label bound = {"le", "+Inf"};
    char text[32];
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        struct metrics_label each = {"le", text};
        snprintf(text, sizeof text, "%g", (double)histogram_bound_us(i) / 1e6);
        append_head(out, name, "_bucket", labels, &each);
        strbuf_appendf(out, "%" PRIu64 "\n", histogram_up_to(histogram, i));
    }
    append_head(out, name, "_bucket", labels, &bound);
    strbuf_appendf(out, "%" PRIu64 "\n", histogram->count);
    append_head(out, name, "_sum", labels, NULL);
    append_seconds(out, histogram->sum_us);
    append_head(out, name, "_count", labels, NULL);
    strbuf_appendf(out, "%" PRIu64 "\n", histogram->count);
}
