/* Quoting for Jim Tcl's command parser, and a reader for the lists that OpenOCD prints. */
#include "openocd/tcl.h"

#include <stdint.h>
#include <string.h>

#include "base/hex.h"

/* No escape is longer. */
#define ESCAPE_MAX 4u

/* What stands for a byte inside double quotes; of length 0 where the byte stands for itself. */
static const struct {
    char text[ESCAPE_MAX];
    uint8_t length;
} tcl_escapes[256] = {
    [0x00] = {{'\\', 'x', '0', '0'}, 4},
    [0x1a] = {{'\\', 'x', '1', 'a'}, 4},
    ['"'] = {{'\\', '"'}, 2},
    ['$'] = {{'\\', '$'}, 2},
    ['['] = {{'\\', '['}, 2},
    ['\\'] = {{'\\', '\\'}, 2},
};

/* So much is written at a time, into room for the worst that it may become. */
#define QUOTE_CHUNK 4096u

/* The high bit of each byte of `word` that is `byte` is set, and perhaps of one above such a byte. */
static uint64_t mark_byte(uint64_t word, uint8_t byte)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t other = word ^ ones * byte;
    return (other - ones) & ~other & (ones << 7);
}

/* Eight bytes, looked at together: most have nothing to escape. The bytes are those of tcl_escapes. */
static bool word_is_plain(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return (mark_byte(word, 0x00) | mark_byte(word, 0x1a) | mark_byte(word, '"') | mark_byte(word, '$') |
            mark_byte(word, '[') | mark_byte(word, '\\')) == 0;
}

/* `place` has room for ESCAPE_MAX bytes for each byte. */
static char *quote_bytes(char *place, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (tcl_escapes[byte].length == 0) {
            *place++ = bytes[i];
        } else {
            memcpy(place, tcl_escapes[byte].text, ESCAPE_MAX);
            place += tcl_escapes[byte].length;
        }
    }
    return place;
}

static size_t quote_chunk(char *place, const char *bytes, size_t length)
{
    const size_t step = sizeof(uint64_t);
    char *at = place;
    size_t i = 0;
    for (; length - i >= step; i += step) {
        if (word_is_plain(bytes + i)) {
            memcpy(at, bytes + i, step);
            at += step;
        } else {
            at = quote_bytes(at, bytes + i, step);
        }
    }
    return (size_t)(quote_bytes(at, bytes + i, length - i) - place);
}

void tcl_quote(struct strbuf *out, const char *bytes, size_t length)
{
    strbuf_append_byte(out, '"');
    for (size_t done = 0; done < length;) {
        size_t chunk = length - done < QUOTE_CHUNK ? length - done : QUOTE_CHUNK;
        size_t before = out->length;
        char *place = strbuf_extend(out, chunk * ESCAPE_MAX);
        strbuf_truncate(out, before + quote_chunk(place, bytes + done, chunk));
        done += chunk;
    }
    strbuf_append_byte(out, '"');
}

void tcl_quote_text(struct strbuf *out, const char *text)
{
    tcl_quote(out, text, strlen(text));
}

