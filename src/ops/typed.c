/* Typed reads and writes. */
#include "ops/typed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "memory/plan.h"
#include "memory/values.h"
#include "ops/script.h"

/* Most accesses are small and go in one command; long ones are cut so that others get their turn. */
#define FIRST_BYTES 1024u
#define COMMAND_MS 50u

/* For `send`. */
static void choose_width(struct typed_access *typed, const struct ocd_target *target)
{
    typed->halves = typed->width == 64 && (typed->trying_halves || target->takes_width64 == OCD_NO);
}

/* The elements that one command covers. */
static uint64_t next_count(const struct typed_access *typed, const struct op_context *context)
{
    uint64_t left = typed->count - typed->done;
    uint64_t most = context->budget / (typed->width / 8);
    if (most > MEMORY_PLAN_MAX_ELEMENTS / 2) {
        most = MEMORY_PLAN_MAX_ELEMENTS / 2;
    }
    if (most == 0) {
        most = 1;
    }
    return left < most ? left : most;
}

static struct memory_access next_access(const struct typed_access *typed, const struct op_context *context)
{
    uint64_t count = next_count(typed, context);
    return (struct memory_access){
        .address = typed->address + typed->done * (typed->width / 8),
        .width = typed->halves ? 32 : typed->width,
        .count = (uint32_t)(typed->halves ? 2 * count : count),
    };
}

/* It ends with the answer if the command covers the rest, and no other width has to be tried after it. */
static void set_short(struct op_command *command, const struct typed_access *typed,
                      const struct op_context *context, const struct memory_access *access)
{
    bool is_last = next_count(typed, context) == typed->count - typed->done;
    bool knows_width = access->width < 64 || context->target->takes_width64 == OCD_YES;
    command->words = access->count <= OP_WORDS_MOST ? access->count : 0;
    command->ends = is_last && knows_width;
}

static enum op_verdict read_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct typed_access *typed = (struct typed_access *)op;
    choose_width(typed, context->target);
    struct memory_access access = next_access(typed, context);
    if (!op_check_range(context->target, typed->address, typed->count * (typed->width / 8), err)) {
        return OP_FAILED;
    }
    command->repeatable = typed->repeatable;
    command->shareable = typed->repeatable;
    set_short(command, typed, context, &access);
    command->bytes = memory_access_size(&access);
    script_read_memory(&command->script, context->target, &access, typed->physical);
    return OP_SEND;
}

/*
 * Width 64 may be more than this target's bus has: OpenOCD then gives up before any access, and logs nothing
 * but its own summary, while an access that went wrong is told of in a line before that. Only then are the
 * halves tried, for a write that may have happened must not happen twice.
 */
static bool is_refusal(const struct typed_access *typed, const struct ocd_target *target,
                       const struct memory_access *access, const struct ocd_reply *reply)
{
    const char *first_line_end = memchr(reply->log, '\n', reply->log_length);
    bool one_line = first_line_end == NULL || first_line_end + 1 == reply->log + reply->log_length;
    return !ocd_reply_ok(reply) && access->width == 64 && target->takes_width64 != OCD_YES &&
           typed->done == 0 && one_line;
}

static enum op_verdict failed(struct typed_access *typed, const struct op_context *context,
                              const struct ocd_reply *reply, const struct memory_access *access,
                              struct err *err)
{
    if (is_refusal(typed, context->target, access, reply)) {
        typed->trying_halves = true;
        return OP_GO;
    }
    op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot %s %" PRIu32 " x %u bits at 0x%08" PRIx64,
                    typed->op.class->name, access->count, access->width, access->address);
    if (err->kind == ERR_TARGET_ERROR) {
        err_add_address(err, "address", access->address);
    }
    err_add_text(err, "target", context->target->name);
    return OP_FAILED;
}

static void learn_width64(struct typed_access *typed, struct ocd_target *target)
{
    if (typed->width == 64) {
        target->takes_width64 = typed->halves ? OCD_NO : OCD_YES;
        typed->trying_halves = false;
    }
}

static enum op_verdict advance(struct typed_access *typed, uint64_t count)
{
    typed->done += count;
    return typed->done < typed->count ? OP_GO : OP_DONE;
}

