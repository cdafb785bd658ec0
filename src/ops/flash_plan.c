/* Where an image goes. */
#include "ops/flash_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_error.h"

static void fini_bank(struct flash_plan_bank *bank)
{
    flash_geometry_fini(&bank->geometry);
    free(bank->ranges);
    free(bank->sectors);
}

void flash_plan_fini(struct flash_plan *plan)
{
    for (size_t i = 0; i < plan->bank_count; i++) {
        fini_bank(&plan->banks[i]);
    }
    free(plan->banks);
    memset(plan, 0, sizeof *plan);
}

/* Banks and ranges. */

static struct flash_plan_bank *get_bank(struct flash_plan *plan, unsigned index, uint64_t base)
{
    for (size_t i = 0; i < plan->bank_count; i++) {
        if (plan->banks[i].bank == index) {
            return &plan->banks[i];
        }
    }
    plan->banks = xrealloc(plan->banks, (plan->bank_count + 1) * sizeof *plan->banks);
    struct flash_plan_bank *bank = &plan->banks[plan->bank_count++];
    memset(bank, 0, sizeof *bank);
    bank->bank = index;
    bank->base = base;
    return bank;
}

static void map_range(struct flash_plan *plan, unsigned bank_index, uint64_t base,
                      const struct flash_plan_range *range)
{
    struct flash_plan_bank *bank = get_bank(plan, bank_index, base);
    bank->ranges = xrealloc(bank->ranges, (bank->range_count + 1) * sizeof *bank->ranges);
    bank->ranges[bank->range_count++] = *range;
}

/* How many bytes from `address` on lie before the next bank. */
static uint64_t room_before_next(const struct ocd_info *info, const char *target, uint64_t address)
{
    uint64_t room = UINT64_MAX;
    for (size_t i = 0; i < info->bank_count; i++) {
        const struct ocd_bank *bank = &info->banks[i];
        bool meant = target[0] == '\0' || strcmp(bank->target, target) == 0;
        if (meant && bank->base > address && bank->base - address < room) {
            room = bank->base - address;
        }
    }
    return room;
}

/*
 * The bank that holds `address`, and how many bytes from there on are in it. One whose size is known goes
 * before those whose size is not: of these, the one that begins last.
 */
static bool find_bank(const struct ocd_info *info, const char *target, uint64_t address, unsigned *ret_bank,
                      uint64_t *ret_room)
{
    bool found = false;
    uint64_t best = 0;
    for (size_t i = 0; i < info->bank_count; i++) {
        const struct ocd_bank *bank = &info->banks[i];
        if (address < bank->base || (target[0] != '\0' && strcmp(bank->target, target) != 0)) {
            continue;
        }
        if (address - bank->base < bank->size) {
            *ret_bank = (unsigned)i;
            *ret_room = bank->size - (address - bank->base);
            return true;
        }
        if (bank->size == 0 && (!found || bank->base >= best)) {
            found = true;
            best = bank->base;
            *ret_bank = (unsigned)i;
            *ret_room = room_before_next(info, target, address);
        }
    }
    return found;
}

/* Bytes from `address`, which is in no bank, up to the next bank, `size` at the most. */
static uint64_t size_in_no_bank(const struct ocd_info *info, const char *target, uint64_t address,
                                uint64_t size)
{
    for (size_t i = 0; i < info->bank_count; i++) {
        const struct ocd_bank *bank = &info->banks[i];
        bool meant = target[0] == '\0' || strcmp(bank->target, target) == 0;
        if (meant && bank->base > address && bank->base - address < size) {
            size = bank->base - address;
        }
    }
    return size;
}

static bool in_no_bank(const struct image *image, uint64_t address, uint64_t size, struct err *err)
{
    err_set(err, ERR_IMAGE_INVALID,
            "%s%" PRIu64 " bytes of the image at 0x%08" PRIx64 " lie in no flash bank of the board",
            image->format == IMAGE_BIN ? "address: " : "", size, address);
    err_add_address(err, "address", address);
    err_add_integer(err, "size", size);
    return false;
}

static bool map_segment(struct flash_plan *plan, const struct image *image,
                        const struct image_segment *segment, const struct ocd_info *info, const char *target,
                        struct err *err)
{
    uint64_t done = 0;
    while (done < segment->size) {
        unsigned bank = 0;
        uint64_t room = 0;
        uint64_t address = segment->address + done;
        uint64_t size = segment->size - done;
        if (!find_bank(info, target, address, &bank, &room)) {
            return in_no_bank(image, address, size_in_no_bank(info, target, address, size), err);
        }
        struct flash_plan_range range = {.offset = address - info->banks[bank].base,
                                         .size = size < room ? size : room,
                                         .bytes = segment->bytes + done};
        map_range(plan, bank, info->banks[bank].base, &range);
        done += range.size;
    }
    return true;
}

