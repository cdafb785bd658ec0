/*
 * Finding what differs, and proving that nothing does. Where the target has a work area a checksum made there
 * compares whole runs of sectors for the price of a few: a run that is the same is done with. In one that
 * differs a word or two of each sector are read, which finds most of what has changed; what is left is halved
 * until it is the same or a single sector. Elsewhere the bytes are read back and compared here.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/flash_walk.h"

#define CHECKSUM_FIRST_BYTES (64u * 1024u)
#define SAMPLE_WORDS 4u
#define SAMPLE_BYTES (4u * SAMPLE_WORDS)
/* Sectors that one command looks into: each costs about half a millisecond on a slow probe. */
#define SAMPLE_MOST_SECTORS 256u

/* Comparing. */

static void push_run(struct flash_write *self, struct flash_run run)
{
    self->runs = xrealloc(self->runs, (self->run_count + 1) * sizeof *self->runs);
    self->runs[self->run_count++] = run;
}

/* Neighbours of which nothing is known are looked at together. */
static void merge_runs(struct flash_write *self)
{
    while (self->run_count >= 2) {
        struct flash_run *top = &self->runs[self->run_count - 1];
        struct flash_run *below = top - 1;
        bool joins = top->end == below->offset && below->end - top->offset <= OP_FILE_MOST_BYTES;
        if (!joins || top->differs || below->differs || top->sibling || below->sibling) {
            return;
        }
        below->offset = top->offset;
        self->run_count--;
    }
}

static struct flash_run current_run(const struct flash_write *self, uint64_t budget)
{
    return self->run_count > 0 ? self->runs[self->run_count - 1] : flash_walk_run(self, false, budget);
}

static size_t sector_of(const struct flash_write *self, uint64_t offset)
{
    return flash_plan_sector_at(flash_walk_bank(self), offset);
}

/* Splits it at the border of sectors that is nearest to its middle: the left half is looked at first. */
static void split_run(struct flash_write *self, const struct flash_run *run)
{
    size_t first = sector_of(self, run->offset);
    size_t last = sector_of(self, run->end - 1);
    uint64_t border = flash_walk_bank(self)->sectors[first + (last - first + 1) / 2].offset;
    push_run(self, (struct flash_run){.offset = border, .end = run->end});
    push_run(self, (struct flash_run){.offset = run->offset, .end = border, .sibling = true});
}

static void finish_compare(struct flash_write *self)
{
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        struct flash_plan_bank *bank = &self->plan.banks[i];
        for (size_t k = 0; k < bank->sector_count; k++) {
            if (bank->sectors[k].state == FLASH_SECTOR_UNKNOWN) {
                bank->sectors[k].state = FLASH_SECTOR_SAME;
            }
        }
    }
}

/* The run on top of the stack is done with. */
static void pop_run(struct flash_write *self)
{
    self->run_count--;
    if (self->run_count == 0) {
        self->compared += self->run_end - self->walk.offset;
        flash_walk_to(self, self->run_end);
    }
}

/* On to the next run that has to be looked at; those that must differ are split until one has to. */
static enum op_verdict next_compare(struct flash_write *self)
{
    while (self->run_count > 0) {
        merge_runs(self);
        struct flash_run run = self->runs[self->run_count - 1];
        if (!run.differs) {
            return op_go(&self->op, FLASH_STEP_COMPARE);
        }
        size_t first = sector_of(self, run.offset);
        if (first == sector_of(self, run.end - 1)) {
            flash_walk_bank(self)->sectors[first].state = FLASH_SECTOR_CHANGED;
            pop_run(self);
        } else {
            self->run_count--;
            split_run(self, &run);
        }
    }
    self->compared += flash_walk_settle(self, false);
    op_progress_set(&self->op, "compare", self->compared, self->image_size, "bytes");
    if (!flash_walk_at_end(self)) {
        return op_go(&self->op, FLASH_STEP_COMPARE);
    }
    finish_compare(self);
    return flash_write_begin_pieces(self);
}

void flash_write_set_compare_budget(struct flash_write *self)
{
    self->op.budget = self->use_checksum ? CHECKSUM_FIRST_BYTES : FLASH_READ_FIRST_BYTES;
    self->op.command_ms = self->use_checksum ? FLASH_PIECE_MS : FLASH_READ_MS;
}

/* A sector that an earlier try left erased or half programmed is programmed in any case. */
static bool mark_pending(struct flash_write *self, const struct op_keeper *keeper, struct err *err)
{
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        struct flash_plan_bank *bank = &self->plan.banks[i];
        for (size_t k = 0; k < bank->sector_count; k++) {
            struct flash_plan_sector *sector = &bank->sectors[k];
            struct keeper_record record;
            if (flash_write_find_record(keeper, bank, sector, &record, err)) {
                keeper_record_fini(&record);
                sector->state = FLASH_SECTOR_CHANGED;
                sector->pending = true;
            } else if (err->kind != ERR_NONE) {
                return false;
            }
        }
    }
    return true;
}

