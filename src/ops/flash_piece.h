/* The piece that flash_write programs now: some sectors of one bank, one behind the other. */
#ifndef OCDMUX_OPS_FLASH_PIECE_H
#define OCDMUX_OPS_FLASH_PIECE_H

#include "ops/flash_write_steps.h"

static inline struct flash_plan_bank *flash_piece_bank(const struct flash_write *self)
{
    return &self->plan.banks[self->piece_bank];
}

static inline struct flash_plan_sector *flash_piece_sector(const struct flash_write *self, size_t index)
{
    return &flash_piece_bank(self)->sectors[index];
}

static inline uint64_t flash_piece_offset(const struct flash_write *self)
{
    return flash_piece_sector(self, self->piece_first)->offset;
}

static inline uint64_t flash_piece_size(const struct flash_write *self)
{
    const struct flash_plan_sector *last = flash_piece_sector(self, self->piece_last);
    return last->offset + last->size - flash_piece_offset(self);
}

static inline uint8_t *flash_piece_content(const struct flash_write *self,
                                           const struct flash_plan_sector *sector)
{
    return self->piece + (sector->offset - flash_piece_offset(self));
}

/* Makes the piece that begins with sector self->piece_first: as many as the budget allows, at least one. */
void flash_piece_form(struct flash_write *self, uint64_t budget);
/* To the next sector of the piece, from self->piece_sector on, that holds bytes beside the image. */
bool flash_piece_find_partial(struct flash_write *self);
/* In that sector, from the first byte beside the image to the last one. */
void flash_piece_gap_span(const struct flash_write *self, uint64_t *ret_offset, uint64_t *ret_size);
/* What is left of that to be read, as much as one command takes; self->piece_done bytes of it were. */
void flash_piece_next_gap(const struct flash_write *self, uint64_t *ret_offset, uint64_t *ret_size);

#endif
