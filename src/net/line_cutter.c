/*
 * Cutting a stream into lines.
 *
 *   COLLECTING --(limit passed, LF not seen)--> SKIPPING --(LF)--> COLLECTING
 */
#include "net/line_cutter.h"

#include <string.h>

/* A connection should not keep the memory of its last line until the next one, which may be a day away: there
 * are many of them. */
#define KEPT_CAPACITY ((size_t)512)

void line_cutter_init(struct line_cutter *cutter, size_t max_line)
{
    cutter->state = LINE_CUTTER_COLLECTING;
    cutter->max_line = max_line;
    strbuf_init(&cutter->line);
}

void line_cutter_fini(struct line_cutter *cutter)
{
    strbuf_fini(&cutter->line);
}

void line_cutter_drop(struct line_cutter *cutter)
{
    if (cutter->line.capacity > KEPT_CAPACITY) {
        strbuf_fini(&cutter->line);
    } else {
        strbuf_clear(&cutter->line);
    }
}

/* Whether the line would pass the limit with `length` more bytes; a last CR may still turn out to belong to
 * its end. */
static bool passes_limit(const struct line_cutter *cutter, const char *bytes, size_t length)
{
    size_t total = cutter->line.length + length;
    if (length == 0 || total <= cutter->max_line) {
        return false;
    }
    return total - cutter->max_line > 1 || bytes[length - 1] != '\r';
}

static void strip_cr(struct strbuf *line)
{
    if (line->length > 0 && line->data[line->length - 1] == '\r') {
        strbuf_truncate(line, line->length - 1);
    }
}

static enum line_cutter_result collect(struct line_cutter *cutter, const char *bytes, const char *lf,
                                       size_t length)
{
    size_t content = lf == NULL ? length : (size_t)(lf - bytes);
    if (passes_limit(cutter, bytes, content)) {
        strbuf_fini(&cutter->line);
        cutter->state = lf == NULL ? LINE_CUTTER_SKIPPING : LINE_CUTTER_COLLECTING;
        return LINE_CUTTER_TOO_LONG;
    }
    strbuf_append(&cutter->line, bytes, content);
    if (lf == NULL) {
        return LINE_CUTTER_MORE;
    }
    strip_cr(&cutter->line);
    return LINE_CUTTER_LINE;
}

enum line_cutter_result line_cutter_take(struct line_cutter *cutter, const char *bytes, size_t length,
                                         size_t *ret_taken)
{
    size_t taken = 0;
    if (cutter->state == LINE_CUTTER_SKIPPING) {
        const char *lf = memchr(bytes, '\n', length);
        if (lf == NULL) {
            *ret_taken = length;
            return LINE_CUTTER_MORE;
        }
        cutter->state = LINE_CUTTER_COLLECTING;
        taken = (size_t)(lf - bytes) + 1;
    }
    const char *rest = bytes + taken;
    const char *lf = memchr(rest, '\n', length - taken);
    *ret_taken = lf == NULL ? length : (size_t)(lf - bytes) + 1;
    return collect(cutter, rest, lf, length - taken);
}