bool flash_plan_map(struct flash_plan *plan, const struct image *image, const struct ocd_info *info,
                    const char *target, struct err *err)
{
    if (info->bank_count == 0) {
        return err_set(err, ERR_NOT_FOUND, "the board has no flash bank");
    }
    for (size_t i = 0; i < image->segment_count; i++) {
        if (!map_segment(plan, image, &image->segments[i], info, target, err)) {
            return false;
        }
    }
    return true;
}

bool flash_plan_map_to_bank(struct flash_plan *plan, const struct ocd_info *info, const char *target,
                            unsigned bank, const struct flash_plan_range *range, struct err *err)
{
    if (!flash_bank_check(info, bank, target, err)) {
        return false;
    }
    uint64_t size = info->banks[bank].size;
    if (size > 0 && (range->offset >= size || range->size > size - range->offset)) {
        return flash_beyond_bank(bank, range->offset, range->size, err);
    }
    map_range(plan, bank, info->banks[bank].base, range);
    return true;
}

/* Sectors. */

static bool check_room(const struct flash_plan_bank *bank, struct err *err)
{
    const struct ocd_bank *what = &bank->geometry.bank;
    if (what->base != bank->base) {
        err_set(err, ERR_FLASH_ERROR, "flash bank %u was at 0x%08" PRIx64 " and is at 0x%08" PRIx64 " now",
                bank->bank, bank->base, what->base);
        err_add_text(err, "reason", "driver");
        return false;
    }
    for (size_t i = 0; i < bank->range_count; i++) {
        const struct flash_plan_range *range = &bank->ranges[i];
        if (range->offset < what->size && range->size <= what->size - range->offset) {
            continue;
        }
        err_set(err, ERR_IMAGE_INVALID,
                "address: %" PRIu64 " bytes at 0x%08" PRIx64 " do not fit into flash bank %u: it has %" PRIu64
                " bytes from 0x%08" PRIx64,
                range->size, what->base + range->offset, bank->bank, what->size, what->base);
        err_add_address(err, "address", what->base + range->offset);
        err_add_integer(err, "size", range->size);
        return false;
    }
    return true;
}

static bool impossible_sectors(const struct flash_plan_bank *bank, struct err *err)
{
    err_set(err, ERR_FLASH_ERROR, "flash bank %u has no sectors, or impossible ones, where the image goes",
            bank->bank);
    err_add_text(err, "reason", "driver");
    return false;
}

static bool check_sector(const struct flash_plan_bank *bank, const struct ocd_block *sector,
                         uint64_t expected_offset, struct err *err)
{
    uint64_t bank_size = bank->geometry.bank.size;
    bool inside = sector->offset < bank_size && sector->size <= bank_size - sector->offset;
    if (sector->size == 0 || !inside || sector->offset != expected_offset) {
        return impossible_sectors(bank, err);
    }
    if (sector->size > FLASH_PLAN_MOST_SECTOR) {
        err_set(err, ERR_LIMIT_EXCEEDED,
                "flash bank %u has such large sectors that more than %u bytes would have to be held",
                bank->bank, FLASH_PLAN_MOST_SECTOR);
        err_add_text(err, "limit", "sector_bytes");
        err_add_integer(err, "maximum", FLASH_PLAN_MOST_SECTOR);
        return false;
    }
    return true;
}

static struct flash_plan_sector *add_sector(struct flash_plan_bank *bank, size_t index)
{
    const struct ocd_block *block = &bank->geometry.sectors.blocks[index];
    struct flash_plan_sector *sector = &bank->sectors[bank->sector_count++];
    *sector = (struct flash_plan_sector){
        .index = index, .offset = block->offset, .size = block->size, .state = FLASH_SECTOR_UNKNOWN};
    return sector;
}

/* Sectors are found again by their offsets, which rise with their numbers. */
static bool is_or_follows(const struct flash_plan_sector *last, size_t index, const struct ocd_block *block)
{
    return index == last->index || (index > last->index && block->offset >= last->offset + last->size);
}

