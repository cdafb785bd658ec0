/* An array of ranges. Each element is read like the parameters of a call of its own, by a table of two rows,
 * so that its faults have the same words. */
#include "rpc/params_ranges.h"

#include <inttypes.h>

#include "base/alloc.h"

static bool fault(const struct rpc_param *param, const char *rule, struct err *err)
{
    err_set(err, ERR_INVALID_PARAMS, "%s: %s", param->name, rule);
    err_add_text(err, "parameter", param->name);
    return false;
}

static bool fault_count(const struct rpc_param *param, struct err *err)
{
    err_set(err, ERR_INVALID_PARAMS, "%s: must hold from 1 to %" PRIu64 " ranges", param->name,
            param->max_count);
    err_add_text(err, "parameter", param->name);
    return false;
}

static bool read_range(const struct rpc_param *param, size_t index, struct json_span span,
                       struct rpc_range *range, struct err *err)
{
    const struct rpc_param rows[] = {
        {.name = "address",
         .kind = RPC_PARAM_U64,
         .required = true,
         .offset = offsetof(struct rpc_range, address),
         .given_offset = UINT16_MAX,
         .maximum = UINT64_MAX},
        {.name = "size",
         .kind = RPC_PARAM_U64,
         .required = true,
         .offset = offsetof(struct rpc_range, size),
         .given_offset = UINT16_MAX,
         .minimum = param->minimum,
         .maximum = param->maximum},
    };
    const struct rpc_method table = {
        .name = param->name, .params_size = sizeof *range, .params = rows, .param_count = 2};
    if (json_span_kind(span) != JSON_OBJECT) {
        fault(param, "each element must be an object of address and size", err);
        return false;
    }
    if (!rpc_params_parse(&table, span, range, err)) {
        err_prefix(err, "%s[%zu]", param->name, index);
        err_add_text(err, "parameter", param->name);
        return false;
    }
    return true;
}

bool params_ranges_read(const struct rpc_param *param, struct json_span span, struct rpc_ranges *ranges,
                        struct err *err)
{
    struct json_cursor cursor;
    struct json_span element;
    if (json_span_kind(span) != JSON_ARRAY) {
        return fault(param, "must be an array of ranges", err);
    }
    json_cursor_init(&cursor, span);
    while (json_next_element(&cursor, &element)) {
        if (ranges->count == param->max_count) {
            return fault_count(param, err);
        }
        if (ranges->items == NULL) {
            ranges->items = xcalloc(param->max_count, sizeof *ranges->items);
        }
        if (!read_range(param, ranges->count, element, &ranges->items[ranges->count], err)) {
            return false;
        }
        ranges->count++;
    }
    return ranges->count > 0 || fault_count(param, err);
}
