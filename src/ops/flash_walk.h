/* Walking over what an image has in flash, byte by byte, past the sectors that are not meant. */
#ifndef OCDMUX_OPS_FLASH_WALK_H
#define OCDMUX_OPS_FLASH_WALK_H

#include "ops/flash_write_steps.h"

static inline uint64_t flash_walk_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the walk stands, unless it is at its end. */
static inline struct flash_plan_bank *flash_walk_bank(const struct flash_write *self)
{
    return &self->plan.banks[self->walk.bank];
}

static inline const struct flash_plan_range *flash_walk_range(const struct flash_write *self)
{
    return &flash_walk_bank(self)->ranges[self->walk.range];
}

/* The image's bytes from `offset` of the bank on, in that range. */
static inline const uint8_t *flash_walk_bytes(const struct flash_write *self, uint64_t offset)
{
    const struct flash_plan_range *range = flash_walk_range(self);
    return range->bytes + (offset - range->offset);
}

static inline uint64_t flash_walk_range_end(const struct flash_plan_range *range)
{
    return range->offset + range->size;
}

static inline uint64_t flash_walk_sector_end(const struct flash_plan_sector *sector)
{
    return sector->offset + sector->size;
}

static inline bool flash_walk_at_end(const struct flash_write *self)
{
    return self->walk.bank == self->plan.bank_count;
}

/* To the image's first byte. */
void flash_walk_start(struct flash_write *self);
/* To `offset`, which may be the range's end. */
void flash_walk_to(struct flash_write *self, uint64_t offset);
/* To the next byte in a sector that is to be programmed (`changed`), or that is not. Returns the bytes passed
 * over. */
uint64_t flash_walk_settle(struct flash_write *self, bool changed);
/* From where the walk stands: whole sectors if more than one, about as many bytes as the budget allows. */
struct flash_run flash_walk_run(const struct flash_write *self, bool changed, uint64_t budget);

#endif
