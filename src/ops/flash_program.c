/*
 * Programming what differs, a piece at a time: some sectors of one bank, one behind the other.
 *
 *   keep (each sector with bytes beside the image) -> erase -> blank -> program (each run) -> check (the same
 * sectors)
 *
 * From the records that the keeper gets before the erase to the end of the check nothing may stop it but a
 * failure; then the keeper still has what the sectors held.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_error.h"
#include "ops/flash_piece.h"

/* Blank bytes that are not worth a command of their own are programmed along. Runs begin and end on borders
 * of BLANK_BORDER, which suits every write unit. */
#define BLANK_BORDER 256u
#define BLANK_LEAST 1024u
#define BLANK_LOOK_BYTES 16u
#define PROGRAM_BORDER 4096u

/* The pieces. */

static void count_work(struct flash_write *self)
{
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        const struct flash_plan_bank *bank = &self->plan.banks[i];
        for (size_t k = 0; k < bank->sector_count; k++) {
            const struct flash_plan_sector *sector = &bank->sectors[k];
            if (sector->state != FLASH_SECTOR_CHANGED) {
                self->bytes_unchanged += sector->covered;
                continue;
            }
            self->to_program += self->options.erase ? sector->size : sector->covered;
            self->sectors_to_erase++;
        }
    }
}

/* To the next sector that is to be programmed, from where `piece_bank` and `piece_first` stand. */
static bool find_piece(struct flash_write *self)
{
    while (self->piece_bank < self->plan.bank_count) {
        const struct flash_plan_bank *bank = flash_piece_bank(self);
        while (self->piece_first < bank->sector_count) {
            if (bank->sectors[self->piece_first].state == FLASH_SECTOR_CHANGED) {
                return true;
            }
            self->piece_first++;
        }
        self->piece_bank++;
        self->piece_first = 0;
        self->blank_known = false;
    }
    return false;
}

enum op_verdict flash_write_begin_pieces(struct flash_write *self)
{
    count_work(self);
    self->piece_bank = 0;
    self->piece_first = 0;
    self->op.budget = 1; /* one sector, to see how fast it is */
    self->op.command_ms = FLASH_PIECE_MS;
    return find_piece(self) ? op_go(&self->op, FLASH_STEP_KEEP) : flash_write_begin_verify(self);
}

/* As many sectors as the budget allows, at least one. */
void flash_piece_form(struct flash_write *self, uint64_t budget)
{
    const struct flash_plan_bank *bank = flash_piece_bank(self);
    size_t last = self->piece_first;
    while (last + 1 < bank->sector_count) {
        const struct flash_plan_sector *next = &bank->sectors[last + 1];
        bool adjoins = next->index == bank->sectors[last].index + 1;
        if (!adjoins || next->state != FLASH_SECTOR_CHANGED ||
            next->offset + next->size - flash_piece_offset(self) > budget) {
            break;
        }
        last++;
    }
    self->piece_last = last;
    self->piece_sector = self->piece_first;
    self->piece_done = 0;
    self->piece = xmalloc(flash_piece_size(self));
    memset(self->piece, 0xff, flash_piece_size(self));
    for (size_t i = self->piece_first; i <= last; i++) {
        flash_plan_overlay(bank, &bank->sectors[i], flash_piece_content(self, &bank->sectors[i]));
    }
}

static enum op_verdict end_piece(struct flash_write *self, const struct op_context *context)
{
    if (self->options.erase) {
        context->keeper->forget(context->keeper->context, &flash_piece_bank(self)->geometry.bank,
                                flash_piece_offset(self), flash_piece_size(self));
    }
    flash_write_drop_kept(self);
    free(self->piece);
    self->piece = NULL;
    self->erase_sent = false;
    self->op.critical = false;
    self->piece_first = self->piece_last + 1;
    return find_piece(self) ? op_go(&self->op, FLASH_STEP_KEEP) : flash_write_begin_verify(self);
}

/* Erase. */

enum op_verdict flash_write_erase_send(struct op *op, const struct op_context *context,
                                       struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    (void)context;
    (void)err;
    command->changes = true;
    command->limit_ms = FLASH_COMMAND_LIMIT_MS;
    self->touched = true;
    self->erase_sent = true;
    op->critical = true;
    strbuf_appendf(&command->script, "flash erase_sector %u %zu %zu", flash_piece_bank(self)->bank,
                   flash_piece_sector(self, self->piece_first)->index,
                   flash_piece_sector(self, self->piece_last)->index);
    return OP_SEND;
}

