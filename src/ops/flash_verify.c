/* Compares flash with an image, range by range, in chunks. */
#include "ops/flash_verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/flash_write_steps.h"

enum verify_step { STEP_BANKS, STEP_READ };

static struct flash_verify *self_of(struct op *op)
{
    return (struct flash_verify *)op;
}

/* Banks. */

static bool map_to_bank(struct flash_verify *self, const struct ocd_info *info, struct err *err)
{
    struct flash_plan_range range = {
        .offset = self->options.offset, .size = self->image_size, .bytes = self->image.segments[0].bytes};
    return flash_plan_map_to_bank(&self->plan, info, self->op.target, self->options.bank, &range, err);
}

static enum op_verdict map_image(struct flash_verify *self, const struct ocd_info *info, struct err *err)
{
    bool ok = self->options.has_bank ? map_to_bank(self, info, err)
                                     : flash_plan_map(&self->plan, &self->image, info, self->op.target, err);
    return ok ? op_go(&self->op, STEP_READ) : OP_FAILED;
}

static enum op_verdict banks_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    if (flash_banks_are_known(context->info)) {
        return map_image(self_of(op), context->info, err);
    }
    command->repeatable = true;
    flash_banks_script(&command->script);
    return OP_SEND;
}

static enum op_verdict banks_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    return flash_banks_take(context->info, reply, err) ? map_image(self_of(op), context->info, err)
                                                       : OP_FAILED;
}

/* Reading. */

static const struct flash_plan_range *range_of(const struct flash_verify *self)
{
    return &self->plan.banks[self->at_bank].ranges[self->at_range];
}

static uint64_t next_size(const struct flash_verify *self, uint64_t budget)
{
    uint64_t left = range_of(self)->size - self->at_byte;
    uint64_t most = budget < OP_FILE_MOST_BYTES ? budget : OP_FILE_MOST_BYTES;
    return left < most ? left : most;
}

static enum op_verdict read_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    const struct flash_verify *self = self_of(op);
    (void)err;
    command->bytes = next_size(self, context->budget);
    flash_write_read_script(command, self->plan.banks[self->at_bank].bank,
                            range_of(self)->offset + self->at_byte, command->bytes);
    return OP_SEND;
}

static void compare(struct flash_verify *self, const uint8_t *found, uint64_t size)
{
    const struct flash_plan_range *range = range_of(self);
    const uint8_t *expected = range->bytes + self->at_byte;
    if (memcmp(expected, found, size) == 0) {
        return;
    }
    for (uint64_t i = 0; i < size; i++) {
        if (expected[i] == found[i]) {
            continue;
        }
        if (self->difference_count < FLASH_VERIFY_FIRST_DIFFERENCES) {
            uint64_t offset = range->offset + self->at_byte + i;
            self->differences[self->difference_count] =
                (struct flash_difference){.address = self->plan.banks[self->at_bank].base + offset,
                                          .offset = offset,
                                          .expected = expected[i],
                                          .found = found[i]};
        }
        self->difference_count++;
    }
}

static enum op_verdict go_on(struct flash_verify *self, uint64_t size)
{
    self->done += size;
    self->at_byte += size;
    op_progress_set(&self->op, "verify", self->done, self->image_size, "bytes");
    if (self->at_byte < range_of(self)->size) {
        return OP_GO;
    }
    self->at_byte = 0;
    self->at_range++;
    if (self->at_range < self->plan.banks[self->at_bank].range_count) {
        return OP_GO;
    }
    self->at_range = 0;
    self->at_bank++;
    return self->at_bank < self->plan.bank_count ? OP_GO : OP_DONE;
}

static bool says_out_of_range(const struct ocd_reply *reply)
{
    static const char words[] = "out of range of the flash bank";
    return memmem(reply->log, reply->log_length, words, sizeof words - 1) != NULL ||
           memmem(reply->result, reply->result_length, words, sizeof words - 1) != NULL;
}

static enum op_verdict read_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_verify *self = self_of(op);
    uint64_t size = next_size(self, context->budget);
    unsigned bank = self->plan.banks[self->at_bank].bank;
    if (!ocd_reply_ok(reply) && self->options.has_bank && says_out_of_range(reply)) {
        flash_beyond_bank(bank, self->options.offset, self->image_size, err);
        return OP_FAILED;
    }
    if (!ocd_reply_ok(reply) || reply->result_length != size) {
        uint64_t address = self->plan.banks[self->at_bank].base + range_of(self)->offset + self->at_byte;
        return flash_write_fail_read(reply, err, bank, address, size, "cannot read the flash");
    }
    compare(self, (const uint8_t *)reply->result, size);
    return go_on(self, size);
}

static void describe(const struct op *op, struct err *err)
{
    op_describe_progress(err, &op->progress);
}

static void free_verify(struct op *op)
{
    struct flash_verify *self = self_of(op);
    flash_plan_fini(&self->plan);
    image_fini(&self->image);
    free(self);
}

static const struct op_step steps[] = {
    [STEP_BANKS] = {"banks", banks_send, banks_reply},
    [STEP_READ] = {"read", read_send, read_reply},
};

static const struct op_class verify_class = {
    .name = "flash verify",
    .steps = steps,
    .long_running = true,
    .long_read = true,
    .first_budget = FLASH_READ_FIRST_BYTES,
    .command_ms = FLASH_READ_MS,
    .describe = describe,
    .free = free_verify,
};

struct op *flash_verify_new(const struct flash_verify_options *options, struct image *take_image)
{
    struct flash_verify *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &verify_class, NULL);
    self->op.consistent = options->consistent;
    self->options = *options;
    self->image = *take_image;
    memset(take_image, 0, sizeof *take_image);
    self->image_size = self->image.size;
    op_progress_set(&self->op, "verify", 0, self->image_size, "bytes");
    return &self->op;
}
