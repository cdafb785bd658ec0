/* Lines of hexadecimal digits. */
#include "image/records.h"

#include "base/hex.h"

/* No record is so long. A line that goes on behind this is judged by its beginning. */
#define DETECT_MAX 1024u

static bool is_line_end(uint8_t byte)
{
    return byte == '\n' || byte == '\r';
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static void cut_line(struct records *records)
{
    size_t end = records->at;
    while (end < records->length && !is_line_end(records->bytes[end])) {
        end++;
    }
    records->line++;
    records->text = records->bytes + records->at;
    records->text_length = end - records->at;
    while (records->text_length > 0 && is_blank(records->text[records->text_length - 1])) {
        records->text_length--;
    }
    if (end + 1 < records->length && records->bytes[end] == '\r' && records->bytes[end + 1] == '\n') {
        end++;
    }
    records->at = end < records->length ? end + 1 : end;
}

bool records_next(struct records *records)
{
    while (records->at < records->length) {
        cut_line(records);
        if (records->text_length > 0) {
            return true;
        }
    }
    return false;
}

static bool check_digits(const struct records *records, size_t prefix, struct err *err)
{
    for (size_t i = prefix; i < records->text_length; i++) {
        if (hex_digit((char)records->text[i]) < 0) {
            return parts_fault(records->parts, err, records->line,
                               "column %zu: byte 0x%02x is no hexadecimal digit", i + 1, records->text[i]);
        }
    }
    return true;
}

static uint8_t byte_at(const uint8_t *digits)
{
    return (uint8_t)(hex_digit((char)digits[0]) << 4 | hex_digit((char)digits[1]));
}

bool records_decode(const struct records *records, size_t prefix, size_t extra, uint8_t ret_bytes[RECORD_MAX],
                    size_t *ret_count, struct err *err)
{
    if (!check_digits(records, prefix, err)) {
        return false;
    }
    const uint8_t *digits = records->text + prefix;
    size_t digit_count = records->text_length - prefix;
    if (digit_count < 2) {
        return parts_fault(records->parts, err, records->line,
                           "the line is cut off before the record's length");
    }
    size_t count = byte_at(digits) + extra;
    if (digit_count != 2 * count) {
        return parts_fault(
            records->parts, err, records->line,
            "the record is too %s: its length 0x%02x asks for %zu hexadecimal digits, and there "
            "are %zu",
            digit_count < 2 * count ? "short" : "long", byte_at(digits), 2 * count, digit_count);
    }
    for (size_t i = 0; i < count; i++) {
        ret_bytes[i] = byte_at(digits + 2 * i);
    }
    *ret_count = count;
    return true;
}

static bool is_text(uint8_t byte)
{
    return byte == '\t' || (byte >= 0x20 && byte <= 0x7e);
}

bool records_detect(const uint8_t *bytes, size_t length, size_t prefix, size_t minimum)
{
    if (length < prefix + minimum) {
        return false;
    }
    for (size_t i = prefix; i < prefix + minimum; i++) {
        if (hex_digit((char)bytes[i]) < 0) {
            return false;
        }
    }
    /* A wrong character behind that is a damaged record, as long as it is text; other bytes are a program. */
    for (size_t i = prefix + minimum; i < length && i < DETECT_MAX && !is_line_end(bytes[i]); i++) {
        if (!is_text(bytes[i])) {
            return false;
        }
    }
    return true;
}
