/* Base64 by table, four characters a step: dumps and images of megabytes pass through here. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What a character stands for; NO has a bit that no value has. */
#define NO 0x80
/* clang-format off */
static const uint8_t values[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};
/* clang-format on */

void base64_encode(struct strbuf *out, const uint8_t *bytes, size_t length)
{
    char *place = strbuf_extend(out, (length / 3 + (length % 3 != 0)) * 4);
    size_t position = 0;
    for (; length - position >= 3; position += 3, place += 4) {
        const uint8_t *group = bytes + position;
        uint32_t bits = (uint32_t)group[0] << 16 | (uint32_t)group[1] << 8 | group[2];
        place[0] = alphabet[bits >> 18];
        place[1] = alphabet[bits >> 12 & 63u];
        place[2] = alphabet[bits >> 6 & 63u];
        place[3] = alphabet[bits & 63u];
    }
    if (position == length) {
        return;
    }
    bool two = length - position == 2;
    uint32_t bits = (uint32_t)bytes[position] << 16 | (two ? (uint32_t)bytes[position + 1] << 8 : 0);
    place[0] = alphabet[bits >> 18];
    place[1] = alphabet[bits >> 12 & 63u];
    place[2] = two ? alphabet[bits >> 6 & 63u] : '=';
    place[3] = '=';
}

/* How many of the last four characters are padding, which stands nowhere else. */
static size_t count_padding(const char *text, size_t length)
{
    if (length == 0 || text[length - 1] != '=') {
        return 0;
    }
    return text[length - 2] == '=' ? 2 : 1;
}

/* `groups` times four characters to three bytes; whether all of them are of the alphabet. */
static bool decode_groups(uint8_t *place, const char *text, size_t groups)
{
    const uint8_t *from = (const uint8_t *)text;
    uint32_t foreign = 0;
    for (size_t i = 0; i < groups; i++, from += 4, place += 3) {
        uint32_t a = values[from[0]];
        uint32_t b = values[from[1]];
        uint32_t c = values[from[2]];
        uint32_t d = values[from[3]];
        foreign |= a | b | c | d;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        place[0] = (uint8_t)(bits >> 16);
        place[1] = (uint8_t)(bits >> 8);
        place[2] = (uint8_t)bits;
    }
    return (foreign & NO) == 0;
}

/* The last group, of two or three characters before its padding. */
static bool decode_end(uint8_t *place, const char *text, size_t padding)
{
    uint32_t a = values[(uint8_t)text[0]];
    uint32_t b = values[(uint8_t)text[1]];
    uint32_t c = padding == 1 ? values[(uint8_t)text[2]] : 0;
    uint32_t bits = a << 18 | b << 12 | c << 6;
    uint32_t unused = padding == 1 ? 0xffu : 0xffffu;
    if (((a | b | c) & NO) != 0 || (bits & unused) != 0) {
        return false;
    }
    place[0] = (uint8_t)(bits >> 16);
    if (padding == 1) {
        place[1] = (uint8_t)(bits >> 8);
    }
    return true;
}

bool base64_decode(struct strbuf *out, const char *text, size_t length)
{
    if (length % 4 != 0) {
        return false;
    }
    size_t padding = count_padding(text, length);
    size_t groups = length / 4 - (padding > 0);
    size_t start = out->length;
    uint8_t *place = (uint8_t *)strbuf_extend(out, length / 4 * 3 - padding);
    bool valid = decode_groups(place, text, groups) &&
                 (padding == 0 || decode_end(place + groups * 3, text + groups * 4, padding));
    if (!valid) {
        strbuf_truncate(out, start);
    }
    return valid;
}
