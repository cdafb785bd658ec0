/* What comparing and verifying share: scripts that read back or sum up, and the walk over the image. */
#include "ops/flash_walk.h"

#include <inttypes.h>
#include <string.h>

/* Scripts. */

void flash_write_read_script(struct op_command *command, unsigned bank, uint64_t offset, uint64_t size)
{
    command->file = OP_FILE_GET;
    command->repeatable = true;
    strbuf_appendf(&command->script, "flash read_bank %u $p 0x%" PRIx64 " 0x%" PRIx64, bank, offset, size);
}

void flash_write_checksum_script(struct op_command *command, const struct flash_plan_bank *bank,
                                 uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    command->file = OP_FILE_PUT;
    command->file_bytes = bytes;
    command->file_size = size;
    command->repeatable = true;
    command->current_target = bank->geometry.bank.target;
    strbuf_appendf(&command->script, "verify_image_checksum $p 0x%" PRIx64 " bin",
                   bank->geometry.bank.base + offset);
}

enum flash_checksum flash_write_checksum_reply(const struct ocd_reply *reply, uint64_t size)
{
    static const char mismatch[] = "checksum mismatch";
    uint64_t count = 0;
    if (ocd_reply_ok(reply)) {
        bool said = ocd_parse_byte_count(reply->result, reply->result_length, "verified", &count);
        return said && count == size ? FLASH_CHECKSUM_SAME : FLASH_CHECKSUM_FAILED;
    }
    bool in_log = memmem(reply->log, reply->log_length, mismatch, sizeof mismatch - 1) != NULL;
    bool in_result = memmem(reply->result, reply->result_length, mismatch, sizeof mismatch - 1) != NULL;
    return in_log || in_result ? FLASH_CHECKSUM_DIFFERS : FLASH_CHECKSUM_FAILED;
}

bool flash_write_same(const uint8_t *expected, const uint8_t *found, uint64_t size, uint64_t address,
                      struct err *err)
{
    if (memcmp(found, expected, size) == 0) {
        return true;
    }
    uint64_t i = 0;
    while (found[i] == expected[i]) {
        i++;
    }
    err_set(err, ERR_VERIFY_MISMATCH, "0x%08" PRIx64 " reads 0x%02x instead of 0x%02x", address + i, found[i],
            expected[i]);
    err_add_address(err, "address", address + i);
    err_add_integer(err, "expected", expected[i]);
    err_add_integer(err, "found", found[i]);
    return false;
}

/* To the next byte in a sector that is to be programmed (`changed`), or that is not. Returns the bytes passed
 * over. */

/* The walk. */

void flash_walk_start(struct flash_write *self)
{
    self->walk = (struct flash_walk){.offset = self->plan.banks[0].ranges[0].offset};
}

void flash_walk_to(struct flash_write *self, uint64_t offset)
{
    self->walk.offset = offset;
    if (offset < flash_walk_range_end(flash_walk_range(self))) {
        return;
    }
    self->walk.range++;
    if (self->walk.range == flash_walk_bank(self)->range_count) {
        self->walk.range = 0;
        self->walk.bank++;
    }
    if (!flash_walk_at_end(self)) {
        self->walk.offset = flash_walk_range(self)->offset;
    }
}

static bool is_meant(const struct flash_plan_sector *sector, bool changed)
{
    return (sector->state == FLASH_SECTOR_CHANGED) == changed;
}

uint64_t flash_walk_settle(struct flash_write *self, bool changed)
{
    uint64_t passed = 0;
    while (!flash_walk_at_end(self)) {
        const struct flash_plan_bank *bank = flash_walk_bank(self);
        const struct flash_plan_sector *sector =
            &bank->sectors[flash_plan_sector_at(bank, self->walk.offset)];
        if (is_meant(sector, changed)) {
            break;
        }
        uint64_t next =
            flash_walk_least(flash_walk_sector_end(sector), flash_walk_range_end(flash_walk_range(self)));
        passed += next - self->walk.offset;
        flash_walk_to(self, next);
    }
    return passed;
}

struct flash_run flash_walk_run(const struct flash_write *self, bool changed, uint64_t budget)
{
    const struct flash_plan_bank *bank = flash_walk_bank(self);
    uint64_t begin = self->walk.offset;
    uint64_t most = begin + flash_walk_least(budget, OP_FILE_MOST_BYTES);
    uint64_t limit = flash_walk_least(flash_walk_range_end(flash_walk_range(self)), most);
    uint64_t end = begin;
    for (size_t i = flash_plan_sector_at(bank, begin); i < bank->sector_count && end < limit; i++) {
        const struct flash_plan_sector *sector = &bank->sectors[i];
        uint64_t next =
            flash_walk_least(flash_walk_sector_end(sector), flash_walk_range_end(flash_walk_range(self)));
        if (!is_meant(sector, changed) || (next > limit && end > begin)) {
            break;
        }
        end = flash_walk_least(next, limit);
    }
    return (struct flash_run){.offset = begin, .end = end};
}
