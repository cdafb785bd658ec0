/*
 * What an erase would lose for ever if something crashed before it is programmed again: the bytes of a sector
 * beside the image. An operation gives them to the keeper before it erases, and takes the record away when
 * the sector has been programmed and verified. The board implements it with files that survive the daemon.
 */
#ifndef OCDMUX_OPS_KEEPER_H
#define OCDMUX_OPS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "openocd/parse.h"

/* Bytes of a sector, `offset` from the start of their bank. */
struct keeper_range {
    uint64_t offset;
    uint64_t size;
    const uint8_t *bytes;
};

/* One sector's record. */
struct keeper_record {
    uint64_t sector_offset; /* from the start of the bank */
    uint64_t sector_size;
    struct keeper_range *ranges; /* by offset, not overlapping, inside the sector */
    size_t range_count;
    uint8_t *storage; /* what the ranges point into; NULL where they point elsewhere */
};

struct op_keeper {
    void *context;
    /* Returns true once the record would survive a crash; replaces an earlier one of that sector. Fails with
     * stage_error. */
    bool (*save)(void *context, const struct ocd_bank *bank, const struct keeper_record *record,
                 struct err *err) __attribute__((warn_unused_result));
    /* The record of the sector at `sector_offset`, given to keeper_record_fini() by the caller; false: there
     * is none, which is no error. Fails with stage_error, with `err` set, where there is one that cannot be
     * read. */
    bool (*find)(void *context, const struct ocd_bank *bank, uint64_t sector_offset,
                 struct keeper_record *ret_record, struct err *err) __attribute__((warn_unused_result));
    /* No record of a sector that lies in this range of the bank is needed any more. */
    void (*forget)(void *context, const struct ocd_bank *bank, uint64_t offset, uint64_t size);
};

void keeper_record_fini(struct keeper_record *record);

#endif
