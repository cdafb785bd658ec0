/* Looking at targets, halting, resuming and resetting them, and raw Tcl. No command that waits is ever sent.
 */
#ifndef OCDMUX_OPS_TARGET_OPS_H
#define OCDMUX_OPS_TARGET_OPS_H

#include "ops/op.h"

/*
 * Asks for targets, states and banks again: the answer is in the board's struct ocd_info. With a target (""
 * is the current one) it fails with not_found where that is missing; NULL asks for none.
 */
struct op *survey_new(const char *target);

#define HALT_LOOK_WORDS 256u

/*
 * Looking whether a target halts that was asked to. OpenOCD takes "halt" while it believes the target to be
 * in reset, and does nothing about it: where such a target was seen to come out of the reset running, the
 * next look asks again. Begins as zeros.
 */
struct halt_look {
    bool in_reset;              /* at the last look */
    bool again;                 /* the next look asks */
    char said[HALT_LOOK_WORDS]; /* by OpenOCD when it was asked and did not refuse; "" if nothing */
};
/* The answer to the asking, which was no refusal. */
void halt_look_asked(struct halt_look *look, const struct ocd_reply *reply);
/* Adds what was said then to the error that the target does not halt. */
void halt_look_blame(const struct halt_look *look, struct err *err);
/* Fills the command; its result is the state, as target_read_state() takes it. */
void halt_look_script(const struct halt_look *look, const struct ocd_info *info, const char *target,
                      struct op_command *command);
/* What was seen. */
void halt_look_take(struct halt_look *look, const char *state);

/* The answer of `TARGET curstate`: a word or two. Fails with openocd_error if it is anything else. */
bool target_read_state(const char *target, const struct ocd_reply *reply, char ret_state[OCD_NAME_SIZE],
                       struct err *err) __attribute__((warn_unused_result));

/* Ends when the target is halted, or fails with target_error when it is not after `limit_ms`. */
struct op *halt_new(const char *target, uint32_t limit_ms);

struct resume_op {
    struct op op;
    bool has_address;
    uint64_t address;
};
struct op *resume_new(const char *target, bool has_address, uint64_t address);

enum reset_mode { RESET_RUN, RESET_HALT, RESET_INIT };
/* Resets every target of the board and looks at their states then. */
struct op *reset_new(enum reset_mode mode);
const char *reset_mode_word(enum reset_mode mode);

struct raw_op {
    struct op op;
    struct strbuf command;
    long code; /* the answer */
    struct strbuf text;
    struct strbuf log;
};
/* One Tcl script as it is. Whatever OpenOCD answers is the result. Takes `command` over. */
struct op *raw_new(const char *target, struct strbuf *take_command);

#endif
