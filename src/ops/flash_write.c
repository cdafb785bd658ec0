/*
 * Programming an image: from looking at the banks to the reset at the end. Comparing and verifying stand in
 * flash_compare.c, the pieces in flash_program.c. Only complete success of a command, with its byte count, is
 * believed.
 */
#include "ops/flash_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/flash_error.h"
#include "ops/flash_write_steps.h"

enum op_verdict flash_write_fail_read(const struct ocd_reply *reply, struct err *err, unsigned bank,
                                      uint64_t address, uint64_t size, const char *what)
{
    if (!ocd_reply_ok(reply)) {
        return flash_error_fail(reply, err, what, bank, address);
    }
    /* Those are no words of OpenOCD's. */
    err_set(err, ERR_FLASH_ERROR, "%s at 0x%08" PRIx64 ": OpenOCD gave %zu bytes instead of %" PRIu64, what,
            address, reply->result_length, size);
    err_add_text(err, "reason", "driver");
    err_add_integer(err, "bank", bank);
    err_add_address(err, "address", address);
    return OP_FAILED;
}

/* Banks: where everything goes, before anything is touched. */

/* A bin image without an address goes to the first bank. */
static bool map_to_bank(struct flash_write *self, const struct ocd_info *info, struct err *err)
{
    unsigned bank = self->options.has_bank ? self->options.bank : 0;
    if (!self->options.has_bank && info->bank_count == 0) {
        return err_set(err, ERR_NOT_FOUND, "the board has no flash bank");
    }
    struct flash_plan_range range = {.offset = self->options.has_bank ? self->options.offset : 0,
                                     .size = self->image.size,
                                     .bytes = self->image.segments[0].bytes};
    return flash_plan_map_to_bank(&self->plan, info, self->op.target, bank, &range, err);
}

static enum op_verdict map_image(struct flash_write *self, const struct ocd_info *info, struct err *err)
{
    bool fixed = self->options.has_bank || (self->image.format == IMAGE_BIN && !self->options.has_address);
    bool ok = fixed ? map_to_bank(self, info, err)
                    : flash_plan_map(&self->plan, &self->image, info, self->op.target, err);
    self->at_bank = 0;
    return ok ? op_go(&self->op, FLASH_STEP_INFO) : OP_FAILED;
}

static enum op_verdict banks_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    if (context->info->files == OCD_FILES_NONE) { /* better now than behind the first erase */
        err_set(err, ERR_STAGE_ERROR,
                "OpenOCD has no directory for the temporary files that writing flash takes");
        return OP_FAILED;
    }
    if (flash_banks_are_known(context->info)) {
        return map_image(flash_write_of(op), context->info, err);
    }
    command->repeatable = true;
    flash_banks_script(&command->script);
    return OP_SEND;
}

static enum op_verdict banks_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    return flash_banks_take(context->info, reply, err) ? map_image(flash_write_of(op), context->info, err)
                                                       : OP_FAILED;
}

static enum op_verdict info_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    (void)context;
    (void)err;
    command->repeatable = true;
    flash_geometry_script(&command->script, self->plan.banks[self->at_bank].bank);
    return OP_SEND;
}

static bool find_protected(const struct flash_write *self, struct err *err)
{
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        if (!flash_plan_check_protection(&self->plan.banks[i], err)) {
            return true;
        }
    }
    return false;
}

static bool prepares_by_reset(const struct flash_write *self)
{
    return self->prepare.mode == PREPARE_RESET_HALT || self->prepare.mode == PREPARE_RESET_INIT;
}

static size_t count_protected(const struct flash_write *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        const struct flash_plan_bank *bank = &self->plan.banks[i];
        for (size_t k = 0; k < bank->sector_count; k++) {
            size_t index = bank->sectors[k].index;
            count += flash_sector_protection(&bank->geometry, index) == OCD_PROTECTION_ON;
        }
    }
    return count;
}

static enum op_verdict go_unlock(struct flash_write *self)
{
    self->locked_sectors = count_protected(self);
    self->unlock = FLASH_UNLOCK_NONE;
    return op_go(&self->op, FLASH_STEP_UNLOCK);
}

