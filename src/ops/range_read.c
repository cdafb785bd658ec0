/* The range reader: one step that repeats until the range is through; before it, where the range ends with
 * its bank, one that learns the bank's size. */
#include "ops/range_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "memory/plan.h"
#include "openocd/tcl.h"
#include "ops/flash_info.h"
#include "ops/script.h"

/* The first command tells soon whether the range can be read at all; then they grow until one takes about 50
 * ms. */
#define FIRST_BYTES 1024u
#define COMMAND_MS 50u
/* From here on a file costs less than the text of `read_memory`: OpenOCD formats no numbers, and nobody
 * parses them. */
#define FILE_FROM_BYTES 512u
/* OpenOCD reads in pieces of this size: whole ones save set-up on the probe. */
#define OPENOCD_PIECE_BYTES 4096u
/* No access is wider. */
#define WIDEST_BYTES 8u

enum { STEP_READ, STEP_SIZE };

static uint64_t at(const struct range_read *read)
{
    return read->address + read->done;
}

static struct memory_access next_access(const struct range_read *read, uint64_t budget)
{
    return memory_plan_first(at(read), read->size - read->done, read->width, budget);
}

/*
 * What one command reads through a file: about the budget. All but the last end on a border, of a whole piece
 * where they are that large, so that only the range's own ends are accessed byte by byte.
 */
static uint64_t next_file_size(const struct range_read *read, uint64_t budget)
{
    uint64_t left = read->size - read->done;
    uint64_t pieces = (budget + OPENOCD_PIECE_BYTES / 2) / OPENOCD_PIECE_BYTES;
    uint64_t most = pieces > 0 ? pieces * OPENOCD_PIECE_BYTES : budget;
    if (most > OP_FILE_MOST_BYTES) {
        most = OP_FILE_MOST_BYTES;
    }
    if (left <= most) {
        return left;
    }
    uint64_t beyond_border = (at(read) + most) % (pieces > 0 ? OPENOCD_PIECE_BYTES : WIDEST_BYTES);
    return beyond_border < most ? most - beyond_border : most;
}

/*
 * `dump_image` makes the same accesses as we would (the widest aligned ones that the target has, narrow ones
 * at the ends) and leaves the bytes as they are. It knows no physical addresses, and where it fails
 * `read_memory` finds out why.
 */
static bool uses_file(const struct range_read *read, const struct op_context *context)
{
    return read->from_flash ||
           (!read->physical && !read->file_failed && context->info->files != OCD_FILES_NONE &&
            next_file_size(read, context->budget) >= FILE_FROM_BYTES);
}

/* The widest access that the target may take: what is known, else what its addresses suggest. */
static unsigned widest(const struct ocd_target *target)
{
    switch (target->takes_width64) {
    case OCD_YES:
        return 64;
    case OCD_NO:
        return 32;
    case OCD_UNKNOWN:
        return target->address_bits == 64 ? 64 : 32;
    }
    return 32;
}

static void send_file(struct range_read *read, const struct op_context *context, struct op_command *command)
{
    command->bytes = next_file_size(read, context->budget);
    command->file = OP_FILE_GET;
    if (read->from_flash) {
        strbuf_appendf(&command->script, "flash read_bank %u $p 0x%" PRIx64 " 0x%" PRIx64, read->bank,
                       at(read), command->bytes);
        return;
    }
    command->current_target = context->target->name;
    strbuf_appendf(&command->script, "dump_image $p 0x%" PRIx64 " 0x%" PRIx64, at(read), command->bytes);
}

static bool beyond_bank(const struct range_read *read, struct err *err)
{
    return flash_beyond_bank(read->bank, read->address, read->size, err);
}

/* Before it was probed a bank has size 0: then OpenOCD, which probes it now, says whether the range fits. */
static bool check_bank_range(const struct range_read *read, const struct op_context *context, struct err *err)
{
    uint64_t known = context->info->banks[read->bank].size;
    uint64_t size = known > 0 ? known : UINT32_MAX;
    bool fits = read->address < size && read->size <= size - read->address;
    return fits || beyond_bank(read, err);
}

