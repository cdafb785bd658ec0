/* Executing single instructions, one command for each, so that reads and a cancel find their place between.
 */
#include "ops/target_step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/target_text.h"
#include "openocd/tcl.h"
#include "ops/script.h"
#include "ops/target_ops.h"

static enum op_verdict step_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    const struct step_op *step = (const struct step_op *)op;
    struct strbuf script = STRBUF_INIT;
    if (strcmp(context->target->type, "testee") == 0) {
        err_set(err, ERR_TARGET_ERROR, "a target of type testee cannot be stepped: OpenOCD crashes over it");
        return OP_FAILED;
    }
    if (step->has_address && !op_check_range(context->target, step->address, 1, err)) {
        return OP_FAILED;
    }
    command->changes = true;
    strbuf_append_text(&script, SCRIPT_KNOW_PC "step");
    if (step->has_address && step->done == 0) {
        strbuf_appendf(&script, " 0x%" PRIx64, step->address);
    }
    strbuf_append_text(&script,
                       "; set p {}; catch {set p [lindex [$t get_reg pc] 1]}; list [$t curstate] $p");
    script_on_target(&command->script, context->info, context->target->name, strbuf_text(&script));
    strbuf_fini(&script);
    return OP_SEND;
}

/* "halted 0x08000044" */
static bool take_place(struct step_op *step, struct ocd_target *target, const struct ocd_reply *reply,
                       struct err *err)
{
    struct strbuf state = STRBUF_INIT;
    struct strbuf pc = STRBUF_INIT;
    struct tcl_list list;
    tcl_list_init(&list, reply->result, reply->result_length);
    bool ok =
        tcl_list_next(&list, &state) == TCL_LIST_ELEMENT && tcl_list_next(&list, &pc) == TCL_LIST_ELEMENT &&
        (pc.length == 0 || ocd_register_value(strbuf_text(&pc), pc.length, target->address_bits, &step->pc));
    if (ok) {
        struct ocd_reply word = {.result = strbuf_text(&state), .result_length = state.length};
        ok = target_read_state(target->name, &word, target->state, err);
    } else {
        err_set(err, ERR_OPENOCD_ERROR, "what OpenOCD says of where %s stands cannot be read", target->name);
        err_set_openocd(err, reply->code, reply->result, reply->result_length);
    }
    strbuf_fini(&state);
    strbuf_fini(&pc);
    return ok;
}

static enum op_verdict step_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct step_op *step = (struct step_op *)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot step %s", context->target->name);
    }
    strbuf_clear(&step->pc);
    if (!take_place(step, context->target, reply, err)) {
        return OP_FAILED;
    }
    step->done++;
    op_progress_set(op, "step", step->done, step->count, "instructions");
    if (strcmp(context->target->state, "halted") != 0) {
        strbuf_clear(&step->pc); /* what OpenOCD knew last */
        return OP_DONE;
    }
    return step->done < step->count ? OP_GO : OP_DONE;
}

static void describe(const struct op *op, struct err *err)
{
    op_describe_progress(err, &op->progress);
}

static void free_step(struct op *op)
{
    strbuf_fini(&((struct step_op *)op)->pc);
    free(op);
}

static const struct op_step steps[] = {{"step", step_send, step_reply}};
static const struct op_class step_class = {.name = "step",
                                           .steps = steps,
                                           .changes = true,
                                           .needs_target = true,
                                           .describe = describe,
                                           .free = free_step};

struct op *step_new(const char *target, const uint64_t *address, uint64_t count)
{
    struct step_op *step = xcalloc(1, sizeof *step);
    op_init(&step->op, &step_class, target);
    step->has_address = address != NULL;
    step->address = address != NULL ? *address : 0;
    step->count = count;
    op_progress_set(&step->op, "step", 0, count, "instructions");
    return &step->op;
}
