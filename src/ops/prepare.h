/*
 * Bringing a target where an operation needs it: asks OpenOCD to halt or reset, then looks until the target
 * is halted. Two steps that an operation puts into its own table; no command that waits is ever sent.
 */
#ifndef OCDMUX_OPS_PREPARE_H
#define OCDMUX_OPS_PREPARE_H

#include "ops/target_ops.h"

enum prepare_mode { PREPARE_NONE, PREPARE_HALT, PREPARE_RESET_HALT, PREPARE_RESET_INIT };

struct prepare {
    enum prepare_mode mode;
    uint64_t asked_us; /* when OpenOCD did as it was asked */
    struct halt_look look;
};

/* Asks, as `mode`, which is not NONE, says. Returns OP_SEND. */
enum op_verdict prepare_ask_send(const struct prepare *prepare, const struct op_context *context,
                                 const char *target, struct op_command *command);
/* False (target_error) where OpenOCD did not do it. */
bool prepare_ask_reply(struct prepare *prepare, const struct op_context *context, const char *target,
                       const struct ocd_reply *reply, struct err *err) __attribute__((warn_unused_result));

/* Looks. Returns OP_SEND. */
enum op_verdict prepare_look_send(const struct prepare *prepare, const struct op_context *context,
                                  const char *target, struct op_command *command);
/*
 * OP_DONE: halted. OP_WAIT: not yet, but it was asked to. OP_FAILED: target_not_halted, with `state`; `why`
 * says what needs it halted.
 */
enum op_verdict prepare_look_reply(struct prepare *prepare, struct op *op, const struct op_context *context,
                                   const char *target, const char *why, const struct ocd_reply *reply,
                                   struct err *err);

#endif
