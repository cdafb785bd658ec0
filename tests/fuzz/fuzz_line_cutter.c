/* net/line_cutter in pieces against the same stream cut in one go. Input: limit, size of the pieces, stream.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "net/line_cutter.h"

/* Lines with their length before them, 0xff for one that is too long. */
static void note_line(struct strbuf *told, const char *line, size_t length)
{
    strbuf_append_byte(told, (char)length);
    strbuf_append(told, line, length);
}

static void cut_at_once(struct strbuf *told, const char *stream, size_t length, size_t limit)
{
    while (length > 0) {
        const char *lf = memchr(stream, '\n', length);
        size_t content = lf == NULL ? length : (size_t)(lf - stream);
        size_t kept = content > 0 && stream[content - 1] == '\r' ? content - 1 : content;
        if (kept > limit) {
            strbuf_append_byte(told, '\xff');
        } else if (lf != NULL) {
            note_line(told, stream, kept);
        }
        stream += lf == NULL ? content : content + 1;
        length -= lf == NULL ? content : content + 1;
    }
}

static void cut_piece(struct line_cutter *cutter, struct strbuf *told, const char *piece, size_t length)
{
    while (length > 0) {
        size_t taken = 0;
        enum line_cutter_result result = line_cutter_take(cutter, piece, length, &taken);
        require(taken > 0 && taken <= length && (result != LINE_CUTTER_MORE || taken == length));
        require(cutter->line.length <= cutter->max_line + 1);
        require(cutter->state != LINE_CUTTER_SKIPPING || cutter->line.data == NULL);
        if (result == LINE_CUTTER_LINE) {
            note_line(told, cutter->line.data, cutter->line.length);
            line_cutter_drop(cutter);
        } else if (result == LINE_CUTTER_TOO_LONG) {
            strbuf_append_byte(told, '\xff');
        }
        piece += taken;
        length -= taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    size_t limit = data[0] % 100;
    size_t piece = 1 + data[1] % 16;
    const char *stream = (const char *)data + 2;
    size_t length = size - 2;
    struct strbuf expected = STRBUF_INIT;
    struct strbuf told = STRBUF_INIT;
    struct line_cutter cutter;
    cut_at_once(&expected, stream, length, limit);
    line_cutter_init(&cutter, limit);
    for (size_t position = 0; position < length; position += piece) {
        cut_piece(&cutter, &told, stream + position, piece < length - position ? piece : length - position);
    }
    require(told.length == expected.length);
    require(told.length == 0 || memcmp(told.data, expected.data, told.length) == 0);
    line_cutter_fini(&cutter);
    strbuf_fini(&expected);
    strbuf_fini(&told);
    return 0;
}
