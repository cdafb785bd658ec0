/*
 * The protocol's hexdump:
 *   08000000: 00 50 00 20 A1 01 00 08  AB 01 00 08 AD 01 00 08  |.P. ............|
 * Eight address digits (sixteen in a dump that reaches beyond 32 bits, on every line), two groups of eight
 * upper-case bytes, bytes outside 0x20 to 0x7e shown as a dot, a short last line padded so that the text
 * column lines up. Pure.
 */
#ifndef OCDMUX_MEMORY_HEXDUMP_H
#define OCDMUX_MEMORY_HEXDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define MEMORY_HEXDUMP_LINE_BYTES 16u

/* Collects a stream into lines. */
struct memory_hexdump {
    uint64_t address; /* of the line that is being collected */
    bool wide;        /* sixteen address digits */
    size_t held;
    uint8_t line[MEMORY_HEXDUMP_LINE_BYTES];
};

/* `size` bytes from `address` will follow; lines begin at `address`, whatever its alignment. */
void memory_hexdump_init(struct memory_hexdump *dump, uint64_t address, uint64_t size);
/* Appends the lines that are complete to `out`, each ended by LF. */
void memory_hexdump_feed(struct memory_hexdump *dump, struct strbuf *out, const uint8_t *bytes,
                         size_t length);
/* Appends the short last line, if there is one, ended by LF. */
void memory_hexdump_finish(struct memory_hexdump *dump, struct strbuf *out);

#endif