static enum op_verdict read_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct range_read *read = (struct range_read *)op;
    command->repeatable = true;
    command->shareable = true;
    if (read->from_flash) {
        if (!flash_bank_check(context->info, read->bank, op->target, err) ||
            !check_bank_range(read, context, err)) {
            return OP_FAILED;
        }
        send_file(read, context, command);
        return OP_SEND;
    }
    if (!op_check_range(context->target, read->address, read->size, err)) {
        return OP_FAILED;
    }
    if (read->width == 0) {
        read->width = widest(context->target);
    }
    if (uses_file(read, context)) {
        send_file(read, context, command);
        return OP_SEND;
    }
    struct memory_access access = next_access(read, context->budget);
    command->bytes = memory_access_size(&access);
    command->words = access.count <= OP_WORDS_MOST ? access.count : 0;
    script_read_memory(&command->script, context->target, &access, read->physical);
    return OP_SEND;
}

/* A narrower access may be what the target wants: only a byte access that fails is a failure. Narrow accesses
 * are slow, so the piece shrinks with them. */
static enum op_verdict refused(struct range_read *read, const struct op_context *context,
                               const struct ocd_reply *reply, const struct memory_access *access,
                               struct err *err)
{
    if (access->width > 8) {
        read->refused64 = access->width == 64;
        read->width = access->width / 2;
        read->op.budget = context->budget > 4 * FIRST_BYTES ? context->budget / 4 : FIRST_BYTES;
        return OP_GO;
    }
    op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot read %" PRIu64 " bytes at 0x%08" PRIx64,
                    memory_access_size(access), access->address);
    if (err->kind == ERR_TARGET_ERROR) {
        err_add_address(err, "address", access->address);
    }
    err_add_text(err, "target", context->target->name);
    return OP_FAILED;
}

static enum op_verdict deliver(struct range_read *read, const uint8_t *bytes, size_t length, struct err *err)
{
    enum range_flow flow = read->consumer->take(read->consumer_context, read->done, bytes, length, err);
    if (flow == RANGE_FAILED) {
        return OP_FAILED;
    }
    read->done += length;
    op_progress_set(&read->op, read->phase, read->done, read->size, "bytes");
    if (flow == RANGE_MORE && read->done < read->size) {
        return OP_GO;
    }
    if (read->consumer->finish != NULL && !read->consumer->finish(read->consumer_context, err)) {
        return OP_FAILED;
    }
    return OP_DONE;
}

static bool says_out_of_range(const struct ocd_reply *reply)
{
    struct strbuf words = STRBUF_INIT;
    ocd_reply_words(reply, &words);
    bool says = strstr(strbuf_text(&words), "out of range of the flash bank") != NULL;
    strbuf_fini(&words);
    return says;
}

static enum op_verdict flash_reply(struct range_read *read, const struct ocd_reply *reply, uint64_t asked,
                                   struct err *err)
{
    if (!ocd_reply_ok(reply) && says_out_of_range(reply)) {
        beyond_bank(read, err);
        return OP_FAILED;
    }
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR,
                        "cannot read %" PRIu64 " bytes at offset 0x%" PRIx64 " of flash bank %u", asked,
                        at(read), read->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    if (reply->result_length != asked) {
        err_set(err, ERR_FLASH_ERROR,
                "flash bank %u gave %zu bytes at offset 0x%" PRIx64 " instead of %" PRIu64, read->bank,
                reply->result_length, at(read), asked);
        err_add_text(err, "reason", "driver");
        return OP_FAILED;
    }
    return deliver(read, (const uint8_t *)reply->result, reply->result_length, err);
}

static enum op_verdict file_reply(struct range_read *read, const struct ocd_reply *reply, uint64_t asked,
                                  struct err *err)
{
    if (!ocd_reply_ok(reply) || reply->result_length != asked) {
        read->file_failed = true;
        return OP_GO;
    }
    return deliver(read, (const uint8_t *)reply->result, reply->result_length, err);
}

static void learn_width64(struct range_read *read, struct ocd_target *target,
                          const struct memory_access *access)
{
    if (access->width == 64) {
        target->takes_width64 = OCD_YES;
    } else if (access->width == 32 && read->refused64) {
        target->takes_width64 = OCD_NO;
        read->refused64 = false;
    }
}