/* The first stretch of 0xff in the piece that would not be programmed; false: there is none. */
static bool find_blank(const struct flash_write *self, uint64_t from, uint64_t *ret_begin, uint64_t *ret_end)
{
    uint64_t size = flash_piece_size(self);
    uint64_t begin = from;
    uint64_t at = from;
    while (at < size) {
        uint64_t border = BLANK_BORDER - (flash_piece_offset(self) + at) % BLANK_BORDER;
        uint64_t next = at + border < size ? at + border : size;
        bool whole = border == BLANK_BORDER && next - at == BLANK_BORDER;
        bool blank = whole && self->piece[at] == 0xff &&
                     memcmp(self->piece + at, self->piece + at + 1, BLANK_BORDER - 1) == 0;
        if (!blank) {
            if (at - begin >= BLANK_LEAST) {
                break;
            }
            begin = next;
        }
        at = next;
    }
    *ret_begin = begin;
    *ret_end = at;
    return at > begin;
}

enum op_verdict flash_write_erase_reply(struct op *op, const struct op_context *context,
                                        const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    size_t first = flash_piece_sector(self, self->piece_first)->index;
    size_t last = flash_piece_sector(self, self->piece_last)->index;
    unsigned from = 0;
    unsigned to = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    (void)context;
    bool said = ocd_parse_erased(reply->result, reply->result_length, &from, &to);
    if (!ocd_reply_ok(reply) || !said || from != first || to != last) {
        return flash_error_fail(reply, err, "erasing failed", flash_piece_bank(self)->bank,
                                flash_piece_bank(self)->geometry.bank.base + flash_piece_offset(self));
    }
    self->sectors_erased += last - first + 1;
    op_progress_set(op, "erase", self->sectors_erased, self->sectors_to_erase, "sectors");
    if (!self->blank_known && find_blank(self, 0, &begin, &end)) {
        return op_go(op, FLASH_STEP_BLANK);
    }
    return op_go(op, FLASH_STEP_PROGRAM);
}

/* Blank: some chips read 0x00 where they are erased. Then 0xff has to be programmed like everything else. */

enum op_verdict flash_write_blank_send(struct op *op, const struct op_context *context,
                                       struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    uint64_t begin = 0;
    uint64_t end = 0;
    (void)context;
    (void)err;
    find_blank(self, 0, &begin, &end);
    flash_write_read_script(command, flash_piece_bank(self)->bank, flash_piece_offset(self) + begin,
                            BLANK_LOOK_BYTES);
    return OP_SEND;
}

