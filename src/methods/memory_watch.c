/* memory.watch and memory.unwatch. */
#include "methods/handlers_gen.h"
#include "methods/range.h"
#include "server/watch.h"

static bool check_ends(const struct rpc_ranges *ranges, struct err *err)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (!range_check_end(ranges->items[i].address, ranges->items[i].size, err)) {
            return false;
        }
    }
    return true;
}

bool method_memory_watch(struct request *request, struct params_memory_watch *params, struct err *err)
{
    const struct watch *watch = NULL;
    struct watch_terms terms = {.target = request->target,
                                .physical = params->physical,
                                .hex = params->encoding == RPC_ENCODING_HEX,
                                .interval_ms = params->interval_ms,
                                .ranges = params->ranges.items,
                                .count = params->ranges.count};
    if (!check_ends(&params->ranges, err) ||
        !watch_begin(request->client, request->board, &terms, &watch, err)) {
        return false;
    }
    char id[WATCH_ID_SIZE];
    watch_id(watch, id);
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "watch", id);
    json_u64(json, "interval_ms", watch->interval_us / 1000);
    request_reply_end(request);
    return true;
}

bool method_memory_unwatch(struct request *request, struct params_memory_unwatch *params, struct err *err)
{
    struct watch *watch = watch_find(request->client, params->watch.text);
    if (watch == NULL) {
        err_set(err, ERR_NOT_FOUND, "this connection has no watch \"%s\"", params->watch.text);
        err_add_text(err, "parameter", "watch");
        return false;
    }
    watch_end(watch);
    json_text(request_reply_begin(request), "watch", params->watch.text);
    request_reply_end(request);
    return true;
}
