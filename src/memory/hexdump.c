/* The hexdump, built by hand: a printf() for each byte would take longer than reading it from a fast target.
 */
#include "memory/hexdump.h"

#include <string.h>

#define GROUP_BYTES 8u
/* "XX " for each byte, a blank behind each group, and "|" around each byte's character. */
#define COLUMNS_SIZE (MEMORY_HEXDUMP_LINE_BYTES * 3 + 2)
#define TEXT_SIZE (MEMORY_HEXDUMP_LINE_BYTES + 2)
#define MAX_ADDRESS_DIGITS 16u
#define MAX_LINE_SIZE (MAX_ADDRESS_DIGITS + 2 + COLUMNS_SIZE + TEXT_SIZE + 1)

static const char digits[] = "0123456789ABCDEF";

static char *put_address(char *place, uint64_t address, bool wide)
{
    for (unsigned shift = wide ? 64 : 32; shift > 0; shift -= 4) {
        *place++ = digits[address >> (shift - 4) & 15u];
    }
    *place++ = ':';
    *place++ = ' ';
    return place;
}

static char *put_columns(char *place, const uint8_t *bytes, size_t length)
{
    memset(place, ' ', COLUMNS_SIZE);
    for (size_t i = 0; i < length; i++) {
        char *column = place + 3 * i + i / GROUP_BYTES;
        column[0] = digits[bytes[i] >> 4];
        column[1] = digits[bytes[i] & 15u];
    }
    return place + COLUMNS_SIZE;
}

static char *put_text(char *place, const uint8_t *bytes, size_t length)
{
    *place++ = '|';
    for (size_t i = 0; i < length; i++) {
        *place++ = bytes[i] >= 0x20 && bytes[i] <= 0x7e ? (char)bytes[i] : '.';
    }
    *place++ = '|';
    return place;
}

static void append_line(struct memory_hexdump *dump, struct strbuf *out, const uint8_t *bytes, size_t length)
{
    char line[MAX_LINE_SIZE];
    char *end = put_address(line, dump->address, dump->wide);
    end = put_columns(end, bytes, length);
    end = put_text(end, bytes, length);
    *end++ = '\n';
    strbuf_append(out, line, (size_t)(end - line));
    dump->address += length;
}

void memory_hexdump_init(struct memory_hexdump *dump, uint64_t address, uint64_t size)
{
    uint64_t last = size == 0 ? address : address + (size - 1);
    memset(dump, 0, sizeof *dump);
    dump->address = address;
    dump->wide = last > UINT32_MAX || last < address;
}

void memory_hexdump_feed(struct memory_hexdump *dump, struct strbuf *out, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        if (dump->held == 0 && length >= MEMORY_HEXDUMP_LINE_BYTES) {
            append_line(dump, out, bytes, MEMORY_HEXDUMP_LINE_BYTES);
            bytes += MEMORY_HEXDUMP_LINE_BYTES;
            length -= MEMORY_HEXDUMP_LINE_BYTES;
            continue;
        }
        size_t room = MEMORY_HEXDUMP_LINE_BYTES - dump->held;
        size_t taken = length < room ? length : room;
        memcpy(dump->line + dump->held, bytes, taken);
        dump->held += taken;
        bytes += taken;
        length -= taken;
        if (dump->held == MEMORY_HEXDUMP_LINE_BYTES) {
            memory_hexdump_finish(dump, out);
        }
    }
}

void memory_hexdump_finish(struct memory_hexdump *dump, struct strbuf *out)
{
    if (dump->held > 0) {
        append_line(dump, out, dump->line, dump->held);
        dump->held = 0;
    }
}
