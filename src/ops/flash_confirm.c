/* Verifying: the image's bytes in every sector that was programmed, by checksum, and read back where one
 * differs or none can be had. */
#include "ops/flash_walk.h"

static enum op_verdict next_verify(struct flash_write *self)
{
    flash_walk_settle(self, true);
    op_progress_set(&self->op, "verify", self->verified, self->verify_total, "bytes");
    return flash_walk_at_end(self) ? flash_write_begin_reset(self) : op_go(&self->op, FLASH_STEP_VERIFY);
}

enum op_verdict flash_write_begin_verify(struct flash_write *self)
{
    self->verify_total = self->image_size - self->bytes_unchanged;
    if (!self->options.verify || self->verify_total == 0) {
        return flash_write_begin_reset(self);
    }
    flash_walk_start(self);
    flash_write_set_compare_budget(self);
    return next_verify(self);
}

enum op_verdict flash_write_verify_send(struct op *op, const struct op_context *context,
                                        struct op_command *command, struct err *err)
{
    const struct flash_write *self = flash_write_of(op);
    struct flash_run run = flash_walk_run(self, true, context->budget);
    (void)err;
    command->bytes = run.end - run.offset;
    if (self->use_checksum) {
        flash_write_checksum_script(command, flash_walk_bank(self), run.offset,
                                    flash_walk_bytes(self, run.offset), command->bytes);
    } else {
        flash_write_read_script(command, flash_walk_bank(self)->bank, run.offset, command->bytes);
    }
    return OP_SEND;
}

enum op_verdict flash_write_verify_reply(struct op *op, const struct op_context *context,
                                         const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = flash_write_of(op);
    struct flash_run run = flash_walk_run(self, true, context->budget);
    uint64_t size = run.end - run.offset;
    uint64_t address = flash_walk_bank(self)->geometry.bank.base + run.offset;
    if (self->use_checksum && flash_write_checksum_reply(reply, size) != FLASH_CHECKSUM_SAME) {
        /* What is read back has the last word, and names the first byte that differs. */
        self->use_checksum = false;
        flash_write_set_compare_budget(self);
        return op_go(op, FLASH_STEP_VERIFY);
    }
    if (!self->use_checksum) {
        if (!ocd_reply_ok(reply) || reply->result_length != size) {
            return flash_write_fail_read(reply, err, flash_walk_bank(self)->bank, address, size,
                                         "cannot read back what was programmed");
        }
        if (!flash_write_same(flash_walk_bytes(self, run.offset), (const uint8_t *)reply->result, size,
                              address, err)) {
            return OP_FAILED;
        }
    }
    self->verified += size;
    flash_walk_to(self, run.end);
    return next_verify(self);
}