static enum op_verdict read_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct range_read *read = (struct range_read *)op;
    if (read->from_flash) {
        return flash_reply(read, reply, next_file_size(read, context->budget), err);
    }
    if (uses_file(read, context)) {
        return file_reply(read, reply, next_file_size(read, context->budget), err);
    }
    struct memory_access access = next_access(read, context->budget);
    size_t length = (size_t)memory_access_size(&access);
    if (!ocd_reply_ok(reply)) {
        return refused(read, context, reply, &access, err);
    }
    strbuf_clear(&read->bytes);
    uint8_t *bytes = (uint8_t *)strbuf_extend(&read->bytes, length);
    if (!ocd_parse_values(reply->result, reply->result_length, access.width, access.count,
                          context->target->big_endian, bytes, err)) {
        err_prefix(err, "reading at 0x%08" PRIx64, access.address);
        return OP_FAILED;
    }
    learn_width64(read, context->target, &access);
    return deliver(read, bytes, length, err);
}

/* The rest of a bank. */

static enum op_verdict size_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    const struct range_read *read = (const struct range_read *)op;
    if (!flash_bank_check(context->info, read->bank, op->target, err)) {
        return OP_FAILED;
    }
    command->repeatable = true;
    command->shareable = true;
    flash_geometry_script(&command->script, read->bank);
    return OP_SEND;
}

static enum op_verdict size_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct range_read *read = (struct range_read *)op;
    struct flash_geometry geometry;
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot look at flash bank %u", read->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    if (!flash_geometry_read(context->info, read->bank, reply->result, reply->result_length, &geometry,
                             err)) {
        return OP_FAILED;
    }
    uint64_t bank_size = geometry.bank.size;
    flash_geometry_fini(&geometry);
    if (read->address >= bank_size) {
        err_set(err, ERR_INVALID_RANGE, "offset: flash bank %u ends at 0x%" PRIx64, read->bank, bank_size);
        err_add_integer(err, "bank", read->bank);
        err_add_integer(err, "size", bank_size);
        return OP_FAILED;
    }
    read->size = bank_size - read->address;
    op_progress_set(op, read->phase, 0, read->size, "bytes");
    if (read->consumer->sized != NULL && !read->consumer->sized(read->consumer_context, read->size, err)) {
        return OP_FAILED;
    }
    return op_go(op, STEP_READ);
}

static void describe(const struct op *op, struct err *err)
{
    op_describe_progress(err, &op->progress);
}

static void free_read(struct op *op)
{
    struct range_read *read = (struct range_read *)op;
    read->consumer->free(read->consumer_context);
    strbuf_fini(&read->bytes);
    free(read);
}

static bool same_command(const struct op *op, const struct op *other)
{
    const struct range_read *a = (const struct range_read *)op;
    const struct range_read *b = (const struct range_read *)other;
    return op->step == other->step && op->budget == other->budget && a->address == b->address &&
           a->size == b->size && a->done == b->done && a->physical == b->physical && a->bank == b->bank;
}

static const struct op_step steps[] = {
    [STEP_READ] = {"read", read_send, read_reply},
    [STEP_SIZE] = {"size", size_send, size_reply},
};

static const struct op_class memory_class = {
    .name = "read",
    .steps = steps,
    .needs_target = true,
    .short_commands = true,
    .same_command = same_command,
    .long_running = true,
    .long_read = true,
    .first_budget = FIRST_BYTES,
    .command_ms = COMMAND_MS,
    .describe = describe,
    .free = free_read,
};

static const struct op_class flash_class = {
    .name = "read flash",
    .steps = steps,
    .same_command = same_command,
    .long_running = true,
    .long_read = true,
    .first_budget = FIRST_BYTES,
    .command_ms = COMMAND_MS,
    .describe = describe,
    .free = free_read,
};

struct op *range_read_new(const struct range_read_source *source, const char *phase,
                          const struct range_consumer *consumer, void *take_context)
{
    struct range_read *read = xcalloc(1, sizeof *read);
    op_init(&read->op, source->from_flash ? &flash_class : &memory_class, source->target);
    read->op.consistent = source->consistent;
    read->consumer = consumer;
    read->consumer_context = take_context;
    read->phase = phase;
    read->address = source->address;
    read->size = source->to_end ? 0 : source->size;
    read->op.step = source->to_end ? STEP_SIZE : STEP_READ;
    read->physical = source->physical;
    read->from_flash = source->from_flash;
    read->bank = source->bank;
    op_progress_set(&read->op, phase, 0, read->size, "bytes");
    return &read->op;
}
