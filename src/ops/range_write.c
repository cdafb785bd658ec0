/* The range writer. */
#include "ops/range_write.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "memory/plan.h"
#include "ops/script.h"

static struct memory_access next_access(const struct range_writer *writer, uint64_t budget)
{
    return memory_plan_first(writer->address + writer->done, writer->size - writer->done, writer->width,
                             budget);
}

enum op_verdict range_writer_send(struct range_writer *writer, const struct op_context *context,
                                  struct op_command *command, struct err *err)
{
    if (!op_check_range(context->target, writer->address, writer->size, err)) {
        return OP_FAILED;
    }
    if (writer->width == 0) {
        bool wide = context->target->takes_width64 == OCD_YES ||
                    (context->target->takes_width64 == OCD_UNKNOWN && context->target->address_bits == 64);
        writer->width = wide ? 64 : 32;
    }
    struct memory_access access = next_access(writer, context->budget);
    command->changes = true;
    command->bytes = memory_access_size(&access);
    script_write_memory(&command->script, context->target, &access, writer->physical,
                        writer->bytes + writer->done);
    return OP_SEND;
}

/* Writing the same bytes again, narrower, is what the caller asked for: only a byte access that fails is a
 * failure. */
static enum op_verdict refused(struct range_writer *writer, struct op *op, const struct op_context *context,
                               const struct ocd_reply *reply, const struct memory_access *access,
                               struct err *err)
{
    if (access->width > 8 && !ocd_reply_ok(reply)) {
        writer->width = access->width / 2;
        op->budget =
            context->budget > 4 * RANGE_WRITER_FIRST_BYTES ? context->budget / 4 : RANGE_WRITER_FIRST_BYTES;
        return OP_GO;
    }
    op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot write %" PRIu64 " bytes at 0x%08" PRIx64,
                    memory_access_size(access), access->address);
    if (err->kind == ERR_TARGET_ERROR) {
        err_add_address(err, "address", access->address);
    }
    err_add_text(err, "target", context->target->name);
    return OP_FAILED;
}

enum op_verdict range_writer_reply(struct range_writer *writer, struct op *op,
                                   const struct op_context *context, const struct ocd_reply *reply,
                                   struct err *err)
{
    struct memory_access access = next_access(writer, context->budget);
    /* A `write_memory` that worked says nothing; 0.12 complains of an element with a return code of 0. */
    if (!ocd_reply_ok(reply) || reply->result_length > 0) {
        return refused(writer, op, context, reply, &access, err);
    }
    writer->done += memory_access_size(&access);
    return writer->done < writer->size ? OP_GO : OP_DONE;
}

static enum op_verdict write_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    return range_writer_send(&((struct range_write *)op)->writer, context, command, err);
}

static enum op_verdict write_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct range_write *write = (struct range_write *)op;
    enum op_verdict verdict = range_writer_reply(&write->writer, op, context, reply, err);
    op_progress_set(op, "write", write->writer.done, write->size, "bytes");
    return verdict;
}

static void describe(const struct op *op, struct err *err)
{
    op_describe_progress(err, &op->progress);
}

static void free_write(struct op *op)
{
    struct range_write *write = (struct range_write *)op;
    free(write->bytes);
    free(write);
}

static const struct op_step steps[] = {{"write", write_send, write_reply}};

static const struct op_class range_write_class = {
    .name = "write",
    .steps = steps,
    .changes = true,
    .needs_target = true,
    .long_running = true,
    .first_budget = RANGE_WRITER_FIRST_BYTES,
    .command_ms = RANGE_WRITER_COMMAND_MS,
    .describe = describe,
    .free = free_write,
};

struct op *range_write_new(const char *target, uint64_t address, uint8_t *take_bytes, uint64_t size,
                           bool physical)
{
    struct range_write *write = xcalloc(1, sizeof *write);
    op_init(&write->op, &range_write_class, target);
    write->bytes = take_bytes;
    write->size = size;
    write->writer =
        (struct range_writer){.address = address, .bytes = take_bytes, .size = size, .physical = physical};
    op_progress_set(&write->op, "write", 0, size, "bytes");
    return &write->op;
}
