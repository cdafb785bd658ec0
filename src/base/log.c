/* The log: one write to standard error a line, everything that could pretend to be another line escaped. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "base/utf8.h"

static const char *const level_words[] = {"error", "warn", "info", "debug"};

static enum log_level shown_level = LOG_LEVEL_INFO;
static log_sink *line_sink;
static void *sink_context;

void log_set_sink(log_sink *sink, void *context)
{
    line_sink = sink;
    sink_context = context;
}

const char *log_level_name(enum log_level level)
{
    return level_words[level];
}

void log_set_level(enum log_level level)
{
    shown_level = level;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_words / sizeof level_words[0]; i++) {
        if (strcmp(word, level_words[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* How many bytes at the start of `text` may be shown as they are; 0: one must be escaped. */
static size_t shown_as_is(const char *text, size_t length)
{
    size_t sequence = utf8_sequence(text, length);
    unsigned first = (unsigned char)text[0];
    if (sequence == 1) {
        return first >= 0x20 && first <= 0x7e ? 1 : 0;
    }
    /* U+0080 to U+009F are control characters too: terminals obey them, and U+0085 ends a line. */
    if (sequence == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0) {
        return 0;
    }
    return sequence;
}

void log_escape(struct strbuf *out, const char *text, size_t length)
{
    size_t position = 0;
    while (position < length) {
        size_t taken = shown_as_is(text + position, length - position);
        if (taken == 0) {
            strbuf_appendf(out, "\\x%02x", (unsigned)(unsigned char)text[position]);
            taken = 1;
        } else {
            strbuf_append(out, text + position, taken);
        }
        position += taken;
    }
}

static void write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* there is nowhere left to complain */
        }
        bytes += written;
        length -= (size_t)written;
    }
}

static void log_line(enum log_level level, const char *format, va_list arguments)
{
    bool shown = level <= shown_level;
    bool sunk = line_sink != NULL && level <= LOG_LEVEL_INFO;
    if (!shown && !sunk) {
        return;
    }
    int saved_errno = errno;
    char time_text[CLOCK_TEXT_SIZE];
    clock_wall_text(time_text);
    struct strbuf text = STRBUF_INIT;
    strbuf_appendv(&text, format, arguments);
    struct strbuf line = STRBUF_INIT;
    strbuf_appendf(&line, "%s %s ", time_text, level_words[level]);
    size_t text_begin = line.length;
    log_escape(&line, strbuf_text(&text), text.length);
    if (sunk) {
        line_sink(sink_context, level, time_text, line.data + text_begin);
    }
    if (shown) {
        strbuf_append_byte(&line, '\n');
        write_all(line.data, line.length);
    }
    strbuf_fini(&line);
    strbuf_fini(&text);
    errno = saved_errno;
}

void log_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(LOG_LEVEL_ERROR, format, arguments);
    va_end(arguments);
}

void log_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(LOG_LEVEL_WARN, format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(LOG_LEVEL_INFO, format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(LOG_LEVEL_DEBUG, format, arguments);
    va_end(arguments);
}
