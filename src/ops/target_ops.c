/* Target states and raw Tcl. */
#include "ops/target_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/script.h"

#define LOOK_EVERY_MS 10u
#define SETTLE_LIMIT_MS 1000u
#define RESET_LIMIT_MS 120000u
/* OpenOCD knows what a survey asks for: it costs the time of its words only. */
#define SURVEY_WORDS 4u

/* Survey. */

static enum op_verdict survey_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    (void)op;
    (void)context;
    (void)err;
    command->repeatable = true;
    command->shareable = true;
    command->words = SURVEY_WORDS;
    ocd_info_survey_script(&command->script);
    return OP_SEND;
}

static enum op_verdict survey_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    (void)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_OPENOCD_ERROR, "cannot list the targets");
    }
    return ocd_info_read_survey(context->info, reply->result, reply->result_length, err) ? OP_DONE
                                                                                         : OP_FAILED;
}

static void free_plain(struct op *op)
{
    free(op);
}

static const struct op_step survey_steps[] = {{"survey", survey_send, survey_reply}};
static bool same_survey(const struct op *op, const struct op *other)
{
    (void)op;
    (void)other;
    return true;
}

static const struct op_class survey_class = {
    .name = "survey", .steps = survey_steps, .short_commands = true, .free = free_plain};
static const struct op_class look_class = {.name = "state",
                                           .steps = survey_steps,
                                           .needs_target = true,
                                           .short_commands = true,
                                           .same_command = same_survey,
                                           .free = free_plain};

struct op *survey_new(const char *target)
{
    struct op *op = xcalloc(1, sizeof *op);
    op_init(op, target != NULL ? &look_class : &survey_class, target);
    return op;
}

/* Halt: asks, then looks until it is so. */

struct halt_op {
    struct op op;
    uint32_t limit_ms;
    uint64_t asked_us;
    struct halt_look look;
};

enum halt_step { HALT_ASK, HALT_LOOK };

static enum op_verdict halt_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)op;
    (void)err;
    command->changes = true;
    script_on_target(&command->script, context->info, context->target->name, "halt 0");
    return OP_SEND;
}

static enum op_verdict halt_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct halt_op *halt = (struct halt_op *)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot halt %s", context->target->name);
    }
    halt->asked_us = context->now_us;
    halt_look_asked(&halt->look, reply);
    return op_go(op, HALT_LOOK);
}

/* Of a target that does not answer 0.12 complains, and calls it a success. */
void halt_look_asked(struct halt_look *look, const struct ocd_reply *reply)
{
    struct strbuf words = STRBUF_INIT;
    ocd_reply_words(reply, &words);
    snprintf(look->said, sizeof look->said, "%s", strbuf_text(&words));
    strbuf_fini(&words);
}

void halt_look_blame(const struct halt_look *look, struct err *err)
{
    if (look->said[0] != '\0') {
        err_set_openocd(err, 0, look->said, strlen(look->said));
    }
}

void halt_look_script(const struct halt_look *look, const struct ocd_info *info, const char *target,
                      struct op_command *command)
{
    if (look->again) {
        script_on_target(&command->script, info, target, "halt 0");
        strbuf_append_text(&command->script, "\n");
    }
    command->changes = look->again;
    command->repeatable = !look->again;
    tcl_quote_text(&command->script, target);
    strbuf_append_text(&command->script, " curstate");
}

void halt_look_take(struct halt_look *look, const char *state)
{
    bool in_reset = strcmp(state, "reset") == 0;
    look->again = look->in_reset && !in_reset && strcmp(state, "halted") != 0;
    look->in_reset = in_reset;
}

static enum op_verdict look_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)err;
    halt_look_script(&((struct halt_op *)op)->look, context->info, context->target->name, command);
    return OP_SEND;
}

bool target_read_state(const char *target, const struct ocd_reply *reply, char ret_state[OCD_NAME_SIZE],
                       struct err *err)
{
    size_t plain = strspn(reply->result, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-");
    if (plain == 0 || plain >= OCD_NAME_SIZE || plain != reply->result_length) {
        err_set(err, ERR_OPENOCD_ERROR, "what OpenOCD says of the state of %s cannot be read", target);
        err_set_openocd(err, reply->code, reply->result, reply->result_length);
        return false;
    }
    memcpy(ret_state, reply->result, plain + 1);
    return true;
}

static bool take_state(struct ocd_target *target, const struct ocd_reply *reply, struct err *err)
{
    return target_read_state(target->name, reply, target->state, err);
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct halt_op *halt = (struct halt_op *)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot see the state of %s",
                               context->target->name);
    }
    if (!take_state(context->target, reply, err)) {
        return OP_FAILED;
    }
    if (strcmp(context->target->state, "halted") == 0) {
        return OP_DONE;
    }
    halt_look_take(&halt->look, context->target->state);
    if (context->now_us - halt->asked_us > (uint64_t)halt->limit_ms * 1000) {
        err_set(err, ERR_TARGET_ERROR, "%s did not halt within %" PRIu32 " ms: it is %s",
                context->target->name, halt->limit_ms, context->target->state);
        halt_look_blame(&halt->look, err);
        return OP_FAILED;
    }
    op->wait_ms = LOOK_EVERY_MS;
    return OP_WAIT;
}

static const struct op_step halt_steps[] = {
    [HALT_ASK] = {"halt", halt_send, halt_reply},
    [HALT_LOOK] = {"look", look_send, look_reply},
};
static const struct op_class halt_class = {
    .name = "halt", .steps = halt_steps, .changes = true, .needs_target = true, .free = free_plain};

