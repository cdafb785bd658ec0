/* Reading checked JSON in place: spans, cursors, strings and the protocol's integers. */
#include "rpc/json.h"

#include <string.h>

#include "base/hex.h"
#include "rpc/json_text.h"

#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

struct json_span json_span_of(const char *text, size_t length)
{
    while (length > 0 && json_text_is_space(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && json_text_is_space(text[length - 1])) {
        length--;
    }
    return (struct json_span){.text = text, .length = length};
}

enum json_kind json_span_kind(struct json_span span)
{
    if (span.length == 0) {
        return JSON_NONE;
    }
    switch (span.text[0]) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* ---- walking ---- */

/* The place behind the closing quote of the string that begins at `text`. */
static const char *skip_string(const char *text, const char *end)
{
    const char *at = text + 1;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
        at += json_text_run(at, (size_t)(end - at));
    }
    return at + 1;
}

/* The place behind the array or object that begins at `text`. */
static const char *skip_nested(const char *text, const char *end)
{
    size_t depth = 0;
    const char *at = text;
    while (at < end) {
        char character = *at;
        if (character == '"') {
            at = skip_string(at, end);
            continue;
        }
        at++;
        if (character == '[' || character == '{') {
            depth++;
        } else if (character == ']' || character == '}') {
            depth--;
            if (depth == 0) {
                break;
            }
        }
    }
    return at;
}

static const char *skip_value(const char *text, const char *end)
{
    if (*text == '"') {
        return skip_string(text, end);
    }
    if (*text == '[' || *text == '{') {
        return skip_nested(text, end);
    }
    while (text < end && *text != ',' && !json_text_is_space(*text)) {
        text++;
    }
    return text;
}

void json_cursor_init(struct json_cursor *cursor, struct json_span span)
{
    /* Without the brackets. */
    *cursor = (struct json_cursor){.inside = {.text = span.text + 1, .length = span.length - 2}};
}

/* Steps over white space and the comma or colon before the next value; false at the end. */
static bool find_next(struct json_cursor *cursor)
{
    while (cursor->position < cursor->inside.length) {
        char character = cursor->inside.text[cursor->position];
        if (!json_text_is_space(character) && character != ',' && character != ':') {
            return true;
        }
        cursor->position++;
    }
    return false;
}

bool json_next_element(struct json_cursor *cursor, struct json_span *ret_value)
{
    if (!find_next(cursor)) {
        return false;
    }
    const char *start = cursor->inside.text + cursor->position;
    const char *behind = skip_value(start, cursor->inside.text + cursor->inside.length);
    cursor->position = (size_t)(behind - cursor->inside.text);
    *ret_value = (struct json_span){.text = start, .length = (size_t)(behind - start)};
    return true;
}

bool json_next_member(struct json_cursor *cursor, struct json_span *ret_key, struct json_span *ret_value)
{
    struct json_span key;
    if (!json_next_element(cursor, &key) || !json_next_element(cursor, ret_value)) {
        return false;
    }
    *ret_key = key;
    return true;
}

bool json_find_member(struct json_span object, const char *key, struct json_span *ret_value)
{
    struct json_cursor cursor;
    json_cursor_init(&cursor, object);
    struct json_span name;
    struct json_span value;
    while (json_next_member(&cursor, &name, &value)) {
        if (json_span_equals(name, key)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* ---- strings ---- */

void json_span_string(struct json_span span, struct strbuf *out)
{
    strbuf_reserve(out, span.length - 2); /* unescaping never makes it longer */
    struct json_text_reader reader;
    json_text_reader_init(&reader, span.text + 1, span.length - 2);
    const char *bytes = NULL;
    size_t length = 0;
    while (json_text_read(&reader, &bytes, &length)) {
        strbuf_append(out, bytes, length);
    }
}

size_t json_span_string_length(struct json_span span)
{
    struct json_text_reader reader;
    json_text_reader_init(&reader, span.text + 1, span.length - 2);
    const char *bytes = NULL;
    size_t length = 0;
    size_t total = 0;
    while (json_text_read(&reader, &bytes, &length)) {
        total += length;
    }
    return total;
}

void json_span_label(struct json_span span, char label[JSON_LABEL_SIZE])
{
    struct json_text_reader reader;
    json_text_reader_init(&reader, span.text + 1, span.length - 2);
    const char *bytes = NULL;
    size_t length = 0;
    size_t used = 0;
    while (used < JSON_LABEL_SIZE && json_text_read(&reader, &bytes, &length)) {
        for (size_t i = 0; i < length && used < JSON_LABEL_SIZE; i++, used++) {
            unsigned char byte = (unsigned char)bytes[i];
            label[used] = byte < 0x20 || byte == 0x7f ? '?' : bytes[i];
        }
    }
    if (used == JSON_LABEL_SIZE) {
        used -= 4;
        while (((unsigned char)label[used] & 0xc0u) == 0x80u) { /* never through a character */
            used--;
        }
        memcpy(label + used, "...", 3);
        used += 3;
    }
    label[used] = '\0';
}

bool json_span_equals(struct json_span span, const char *text)
{
    if (json_span_kind(span) != JSON_STRING) {
        return false;
    }
    struct json_text_reader reader;
    json_text_reader_init(&reader, span.text + 1, span.length - 2);
    size_t left = strlen(text);
    const char *bytes = NULL;
    size_t length = 0;
    while (json_text_read(&reader, &bytes, &length)) {
        if (length > left || memcmp(bytes, text, length) != 0) {
            return false;
        }
        text += length;
        left -= length;
    }
    return left == 0;
}

/* ---- integers ---- */

/* Digits only, at least one. */
static enum json_integer parse_digits(const char *text, size_t length, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool too_big = false;
    for (size_t i = 0; i < length; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0 || (unsigned)digit >= base) {
            return JSON_INTEGER_NO;
        }
        too_big = too_big || value > (UINT64_MAX - (unsigned)digit) / base;
        value = value * base + (unsigned)digit;
    }
    if (length == 0) {
        return JSON_INTEGER_NO;
    }
    if (too_big) {
        return JSON_INTEGER_TOO_BIG;
    }
    *ret_value = value;
    return JSON_INTEGER_OK;
}

static enum json_integer parse_number(struct json_span span, uint64_t *ret_value)
{
    if (span.text[0] == '-') {
        return JSON_INTEGER_NEGATIVE;
    }
    uint64_t value = 0;
    enum json_integer parsed = parse_digits(span.text, span.length, 10, &value);
    if (parsed == JSON_INTEGER_NO) { /* it is a number, so there is a point or an exponent in it */
        return JSON_INTEGER_FRACTION;
    }
    if (parsed == JSON_INTEGER_OK && value > NUMBER_MAX) {
        return JSON_INTEGER_TOO_BIG;
    }
    if (parsed == JSON_INTEGER_OK) {
        *ret_value = value;
    }
    return parsed;
}

/* The digits of a string may be escaped like any character, so it is read as the string that it means. */
static enum json_integer parse_string(struct json_span span, uint64_t *ret_value)
{
    const char *text = span.text + 1;
    size_t length = span.length - 2;
    struct strbuf unescaped = STRBUF_INIT;
    if (memchr(text, '\\', length) != NULL) {
        json_span_string(span, &unescaped);
        text = strbuf_text(&unescaped);
        length = unescaped.length;
    }
    bool hex = length >= 2 && text[0] == '0' && text[1] == 'x';
    enum json_integer parsed =
        hex ? parse_digits(text + 2, length - 2, 16, ret_value) : parse_digits(text, length, 10, ret_value);
    strbuf_fini(&unescaped);
    return parsed;
}

enum json_integer json_span_u64(struct json_span span, uint64_t *ret_value)
{
    switch (json_span_kind(span)) {
    case JSON_NUMBER:
        return parse_number(span, ret_value);
    case JSON_STRING:
        return parse_string(span, ret_value);
    case JSON_NONE:
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return JSON_INTEGER_NO;
}
