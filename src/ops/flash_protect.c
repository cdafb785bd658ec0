/* Write protection of sectors. */
#include "ops/flash_protect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_error.h"

#define COMMAND_LIMIT_MS 300000u
/* OpenOCD 0.12, helper/log.h and flash/nor/core.h: the driver knows no protection. */
#define CODE_UNSUPPORTED (-908)

enum protect_step { STEP_SURVEY, STEP_SET, STEP_READ_BACK };

static struct flash_protect *self_of(struct op *op)
{
    return (struct flash_protect *)op;
}

static enum op_verdict survey_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    const struct flash_protect *self = self_of(op);
    if (!flash_bank_check(context->info, self->bank, op->target, err)) {
        return OP_FAILED;
    }
    command->repeatable = true;
    flash_geometry_script(&command->script, self->bank);
    return OP_SEND;
}

/* A run of bytes of the bank, from `start` to before `end`. */
struct run {
    uint64_t start;
    uint64_t end;
};

/* Makes it as long as the rows that it touches; the rows, too. False if one of its ends is in no row. */
static bool widen(const struct ocd_flash_info *rows, struct run *run, size_t *ret_first, size_t *ret_last)
{
    const struct ocd_block *first = NULL;
    const struct ocd_block *last = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ocd_block *row = &rows->blocks[i];
        if (run->start >= row->offset && run->start - row->offset < row->size) {
            first = row;
        }
        if (run->end - 1 >= row->offset && run->end - 1 - row->offset < row->size) {
            last = row;
        }
    }
    if (first == NULL || last == NULL || first > last) {
        return false;
    }
    *run = (struct run){.start = first->offset, .end = last->offset + last->size};
    *ret_first = (size_t)(first - rows->blocks);
    *ret_last = (size_t)(last - rows->blocks);
    return true;
}

static bool fail_rows(const struct flash_protect *self, struct err *err)
{
    err_set(err, ERR_FLASH_ERROR,
            "flash bank %u has no protection blocks, or impossible ones, over sectors "
            "%zu to %zu",
            self->bank, self->first, self->last);
    err_add_text(err, "reason", "driver");
    err_add_integer(err, "bank", self->bank);
    return false;
}

/*
 * The blocks over the sectors. OpenOCD counts in the rows of `flash info N`: blocks where the driver has
 * them, else sectors. The borders that would work are where a block and a sector begin or end together.
 */
static bool find_blocks(struct flash_protect *self, struct err *err)
{
    const struct flash_geometry *geometry = &self->geometry;
    const struct ocd_block *sectors = geometry->sectors.blocks;
    struct run asked = {.start = sectors[self->first].offset,
                        .end = sectors[self->last].offset + sectors[self->last].size};
    struct run run = asked;
    struct run before;
    size_t first = self->first;
    size_t last = self->last;
    do {
        before = run;
        if (!widen(&geometry->blocks, &run, &self->first_block, &self->last_block) ||
            !widen(&geometry->sectors, &run, &first, &last)) {
            return fail_rows(self, err);
        }
    } while (run.start != before.start || run.end != before.end);
    if (run.start == asked.start && run.end == asked.end) {
        return true;
    }
    err_set(err, ERR_INVALID_RANGE,
            "sectors %zu to %zu of flash bank %u cut a protection block: %zu to %zu would be whole ones",
            self->first, self->last, self->bank, first, last);
    err_add_integer(err, "bank", self->bank);
    err_add_integer(err, "first", first);
    err_add_integer(err, "last", last);
    return false;
}

static bool read_geometry(struct flash_protect *self, const struct op_context *context,
                          const struct ocd_reply *reply, struct err *err)
{
    struct flash_geometry geometry;
    if (!flash_geometry_take(context->info, self->bank, reply, &geometry, err)) {
        return false;
    }
    flash_geometry_fini(&self->geometry);
    self->geometry = geometry;
    return flash_sectors_check(&self->geometry, self->first, self->last, err);
}

static enum op_verdict fail_look(const struct flash_protect *self, const struct ocd_reply *reply,
                                 const char *what, struct err *err)
{
    op_fail_openocd(reply, err, ERR_FLASH_ERROR, "%s of flash bank %u", what, self->bank);
    op_add_driver_reason(err);
    return OP_FAILED;
}