static enum op_verdict read_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct typed_access *typed = (struct typed_access *)op;
    struct memory_access access = next_access(typed, context);
    uint64_t count = next_count(typed, context);
    bool big_endian = context->target->big_endian;
    size_t step = typed->width / 8;

    if (!ocd_reply_ok(reply)) {
        return failed(typed, context, reply, &access, err);
    }
    strbuf_clear(&typed->bytes);
    uint8_t *bytes = (uint8_t *)strbuf_extend(&typed->bytes, (size_t)memory_access_size(&access));
    if (!ocd_parse_values(reply->result, reply->result_length, access.width, access.count, big_endian, bytes,
                          err)) {
        err_prefix(err, "reading at 0x%08" PRIx64, access.address);
        return OP_FAILED;
    }
    for (uint64_t i = 0; i < count; i++) {
        typed->values[typed->done + i] = memory_value_from_bytes(bytes + i * step, typed->width, big_endian);
    }
    learn_width64(typed, context->target);
    return advance(typed, count);
}

static enum op_verdict write_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    struct typed_access *typed = (struct typed_access *)op;
    choose_width(typed, context->target);
    struct memory_access access = next_access(typed, context);
    uint64_t count = next_count(typed, context);
    size_t step = typed->width / 8;
    if (!op_check_range(context->target, typed->address, typed->count * step, err)) {
        return OP_FAILED;
    }
    strbuf_clear(&typed->bytes);
    uint8_t *bytes = (uint8_t *)strbuf_extend(&typed->bytes, (size_t)(count * step));
    for (uint64_t i = 0; i < count; i++) {
        memory_value_to_bytes(typed->values[typed->done + i], typed->width, context->target->big_endian,
                              bytes + i * step);
    }
    command->changes = true;
    set_short(command, typed, context, &access);
    command->bytes = count * step;
    script_write_memory(&command->script, context->target, &access, typed->physical, bytes);
    return OP_SEND;
}

static enum op_verdict write_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct typed_access *typed = (struct typed_access *)op;
    struct memory_access access = next_access(typed, context);
    uint64_t count = next_count(typed, context);
    /* A `write_memory` that worked says nothing; 0.12 complains of an element with a return code of 0. */
    if (!ocd_reply_ok(reply) || reply->result_length > 0) {
        return failed(typed, context, reply, &access, err);
    }
    learn_width64(typed, context->target);
    return advance(typed, count);
}

static void describe(const struct op *op, struct err *err)
{
    const struct typed_access *typed = (const struct typed_access *)op;
    op_describe_progress(err, &(struct op_progress){.phase = typed->op.class->name,
                                                    .done = typed->done,
                                                    .total = typed->count,
                                                    .unit = "values"});
}

static void free_typed(struct op *op)
{
    struct typed_access *typed = (struct typed_access *)op;
    free(typed->values);
    strbuf_fini(&typed->bytes);
    free(typed);
}

static const struct op_step read_steps[] = {{"read", read_send, read_reply}};
static const struct op_step write_steps[] = {{"write", write_send, write_reply}};

static bool same_command(const struct op *op, const struct op *other)
{
    const struct typed_access *a = (const struct typed_access *)op;
    const struct typed_access *b = (const struct typed_access *)other;
    return a->repeatable && b->repeatable && a->address == b->address && a->width == b->width &&
           a->count == b->count && a->done == b->done && a->physical == b->physical;
}

static const struct op_class read_class = {
    .name = "read",
    .steps = read_steps,
    .needs_target = true,
    .short_commands = true,
    .same_command = same_command,
    .first_budget = FIRST_BYTES,
    .command_ms = COMMAND_MS,
    .describe = describe,
    .free = free_typed,
};

static const struct op_class write_class = {
    .name = "write",
    .steps = write_steps,
    .changes = true,
    .needs_target = true,
    .short_commands = true,
    .first_budget = FIRST_BYTES,
    .command_ms = COMMAND_MS,
    .describe = describe,
    .free = free_typed,
};

static struct typed_access *typed_new(const struct op_class *class, const char *target, uint64_t address,
                                      unsigned width, uint64_t count, bool physical)
{
    struct typed_access *typed = xcalloc(1, sizeof *typed);
    op_init(&typed->op, class, target);
    typed->address = address;
    typed->width = width;
    typed->count = count;
    typed->physical = physical;
    return typed;
}

struct op *typed_read_new(const char *target, uint64_t address, unsigned width, uint64_t count, bool physical,
                          bool repeatable)
{
    struct typed_access *typed = typed_new(&read_class, target, address, width, count, physical);
    typed->values = xcalloc(count, sizeof *typed->values);
    typed->repeatable = repeatable;
    return &typed->op;
}

struct op *typed_write_new(const char *target, uint64_t address, unsigned width, uint64_t *take_values,
                           uint64_t count, bool physical)
{
    struct typed_access *typed = typed_new(&write_class, target, address, width, count, physical);
    typed->values = take_values;
    return &typed->op;
}