enum op_verdict flash_write_blank_reply(struct op *op, const struct op_context *context,
                                        const struct ocd_reply *reply, struct err *err)
{
    static const uint8_t erased[BLANK_LOOK_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct flash_write *self = flash_write_of(op);
    (void)context;
    (void)err;
    self->blank_known = true;
    self->blank_is_ff = ocd_reply_ok(reply) && reply->result_length == sizeof erased &&
                        memcmp(reply->result, erased, sizeof erased) == 0;
    return op_go(op, FLASH_STEP_PROGRAM);
}

/* Program. */

/* How many of the bytes from `begin` of the piece on one command takes: cut where every write unit ends. */
static uint64_t cut_run(const struct flash_write *self, uint64_t begin, uint64_t size)
{
    return size <= OP_FILE_MOST_BYTES
               ? size
               : OP_FILE_MOST_BYTES -
                     (flash_piece_offset(self) + begin + OP_FILE_MOST_BYTES) % PROGRAM_BORDER;
}

/* The next bytes that one command programs, from the start of the piece; false: there are no more. */
static bool next_run(const struct flash_write *self, uint64_t *ret_begin, uint64_t *ret_size)
{
    uint64_t begin = self->piece_done;
    uint64_t end = flash_piece_size(self);
    uint64_t blank_begin = end;
    uint64_t blank_end = end;
    if (self->blank_known && self->blank_is_ff && find_blank(self, begin, &blank_begin, &blank_end)) {
        if (blank_begin == begin) {
            begin = blank_end;
            find_blank(self, begin, &blank_begin, &blank_end);
        }
        end = blank_begin < end ? blank_begin : end;
    }
    *ret_begin = begin;
    *ret_size = cut_run(self, begin, end - begin);
    return end > begin;
}

/* Without erasing: the image alone, a range at a time. */
static bool next_range_run(const struct flash_write *self, uint64_t *ret_begin, uint64_t *ret_size)
{
    const struct flash_plan_bank *bank = flash_piece_bank(self);
    uint64_t at = flash_piece_offset(self) + self->piece_done;
    uint64_t piece_end = flash_piece_offset(self) + flash_piece_size(self);
    for (size_t i = flash_piece_sector(self, self->piece_first)->first_range; i < bank->range_count; i++) {
        const struct flash_plan_range *range = &bank->ranges[i];
        uint64_t begin = range->offset > at ? range->offset : at;
        uint64_t range_end = range->offset + range->size;
        uint64_t end = range_end < piece_end ? range_end : piece_end;
        if (begin < end) {
            *ret_begin = begin - flash_piece_offset(self);
            *ret_size = cut_run(self, *ret_begin, end - begin);
            return true;
        }
    }
    return false;
}

static bool find_run(const struct flash_write *self, uint64_t *ret_begin, uint64_t *ret_size)
{
    return self->options.erase ? next_run(self, ret_begin, ret_size)
                               : next_range_run(self, ret_begin, ret_size);
}

/* The bytes of the piece up to here are programmed, or blank and to be left so. */
static void progress_to(struct flash_write *self, uint64_t done, uint64_t image_bytes)
{
    self->programmed += self->options.erase ? done - self->piece_done : image_bytes;
    self->piece_done = done;
    op_progress_set(&self->op, "program", self->programmed, self->to_program, "bytes");
}

/* Where all that is left is blank there is nothing to send. */
static enum op_verdict piece_is_programmed(struct flash_write *self)
{
    progress_to(self, flash_piece_size(self), 0);
    self->piece_sector = self->piece_first;
    self->piece_done = 0;
    self->check_reads = false;
    return op_go(&self->op, FLASH_STEP_CHECK);
}

enum op_verdict flash_write_program_send(struct op *op, const struct op_context *context,
                                         struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    uint64_t begin = 0;
    uint64_t size = 0;
    (void)context;
    (void)err;
    if (!find_run(self, &begin, &size)) {
        return piece_is_programmed(self);
    }
    command->changes = true;
    command->limit_ms = FLASH_COMMAND_LIMIT_MS;
    command->bytes = size;
    command->file = OP_FILE_PUT;
    command->file_bytes = self->piece + begin;
    command->file_size = size;
    self->touched = true;
    op->critical = true;
    strbuf_appendf(&command->script, "flash write_bank %u $p 0x%" PRIx64, flash_piece_bank(self)->bank,
                   flash_piece_offset(self) + begin);
    return OP_SEND;
}

enum op_verdict flash_write_program_reply(struct op *op, const struct op_context *context,
                                          const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    uint64_t begin = 0;
    uint64_t size = 0;
    uint64_t wrote = 0;
    (void)context;
    find_run(self, &begin, &size);
    bool said = ocd_parse_byte_count(reply->result, reply->result_length, "wrote", &wrote);
    if (!ocd_reply_ok(reply) || !said || wrote != size) {
        return flash_error_fail(reply, err, "programming failed", flash_piece_bank(self)->bank,
                                flash_piece_bank(self)->geometry.bank.base + flash_piece_offset(self) +
                                    begin);
    }
    progress_to(self, begin + size, size);
    return find_run(self, &begin, &size) ? op_go(op, FLASH_STEP_PROGRAM) : piece_is_programmed(self);
}

/* Check: what was put back beside the image is read before its record goes. */

static bool checks_by_sum(const struct flash_write *self)
{
    return self->use_checksum && !self->check_reads &&
           flash_piece_sector(self, self->piece_sector)->size <= OP_FILE_MOST_BYTES;
}

enum op_verdict flash_write_check_send(struct op *op, const struct op_context *context,
                                       struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    (void)err;
    if (!self->options.erase || !flash_piece_find_partial(self)) {
        return end_piece(self, context);
    }
    const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
    if (checks_by_sum(self)) {
        flash_write_checksum_script(command, flash_piece_bank(self), sector->offset,
                                    flash_piece_content(self, sector), sector->size);
        return OP_SEND;
    }
    uint64_t offset = 0;
    uint64_t size = 0;
    flash_piece_next_gap(self, &offset, &size);
    flash_write_read_script(command, flash_piece_bank(self)->bank, offset, size);
    return OP_SEND;
}

static enum op_verdict next_check(struct flash_write *self)
{
    self->piece_sector++;
    self->piece_done = 0;
    self->check_reads = false;
    return op_go(&self->op, FLASH_STEP_CHECK);
}

enum op_verdict flash_write_check_reply(struct op *op, const struct op_context *context,
                                        const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    const struct flash_plan_sector *sector = flash_piece_sector(self, self->piece_sector);
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t span_offset = 0;
    uint64_t span_size = 0;
    (void)context;
    if (checks_by_sum(self)) {
        if (flash_write_checksum_reply(reply, sector->size) == FLASH_CHECKSUM_SAME) {
            return next_check(self);
        }
        self->check_reads = true; /* has the last word, and names the byte */
        return op_go(op, FLASH_STEP_CHECK);
    }
    flash_piece_next_gap(self, &offset, &size);
    uint64_t address = flash_piece_bank(self)->geometry.bank.base + offset;
    if (!ocd_reply_ok(reply) || reply->result_length != size) {
        return flash_write_fail_read(reply, err, flash_piece_bank(self)->bank, address, size,
                                     "cannot read back what was kept");
    }
    if (!flash_write_same(self->piece + (offset - flash_piece_offset(self)), (const uint8_t *)reply->result,
                          size, address, err)) {
        return OP_FAILED;
    }
    self->piece_done += size;
    flash_piece_gap_span(self, &span_offset, &span_size);
    return self->piece_done < span_size ? op_go(op, FLASH_STEP_CHECK) : next_check(self);
}
