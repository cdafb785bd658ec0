/* breakpoint.list, add and remove. */
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/breakpoint_ops.h"
#include "server/request.h"

static void write_points(struct request *request, struct op *op, struct json_writer *json)
{
    const struct breakpoint_op *breakpoint = (const struct breakpoint_op *)op;
    write_target_name(request, op, json);
    json_open_array(json, "breakpoints");
    for (size_t i = 0; i < breakpoint->count; i++) {
        const struct ocd_breakpoint *point = &breakpoint->points[i];
        json_open_object(json, NULL);
        json_address(json, "address", point->address);
        json_u64(json, "length", point->length);
        json_text(json, "kind", ocd_breakpoint_kind_name(point->kind));
        if (ocd_breakpoint_is_data(point->kind)) {
            json_address(json, "value", point->value);
            json_address(json, "mask", point->mask);
        }
        json_close_object(json);
    }
    json_close_array(json);
}

bool method_breakpoint_list(struct request *request, struct params_breakpoint_list *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, breakpoint_list_new(request->target), write_points);
}

static bool refuse(const char *parameter, const char *rule, struct err *err)
{
    err_set(err, ERR_INVALID_PARAMS, "%s: %s", parameter, rule);
    err_add_text(err, "parameter", parameter);
    return false;
}

bool method_breakpoint_add(struct request *request, struct params_breakpoint_add *params, struct err *err)
{
    /* In the same order as the protocol's words. */
    struct ocd_breakpoint wanted = {.kind = (enum ocd_breakpoint_kind)params->kind,
                                    .address = params->address,
                                    .length = params->length_given ? params->length : 0,
                                    .value = params->value,
                                    .mask = params->mask};
    if (params->value_given && !ocd_breakpoint_is_data(wanted.kind)) {
        return refuse("value", "is for watchpoints only: kind read, write or access", err);
    }
    if (params->mask_given && !params->value_given) {
        return refuse("mask", "goes with value only", err);
    }
    return request_run(request, breakpoint_add_new(request->target, &wanted, params->value_given),
                       write_points);
}

bool method_breakpoint_remove(struct request *request, struct params_breakpoint_remove *params,
                              struct err *err)
{
    enum ocd_breakpoint_kind kind = (enum ocd_breakpoint_kind)params->kind;
    (void)err;
    return request_run(
        request, breakpoint_remove_new(request->target, params->address, params->kind_given ? &kind : NULL),
        write_points);
}