static bool tcl_is_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static void tcl_append_utf8(struct strbuf *out, uint32_t code)
{
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        code = 0xfffd;
    }
    if (code < 0x80) {
        strbuf_append_byte(out, (char)code);
        return;
    }
    if (code < 0x800) {
        strbuf_append_byte(out, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            strbuf_append_byte(out, (char)(0xe0 | code >> 12));
        } else {
            strbuf_append_byte(out, (char)(0xf0 | code >> 18));
            strbuf_append_byte(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        strbuf_append_byte(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    strbuf_append_byte(out, (char)(0x80 | (code & 0x3f)));
}

/* "x", "u" or "U" behind a backslash, at `at`; without digits it stands for itself. Returns where reading
 * goes on. */
static size_t tcl_read_hex(const char *text, size_t length, size_t at, struct strbuf *out)
{
    char letter = text[at++];
    size_t digits_max = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
    uint32_t value = 0;
    size_t digits = 0;
    while (digits < digits_max && at < length && hex_digit(text[at]) >= 0) {
        value = value << 4 | (uint32_t)hex_digit(text[at]);
        digits++;
        at++;
    }
    if (digits == 0) {
        strbuf_append_byte(out, letter);
    } else if (letter == 'x') {
        strbuf_append_byte(out, (char)value);
    } else {
        tcl_append_utf8(out, value);
    }
    return at;
}

/* One to three octal digits, of which the byte that they name counts. */
static size_t tcl_read_octal(const char *text, size_t length, size_t at, struct strbuf *out)
{
    unsigned value = 0;
    for (int digits = 0; digits < 3 && at < length && text[at] >= '0' && text[at] <= '7'; digits++) {
        value = value << 3 | (unsigned)(text[at++] - '0');
    }
    strbuf_append_byte(out, (char)(value & 0xff));
    return at;
}

/* A backslash and the line's end stand for one space, with the blanks that follow. */
static size_t tcl_read_continuation(const char *text, size_t length, size_t at, struct strbuf *out)
{
    strbuf_append_byte(out, ' ');
    at++;
    while (at < length && (text[at] == ' ' || text[at] == '\t')) {
        at++;
    }
    return at;
}

/* `at` is behind a backslash. Returns where reading goes on. */
static size_t tcl_read_backslash(const char *text, size_t length, size_t at, struct strbuf *out)
{
    static const char letters[] = "abfnrtv";
    static const char meanings[] = "\a\b\f\n\r\t\v";
    if (at == length) {
        strbuf_append_byte(out, '\\');
        return at;
    }
    char character = text[at];
    if (character == 'x' || character == 'u' || character == 'U') {
        return tcl_read_hex(text, length, at, out);
    }
    if (character >= '0' && character <= '7') {
        return tcl_read_octal(text, length, at, out);
    }
    if (character == '\n') {
        return tcl_read_continuation(text, length, at, out);
    }
    const char *letter = memchr(letters, character, sizeof(letters) - 1);
    strbuf_append_byte(out, letter == NULL ? character : meanings[letter - letters]);
    return at + 1;
}

/* Each of these three reads the element at `*position` and moves it behind; false if the list is broken
 * there. */

static bool tcl_read_braced(const struct tcl_list *list, size_t *position, struct strbuf *out)
{
    size_t begin = *position + 1;
    size_t depth = 1;
    for (size_t at = begin; at < list->length; at++) {
        char character = list->text[at];
        if (character == '\\') {
            at++;
        } else if (character == '{') {
            depth++;
        } else if (character == '}' && --depth == 0) {
            if (at > begin) {
                strbuf_append(out, list->text + begin, at - begin);
            }
            *position = at + 1;
            return true;
        }
    }
    return false;
}

static bool tcl_read_quoted(const struct tcl_list *list, size_t *position, struct strbuf *out)
{
    size_t at = *position + 1;
    while (at < list->length) {
        char character = list->text[at++];
        if (character == '"') {
            *position = at;
            return true;
        }
        if (character == '\\') {
            at = tcl_read_backslash(list->text, list->length, at, out);
        } else {
            strbuf_append_byte(out, character);
        }
    }
    return false;
}

static bool tcl_read_bare(const struct tcl_list *list, size_t *position, struct strbuf *out)
{
    size_t at = *position;
    while (at < list->length && !tcl_is_space(list->text[at])) {
        char character = list->text[at++];
        if (character == '\\') {
            at = tcl_read_backslash(list->text, list->length, at, out);
        } else {
            strbuf_append_byte(out, character);
        }
    }
    *position = at;
    return true;
}

void tcl_list_init(struct tcl_list *list, const char *text, size_t length)
{
    list->text = text;
    list->length = length;
    list->position = 0;
}

enum tcl_list_step tcl_list_next(struct tcl_list *list, struct strbuf *element)
{
    strbuf_clear(element);
    while (list->position < list->length && tcl_is_space(list->text[list->position])) {
        list->position++;
    }
    if (list->position == list->length) {
        return TCL_LIST_END;
    }
    size_t position = list->position;
    char first = list->text[position];
    bool read = first == '{'   ? tcl_read_braced(list, &position, element)
                : first == '"' ? tcl_read_quoted(list, &position, element)
                               : tcl_read_bare(list, &position, element);
    /* Behind a closing brace or quote an element has to end. */
    if (!read || (position < list->length && !tcl_is_space(list->text[position]))) {
        strbuf_clear(element);
        return TCL_LIST_BROKEN;
    }
    list->position = position;
    return TCL_LIST_ELEMENT;
}

bool tcl_dict_get(const char *text, size_t length, const char *key, struct strbuf *ret_value)
{
    struct tcl_list list;
    struct strbuf word = STRBUF_INIT;
    struct strbuf value = STRBUF_INIT;
    size_t key_length = strlen(key);
    bool found = false;
    enum tcl_list_step step;
    tcl_list_init(&list, text, length);
    while ((step = tcl_list_next(&list, &word)) == TCL_LIST_ELEMENT) {
        bool wanted = word.length == key_length && memcmp(strbuf_text(&word), key, key_length) == 0;
        if (tcl_list_next(&list, wanted ? &value : &word) != TCL_LIST_ELEMENT) {
            step = TCL_LIST_BROKEN;
            break;
        }
        found = found || wanted;
    }
    found = found && step == TCL_LIST_END;
    if (found) {
        strbuf_clear(ret_value);
        strbuf_append(ret_value, strbuf_text(&value), value.length);
    }
    strbuf_fini(&word);
    strbuf_fini(&value);
    return found;
}
