/* Erasing sectors. Only OpenOCD's own words that exactly these sectors were erased are believed. */
#include "ops/flash_erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_error.h"

#define PIECE_MS 500u /* about how long one command may keep the others waiting */
#define COMMAND_LIMIT_MS 300000u

enum erase_step { STEP_SURVEY, STEP_LOOK, STEP_ERASE };

static struct flash_erase *self_of(struct op *op)
{
    return (struct flash_erase *)op;
}

static enum op_verdict survey_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    const struct flash_erase *self = self_of(op);
    if (!flash_bank_check(context->info, self->bank, op->target, err)) {
        return OP_FAILED;
    }
    command->repeatable = true;
    flash_geometry_script(&command->script, self->bank);
    return OP_SEND;
}

static bool check_protection(const struct flash_erase *self, struct err *err)
{
    const struct flash_geometry *geometry = &self->geometry;
    for (size_t i = self->first; i <= self->last; i++) {
        if (flash_sector_protection(geometry, i) == OCD_PROTECTION_ON) {
            return flash_error_protected(err, self->bank, i,
                                         geometry->bank.base + geometry->sectors.blocks[i].offset);
        }
    }
    return true;
}

static enum op_verdict survey_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct flash_erase *self = self_of(op);
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot look at flash bank %u", self->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    if (!flash_geometry_take(context->info, self->bank, reply, &self->geometry, err)) {
        return OP_FAILED;
    }
    if (self->all && self->geometry.sectors.count > 0) {
        self->last = self->geometry.sectors.count - 1;
    }
    if (!flash_sectors_check(&self->geometry, self->first, self->last, err) || !check_protection(self, err)) {
        return OP_FAILED;
    }
    op_progress_set(op, "erase", 0, self->last - self->first + 1, "sectors");
    /* Up to OpenOCD 0.11 banks do not say whose they are: then OpenOCD alone knows whether it is halted. */
    return op_go(op, self->geometry.bank.target[0] == '\0' ? STEP_ERASE : STEP_LOOK);
}

static enum op_verdict look_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)err;
    return prepare_look_send(&self_of(op)->prepare, context, self_of(op)->geometry.bank.target, command);
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_erase *self = self_of(op);
    enum op_verdict verdict =
        prepare_look_reply(&self->prepare, op, context, self->geometry.bank.target,
                           "erasing flash needs it halted (see target.halt)", reply, err);
    return verdict == OP_DONE ? op_go(op, STEP_ERASE) : verdict;
}

/*
 * Drivers that erase a bank as a whole when all its sectors are named at once. With stm32f1x that takes a
 * mass erase of some 20 to 40 ms, less than one piece, where the sectors one by one take as long each (on the
 * virtual board 2 ms instead of 190 ms for 128 of them). Other drivers may need minutes for a whole bank,
 * during which nobody could read and nobody cancel: those go in pieces.
 */
static bool erases_whole_banks(const char *driver)
{
    static const char *const drivers[] = {"stm32f1x"};
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(drivers[i], driver) == 0) {
            return true;
        }
    }
    return false;
}

/* The sectors of the next command: at least one, and no more bytes than the budget. */
static void next_piece(const struct flash_erase *self, uint64_t budget, size_t *ret_first, size_t *ret_last,
                       uint64_t *ret_bytes)
{
    const struct ocd_block *sectors = self->geometry.sectors.blocks;
    size_t first = self->first + self->erased;
    size_t last = first;
    uint64_t bytes = sectors[first].size;
    bool whole = first == 0 && self->last + 1 == self->geometry.sectors.count &&
                 erases_whole_banks(self->geometry.bank.driver);

    while (last < self->last && (whole || (bytes <= budget && sectors[last + 1].size <= budget - bytes))) {
        last++;
        bytes += sectors[last].size;
    }
    *ret_first = first;
    *ret_last = last;
    *ret_bytes = bytes;
}

static enum op_verdict erase_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    struct flash_erase *self = self_of(op);
    size_t first = 0;
    size_t last = 0;
    (void)err;
    next_piece(self, context->budget, &first, &last, &command->bytes);
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    self->touched = true;
    strbuf_appendf(&command->script, "flash erase_sector %u %zu %zu", self->bank, first, last);
    return OP_SEND;
}

static enum op_verdict fail_erase(const struct flash_erase *self, const struct ocd_reply *reply, size_t first,
                                  size_t last, struct err *err)
{
    char what[100];
    snprintf(what, sizeof what, "erasing sectors %zu to %zu of flash bank %u failed", first, last,
             self->bank);
    flash_error_fail(reply, err, what, self->bank,
                     self->geometry.bank.base + self->geometry.sectors.blocks[first].offset);
    if (err->kind == ERR_FLASH_ERROR) {
        err_add_integer(err, "sector", first);
    }
    return OP_FAILED;
}

static enum op_verdict erase_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct flash_erase *self = self_of(op);
    size_t first = 0;
    size_t last = 0;
    uint64_t bytes = 0;
    unsigned from = 0;
    unsigned to = 0;

    next_piece(self, context->budget, &first, &last, &bytes);
    bool said = ocd_parse_erased(reply->result, reply->result_length, &from, &to);
    if (!ocd_reply_ok(reply) || !said || from != first || to != last) {
        return fail_erase(self, reply, first, last, err);
    }
    self->erased += last - first + 1;
    /* Whoever erases it wants nothing of it back. */
    const struct ocd_block *begin = &self->geometry.sectors.blocks[first];
    context->keeper->forget(context->keeper->context, &self->geometry.bank, begin->offset, bytes);
    op_progress_set(op, "erase", self->erased, self->last - self->first + 1, "sectors");
    return self->first + self->erased > self->last ? OP_DONE : OP_GO;
}

static void describe(const struct op *op, struct err *err)
{
    flash_error_add_state(err, ((const struct flash_erase *)op)->touched);
    op_describe_progress(err, &op->progress);
}

static void free_erase(struct op *op)
{
    struct flash_erase *self = self_of(op);
    flash_geometry_fini(&self->geometry);
    free(self);
}

static const struct op_step steps[] = {
    [STEP_SURVEY] = {"survey", survey_send, survey_reply},
    [STEP_LOOK] = {"look", look_send, look_reply},
    [STEP_ERASE] = {"erase", erase_send, erase_reply},
};

static const struct op_class flash_erase_class = {
    .name = "flash erase",
    .steps = steps,
    .changes = true,
    .long_running = true,
    .first_budget = 1, /* one sector, whatever its size */
    .command_ms = PIECE_MS,
    .describe = describe,
    .free = free_erase,
};

static struct flash_erase *new_erase(unsigned bank)
{
    struct flash_erase *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &flash_erase_class, NULL);
    self->bank = bank;
    return self;
}

struct op *flash_erase_new(unsigned bank, size_t first, size_t last)
{
    struct flash_erase *self = new_erase(bank);
    self->first = first;
    self->last = last;
    return &self->op;
}

struct op *flash_erase_all_new(unsigned bank)
{
    struct flash_erase *self = new_erase(bank);
    self->all = true;
    return &self->op;
}
