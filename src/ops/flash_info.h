/* What a flash bank looks like, and the operation that asks. */
#ifndef OCDMUX_OPS_FLASH_INFO_H
#define OCDMUX_OPS_FLASH_INFO_H

#include "ops/op.h"

/* One bank with its geometry. Sectors are what is erased; blocks are what is protected, and may be coarser.
 */
struct flash_geometry {
    struct ocd_bank bank;
    struct ocd_flash_info sectors;
    struct ocd_flash_info blocks;
};

void flash_geometry_fini(struct flash_geometry *geometry);
/* A script that probes the bank and answers with all that flash_geometry_read() takes. */
void flash_geometry_script(struct strbuf *script, unsigned bank);
/* Fails with openocd_error; `ret_geometry` is untouched then. Also brings `info`'s banks up to date. */
bool flash_geometry_read(struct ocd_info *info, unsigned bank, const char *text, size_t length,
                         struct flash_geometry *ret_geometry, struct err *err)
    __attribute__((warn_unused_result));
/*
 * The same, from the whole reply: where OpenOCD says in its log that the driver cannot look at the
 * protection, that of every row is UNKNOWN. (Such drivers fill the rows with a guess; lpc2000 guesses
 * "protected".)
 */
bool flash_geometry_take(struct ocd_info *info, unsigned bank, const struct ocd_reply *reply,
                         struct flash_geometry *ret_geometry, struct err *err)
    __attribute__((warn_unused_result));
/* The protection of the sector: that of the blocks over it (ON if one of them is, UNKNOWN if one is not
 * known). */
enum ocd_protection flash_sector_protection(const struct flash_geometry *geometry, size_t sector);
/*
 * Whether sectors `first` to `last` are there, of one byte or more. (They may lie behind the bank's size: fm4
 * has such.) Fails with invalid_range, whose detail `last` is the bank's last sector, or flash_error where
 * OpenOCD's own text makes no sense.
 */
bool flash_sectors_check(const struct flash_geometry *geometry, size_t first, size_t last, struct err *err)
    __attribute__((warn_unused_result));
/* The index of the sector that holds `offset`; sectors.count if none does. */
size_t flash_sector_at(const struct flash_geometry *geometry, uint64_t offset);

struct flash_info_op {
    struct op op;
    unsigned bank;
    struct flash_geometry geometry; /* once it is done */
};

struct op *flash_info_new(unsigned bank);

/* Whether the size of every bank is known: some drivers tell it only after a probe. */
bool flash_banks_are_known(const struct ocd_info *info);
/* A script that probes the banks whose size is not known, as far as that works, and lists them all. */
void flash_banks_script(struct strbuf *script);
/* Brings `info` up to date with its answer. Fails with openocd_error. */
bool flash_banks_read(struct ocd_info *info, const char *text, size_t length, struct err *err)
    __attribute__((warn_unused_result));
/* The same for an answer that may be a refusal, which is a flash_error. */
bool flash_banks_take(struct ocd_info *info, const struct ocd_reply *reply, struct err *err)
    __attribute__((warn_unused_result));

/* Lists the banks anew into op_context.info, probing those whose size is not known yet as far as that works.
 */
struct op *flash_banks_new(void);

/*
 * not_found, naming the bank and how many there are, if the board has no such bank; invalid_params if it
 * belongs to another target than the one that was named ("": none was).
 */
bool flash_bank_check(const struct ocd_info *info, uint64_t bank, const char *target, struct err *err)
    __attribute__((warn_unused_result));

/* invalid_range: `size` bytes at `offset` reach beyond the bank. Returns false. */
bool flash_beyond_bank(unsigned bank, uint64_t offset, uint64_t size, struct err *err);

#endif