static enum op_verdict survey_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct flash_protect *self = self_of(op);
    if (!ocd_reply_ok(reply)) {
        return fail_look(self, reply, "cannot read the sectors", err);
    }
    if (!read_geometry(self, context, reply, err) || !find_blocks(self, err)) {
        return OP_FAILED;
    }
    return op_go(op, STEP_SET);
}

static enum op_verdict set_send(struct op *op, const struct op_context *context, struct op_command *command,
                                struct err *err)
{
    const struct flash_protect *self = self_of(op);
    (void)context;
    (void)err;
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    strbuf_appendf(&command->script, "flash protect %u %zu %zu %s", self->bank, self->first_block,
                   self->last_block, self->on ? "on" : "off");
    return OP_SEND;
}

/* "set protection for blocks 0 through 1 on flash bank 0", or "cleared", or "sectors". */
static bool says_so(const struct flash_protect *self, const struct ocd_reply *reply)
{
    static const char *const words[] = {"blocks", "sectors"};
    struct strbuf line = STRBUF_INIT;
    bool says = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !says; i++) {
        strbuf_clear(&line);
        strbuf_appendf(&line, "%s protection for %s %zu through %zu on flash bank %u",
                       self->on ? "set" : "cleared", words[i], self->first_block, self->last_block,
                       self->bank);
        says = memmem(reply->result, reply->result_length, line.data, line.length) != NULL;
    }
    strbuf_fini(&line);
    return says;
}

static enum op_verdict set_reply(struct op *op, const struct op_context *context,
                                 const struct ocd_reply *reply, struct err *err)
{
    const struct flash_protect *self = self_of(op);
    const struct flash_geometry *geometry = &self->geometry;
    (void)context;
    if (reply->code == CODE_UNSUPPORTED) {
        return op_fail_openocd(reply, err, ERR_UNSUPPORTED, "cannot change the protection of flash bank %u",
                               self->bank);
    }
    if (!ocd_reply_ok(reply) || !says_so(self, reply)) {
        flash_error_fail(reply, err, self->on ? "protecting failed" : "lifting the protection failed",
                         self->bank, geometry->bank.base + geometry->sectors.blocks[self->first].offset);
        if (err->kind == ERR_TARGET_NOT_HALTED) {
            err_add_text(err, "target", geometry->bank.target);
        }
        return OP_FAILED;
    }
    return op_go(op, STEP_READ_BACK);
}

/* Where nothing reads back, nobody can say whether a reset is needed: it is not claimed. */
static enum op_verdict read_back_reply(struct op *op, const struct op_context *context,
                                       const struct ocd_reply *reply, struct err *err)
{
    struct flash_protect *self = self_of(op);
    enum ocd_protection wrong = self->on ? OCD_PROTECTION_OFF : OCD_PROTECTION_ON;
    if (!ocd_reply_ok(reply)) {
        return fail_look(self, reply, "the protection was changed, but cannot be read back: the sectors",
                         err);
    }
    if (!read_geometry(self, context, reply, err)) {
        return OP_FAILED;
    }
    for (size_t i = self->first; i <= self->last; i++) {
        if (flash_sector_protection(&self->geometry, i) == wrong) {
            self->reset_needed = true;
        }
    }
    return OP_DONE;
}

static void free_protect(struct op *op)
{
    struct flash_protect *self = self_of(op);
    flash_geometry_fini(&self->geometry);
    free(self);
}

static const struct op_step steps[] = {
    [STEP_SURVEY] = {"survey", survey_send, survey_reply},
    [STEP_SET] = {"set", set_send, set_reply},
    [STEP_READ_BACK] = {"read back", survey_send, read_back_reply},
};

static const struct op_class flash_protect_class = {
    .name = "flash protect", .steps = steps, .changes = true, .free = free_protect};

struct op *flash_protect_new(unsigned bank, size_t first, size_t last, bool on)
{
    struct flash_protect *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &flash_protect_class, NULL);
    self->bank = bank;
    self->first = first;
    self->last = last;
    self->on = on;
    return &self->op;
}
