/* Loading an image into RAM. */
#include "ops/memory_load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "memory/plan.h"
#include "ops/flash_info.h"
#include "ops/script.h"

enum load_step { STEP_CHECK, STEP_ASK, STEP_LOOK, STEP_WRITE, STEP_VERIFY };

static struct memory_load *self_of(struct op *op)
{
    return (struct memory_load *)op;
}

static const struct image_segment *segment_of(const struct memory_load *self)
{
    return &self->image.segments[self->segment];
}

/* Check: every segment is in the target's address space, and in none of its flash banks. */

static bool check_addresses(const struct memory_load *self, const struct ocd_target *target, struct err *err)
{
    for (size_t i = 0; i < self->image.segment_count; i++) {
        const struct image_segment *segment = &self->image.segments[i];
        if (!op_check_range(target, segment->address, segment->size, err)) {
            return false;
        }
    }
    return true;
}

/* A bank that belongs to another target is in that one's address space. Up to OpenOCD 0.11 they do not say.
 */
static bool counts(const struct ocd_bank *bank, const struct ocd_target *target)
{
    return bank->target[0] == '\0' || strcmp(bank->target, target->name) == 0;
}

static bool check_segment(const struct image_segment *segment, const struct ocd_bank *bank, struct err *err)
{
    bool before = segment->address + (segment->size - 1) < bank->base;
    bool behind = segment->address >= bank->base && segment->address - bank->base >= bank->size;
    if (bank->size == 0 || before || behind) {
        return true;
    }
    err_set(err, ERR_IMAGE_INVALID,
            "the segment of %" PRIu64 " bytes at 0x%08" PRIx64 " lies in flash bank %u (%s): see "
            "flash.write_image",
            segment->size, segment->address, bank->index, bank->name);
    err_add_address(err, "address", segment->address);
    err_add_integer(err, "size", segment->size);
    err_add_integer(err, "bank", bank->index);
    return false;
}

static enum op_verdict check_banks(struct memory_load *self, const struct op_context *context,
                                   struct err *err)
{
    for (size_t i = 0; i < self->image.segment_count; i++) {
        for (size_t k = 0; k < context->info->bank_count; k++) {
            const struct ocd_bank *bank = &context->info->banks[k];
            if (counts(bank, context->target) && !check_segment(&self->image.segments[i], bank, err)) {
                return OP_FAILED;
            }
        }
    }
    return op_go(&self->op, self->prepare.mode == PREPARE_NONE ? STEP_WRITE : STEP_ASK);
}

/* A bank that was not probed yet has no size: where it ends must be known before anything is written. */
static bool knows_banks(const struct memory_load *self, const struct op_context *context)
{
    for (size_t i = 0; i < context->info->bank_count && !self->banks_listed; i++) {
        if (context->info->banks[i].size == 0 && counts(&context->info->banks[i], context->target)) {
            return false;
        }
    }
    return true;
}

static enum op_verdict check_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    struct memory_load *self = self_of(op);
    if (!check_addresses(self, context->target, err)) {
        return OP_FAILED;
    }
    if (knows_banks(self, context)) {
        return check_banks(self, context, err);
    }
    command->repeatable = true;
    flash_banks_script(&command->script);
    return OP_SEND;
}

static enum op_verdict check_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct memory_load *self = self_of(op);
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_OPENOCD_ERROR, "cannot list the flash banks");
    }
    if (!flash_banks_read(context->info, reply->result, reply->result_length, err)) {
        return OP_FAILED;
    }
    self->banks_listed = true;
    return check_banks(self, context, err);
}

/* Prepare, as asked: where it is not, the target need not be halted. */

static enum op_verdict ask_send(struct op *op, const struct op_context *context, struct op_command *command,
                                struct err *err)
{
    (void)err;
    return prepare_ask_send(&self_of(op)->prepare, context, context->target->name, command);
}

static enum op_verdict ask_reply(struct op *op, const struct op_context *context,
                                 const struct ocd_reply *reply, struct err *err)
{
    struct memory_load *self = self_of(op);
    bool ok = prepare_ask_reply(&self->prepare, context, context->target->name, reply, err);
    return ok ? op_go(op, STEP_LOOK) : OP_FAILED;
}

static enum op_verdict look_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)err;
    return prepare_look_send(&self_of(op)->prepare, context, context->target->name, command);
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    enum op_verdict verdict = prepare_look_reply(&self_of(op)->prepare, op, context, context->target->name,
                                                 "it did not halt as `prepare` asked", reply, err);
    return verdict == OP_DONE ? op_go(op, STEP_WRITE) : verdict;
}

/* Write. */

static void aim_writer(struct memory_load *self)
{
    const struct image_segment *segment = segment_of(self);
    self->writer.address = segment->address;
    self->writer.bytes = segment->bytes;
    self->writer.size = segment->size;
    self->writer.done = 0;
}

static enum op_verdict write_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    return range_writer_send(&self_of(op)->writer, context, command, err);
}

static enum op_verdict begin_verify(struct memory_load *self)
{
    if (!self->verify) {
        return OP_DONE;
    }
    self->segment = 0;
    self->read_width = self->writer.width;
    self->op.budget = RANGE_WRITER_FIRST_BYTES;
    op_progress_set(&self->op, "verify", 0, self->image.size, "bytes");
    return op_go(&self->op, STEP_VERIFY);
}

