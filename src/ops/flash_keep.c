/*
 * What stands beside the image in the sectors of a piece: read before they are erased, given to the keeper,
 * and put into what is programmed. All of a piece is saved or nothing, right before its erase: a record of a
 * sector that was not erased would put back what is out of date one day.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_piece.h"

bool flash_piece_find_partial(struct flash_write *self)
{
    while (self->piece_sector <= self->piece_last) {
        const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
        if (sector->covered < sector->size) {
            return true;
        }
        self->piece_sector++;
    }
    return false;
}

/* Read in one go, for each command costs more than the bytes between. */
void flash_piece_gap_span(const struct flash_write *self, uint64_t *ret_offset, uint64_t *ret_size)
{
    const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
    struct flash_plan_gap gap;
    uint64_t begin = sector->offset;
    uint64_t end = sector->offset;
    bool first = true;
    for (bool more = flash_plan_first_gap(flash_piece_bank(self), sector, &gap); more;
         more = flash_plan_next_gap(flash_piece_bank(self), sector, &gap)) {
        begin = first ? gap.offset : begin;
        end = gap.offset + gap.size;
        first = false;
    }
    *ret_offset = begin;
    *ret_size = end - begin;
}

void flash_piece_next_gap(const struct flash_write *self, uint64_t *ret_offset, uint64_t *ret_size)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    flash_piece_gap_span(self, &offset, &size);
    offset += self->piece_done;
    size -= self->piece_done;
    *ret_offset = offset;
    *ret_size = size < OP_FILE_MOST_BYTES ? size : OP_FILE_MOST_BYTES;
}

bool flash_write_find_record(const struct op_keeper *keeper, const struct flash_plan_bank *bank,
                             const struct flash_plan_sector *sector, struct keeper_record *ret_record,
                             struct err *err)
{
    err_reset(err);
    if (!keeper->find(keeper->context, &bank->geometry.bank, sector->offset, ret_record, err)) {
        return false;
    }
    if (ret_record->sector_size == sector->size) {
        return true;
    }
    err_set(err, ERR_STAGE_ERROR,
            "what the sector at 0x%08" PRIx64 " held was kept when it had %" PRIu64
            " bytes, and it has %" PRIu64 " now: erase it with flash.erase_sector to give those bytes up",
            bank->geometry.bank.base + sector->offset, ret_record->sector_size, sector->size);
    keeper_record_fini(ret_record);
    return false;
}

/* The old record's bytes over what the flash held; the image goes over both. */
static void put_record(struct flash_write *self, const struct flash_plan_sector *sector,
                       const struct keeper_record *record)
{
    uint8_t *content = flash_piece_content(self, sector);
    for (size_t i = 0; i < record->range_count; i++) {
        const struct keeper_range *range = &record->ranges[i];
        memcpy(content + (range->offset - sector->offset), range->bytes, range->size);
    }
}

static uint64_t bytes_in_gap(const struct keeper_record *record, const struct flash_plan_gap *gap)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < record->range_count; i++) {
        const struct keeper_range *range = &record->ranges[i];
        uint64_t begin = range->offset > gap->offset ? range->offset : gap->offset;
        uint64_t range_end = range->offset + range->size;
        uint64_t gap_end = gap->offset + gap->size;
        uint64_t end = range_end < gap_end ? range_end : gap_end;
        sum += end > begin ? end - begin : 0;
    }
    return sum;
}

/* Bytes of the record that the image does not cover. */
static uint64_t bytes_in_gaps(const struct flash_write *self, const struct flash_plan_sector *sector,
                              const struct keeper_record *record)
{
    struct flash_plan_gap gap;
    uint64_t sum = 0;
    for (bool more = flash_plan_first_gap(flash_piece_bank(self), sector, &gap); more;
         more = flash_plan_next_gap(flash_piece_bank(self), sector, &gap)) {
        sum += bytes_in_gap(record, &gap);
    }
    return sum;
}

/* Makes a range of every run of bytes that is marked; they are copied from the sector's `content`. */
static void fill_record(struct keeper_record *record, const uint8_t *marks, const uint8_t *content)
{
    uint64_t size = record->sector_size;
    record->storage = xmalloc(size);
    memcpy(record->storage, content, size);
    for (uint64_t at = 0; at < size;) {
        const uint8_t *begin = memchr(marks + at, 1, size - at);
        if (begin == NULL) {
            return;
        }
        const uint8_t *end = memchr(begin, 0, (size_t)(marks + size - begin));
        uint64_t offset = (uint64_t)(begin - marks);
        at = end != NULL ? (uint64_t)(end - marks) : size;
        record->ranges = xrealloc(record->ranges, (record->range_count + 1) * sizeof *record->ranges);
        record->ranges[record->range_count++] = (struct keeper_range){
            .offset = record->sector_offset + offset, .size = at - offset, .bytes = record->storage + offset};
    }
}

/* The sector's gaps become its new record, and what the old one has beside them: this image may never get to
 * be complete either, and the one before be tried again. */
