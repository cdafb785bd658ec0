/*
 * UF2 (github.com/microsoft/uf2, README: "File format"). Blocks that are not for the main flash (comments,
 * files of a container) are numbered like the others and left out. MD5 checksums are of what the flash holds
 * when a bootloader wants to skip a block, so they say nothing about the file.
 */
#include "image/formats.h"

#include <inttypes.h>
#include <string.h>

#define BLOCK_SIZE 512u
#define DATA_OFFSET 32u
#define DATA_SIZE 476u
#define MD5_SIZE 24u
#define MAGIC_END_OFFSET 508u

#define MAGIC_START_0 0x0a324655u
#define MAGIC_START_1 0x9e5d5157u
#define MAGIC_END 0x0ab16f30u

#define FLAG_NOT_MAIN_FLASH 0x00000001u
#define FLAG_FILE_CONTAINER 0x00001000u
#define FLAG_FAMILY 0x00002000u
#define FLAG_MD5 0x00004000u
#define FLAG_TAGS 0x00008000u

/* RP2350 datasheet, erratum E10: a block that exists for its side effect on the boot ROM, and is no firmware.
 */
#define TAG_IGNORE_BLOCK 0x9957e3u

struct uf2_block {
    uint64_t offset; /* in the file */
    uint32_t flags;
    uint32_t address;
    uint32_t size;
    uint32_t number;
    uint32_t total;
    uint32_t family;
    const uint8_t *data;
    size_t data_room; /* for payload and tags */
};

struct uf2 {
    struct parts *parts;
    uint64_t blocks; /* numbered ones so far */
    uint32_t total;
    uint32_t family;
    bool has_family;
};

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Eight bytes of magic numbers are enough: a file whose first block is damaged behind them is still no bin.
 */
bool uf2_detect(const uint8_t *bytes, size_t length)
{
    return length >= 8 && word_at(bytes) == MAGIC_START_0 && word_at(bytes + 4) == MAGIC_START_1;
}

static bool read_block(const struct uf2 *self, const uint8_t *bytes, uint64_t offset,
                       struct uf2_block *ret_block, struct err *err)
{
    const uint8_t *block = bytes + offset;
    if (!uf2_detect(block, BLOCK_SIZE)) {
        return parts_fault(self->parts, err, offset, "the block does not begin with the magic numbers");
    }
    if (word_at(block + MAGIC_END_OFFSET) != MAGIC_END) {
        return parts_fault(self->parts, err, offset, "the block does not end with the magic number");
    }
    *ret_block = (struct uf2_block){.offset = offset,
                                    .flags = word_at(block + 8),
                                    .address = word_at(block + 12),
                                    .size = word_at(block + 16),
                                    .number = word_at(block + 20),
                                    .total = word_at(block + 24),
                                    .family = word_at(block + 28),
                                    .data = block + DATA_OFFSET,
                                    .data_room = DATA_SIZE};
    if ((ret_block->flags & FLAG_MD5) != 0) {
        ret_block->data_room -= MD5_SIZE;
    }
    if (ret_block->size > ret_block->data_room) {
        return parts_fault(self->parts, err, offset, "the block says %" PRIu32 " bytes of data, and has %zu",
                           ret_block->size, ret_block->data_room);
    }
    return true;
}

/* Walks the extension tags: each a size that includes itself, three bytes of type, data up to the next word.
 */
static bool read_tags(const struct uf2 *self, const struct uf2_block *block, bool *ret_ignore,
                      struct err *err)
{
    bool ignore = false;
    size_t at = ((size_t)block->size + 3) / 4 * 4;
    while ((block->flags & FLAG_TAGS) != 0 && at + 4 <= block->data_room) {
        const uint32_t head = word_at(block->data + at);
        const uint32_t size = head & 0xff;
        if (head == 0 || head == UINT32_MAX) {
            break;
        }
        if (size < 4 || size > block->data_room - at) {
            return parts_fault(self->parts, err, block->offset + DATA_OFFSET + at,
                               "an extension tag of %" PRIu32 " bytes does not fit the block", size);
        }
        ignore = ignore || head >> 8 == TAG_IGNORE_BLOCK;
        at += (size + 3) / 4 * 4;
    }
    *ret_ignore = ignore;
    return true;
}

static bool check_number(struct uf2 *self, const struct uf2_block *block, struct err *err)
{
    if (self->blocks == 0) {
        self->total = block->total;
    }
    if (block->total != self->total) {
        return parts_fault(self->parts, err, block->offset,
                           "the block says that the file has %" PRIu32 " blocks; the first one said %" PRIu32,
                           block->total, self->total);
    }
    if (block->number != self->blocks) {
        return parts_fault(self->parts, err, block->offset,
                           "block %" PRIu32 " stands where block %" PRIu64 " should: %s", block->number,
                           self->blocks,
                           block->number < self->blocks ? "doubled, or out of order" : "missing");
    }
    if (block->number >= self->total) {
        return parts_fault(self->parts, err, block->offset,
                           "one block more than the %" PRIu32 " that the file says it has", self->total);
    }
    self->blocks++;
    return true;
}

static bool check_family(struct uf2 *self, const struct uf2_block *block, struct err *err)
{
    if ((block->flags & FLAG_FAMILY) == 0) {
        return true;
    }
    if (self->has_family && block->family != self->family) {
        return parts_fault(self->parts, err, block->offset,
                           "the file is for several families of chips (0x%08" PRIx32 " and 0x%08" PRIx32
                           "); give the blocks of one",
                           self->family, block->family);
    }
    self->has_family = true;
    self->family = block->family;
    return true;
}

static bool take_data(const struct uf2 *self, const struct uf2_block *block, struct err *err)
{
    if ((uint64_t)block->address + block->size > UINT64_C(1) << 32) {
        parts_fault(self->parts, err, block->offset,
                    "%" PRIu32 " bytes at 0x%08" PRIx32 " go past the last address", block->size,
                    block->address);
        err_add_address(err, "address", block->address);
        return false;
    }
    return parts_add(self->parts, block->address, block->data, block->size, block->offset, err);
}

static bool take_block(struct uf2 *self, const uint8_t *bytes, uint64_t offset, struct err *err)
{
    struct uf2_block block = {0};
    bool ignore = false;
    if (!read_block(self, bytes, offset, &block, err)) {
        return false;
    }
    if ((block.flags & FLAG_FILE_CONTAINER) != 0) {
        /* A file's name stands where tags would, and its size where the family would. */
        return check_number(self, &block, err);
    }
    if (!read_tags(self, &block, &ignore, err)) {
        return false;
    }
    if (ignore) {
        return true; /* with a family and a numbering of its own */
    }
    /* The family first: files for several are chained, and their numbers start again. */
    if (!check_family(self, &block, err) || !check_number(self, &block, err)) {
        return false;
    }
    return (block.flags & FLAG_NOT_MAIN_FLASH) != 0 || take_data(self, &block, err);
}

bool uf2_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
{
    struct uf2 self = {.parts = parts};
    uint64_t offset = 0;
    for (; length - offset >= BLOCK_SIZE; offset += BLOCK_SIZE) {
        if (!take_block(&self, bytes, offset, err)) {
            return false;
        }
    }
    if (offset != length) {
        return parts_fault(parts, err, offset, "the file ends inside a block of %u bytes: it is cut off",
                           BLOCK_SIZE);
    }
    if (self.blocks < self.total) {
        return parts_fault(parts, err, length,
                           "the file ends after %" PRIu64 " of %" PRIu32 " blocks: it is cut off",
                           self.blocks, self.total);
    }
    return true;
}