struct op *halt_new(const char *target, uint32_t limit_ms)
{
    struct halt_op *halt = xcalloc(1, sizeof *halt);
    op_init(&halt->op, &halt_class, target);
    halt->limit_ms = limit_ms;
    return &halt->op;
}

/* Resume. */

static enum op_verdict resume_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    const struct resume_op *resume = (const struct resume_op *)op;
    struct strbuf script = STRBUF_INIT;
    if (strcmp(context->target->type, "testee") == 0) {
        err_set(err, ERR_TARGET_ERROR, "a target of type testee cannot be resumed: OpenOCD crashes over it");
        return OP_FAILED;
    }
    if (resume->has_address && !op_check_range(context->target, resume->address, 1, err)) {
        return OP_FAILED;
    }
    command->changes = true;
    strbuf_append_text(&script, SCRIPT_KNOW_PC "resume");
    if (resume->has_address) {
        strbuf_appendf(&script, " 0x%" PRIx64, resume->address);
    }
    strbuf_append_text(&script, "; $t curstate");
    script_on_target(&command->script, context->info, context->target->name, strbuf_text(&script));
    strbuf_fini(&script);
    return OP_SEND;
}

static enum op_verdict resume_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    (void)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot resume %s", context->target->name);
    }
    return take_state(context->target, reply, err) ? OP_DONE : OP_FAILED;
}

static const struct op_step resume_steps[] = {{"resume", resume_send, resume_reply}};
static const struct op_class resume_class = {
    .name = "resume", .steps = resume_steps, .changes = true, .needs_target = true, .free = free_plain};

struct op *resume_new(const char *target, bool has_address, uint64_t address)
{
    struct resume_op *resume = xcalloc(1, sizeof *resume);
    op_init(&resume->op, &resume_class, target);
    resume->has_address = has_address;
    resume->address = address;
    return &resume->op;
}

/* Reset. */

struct reset_op {
    struct op op;
    enum reset_mode mode;
    uint64_t asked_us;
};

enum reset_step { RESET_ASK, RESET_SURVEY };

const char *reset_mode_word(enum reset_mode mode)
{
    switch (mode) {
    case RESET_RUN:
        return "run";
    case RESET_HALT:
        return "halt";
    case RESET_INIT:
        return "init";
    }
    return "";
}

static enum op_verdict reset_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    const struct reset_op *reset = (const struct reset_op *)op;
    (void)context;
    (void)err;
    command->changes = true;
    command->limit_ms = RESET_LIMIT_MS;
    strbuf_appendf(&command->script, "reset %s", reset_mode_word(reset->mode));
    return OP_SEND;
}

static enum op_verdict reset_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct reset_op *reset = (struct reset_op *)op;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "the reset failed");
    }
    reset->asked_us = context->now_us;
    return op_go(op, RESET_SURVEY);
}

/* OpenOCD sees only after a poll or two that a target has left its reset. One that is held there stays so. */
static enum op_verdict settled_reply(struct op *op, const struct op_context *context,
                                     const struct ocd_reply *reply, struct err *err)
{
    const struct reset_op *reset = (const struct reset_op *)op;
    const struct ocd_info *info = context->info;
    enum op_verdict verdict = survey_reply(op, context, reply, err);
    bool patient = context->now_us - reset->asked_us < SETTLE_LIMIT_MS * 1000ull;
    for (size_t i = 0; i < info->target_count && verdict == OP_DONE; i++) {
        if (strcmp(info->targets[i].state, "reset") == 0 && patient) {
            op->wait_ms = LOOK_EVERY_MS;
            verdict = OP_WAIT;
        }
    }
    return verdict;
}

static const struct op_step reset_steps[] = {
    [RESET_ASK] = {"reset", reset_send, reset_reply},
    [RESET_SURVEY] = {"survey", survey_send, settled_reply},
};
static const struct op_class reset_class = {
    .name = "reset", .steps = reset_steps, .changes = true, .free = free_plain};

struct op *reset_new(enum reset_mode mode)
{
    struct reset_op *reset = xcalloc(1, sizeof *reset);
    op_init(&reset->op, &reset_class, NULL);
    reset->mode = mode;
    return &reset->op;
}

/* Raw Tcl. */

static enum op_verdict raw_send(struct op *op, const struct op_context *context, struct op_command *command,
                                struct err *err)
{
    const struct raw_op *raw = (const struct raw_op *)op;
    (void)err;
    command->changes = true;
    if (op->target[0] != '\0') {
        script_on_target(&command->script, context->info, context->target->name, strbuf_text(&raw->command));
    } else {
        strbuf_append(&command->script, raw->command.data, raw->command.length);
    }
    return OP_SEND;
}

static enum op_verdict raw_reply(struct op *op, const struct op_context *context,
                                 const struct ocd_reply *reply, struct err *err)
{
    struct raw_op *raw = (struct raw_op *)op;
    (void)context;
    (void)err;
    raw->code = reply->code;
    strbuf_append(&raw->text, reply->result, reply->result_length);
    strbuf_append(&raw->log, reply->log, reply->log_length);
    return OP_DONE;
}

static void free_raw(struct op *op)
{
    struct raw_op *raw = (struct raw_op *)op;
    strbuf_fini(&raw->command);
    strbuf_fini(&raw->text);
    strbuf_fini(&raw->log);
    free(raw);
}

static const struct op_step raw_steps[] = {{"command", raw_send, raw_reply}};
static const struct op_class raw_class = {
    .name = "command", .steps = raw_steps, .changes = true, .relearn = true, .free = free_raw};

struct op *raw_new(const char *target, struct strbuf *take_command)
{
    struct raw_op *raw = xcalloc(1, sizeof *raw);
    op_init(&raw->op, &raw_class, target);
    raw->command = *take_command;
    strbuf_init(take_command);
    return &raw->op;
}
