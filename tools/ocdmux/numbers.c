/* Reading numbers from the command line. */
#include "numbers.h"

#include <stddef.h>

#include "base/hex.h"

static bool number_parse_hex(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *next = text;
    for (; *next != '\0'; next++) {
        int digit = hex_digit(*next);
        if (digit < 0 || value > UINT64_MAX >> 4) {
            return false;
        }
        value = value << 4 | (uint64_t)digit;
    }
    *ret_value = value;
    return next > text;
}

static unsigned number_suffix_shift(char suffix)
{
    switch (suffix) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    default:
        return 0;
    }
}

bool number_parse(const char *text, enum number_kind kind, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        return number_parse_hex(text + 2, ret_value);
    }
    const char *next = text;
    for (; *next >= '0' && *next <= '9'; next++) {
        uint64_t digit = (uint64_t)(*next - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (next == text || (text[0] == '0' && next > text + 1)) {
        return false;
    }
    if (kind == NUMBER_SIZE && number_suffix_shift(*next) != 0) {
        unsigned shift = number_suffix_shift(*next);
        if (value > UINT64_MAX >> shift) {
            return false;
        }
        value <<= shift;
        next++;
    }
    if (*next != '\0') {
        return false;
    }
    *ret_value = value;
    return true;
}