/* All banks were looked at anew after some of their protection was lifted. */
static enum op_verdict after_unlock(struct flash_write *self, struct err *err)
{
    size_t left = count_protected(self);
    if (left == 0) {
        return op_go(&self->op, FLASH_STEP_ROOM);
    }
    if (left < self->locked_sectors) {
        return go_unlock(self);
    }
    if (prepares_by_reset(self) && self->unlock == FLASH_UNLOCK_DONE) {
        self->unlock = FLASH_UNLOCK_RESET;
        return op_go(&self->op, FLASH_STEP_PREPARE);
    }
    find_protected(self, err);
    err_prefix(err, "the protection was lifted, but %s",
               self->unlock == FLASH_UNLOCK_RESET ? "not even a reset makes that take effect"
                                                  : "only a reset makes that take effect");
    return OP_FAILED;
}

/* The targets are halted, and nothing is wrong but, perhaps, a protection that is to be lifted. */
static enum op_verdict after_checks(struct flash_write *self)
{
    return count_protected(self) > 0 ? go_unlock(self) : op_go(&self->op, FLASH_STEP_ROOM);
}

/* All banks were looked at: the first time, and again when something may have changed them. */
static enum op_verdict after_info(struct flash_write *self, struct err *err)
{
    if (self->unlock != FLASH_UNLOCK_NONE) {
        return after_unlock(self, err);
    }
    if (!self->options.unlock && find_protected(self, err)) {
        return OP_FAILED;
    }
    if (self->prepared) {
        return after_checks(self);
    }
    return op_go(&self->op, self->prepare.mode == PREPARE_NONE ? FLASH_STEP_LOOK : FLASH_STEP_PREPARE);
}

/* Who gave bank and offset is told of these, not of an address. */
static void name_offset(const struct flash_write *self, const struct flash_plan_bank *bank, struct err *err)
{
    if (self->options.has_bank && err->kind == ERR_IMAGE_INVALID) {
        flash_beyond_bank(bank->bank, self->options.offset, self->image_size, err);
    }
}

static enum op_verdict info_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    struct flash_plan_bank *bank = &self->plan.banks[self->at_bank];
    struct flash_geometry geometry;
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot look at flash bank %u", bank->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    if (!flash_geometry_take(context->info, bank->bank, reply, &geometry, err)) {
        return OP_FAILED;
    }
    if (!flash_plan_survey(bank, &geometry, err)) {
        name_offset(self, bank, err);
        return OP_FAILED;
    }
    self->at_bank++;
    if (self->at_bank < self->plan.bank_count) {
        return op_go(op, FLASH_STEP_INFO);
    }
    self->at_bank = 0;
    return after_info(self, err);
}

/* Prepare, and look whether the targets are halted: erasing and programming need that. */

static const char *target_of(const struct flash_write *self)
{
    return self->plan.banks[self->at_bank].geometry.bank.target;
}

static enum op_verdict prepare_send(struct op *op, const struct op_context *context,
                                    struct op_command *command, struct err *err)
{
    const struct flash_write *self = flash_write_of(op);
    (void)err;
    return prepare_ask_send(&self->prepare, context, target_of(self), command);
}

static enum op_verdict prepare_reply(struct op *op, const struct op_context *context,
                                     const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    if (!prepare_ask_reply(&self->prepare, context, target_of(self), reply, err)) {
        return OP_FAILED;
    }
    /* A reset is for all targets; halting is for each. */
    if (self->prepare.mode == PREPARE_HALT && self->at_bank + 1 < self->plan.bank_count) {
        self->at_bank++;
        return op_go(op, FLASH_STEP_PREPARE);
    }
    self->at_bank = 0;
    return op_go(op, FLASH_STEP_LOOK);
}

/*
 * All targets are halted. A reset may have brought another protection into force: many chips take it in only
 * then.
 */
static enum op_verdict after_look(struct flash_write *self)
{
    self->at_bank = 0;
    if (self->unlock == FLASH_UNLOCK_RESET || (prepares_by_reset(self) && !self->prepared)) {
        self->prepared = true;
        return op_go(&self->op, FLASH_STEP_INFO);
    }
    return after_checks(self);
}

