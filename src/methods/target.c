/* target.list, state, wait, halt, resume, step and reset. */
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/target_ops.h"
#include "ops/target_step.h"
#include "server/request.h"
#include "server/target_waits.h"

/* As OpenOCD's own `halt` waits. */
#define HALT_LIMIT_MS 5000u

/* The operation's target as it was seen last. */
static void write_state(struct request *request, struct op *op, struct json_writer *json)
{
    const struct ocd_target *target = ocd_info_find_target(board_info(request->board), op->target);
    if (target != NULL) {
        json_text(json, "target", target->name);
        json_text(json, "state", target->state);
    }
}

static void write_targets(struct request *request, struct op *op, struct json_writer *json)
{
    (void)op;
    write_target_list(board_info(request->board), json);
}

static void write_states(struct request *request, struct op *op, struct json_writer *json)
{
    const struct ocd_info *info = board_info(request->board);
    (void)op;
    json_open_array(json, "targets");
    for (size_t i = 0; i < info->target_count; i++) {
        json_open_object(json, NULL);
        json_text(json, "target", info->targets[i].name);
        json_text(json, "state", info->targets[i].state);
        json_close_object(json);
    }
    json_close_array(json);
}

bool method_target_list(struct request *request, struct params_target_list *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, survey_new(NULL), write_targets);
}

bool method_target_state(struct request *request, struct params_target_state *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, survey_new(request->target), write_state);
}

bool method_target_halt(struct request *request, struct params_target_halt *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, halt_new(request->target, HALT_LIMIT_MS), write_state);
}

bool method_target_resume(struct request *request, struct params_target_resume *params, struct err *err)
{
    (void)err;
    return request_run(request, resume_new(request->target, params->address_given, params->address),
                       write_state);
}

bool method_target_reset(struct request *request, struct params_target_reset *params, struct err *err)
{
    (void)err;
    return request_run(request, reset_new((enum reset_mode)params->mode), write_states);
}

static void write_step(struct request *request, struct op *op, struct json_writer *json)
{
    const struct step_op *step = (const struct step_op *)op;
    write_state(request, op, json);
    if (step->pc.length > 0) {
        json_text(json, "pc", strbuf_text(&step->pc));
    }
    json_u64(json, "steps", step->done);
}

bool method_target_step(struct request *request, struct params_target_step *params, struct err *err)
{
    const uint64_t *address = params->address_given ? &params->address : NULL;
    (void)err;
    return request_run(request, step_new(request->target, address, params->count), write_step);
}

static const char *wait_state_word(enum params_target_wait_state state)
{
    switch (state) {
    case PARAMS_TARGET_WAIT_STATE_HALTED:
        return "halted";
    case PARAMS_TARGET_WAIT_STATE_RUNNING:
        return "running";
    case PARAMS_TARGET_WAIT_STATE_RESET:
        return "reset";
    case PARAMS_TARGET_WAIT_STATE_UNKNOWN:
        return "unknown";
    }
    return "";
}

bool method_target_wait(struct request *request, struct params_target_wait *params, struct err *err)
{
    (void)err;
    return target_waits_add(request, wait_state_word((enum params_target_wait_state)params->state));
}
