/* Showing other people's text. */
#include "print.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

/* The code of a sequence that utf8_sequence() has found to be valid. */
static uint32_t print_decode(const char *bytes, size_t length)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)bytes[0] & masks[length];
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    return code;
}

static bool print_is_dangerous(uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    bool line_break = code == 0x2028 || code == 0x2029;
    bool direction = code == 0x61c || code == 0x200e || code == 0x200f ||
                     (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || line_break || direction;
}

void print_escape(struct strbuf *out, const char *text, size_t length, bool one_line)
{
    size_t taken;
    for (size_t i = 0; i < length; i += taken) {
        taken = utf8_sequence(text + i, length - i);
        if (taken == 0) {
            taken = 1;
            strbuf_appendf(out, "\\x%02x", (unsigned char)text[i]);
            continue;
        }
        uint32_t code = print_decode(text + i, taken);
        bool layout = !one_line && (code == '\n' || code == '\t');
        if (!print_is_dangerous(code) || layout) {
            strbuf_append(out, text + i, taken);
        } else if (code < 0x80) {
            strbuf_appendf(out, "\\x%02x", (unsigned)code);
        } else {
            strbuf_appendf(out, "\\u%04x", (unsigned)code);
        }
    }
}

void print_field(FILE *stream, const char *text)
{
    struct strbuf escaped = STRBUF_INIT;
    print_escape(&escaped, text, strlen(text), true);
    fputs(strbuf_text(&escaped), stream);
    strbuf_fini(&escaped);
}

void print_block(FILE *stream, const char *text)
{
    size_t length = strlen(text);
    if (length == 0) {
        return;
    }
    if (isatty(fileno(stream))) {
        struct strbuf escaped = STRBUF_INIT;
        print_escape(&escaped, text, length, false);
        fputs(strbuf_text(&escaped), stream);
        strbuf_fini(&escaped);
    } else {
        fwrite(text, 1, length, stream);
    }
    if (text[length - 1] != '\n') {
        fputc('\n', stream);
    }
}

/* The library has checked that it is UTF-8 and holds no C0 characters within strings. */
void print_json(FILE *stream, const char *text, size_t length)
{
    size_t taken;
    if (!isatty(fileno(stream))) {
        fwrite(text, 1, length, stream);
        fputc('\n', stream);
        return;
    }
    for (size_t i = 0; i < length; i += taken) {
        taken = utf8_sequence(text + i, length - i);
        if (taken == 0) {
            break;
        }
        uint32_t code = print_decode(text + i, taken);
        if (print_is_dangerous(code) && code >= 0x7f) {
            fprintf(stream, "\\u%04x", (unsigned)code);
        } else {
            fwrite(text + i, 1, taken, stream);
        }
    }
    fputc('\n', stream);
}
