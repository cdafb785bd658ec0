/*
 * Breakpoints and watchpoints. What OpenOCD 0.12 removes, or does not find, it calls a success either way,
 * and a watchpoint removed from a running target leaves its comparator taken: so what is there is looked up
 * before, and looked at again behind.
 */
#include "ops/breakpoint_ops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/script.h"

static struct breakpoint_op *of(struct op *op)
{
    return (struct breakpoint_op *)op;
}

/* The list. */

static enum op_verdict list_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)op;
    (void)err;
    command->repeatable = true;
    script_on_target(&command->script, context->info, context->target->name,
                     "set x [bp]; set y [wp]; set z \"$x\\n$y\"");
    return OP_SEND;
}

static bool take_list(struct breakpoint_op *breakpoint, const struct op_context *context,
                      const struct ocd_reply *reply, struct err *err)
{
    struct ocd_breakpoint *points = NULL;
    size_t count = 0;
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot list the breakpoints of %s",
                        context->target->name);
        return false;
    }
    if (!ocd_parse_breakpoints(reply->result, reply->result_length, &points, &count, err)) {
        return false;
    }
    free(breakpoint->points);
    breakpoint->points = points;
    breakpoint->count = count;
    return true;
}

static enum op_verdict list_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    return take_list(of(op), context, reply, err) ? OP_DONE : OP_FAILED;
}

/* Those that match what is wanted; from `from` on, or NULL. */
static const struct ocd_breakpoint *find(const struct breakpoint_op *breakpoint, size_t from)
{
    for (size_t i = from; i < breakpoint->count; i++) {
        const struct ocd_breakpoint *point = &breakpoint->points[i];
        if (point->address == breakpoint->wanted.address &&
            (breakpoint->any_kind || point->kind == breakpoint->wanted.kind)) {
            return point;
        }
    }
    return NULL;
}

/* Setting. */

enum add_step { ADD_SET, ADD_LOOK };

/* OpenOCD calls a function that these types do not have, and crashes. */
static bool check_type(const struct ocd_target *target, struct err *err)
{
    static const char *const without[] = {"testee", "mem_ap"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        if (strcmp(target->type, without[i]) == 0) {
            err_set(err, ERR_TARGET_ERROR,
                    "a target of type %s has no breakpoints: OpenOCD crashes over them", target->type);
            return false;
        }
    }
    return true;
}

static uint64_t length_of(const struct breakpoint_op *breakpoint, const struct ocd_target *target)
{
    bool thumb = strcmp(target->type, "cortex_m") == 0 || strcmp(target->type, "hla_target") == 0;
    if (breakpoint->wanted.length > 0) {
        return breakpoint->wanted.length;
    }
    return thumb && !ocd_breakpoint_is_data(breakpoint->wanted.kind) ? 2 : 4;
}

static const char *word_of(enum ocd_breakpoint_kind kind)
{
    switch (kind) {
    case OCD_BREAKPOINT_HARDWARE:
        return " hw";
    case OCD_BREAKPOINT_SOFTWARE:
        return "";
    case OCD_WATCHPOINT_READ:
        return " r";
    case OCD_WATCHPOINT_WRITE:
        return " w";
    case OCD_WATCHPOINT_ACCESS:
        return " a";
    }
    return "";
}

static enum op_verdict set_send(struct op *op, const struct op_context *context, struct op_command *command,
                                struct err *err)
{
    const struct breakpoint_op *breakpoint = of(op);
    const struct ocd_breakpoint *wanted = &breakpoint->wanted;
    uint64_t length = length_of(breakpoint, context->target);
    struct strbuf script = STRBUF_INIT;
    if (!check_type(context->target, err) || !op_check_range(context->target, wanted->address, length, err)) {
        return OP_FAILED;
    }
    strbuf_appendf(&script, "%s 0x%" PRIx64 " %" PRIu64 "%s",
                   ocd_breakpoint_is_data(wanted->kind) ? "wp" : "bp", wanted->address, length,
                   word_of(wanted->kind));
    if (breakpoint->has_data) {
        strbuf_appendf(&script, " 0x%" PRIx64 " 0x%" PRIx64, wanted->value, wanted->mask);
    }
    command->changes = true;
    script_on_target(&command->script, context->info, context->target->name, strbuf_text(&script));
    strbuf_fini(&script);
    return OP_SEND;
}