static void mark_all(struct flash_write *self)
{
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        for (size_t k = 0; k < self->plan.banks[i].sector_count; k++) {
            self->plan.banks[i].sectors[k].state = FLASH_SECTOR_CHANGED;
        }
    }
}

enum op_verdict flash_write_begin_compare(struct flash_write *self, const struct op_context *context,
                                          struct err *err)
{
    if (self->options.erase && !mark_pending(self, context->keeper, err)) {
        return OP_FAILED;
    }
    if (!self->options.compare) {
        mark_all(self);
        return flash_write_begin_pieces(self);
    }
    flash_walk_start(self);
    flash_write_set_compare_budget(self);
    return next_compare(self);
}

enum op_verdict flash_write_compare_send(struct op *op, const struct op_context *context,
                                         struct op_command *command, struct err *err)
{
    const struct flash_write *self = flash_write_of(op);
    struct flash_run run = current_run(self, context->budget);
    (void)err;
    if (self->use_checksum) {
        flash_write_checksum_script(command, flash_walk_bank(self), run.offset,
                                    flash_walk_bytes(self, run.offset), run.end - run.offset);
    } else {
        flash_write_read_script(command, flash_walk_bank(self)->bank, run.offset, run.end - run.offset);
    }
    /* Short ones tell nothing of how fast long ones are. */
    command->bytes = self->run_count > 0 ? 0 : run.end - run.offset;
    return OP_SEND;
}

/* What was read back, against the image: sector by sector. */
static enum op_verdict compare_read(struct flash_write *self, const struct flash_run *run,
                                    const uint8_t *found)
{
    struct flash_plan_bank *bank = flash_walk_bank(self);
    for (uint64_t at = run->offset; at < run->end;) {
        struct flash_plan_sector *sector = &bank->sectors[flash_plan_sector_at(bank, at)];
        uint64_t end = flash_walk_least(flash_walk_sector_end(sector), run->end);
        if (memcmp(found + (at - run->offset), flash_walk_bytes(self, at), end - at) != 0) {
            sector->state = FLASH_SECTOR_CHANGED;
        }
        at = end;
    }
    self->compared += run->end - run->offset;
    flash_walk_to(self, run->end);
    return next_compare(self);
}

/* The checksum cannot be had: from here on everything is read. */
static enum op_verdict give_up_checksum(struct flash_write *self)
{
    self->use_checksum = false;
    self->run_count = 0;
    flash_write_set_compare_budget(self);
    return next_compare(self);
}

static enum op_verdict run_is_same(struct flash_write *self, const struct flash_run *run)
{
    if (self->run_count == 0) {
        self->compared += run->end - run->offset;
        flash_walk_to(self, run->end);
        return next_compare(self);
    }
    if (run->sibling) {
        self->runs[self->run_count - 2].differs = true; /* one of the two halves must */
    }
    pop_run(self);
    return next_compare(self);
}

static enum op_verdict run_differs(struct flash_write *self, const struct flash_run *run)
{
    bool fresh = self->run_count == 0;
    if (fresh) {
        self->run_end = run->end;
        push_run(self, *run);
    }
    struct flash_run *top = &self->runs[self->run_count - 1];
    top->differs = true;
    if (top->sibling) {
        top->sibling = false;
    }
    bool single = sector_of(self, run->offset) == sector_of(self, run->end - 1);
    if (!fresh || single) {
        return next_compare(self);
    }
    self->sampled = sector_of(self, run->offset);
    return op_go(&self->op, FLASH_STEP_SAMPLE);
}

enum op_verdict flash_write_compare_reply(struct op *op, const struct op_context *context,
                                          const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    struct flash_run run = current_run(self, context->budget);
    uint64_t size = run.end - run.offset;
    if (!self->use_checksum) {
        if (!ocd_reply_ok(reply) || reply->result_length != size) {
            return flash_write_fail_read(reply, err, flash_walk_bank(self)->bank,
                                         flash_walk_bank(self)->geometry.bank.base + run.offset, size,
                                         "cannot compare");
        }
        return compare_read(self, &run, (const uint8_t *)reply->result);
    }
    switch (flash_write_checksum_reply(reply, size)) {
    case FLASH_CHECKSUM_SAME:
        return run_is_same(self, &run);
    case FLASH_CHECKSUM_DIFFERS:
        return run_differs(self, &run);
    case FLASH_CHECKSUM_FAILED:
        break;
    }
    return give_up_checksum(self);
}

/* Sampling. */

