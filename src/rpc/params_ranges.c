/* An array of ranges. Each element is read like the parameters of a call of its own, by a table of two rows,
 * so that its faults have the same words. */
#include "rpc/params_ranges.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

static bool read_range(const struct params_reading *reading, size_t index, struct json_span span,
                       struct rpc_range *range)
{
    const struct rpc_param *param = reading->param;
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
        char label[64];
        snprintf(label, sizeof label, "%s[%zu]", param->name, index);
        return params_read_fault_at(reading, label, "must be an object of address and size");
    }
    if (!rpc_params_parse(&table, span, range, reading->err)) {
        err_prefix(reading->err, "%s[%zu]", param->name, index);
        err_add_text(reading->err, "parameter", param->name);
        return false;
    }
    return true;
}

static bool fault_count(const struct params_reading *reading)
{
    return params_read_fault_at(reading, reading->param->name, "must hold from 1 to %" PRIu64 " ranges",
                                reading->param->max_count);
}

bool params_ranges_read(const struct params_reading *reading, struct json_span span)
{
    struct rpc_ranges *ranges = reading->place;
    struct json_cursor cursor;
    struct json_span element;
    if (json_span_kind(span) != JSON_ARRAY) {
        return params_read_fault(reading, "must be an array of ranges");
    }
    json_cursor_init(&cursor, span);
    while (json_next_element(&cursor, &element)) {
        if (ranges->count == reading->param->max_count) {
            return fault_count(reading);
        }
        if (ranges->items == NULL) {
            ranges->items = xcalloc(reading->param->max_count, sizeof *ranges->items);
        }
        if (!read_range(reading, ranges->count, element, &ranges->items[ranges->count])) {
            return false;
        }
        ranges->count++;
    }
    return ranges->count > 0 || fault_count(reading);
}