static void add_kept(struct flash_write *self, const struct flash_plan_sector *sector,
                     const struct keeper_record *old)
{
    struct keeper_record record = {.sector_offset = sector->offset, .sector_size = sector->size};
    uint8_t *marks = xcalloc(sector->size, 1);
    struct flash_plan_gap gap;
    for (bool more = flash_plan_first_gap(flash_piece_bank(self), sector, &gap); more;
         more = flash_plan_next_gap(flash_piece_bank(self), sector, &gap)) {
        memset(marks + (gap.offset - sector->offset), 1, gap.size);
    }
    for (size_t i = 0; i < old->range_count; i++) {
        memset(marks + (old->ranges[i].offset - sector->offset), 1, old->ranges[i].size);
    }
    fill_record(&record, marks, flash_piece_content(self, sector));
    free(marks);
    self->bytes_repaired += bytes_in_gaps(self, sector, old);
    self->kept = xrealloc(self->kept, (self->kept_count + 1) * sizeof *self->kept);
    self->kept[self->kept_count++] = record;
}

/* Nothing more is read of the sector. An earlier try that was cut off knows better than the flash what
 * it held. */
static bool complete_sector(struct flash_write *self, const struct op_keeper *keeper, struct err *err)
{
    const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
    struct keeper_record old = {0};
    if (flash_write_find_record(keeper, flash_piece_bank(self), sector, &old, err)) {
        put_record(self, sector, &old);
    } else if (err->kind != ERR_NONE) {
        return false;
    }
    add_kept(self, sector, &old);
    keeper_record_fini(&old);
    flash_plan_overlay(flash_piece_bank(self), sector, flash_piece_content(self, sector));
    return true;
}

/* Of the first `count` sectors that were kept, but for those of which an earlier try left a record. */
static void forget_kept(const struct flash_write *self, size_t count)
{
    const struct flash_plan_bank *bank = flash_piece_bank(self);
    for (size_t i = 0; i < count; i++) {
        const struct keeper_record *record = &self->kept[i];
        if (!bank->sectors[flash_plan_sector_at(bank, record->sector_offset)].pending) {
            self->keeper->forget(self->keeper->context, &bank->geometry.bank, record->sector_offset,
                                 record->sector_size);
        }
    }
}

static bool save_kept(struct flash_write *self, struct err *err)
{
    for (size_t i = 0; i < self->kept_count; i++) {
        const struct ocd_bank *bank = &flash_piece_bank(self)->geometry.bank;
        if (!self->keeper->save(self->keeper->context, bank, &self->kept[i], err)) {
            forget_kept(self, i);
            return false;
        }
    }
    self->kept_saved = true;
    return true;
}

void flash_write_drop_kept(struct flash_write *self)
{
    if (self->kept_saved && !self->erase_sent) {
        forget_kept(self, self->kept_count);
    }
    for (size_t i = 0; i < self->kept_count; i++) {
        keeper_record_fini(&self->kept[i]);
    }
    free(self->kept);
    self->kept = NULL;
    self->kept_count = 0;
    self->kept_saved = false;
}

/* Whether an earlier try kept all that the image does not cover. Then nothing is read: what was cut off in
 * the middle of programming cannot be read on some chips. */
static bool record_is_whole(const struct flash_write *self, const struct op_keeper *keeper, struct err *err)
{
    const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
    struct keeper_record record;
    if (!sector->pending || !flash_write_find_record(keeper, flash_piece_bank(self), sector, &record, err)) {
        return false;
    }
    uint64_t sum = bytes_in_gaps(self, sector, &record);
    keeper_record_fini(&record);
    return sum == sector->size - sector->covered;
}

/* Everything beside the image is there. From the records on nothing stops it. */
static enum op_verdict end_keep(struct flash_write *self, const struct op_context *context, struct err *err)
{
    self->keeper = context->keeper;
    if (!save_kept(self, err)) {
        return OP_FAILED;
    }
    self->op.critical = true;
    return op_go(&self->op, FLASH_STEP_ERASE);
}

enum op_verdict flash_write_keep_send(struct op *op, const struct op_context *context,
                                      struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    if (self->piece == NULL) {
        flash_piece_form(self, context->budget);
    }
    if (!self->options.erase) {
        return op_go(op, FLASH_STEP_PROGRAM);
    }
    err_reset(err);
    while (flash_piece_find_partial(self) && record_is_whole(self, context->keeper, err)) {
        if (!complete_sector(self, context->keeper, err)) {
            return OP_FAILED;
        }
        self->piece_sector++;
    }
    if (err->kind != ERR_NONE) {
        return OP_FAILED;
    }
    if (self->piece_sector > self->piece_last) {
        return end_keep(self, context, err);
    }
    uint64_t offset = 0;
    uint64_t size = 0;
    flash_piece_next_gap(self, &offset, &size);
    flash_write_read_script(command, flash_piece_bank(self)->bank, offset, size);
    return OP_SEND;
}

enum op_verdict flash_write_keep_reply(struct op *op, const struct op_context *context,
                                       const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t span_offset = 0;
    uint64_t span_size = 0;
    flash_piece_next_gap(self, &offset, &size);
    if (!ocd_reply_ok(reply) || reply->result_length != size) {
        return flash_write_fail_read(reply, err, flash_piece_bank(self)->bank,
                                     flash_piece_bank(self)->geometry.bank.base + offset, size,
                                     "cannot read what must be kept");
    }
    memcpy(self->piece + (offset - flash_piece_offset(self)), reply->result, size);
    self->piece_done += size;
    flash_piece_gap_span(self, &span_offset, &span_size);
    if (self->piece_done < span_size) {
        return op_go(op, FLASH_STEP_KEEP);
    }
    self->piece_done = 0;
    if (!complete_sector(self, context->keeper, err)) {
        return OP_FAILED;
    }
    self->piece_sector++;
    return op_go(op, FLASH_STEP_KEEP);
}
