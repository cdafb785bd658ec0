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
/* The protection of the sector: that of the blocks over it (ON if one of them is, UNKNOWN if one is not
 * known). */
enum ocd_protection flash_sector_protection(const struct flash_geometry *geometry, size_t sector);
/* The index of the sector that holds `offset`; sectors.count if none does. */
size_t flash_sector_at(const struct flash_geometry *geometry, uint64_t offset);

struct flash_info_op {
    struct op op;
    unsigned bank;
    struct flash_geometry geometry; /* once it is done */
};

struct op *flash_info_new(unsigned bank);

/* Lists the banks anew into op_context.info, probing those whose size is not known yet as far as that works.
 */
struct op *flash_banks_new(void);

/*
 * not_found, naming the bank and how many there are, if the board has no such bank; invalid_params if it
 * belongs to another target than the one that was named ("": none was).
 */
bool flash_bank_check(const struct ocd_info *info, uint64_t bank, const char *target, struct err *err)
    __attribute__((warn_unused_result));

#endif