static enum op_verdict next_look(struct flash_write *self)
{
    self->at_bank++;
    return self->at_bank < self->plan.bank_count ? op_go(&self->op, FLASH_STEP_LOOK) : after_look(self);
}

/* Up to OpenOCD 0.11 banks do not say whose they are: then OpenOCD alone knows whether it is halted. */
static enum op_verdict look_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    (void)err;
    if (target_of(self)[0] == '\0') {
        return next_look(self);
    }
    return prepare_look_send(&self->prepare, context, target_of(self), command);
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    const char *why = self->prepare.mode == PREPARE_NONE ? "writing flash needs it halted (see `prepare`)"
                                                         : "writing flash needs it halted";
    enum op_verdict verdict =
        prepare_look_reply(&self->prepare, op, context, target_of(self), why, reply, err);
    return verdict == OP_DONE ? next_look(self) : verdict;
}

/* Room: whether the targets have a work area for code of OpenOCD's, which makes checksums. */

static enum op_verdict room_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    if (!self->options.compare && !self->options.verify && !self->options.erase) {
        return flash_write_begin_compare(self, context, err);
    }
    command->repeatable = true;
    strbuf_append_text(&command->script, "list");
    for (size_t i = 0; i < self->plan.bank_count; i++) {
        strbuf_append_text(&command->script, " [");
        tcl_quote_text(&command->script, self->plan.banks[i].geometry.bank.target);
        strbuf_append_text(&command->script, " cget -work-area-size]");
    }
    return OP_SEND;
}

/* An answer that cannot be read means no: then everything is read back. */
static enum op_verdict room_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    struct strbuf size = STRBUF_INIT;
    struct tcl_list list;
    self->use_checksum = ocd_reply_ok(reply);
    tcl_list_init(&list, reply->result, reply->result_length);
    for (size_t i = 0; i < self->plan.bank_count && self->use_checksum; i++) {
        self->use_checksum =
            tcl_list_next(&list, &size) == TCL_LIST_ELEMENT && strtoull(strbuf_text(&size), NULL, 0) > 0;
    }
    strbuf_fini(&size);
    return flash_write_begin_compare(self, context, err);
}

/*
 * Unlock: lifts the protection of the blocks over the sectors that the image touches, one run of blocks at a
 * time: some drivers start every change from what is in force, so that a second one would undo the first.
 */

static bool touches_block(const struct flash_plan_bank *bank, const struct ocd_block *block)
{
    for (size_t i = 0; i < bank->sector_count; i++) {
        const struct flash_plan_sector *sector = &bank->sectors[i];
        if (sector->offset < block->offset + block->size && block->offset < sector->offset + sector->size) {
            return true;
        }
    }
    return false;
}

static bool must_unlock(const struct flash_plan_bank *bank, size_t row)
{
    const struct ocd_block *block = &bank->geometry.blocks.blocks[row];
    return block->protection == OCD_PROTECTION_ON && touches_block(bank, block);
}

/* The first run of rows that are to be unlocked: OpenOCD counts protection blocks where the driver has them,
 * else sectors. */
static bool find_locked(const struct flash_plan_bank *bank, size_t *ret_first, size_t *ret_last)
{
    size_t count = bank->geometry.blocks.count;
    for (size_t i = 0; i < count; i++) {
        if (!must_unlock(bank, i)) {
            continue;
        }
        *ret_first = i;
        while (i + 1 < count && must_unlock(bank, i + 1)) {
            i++;
        }
        *ret_last = i;
        return true;
    }
    return false;
}

static enum op_verdict unlock_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    size_t first = 0;
    size_t last = 0;
    (void)context;
    (void)err;
    while (!find_locked(&self->plan.banks[self->at_bank], &first, &last)) {
        self->at_bank++; /* one of the banks has some, or this step would not be taken */
    }
    command->changes = true;
    command->limit_ms = FLASH_COMMAND_LIMIT_MS;
    strbuf_appendf(&command->script, "flash protect %u %zu %zu off", self->plan.banks[self->at_bank].bank,
                   first, last);
    return OP_SEND;
}

