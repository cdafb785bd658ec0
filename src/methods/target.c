/* target.list, state, halt, resume and reset. */
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/target_ops.h"
#include "server/request.h"

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
