/*
 * The text of a file that keeps bytes of a flash sector over a crash. The format is our own:
 *
 *   ocdmux kept bytes 1
 *   bank NAME
 *   base 0x8000000
 *   sector 0x400 0x400
 *   since 2026-01-31T12:00:00.000Z
 *   range 0x400 0x10
 *   range 0x7f0 0x10
 *   data 32 SHA256
 *
 * and, behind that line's LF, the bytes of the ranges. Offsets are from the start of the bank, base is an
 * address; the SHA-256 is of all other bytes of the file. Pure.
 */
#ifndef OCDMUX_BOARD_REPAIR_RECORD_H
#define OCDMUX_BOARD_REPAIR_RECORD_H

#include "base/clock.h"
#include "base/strbuf.h"
#include "ops/keeper.h"

/* More is no record of ours: a sector has no more bytes, and an image no more segments. */
#define REPAIR_RECORD_MOST_BYTES (20u * 1024u * 1024u)

struct repair_head {
    char bank[OCD_NAME_SIZE];
    uint64_t base;
    uint64_t sector_offset;
    uint64_t sector_size;
    char since[CLOCK_TEXT_SIZE];
};

void repair_record_encode(struct strbuf *out, const struct repair_head *head,
                          const struct keeper_record *record);
/* `ret_record` goes to keeper_record_fini(). False, with both untouched, for anything that was not encoded
 * so, to the last byte. */
bool repair_record_decode(const uint8_t *bytes, size_t length, struct repair_head *ret_head,
                          struct keeper_record *ret_record) __attribute__((warn_unused_result));

#endif