static enum op_verdict unlock_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    (void)context;
    const struct flash_plan_bank *bank = &self->plan.banks[self->at_bank];
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot lift the protection of flash bank %u",
                        bank->bank);
        if (err->kind == ERR_FLASH_ERROR) {
            err_add_text(err, "reason", "protected");
        }
        return OP_FAILED;
    }
    self->at_bank = 0;
    self->unlock = FLASH_UNLOCK_DONE;
    return op_go(op, FLASH_STEP_INFO);
}

/* Reset, if it was asked for. */

enum op_verdict flash_write_begin_reset(struct flash_write *self)
{
    self->complete = true;
    if (self->options.reset == FLASH_RESET_NONE) {
        return OP_DONE;
    }
    op_progress_set(&self->op, "reset", 0, 1, "resets");
    return op_go(&self->op, FLASH_STEP_RESET);
}

static enum op_verdict reset_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    const struct flash_write *self = flash_write_of(op);
    (void)context;
    (void)err;
    command->changes = true;
    command->limit_ms = FLASH_COMMAND_LIMIT_MS;
    strbuf_append_text(&command->script, self->options.reset == FLASH_RESET_RUN ? "reset run" : "reset halt");
    return OP_SEND;
}

static enum op_verdict reset_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    (void)context;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "the image is programmed, but the reset failed");
    }
    op_progress_set(op, "reset", 1, 1, "resets");
    return OP_DONE;
}

static void describe(const struct op *op, struct err *err)
{
    const struct flash_write *self = (const struct flash_write *)op;
    if (!self->complete) {
        flash_error_add_state(err, self->touched);
    }
    op_describe_progress(err, &op->progress);
}

static void free_write(struct op *op)
{
    struct flash_write *self = flash_write_of(op);
    flash_write_drop_kept(self);
    flash_plan_fini(&self->plan);
    image_fini(&self->image);
    free(self->runs);
    free(self->piece);
    free(self);
}

static const struct op_step steps[] = {
    [FLASH_STEP_BANKS] = {"banks", banks_send, banks_reply},
    [FLASH_STEP_INFO] = {"info", info_send, info_reply},
    [FLASH_STEP_PREPARE] = {"prepare", prepare_send, prepare_reply},
    [FLASH_STEP_LOOK] = {"look", look_send, look_reply},
    [FLASH_STEP_ROOM] = {"room", room_send, room_reply},
    [FLASH_STEP_UNLOCK] = {"unlock", unlock_send, unlock_reply},
    [FLASH_STEP_COMPARE] = {"compare", flash_write_compare_send, flash_write_compare_reply},
    [FLASH_STEP_SAMPLE] = {"sample", flash_write_sample_send, flash_write_sample_reply},
    [FLASH_STEP_KEEP] = {"keep", flash_write_keep_send, flash_write_keep_reply},
    [FLASH_STEP_ERASE] = {"erase", flash_write_erase_send, flash_write_erase_reply},
    [FLASH_STEP_BLANK] = {"blank", flash_write_blank_send, flash_write_blank_reply},
    [FLASH_STEP_PROGRAM] = {"program", flash_write_program_send, flash_write_program_reply},
    [FLASH_STEP_CHECK] = {"check", flash_write_check_send, flash_write_check_reply},
    [FLASH_STEP_VERIFY] = {"verify", flash_write_verify_send, flash_write_verify_reply},
    [FLASH_STEP_RESET] = {"reset", reset_send, reset_reply},
};

static const struct op_class flash_write_class = {
    .name = "flash write",
    .steps = steps,
    .changes = true,
    .long_running = true,
    .first_budget = 1, /* one sector, whatever its size */
    .command_ms = FLASH_PIECE_MS,
    .describe = describe,
    .free = free_write,
};

struct op *flash_write_new(const struct flash_write_options *options, struct image *take_image)
{
    struct flash_write *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &flash_write_class, NULL);
    self->options = *options;
    self->prepare.mode = options->prepare;
    self->image = *take_image;
    memset(take_image, 0, sizeof *take_image);
    self->image_size = self->image.size;
    return &self->op;
}
