/* Halting or resetting a target before work on it. */
#include "ops/prepare.h"

#include <string.h>

#include "openocd/tcl.h"
#include "ops/script.h"
#include "ops/target_ops.h"

/* A reset runs the board's own event handlers. */
#define COMMAND_LIMIT_MS 300000u
#define HALT_LIMIT_MS 5000u
#define LOOK_EVERY_MS 10u

enum op_verdict prepare_ask_send(const struct prepare *prepare, const struct op_context *context,
                                 const char *target, struct op_command *command)
{
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    switch (prepare->mode) {
    case PREPARE_NONE:
        break;
    case PREPARE_HALT:
        script_on_target(&command->script, context->info, target, "halt 0");
        break;
    case PREPARE_RESET_HALT:
        strbuf_append_text(&command->script, "reset halt");
        break;
    case PREPARE_RESET_INIT:
        strbuf_append_text(&command->script, "reset init");
        break;
    }
    return OP_SEND;
}

bool prepare_ask_reply(struct prepare *prepare, const struct op_context *context, const char *target,
                       const struct ocd_reply *reply, struct err *err)
{
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot prepare %s", target);
        return false;
    }
    prepare->asked_us = context->now_us;
    halt_look_asked(&prepare->look, reply);
    return true;
}

enum op_verdict prepare_look_send(const struct prepare *prepare, const struct op_context *context,
                                  const char *target, struct op_command *command)
{
    halt_look_script(&prepare->look, context->info, target, command);
    return OP_SEND;
}

enum op_verdict prepare_look_reply(struct prepare *prepare, struct op *op, const struct op_context *context,
                                   const char *target, const char *why, const struct ocd_reply *reply,
                                   struct err *err)
{
    char state[OCD_NAME_SIZE];
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot see the state of %s", target);
    }
    if (!target_read_state(target, reply, state, err)) {
        return OP_FAILED;
    }
    if (strcmp(state, "halted") == 0) {
        return OP_DONE;
    }
    if (prepare->mode == PREPARE_HALT) {
        halt_look_take(&prepare->look, state);
    }
    if (prepare->mode != PREPARE_NONE && context->now_us - prepare->asked_us < HALT_LIMIT_MS * 1000ull) {
        op->wait_ms = LOOK_EVERY_MS;
        return OP_WAIT;
    }
    err_set(err, ERR_TARGET_NOT_HALTED, "%s is %.40s: %s", target, state, why);
    err_add_text(err, "target", target);
    err_add_text(err, "state", state);
    halt_look_blame(&prepare->look, err);
    return OP_FAILED;
}