/* The sectors that one range touches; the first of them may be the last one of the range before. */
static bool touch_sectors(struct flash_plan_bank *bank, size_t range_index, struct err *err)
{
    const struct flash_plan_range *range = &bank->ranges[range_index];
    const struct ocd_flash_info *all = &bank->geometry.sectors;
    uint64_t end = range->offset + range->size;
    uint64_t at = range->offset;
    size_t index = flash_sector_at(&bank->geometry, at);
    while (at < end) {
        if (index >= all->count) {
            return impossible_sectors(bank, err);
        }
        const struct ocd_block *block = &all->blocks[index];
        if (!check_sector(bank, block, at == range->offset ? block->offset : at, err)) {
            return false;
        }
        struct flash_plan_sector *sector =
            bank->sector_count > 0 ? &bank->sectors[bank->sector_count - 1] : NULL;
        if (sector != NULL && !is_or_follows(sector, index, block)) {
            return impossible_sectors(bank, err);
        }
        if (sector == NULL || sector->index != index) {
            sector = add_sector(bank, index);
            sector->first_range = range_index;
        }
        uint64_t next = block->offset + block->size;
        uint64_t here = (next < end ? next : end) - at;
        sector->covered += here;
        at += here;
        index++;
    }
    return true;
}

bool flash_plan_survey(struct flash_plan_bank *bank, struct flash_geometry *take_geometry, struct err *err)
{
    flash_geometry_fini(&bank->geometry);
    free(bank->sectors);
    bank->geometry = *take_geometry;
    memset(take_geometry, 0, sizeof *take_geometry);
    bank->sectors = xcalloc(bank->geometry.sectors.count + 1, sizeof *bank->sectors);
    bank->sector_count = 0;
    if (!check_room(bank, err)) {
        return false;
    }
    for (size_t i = 0; i < bank->range_count; i++) {
        if (!touch_sectors(bank, i, err)) {
            return false;
        }
    }
    return true;
}

bool flash_plan_check_protection(const struct flash_plan_bank *bank, struct err *err)
{
    for (size_t i = 0; i < bank->sector_count; i++) {
        const struct flash_plan_sector *sector = &bank->sectors[i];
        if (flash_sector_protection(&bank->geometry, sector->index) != OCD_PROTECTION_ON) {
            continue;
        }
        return flash_error_protected(err, bank->bank, sector->index,
                                     bank->geometry.bank.base + sector->offset);
    }
    return true;
}

bool flash_plan_first_gap(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                          struct flash_plan_gap *ret_gap)
{
    *ret_gap = (struct flash_plan_gap){.offset = sector->offset, .next_range = sector->first_range};
    return flash_plan_next_gap(bank, sector, ret_gap);
}

bool flash_plan_next_gap(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                         struct flash_plan_gap *gap)
{
    uint64_t end = sector->offset + sector->size;
    uint64_t at = gap->offset + gap->size;
    size_t i = gap->next_range;
    while (i < bank->range_count && bank->ranges[i].offset <= at) {
        uint64_t range_end = bank->ranges[i].offset + bank->ranges[i].size;
        at = range_end > at ? range_end : at;
        i++;
    }
    gap->next_range = i;
    if (at >= end) {
        return false;
    }
    uint64_t gap_end = i < bank->range_count && bank->ranges[i].offset < end ? bank->ranges[i].offset : end;
    gap->offset = at;
    gap->size = gap_end - at;
    return true;
}

void flash_plan_overlay(const struct flash_plan_bank *bank, const struct flash_plan_sector *sector,
                        uint8_t *content)
{
    uint64_t sector_end = sector->offset + sector->size;
    for (size_t i = sector->first_range; i < bank->range_count && bank->ranges[i].offset < sector_end; i++) {
        const struct flash_plan_range *range = &bank->ranges[i];
        uint64_t begin = range->offset > sector->offset ? range->offset : sector->offset;
        uint64_t range_end = range->offset + range->size;
        uint64_t end = range_end < sector_end ? range_end : sector_end;
        memcpy(content + (begin - sector->offset), range->bytes + (begin - range->offset), end - begin);
    }
}

size_t flash_plan_sector_at(const struct flash_plan_bank *bank, uint64_t offset)
{
    size_t low = 0;
    size_t high = bank->sector_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct flash_plan_sector *sector = &bank->sectors[middle];
        if (offset < sector->offset) {
            high = middle;
        } else if (offset - sector->offset >= sector->size) {
            low = middle + 1;
        } else {
            return middle;
        }
    }
    return bank->sector_count;
}