/* 0.12 calls it a success, too, where the target did not take it; it says so in the log alone. */
static enum op_verdict set_reply(struct op *op, const struct op_context *context,
                                 const struct ocd_reply *reply, struct err *err)
{
    const struct ocd_breakpoint *wanted = &of(op)->wanted;
    bool ok = ocd_reply_ok(reply);
    struct ocd_reply complaint = *reply;
    struct strbuf words = STRBUF_INIT;
    complaint.result_length = ok ? 0 : reply->result_length; /* it says where it is set */
    ocd_reply_words(&complaint, &words);
    bool quiet = ok && words.length == 0;
    strbuf_fini(&words);
    if (quiet) {
        return op_go(op, ADD_LOOK);
    }
    op_fail_openocd(&complaint, err, ERR_TARGET_ERROR, "%s %s %s at 0x%08" PRIx64 "%s",
                    ok ? "OpenOCD complained as it set the" : "cannot set a",
                    ocd_breakpoint_kind_name(wanted->kind),
                    ocd_breakpoint_is_data(wanted->kind) ? "watchpoint" : "breakpoint", wanted->address,
                    ok ? ", which it may list all the same" : "");
    if (err->kind == ERR_TARGET_ERROR) {
        err_add_address(err, "address", wanted->address);
    }
    err_add_text(err, "target", context->target->name);
    return OP_FAILED;
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    const struct breakpoint_op *breakpoint = of(op);
    if (!take_list(of(op), context, reply, err)) {
        return OP_FAILED;
    }
    if (find(breakpoint, 0) == NULL) {
        err_set(err, ERR_TARGET_ERROR,
                "OpenOCD took the %s breakpoint at 0x%08" PRIx64 ", and does not list it",
                ocd_breakpoint_kind_name(breakpoint->wanted.kind), breakpoint->wanted.address);
        err_add_address(err, "address", breakpoint->wanted.address);
        err_set_openocd(err, reply->code, reply->result, reply->result_length);
        return OP_FAILED;
    }
    return OP_DONE;
}

/* Removing. */

enum remove_step { REMOVE_FIND, REMOVE_DO, REMOVE_LOOK };

static enum op_verdict find_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    const struct breakpoint_op *breakpoint = of(op);
    if (!take_list(of(op), context, reply, err)) {
        return OP_FAILED;
    }
    if (find(breakpoint, 0) == NULL) {
        err_set(err, ERR_NOT_FOUND, "%s has no %s%sbreakpoint at 0x%08" PRIx64, context->target->name,
                breakpoint->any_kind ? "" : ocd_breakpoint_kind_name(breakpoint->wanted.kind),
                breakpoint->any_kind ? "" : " ", breakpoint->wanted.address);
        err_add_text(err, "parameter", "address");
        return OP_FAILED;
    }
    return op_go(op, REMOVE_DO);
}

/* Which of the two commands are needed: `rbp` for an instruction, `rwp` for data. */
static bool wants(const struct breakpoint_op *breakpoint, bool data)
{
    const struct ocd_breakpoint *point = find(breakpoint, 0);
    while (point != NULL && ocd_breakpoint_is_data(point->kind) != data) {
        point = find(breakpoint, (size_t)(point - breakpoint->points) + 1);
    }
    return point != NULL;
}

static enum op_verdict remove_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    const struct breakpoint_op *breakpoint = of(op);
    struct strbuf script = STRBUF_INIT;
    (void)err;
    if (wants(breakpoint, true)) {
        strbuf_appendf(&script,
                       "if {[$t curstate] ne {halted}} {error \"$t is not halted\"}; rwp 0x%" PRIx64 "; ",
                       breakpoint->wanted.address);
    }
    if (wants(breakpoint, false)) {
        strbuf_appendf(&script, "rbp 0x%" PRIx64 "; ", breakpoint->wanted.address);
    }
    command->changes = true;
    script_on_target(&command->script, context->info, context->target->name, strbuf_text(&script));
    strbuf_fini(&script);
    return OP_SEND;
}

