/* Writing JSON: commas from one flag, escapes from one function, everything else straight through. */
#include "rpc/json_write.h"

#include <inttypes.h>
#include <string.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "rpc/json_text.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void json_writer_init(struct json_writer *json, struct strbuf *out)
{
    *json = (struct json_writer){.out = out, .comma = false};
}

/* What stands before a value; the next one needs a comma. */
static void begin_value(struct json_writer *json, const char *key)
{
    if (json->comma) {
        strbuf_append_byte(json->out, ',');
    }
    json->comma = true;
    if (key != NULL) {
        strbuf_append_byte(json->out, '"');
        strbuf_append_text(json->out, key);
        strbuf_append(json->out, "\":", 2);
    }
}

static void open_container(struct json_writer *json, const char *key, char bracket)
{
    begin_value(json, key);
    strbuf_append_byte(json->out, bracket);
    json->comma = false;
}

static void close_container(struct json_writer *json, char bracket)
{
    strbuf_append_byte(json->out, bracket);
    json->comma = true;
}

void json_open_object(struct json_writer *json, const char *key)
{
    open_container(json, key, '{');
}

void json_close_object(struct json_writer *json)
{
    close_container(json, '}');
}

void json_open_array(struct json_writer *json, const char *key)
{
    open_container(json, key, '[');
}

void json_close_array(struct json_writer *json)
{
    close_container(json, ']');
}

void json_null(struct json_writer *json, const char *key)
{
    json_raw(json, key, "null", 4);
}

void json_bool(struct json_writer *json, const char *key, bool value)
{
    begin_value(json, key);
    strbuf_append_text(json->out, value ? "true" : "false");
}

void json_u64(struct json_writer *json, const char *key, uint64_t value)
{
    /* Thousands of values a reply: printf() would cost more than all the rest. */
    char digits[20];
    size_t at = sizeof digits;
    do {
        at--;
        digits[at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    json_raw(json, key, digits + at, sizeof digits - at);
}

void json_i64(struct json_writer *json, const char *key, int64_t value)
{
    begin_value(json, key);
    strbuf_appendf(json->out, "%" PRId64, value);
}

void json_address(struct json_writer *json, const char *key, uint64_t value)
{
    static const char hex[] = "0123456789abcdef";
    char text[20] = "\"0x";
    size_t digits = 8;
    while (digits < 16 && value >> (4 * digits) != 0) {
        digits++;
    }
    for (size_t i = 0; i < digits; i++) {
        text[3 + i] = hex[value >> (4 * (digits - 1 - i)) & 0xf];
    }
    text[3 + digits] = '"';
    json_raw(json, key, text, 4 + digits);
}

void json_text(struct json_writer *json, const char *key, const char *text)
{
    json_text_bytes(json, key, text, strlen(text));
}

/* The letter behind the backslash, or NUL where there is none for this byte. */
static char escape_letter(char byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

/* One character, or one byte that belongs to none; how many bytes it took. */
static size_t append_special(struct strbuf *out, const char *bytes, size_t length)
{
    char letter = escape_letter(bytes[0]);
    size_t sequence = utf8_sequence(bytes, length);
    if (letter != '\0') {
        const char escape[2] = {'\\', letter};
        strbuf_append(out, escape, sizeof escape);
        return 1;
    }
    if (bytes[0] == '\0' || sequence == 0) {
        strbuf_append_text(out, REPLACEMENT);
        return 1;
    }
    if (sequence == 1) {
        strbuf_appendf(out, "\\u%04x", (unsigned)(unsigned char)bytes[0]);
        return 1;
    }
    strbuf_append(out, bytes, sequence);
    return sequence;
}

void json_text_bytes(struct json_writer *json, const char *key, const char *bytes, size_t length)
{
    begin_value(json, key);
    strbuf_append_byte(json->out, '"');
    while (length > 0) {
        size_t taken = json_text_run(bytes, length);
        if (taken > 0) {
            strbuf_append(json->out, bytes, taken);
        } else {
            taken = append_special(json->out, bytes, length);
        }
        bytes += taken;
        length -= taken;
    }
    strbuf_append_byte(json->out, '"');
}

void json_bytes(struct json_writer *json, const char *key, const uint8_t *bytes, size_t length, bool hex)
{
    begin_value(json, key);
    strbuf_append_byte(json->out, '"');
    if (hex) {
        hex_encode(json->out, bytes, length);
    } else {
        base64_encode(json->out, bytes, length);
    }
    strbuf_append_byte(json->out, '"');
}

void json_raw(struct json_writer *json, const char *key, const char *text, size_t length)
{
    begin_value(json, key);
    strbuf_append(json->out, text, length);
}

static void write_detail(struct json_writer *json, const struct err_detail *detail)
{
    switch (detail->type) {
    case ERR_DETAIL_INTEGER:
        json_u64(json, detail->name, detail->number);
        return;
    case ERR_DETAIL_ADDRESS:
        json_address(json, detail->name, detail->number);
        return;
    case ERR_DETAIL_TEXT:
        json_text(json, detail->name, detail->text);
        return;
    }
}

void json_error(struct json_writer *json, const char *key, const struct err *err)
{
    json_open_object(json, key);
    json_i64(json, "code", err_kind_code(err->kind));
    json_text(json, "message", err->message);
    json_open_object(json, "data");
    json_text(json, "kind", err_kind_name(err->kind));
    for (unsigned i = 0; i < err->detail_count; i++) {
        write_detail(json, &err->details[i]);
    }
    if (err->has_openocd) {
        json_open_object(json, "openocd");
        json_i64(json, "code", err->openocd_code);
        json_text_bytes(json, "text", err->openocd_text, err->openocd_length);
        json_close_object(json);
    }
    json_close_object(json);
    json_close_object(json);
}
