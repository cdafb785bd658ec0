/* UTF-8: the table of well-formed byte sequences in RFC 3629, section 4, as code. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_between(char byte, unsigned low, unsigned high)
{
    unsigned value = (unsigned char)byte;
    return value >= low && value <= high;
}

static size_t sequence_of_three(const char *bytes, size_t length)
{
    unsigned lead = (unsigned char)bytes[0];
    /* E0 would be overlong below A0, ED a surrogate above 9F. */
    unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    unsigned high = lead == 0xed ? 0x9f : 0xbf;
    bool valid = length >= 3 && is_between(bytes[1], low, high) && is_between(bytes[2], 0x80, 0xbf);
    return valid ? 3 : 0;
}

static size_t sequence_of_four(const char *bytes, size_t length)
{
    unsigned lead = (unsigned char)bytes[0];
    /* F0 would be overlong below 90, F4 beyond U+10FFFF above 8F. */
    unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    bool valid = length >= 4 && is_between(bytes[1], low, high) && is_between(bytes[2], 0x80, 0xbf) &&
                 is_between(bytes[3], 0x80, 0xbf);
    return valid ? 4 : 0;
}

size_t utf8_sequence(const char *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    if (is_between(bytes[0], 0x00, 0x7f)) {
        return 1;
    }
    if (is_between(bytes[0], 0xc2, 0xdf)) {
        return length >= 2 && is_between(bytes[1], 0x80, 0xbf) ? 2 : 0;
    }
    if (is_between(bytes[0], 0xe0, 0xef)) {
        return sequence_of_three(bytes, length);
    }
    if (is_between(bytes[0], 0xf0, 0xf4)) {
        return sequence_of_four(bytes, length);
    }
    return 0;
}

bool utf8_valid(const char *bytes, size_t length)
{
    size_t position = 0;
    while (position < length) {
        /* Megabytes of base64 come this way: eight ASCII bytes at a time. */
        uint64_t block;
        if (length - position >= sizeof block) {
            memcpy(&block, bytes + position, sizeof block);
            if ((block & UINT64_C(0x8080808080808080)) == 0) {
                position += sizeof block;
                continue;
            }
        }
        size_t taken = utf8_sequence(bytes + position, length - position);
        if (taken == 0) {
            return false;
        }
        position += taken;
    }
    return true;
}
