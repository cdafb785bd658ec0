/*
 * Where an image goes: its segments cut at the borders of flash banks, the sectors that they touch, and what
 * each sector holds then. Pure arithmetic; nothing here talks to anybody.
 */
#ifndef OCDMUX_OPS_FLASH_PLAN_H
#define OCDMUX_OPS_FLASH_PLAN_H

#include "image/image.h"
#include "openocd/info.h"
#include "ops/flash_info.h"

/* Bytes of the image for one bank, `offset` from its base. */
struct flash_plan_range {
    uint64_t offset;
    uint64_t size;
    const uint8_t *bytes; /* the image's */
};

enum flash_sector_state {
    FLASH_SECTOR_UNKNOWN, /* not compared */
    FLASH_SECTOR_SAME,
    FLASH_SECTOR_CHANGED, /* to be programmed */
};

/* A sector that the image touches. */
struct flash_plan_sector {
    size_t index; /* in the geometry, and OpenOCD's number */
    uint64_t offset;
    uint64_t size;
    uint64_t covered;   /* bytes of the image in it */
    size_t first_range; /* the first range that reaches into it */
    enum flash_sector_state state;
    bool pending; /* the keeper has a record of it, which an earlier try left */
};

struct flash_plan_bank {
    unsigned bank;
    uint64_t base;                   /* as it was when the image was mapped */
    struct flash_geometry geometry;  /* from flash_plan_survey() on */
    struct flash_plan_range *ranges; /* by offset, not overlapping */
    size_t range_count;
    struct flash_plan_sector *sectors; /* by offset; from flash_plan_survey() on */
    size_t sector_count;
};

struct flash_plan {
    struct flash_plan_bank *banks; /* in the order in which the image touches them */
    size_t bank_count;
};

void flash_plan_fini(struct flash_plan *plan);

/*
 * Cuts the image's segments at the borders of the banks. A bank whose size is not known yet takes what lies
 * behind its base and in no other. `target` "" means the banks of all targets. Fails with not_found (the
 * board has no bank) or image_invalid, with address and size of the first part that lies in no bank.
 */
bool flash_plan_map(struct flash_plan *plan, const struct image *image, const struct ocd_info *info,
                    const char *target, struct err *err) __attribute__((warn_unused_result));
/*
 * One range for one bank, whatever its base is. Fails as flash_bank_check(), and with invalid_range where the
 * range reaches beyond a bank whose size is known.
 */
bool flash_plan_map_to_bank(struct flash_plan *plan, const struct ocd_info *info, const char *target,
                            unsigned bank, const struct flash_plan_range *range, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Finds the sectors that the ranges touch; takes the geometry over in any case. May be called again, when the
 * geometry was looked at anew: the sectors' states start over. Fails with image_invalid where a range reaches
 * beyond the bank, flash_error where OpenOCD's sectors are impossible, limit_exceeded where a sector is
 * larger than FLASH_PLAN_MOST_SECTOR.
 */
bool flash_plan_survey(struct flash_plan_bank *bank, struct flash_geometry *take_geometry, struct err *err)
    __attribute__((warn_unused_result));
/* Sectors are held in memory; none is larger, unless OpenOCD's text is not what it seems. */
#define FLASH_PLAN_MOST_SECTOR (16u * 1024u * 1024u)

/* flash_error, with sector and address, if a sector that the image touches is protected. */
bool flash_plan_check_protection(const struct flash_plan_bank *bank, struct err *err)
    __attribute__((warn_unused_result));

/* Bytes of a sector that the image does not cover. */
struct flash_plan_gap {
    uint64_t offset; /* from the start of the bank */
    uint64_t size;
    size_t next_range; /* the iteration's own */
};
/* The sector's first gap, and from one to the next; false: there are no more. */
bool flash_plan_first_gap(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                          struct flash_plan_gap *ret_gap);
bool flash_plan_next_gap(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                         struct flash_plan_gap *gap);
/* Puts the image's bytes of the sector where they belong in `content`, which is of the sector's size. */
void flash_plan_overlay(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                        uint8_t *content);
/* The sector of the plan that holds `offset`; sector_count if none does. */
size_t flash_plan_sector_at(const struct flash_plan_bank *bank, uint64_t offset);

#endif