/* Where the sector is looked into: the middle of what the run has of it. False: too little. */
static bool sample_place(const struct flash_write *self, const struct flash_run *run, size_t index,
                         uint64_t *ret_offset)
{
    const struct flash_plan_sector *sector = &flash_walk_bank(self)->sectors[index];
    uint64_t begin = sector->offset > run->offset ? sector->offset : run->offset;
    uint64_t end = flash_walk_least(flash_walk_sector_end(sector), run->end);
    uint64_t offset = (begin + (end - begin) / 2) / 4 * 4;
    *ret_offset = offset;
    return offset >= begin && offset + SAMPLE_BYTES <= end;
}

/* The sectors of the run that one command looks into, from self->sampled on. */
static size_t samples_end(const struct flash_write *self, const struct flash_run *run)
{
    size_t last = sector_of(self, run->end - 1);
    size_t end = self->sampled + SAMPLE_MOST_SECTORS;
    return end <= last ? end : last + 1;
}

enum op_verdict flash_write_sample_send(struct op *op, const struct op_context *context,
                                        struct op_command *command, struct err *err)
{
    const struct flash_write *self = flash_write_of(op);
    const struct flash_plan_bank *bank = flash_walk_bank(self);
    const struct flash_run *run = &self->runs[0];
    struct strbuf target = STRBUF_INIT;
    (void)context;
    (void)err;
    tcl_quote_text(&target, bank->geometry.bank.target);
    strbuf_append_text(&command->script, "list");
    for (size_t i = self->sampled; i < samples_end(self, run); i++) {
        uint64_t offset = 0;
        if (sample_place(self, run, i, &offset)) {
            strbuf_appendf(&command->script, " [%s read_memory 0x%" PRIx64 " 32 %u]", strbuf_text(&target),
                           bank->geometry.bank.base + offset, SAMPLE_WORDS);
        }
    }
    strbuf_fini(&target);
    command->repeatable = true;
    return OP_SEND;
}

/* Marks what differs; false if the answer cannot be used. */
static bool take_samples(struct flash_write *self, const struct ocd_reply *reply, bool big_endian)
{
    struct flash_plan_bank *bank = flash_walk_bank(self);
    const struct flash_run *run = &self->runs[0];
    struct strbuf words = STRBUF_INIT;
    struct tcl_list list;
    bool ok = ocd_reply_ok(reply);

    tcl_list_init(&list, reply->result, reply->result_length);
    for (size_t i = self->sampled; ok && i < samples_end(self, run); i++) {
        uint8_t found[SAMPLE_BYTES];
        uint64_t offset = 0;
        struct err ignored;
        if (!sample_place(self, run, i, &offset)) {
            continue;
        }
        ok = tcl_list_next(&list, &words) == TCL_LIST_ELEMENT &&
             ocd_parse_values(strbuf_text(&words), words.length, 32, SAMPLE_WORDS, big_endian, found,
                              &ignored);
        if (ok && memcmp(found, flash_walk_bytes(self, offset), SAMPLE_BYTES) != 0) {
            bank->sectors[i].state = FLASH_SECTOR_CHANGED;
        }
    }
    strbuf_fini(&words);
    return ok;
}

/* What stands between the sectors that differ is not known; if none was found, the run as a whole differs. */
static void push_unknown(struct flash_write *self)
{
    struct flash_run run = self->runs[0];
    const struct flash_plan_bank *bank = flash_walk_bank(self);
    size_t first = sector_of(self, run.offset);
    uint64_t end = 0; /* of the group that is being collected, from its end to its beginning; 0: none is */
    bool found = false;

    self->run_count = 0;
    for (size_t i = sector_of(self, run.end - 1) + 1; i-- > first;) {
        const struct flash_plan_sector *sector = &bank->sectors[i];
        bool changed = sector->state == FLASH_SECTOR_CHANGED;
        found = found || changed;
        if (changed && end != 0) {
            push_run(self, (struct flash_run){.offset = flash_walk_sector_end(sector), .end = end});
            end = 0;
        } else if (!changed && end == 0) {
            end = flash_walk_least(flash_walk_sector_end(sector), run.end);
        }
    }
    if (end != 0) {
        push_run(self, (struct flash_run){.offset = run.offset, .end = end, .differs = !found});
    }
}

enum op_verdict flash_write_sample_reply(struct op *op, const struct op_context *context,
                                         const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    const struct flash_run *run = &self->runs[0];
    const struct ocd_target *target =
        ocd_info_find_target(context->info, flash_walk_bank(self)->geometry.bank.target);
    (void)err;
    bool useful = take_samples(self, reply, target != NULL && target->big_endian);
    self->sampled = samples_end(self, run);
    if (useful && self->sampled <= sector_of(self, run->end - 1)) {
        return op_go(op, FLASH_STEP_SAMPLE);
    }
    push_unknown(self);
    if (self->run_count == 0) {
        self->compared += self->run_end - self->walk.offset;
        flash_walk_to(self, self->run_end);
    }
    return next_compare(self);
}