static enum op_verdict write_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct memory_load *self = self_of(op);
    uint64_t before = self->writer.done;
    enum op_verdict verdict = range_writer_reply(&self->writer, op, context, reply, err);
    self->written += self->writer.done - before;
    op_progress_set(op, "write", self->written, self->image.size, "bytes");
    if (verdict != OP_DONE) {
        return verdict;
    }
    self->segment++;
    if (self->segment == self->image.segment_count) {
        return begin_verify(self);
    }
    aim_writer(self);
    return OP_GO;
}

/* Verify: reads back and compares. */

static struct memory_access next_read(const struct memory_load *self, uint64_t budget)
{
    const struct image_segment *segment = segment_of(self);
    return memory_plan_first(segment->address + self->verify_done, segment->size - self->verify_done,
                             self->read_width, budget);
}

static enum op_verdict verify_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    struct memory_access access = next_read(self_of(op), context->budget);
    (void)err;
    command->repeatable = true;
    command->bytes = memory_access_size(&access);
    script_read_memory(&command->script, context->target, &access, false);
    return OP_SEND;
}

static enum op_verdict refused(struct memory_load *self, const struct ocd_reply *reply,
                               const struct memory_access *access, struct err *err)
{
    if (access->width > 8) {
        self->read_width = access->width / 2;
        self->op.budget = RANGE_WRITER_FIRST_BYTES;
        return OP_GO;
    }
    op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot read back %" PRIu64 " bytes at 0x%08" PRIx64,
                    memory_access_size(access), access->address);
    if (err->kind == ERR_TARGET_ERROR) {
        err_add_address(err, "address", access->address);
    }
    return OP_FAILED;
}

static bool compare(const struct memory_access *access, const uint8_t *expected, const uint8_t *found,
                    struct err *err)
{
    size_t size = (size_t)memory_access_size(access);
    size_t i = 0;
    while (i < size && found[i] == expected[i]) {
        i++;
    }
    if (i == size) {
        return true;
    }
    err_set(err, ERR_VERIFY_MISMATCH, "0x%08" PRIx64 " reads 0x%02x instead of 0x%02x", access->address + i,
            found[i], expected[i]);
    err_add_address(err, "address", access->address + i);
    err_add_integer(err, "expected", expected[i]);
    err_add_integer(err, "found", found[i]);
    return false;
}

static bool compare_reply(const struct memory_load *self, const struct op_context *context,
                          const struct memory_access *access, const struct ocd_reply *reply, struct err *err)
{
    uint8_t *found = xmalloc((size_t)memory_access_size(access));
    bool same = ocd_parse_values(reply->result, reply->result_length, access->width, access->count,
                                 context->target->big_endian, found, err);
    if (!same) {
        err_prefix(err, "reading back at 0x%08" PRIx64, access->address);
    }
    same = same && compare(access, segment_of(self)->bytes + self->verify_done, found, err);
    free(found);
    return same;
}

static enum op_verdict verify_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct memory_load *self = self_of(op);
    struct memory_access access = next_read(self, context->budget);
    uint64_t size = memory_access_size(&access);
    if (!ocd_reply_ok(reply)) {
        return refused(self, reply, &access, err);
    }
    if (!compare_reply(self, context, &access, reply, err)) {
        return OP_FAILED;
    }
    self->verify_done += size;
    self->verified += size;
    op_progress_set(op, "verify", self->verified, self->image.size, "bytes");
    if (self->verify_done == segment_of(self)->size) {
        self->segment++;
        self->verify_done = 0;
    }
    return self->segment < self->image.segment_count ? OP_GO : OP_DONE;
}

static void describe(const struct op *op, struct err *err)
{
    op_describe_progress(err, &op->progress);
}

static void free_load(struct op *op)
{
    struct memory_load *self = self_of(op);
    image_fini(&self->image);
    free(self);
}

static const struct op_step steps[] = {
    [STEP_CHECK] = {"check", check_send, check_reply},     [STEP_ASK] = {"ask", ask_send, ask_reply},
    [STEP_LOOK] = {"look", look_send, look_reply},         [STEP_WRITE] = {"write", write_send, write_reply},
    [STEP_VERIFY] = {"verify", verify_send, verify_reply},
};

static const struct op_class memory_load_class = {
    .name = "load",
    .steps = steps,
    .changes = true,
    .needs_target = true,
    .long_running = true,
    .first_budget = RANGE_WRITER_FIRST_BYTES,
    .command_ms = RANGE_WRITER_COMMAND_MS,
    .describe = describe,
    .free = free_load,
};

struct op *memory_load_new(const char *target, struct image *take_image, bool verify,
                           enum prepare_mode prepare)
{
    struct memory_load *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &memory_load_class, target);
    self->image = *take_image;
    memset(take_image, 0, sizeof *take_image);
    self->verify = verify;
    self->prepare.mode = prepare;
    aim_writer(self);
    op_progress_set(&self->op, "write", 0, self->image.size, "bytes");
    return &self->op;
}