/* It has gone from OpenOCD's list; what is said is of the target: an instruction that could not be put back.
 */
static enum op_verdict remove_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct strbuf words = STRBUF_INIT;
    bool ok = ocd_reply_ok(reply);
    ocd_reply_words(reply, &words);
    if (!ok || words.length > 0) {
        op_fail_openocd(reply, err, ERR_TARGET_ERROR, "%s at 0x%08" PRIx64,
                        ok ? "OpenOCD complained as it removed the breakpoint"
                           : "cannot remove the breakpoint",
                        of(op)->wanted.address);
        if (err->kind == ERR_TARGET_ERROR) {
            err_add_address(err, "address", of(op)->wanted.address);
        }
        err_add_text(err, "target", context->target->name);
    }
    bool quiet = ok && words.length == 0;
    strbuf_fini(&words);
    return quiet ? op_go(op, REMOVE_LOOK) : OP_FAILED;
}

static enum op_verdict gone_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    if (!take_list(of(op), context, reply, err)) {
        return OP_FAILED;
    }
    if (find(of(op), 0) != NULL) {
        err_set(err, ERR_TARGET_ERROR, "OpenOCD still lists the breakpoint at 0x%08" PRIx64,
                of(op)->wanted.address);
        err_add_address(err, "address", of(op)->wanted.address);
        err_set_openocd(err, reply->code, reply->result, reply->result_length);
        return OP_FAILED;
    }
    return OP_DONE;
}

/* The operations. */

static void free_breakpoint(struct op *op)
{
    free(of(op)->points);
    free(op);
}

static const struct op_step list_steps[] = {{"list", list_send, list_reply}};
static const struct op_step add_steps[] = {
    [ADD_SET] = {"set", set_send, set_reply},
    [ADD_LOOK] = {"look", list_send, look_reply},
};
static const struct op_step remove_steps[] = {
    [REMOVE_FIND] = {"find", list_send, find_reply},
    [REMOVE_DO] = {"remove", remove_send, remove_reply},
    [REMOVE_LOOK] = {"look", list_send, gone_reply},
};
static const struct op_class list_class = {
    .name = "breakpoint list", .steps = list_steps, .needs_target = true, .free = free_breakpoint};
static const struct op_class add_class = {.name = "breakpoint add",
                                          .steps = add_steps,
                                          .changes = true,
                                          .needs_target = true,
                                          .free = free_breakpoint};
static const struct op_class remove_class = {.name = "breakpoint remove",
                                             .steps = remove_steps,
                                             .changes = true,
                                             .needs_target = true,
                                             .free = free_breakpoint};

static struct breakpoint_op *new_op(const struct op_class *class, const char *target)
{
    struct breakpoint_op *breakpoint = xcalloc(1, sizeof *breakpoint);
    op_init(&breakpoint->op, class, target);
    return breakpoint;
}

struct op *breakpoint_list_new(const char *target)
{
    return &new_op(&list_class, target)->op;
}

struct op *breakpoint_add_new(const char *target, const struct ocd_breakpoint *wanted, bool has_data)
{
    struct breakpoint_op *breakpoint = new_op(&add_class, target);
    breakpoint->wanted = *wanted;
    breakpoint->has_data = has_data;
    return &breakpoint->op;
}

struct op *breakpoint_remove_new(const char *target, uint64_t address, const enum ocd_breakpoint_kind *kind)
{
    struct breakpoint_op *breakpoint = new_op(&remove_class, target);
    breakpoint->wanted.address = address;
    breakpoint->any_kind = kind == NULL;
    breakpoint->wanted.kind = kind != NULL ? *kind : OCD_BREAKPOINT_HARDWARE;
    return &breakpoint->op;
}
