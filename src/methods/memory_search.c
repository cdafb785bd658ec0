/* memory.search. */
#include <stdlib.h>

#include "base/alloc.h"
#include "memory/search.h"
#include "methods/handlers_gen.h"
#include "methods/range.h"

struct search {
    struct memory_search *scanner;
    uint64_t scanned;
    uint64_t *addresses; /* of what was found */
    size_t count;
    size_t capacity;
    uint64_t limit;
    bool truncated;
};

static bool found(void *context, uint64_t address)
{
    struct search *search = context;
    if (search->count == search->limit) {
        search->truncated = true;
        return false;
    }
    if (search->count == search->capacity) {
        search->capacity = search->capacity == 0 ? 64 : search->capacity * 2;
        search->addresses = xrealloc(search->addresses, search->capacity * sizeof *search->addresses);
    }
    search->addresses[search->count++] = address;
    return true;
}

static enum range_flow search_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                   struct err *err)
{
    struct search *search = context;
    (void)err;
    bool more = memory_search_feed(search->scanner, bytes, length);
    search->scanned = offset + length;
    return more ? RANGE_MORE : RANGE_ENOUGH;
}

static void search_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct search *search = ((const struct range_read *)op)->consumer_context;
    (void)request;
    json_open_array(json, "matches");
    for (size_t i = 0; i < search->count; i++) {
        json_address(json, NULL, search->addresses[i]);
    }
    json_close_array(json);
    json_bool(json, "truncated", search->truncated);
    json_u64(json, "scanned", search->scanned);
}

static void search_free(void *context)
{
    struct search *search = context;
    memory_search_free(search->scanner);
    free(search->addresses);
    free(search);
}

static const struct range_consumer search_consumer = {.take = search_take, .free = search_free};

static bool check_search(const struct params_memory_search *params, struct err *err)
{
    if (params->end <= params->start) {
        err_set(err, ERR_INVALID_RANGE, "end: must be greater than start");
        err_add_address(err, "end", params->end);
        return false;
    }
    if (params->mask.bytes != NULL && params->mask.length != params->pattern.length) {
        err_set(err, ERR_INVALID_PARAMS, "mask: must have as many bytes as pattern (%zu)",
                params->pattern.length);
        err_add_text(err, "parameter", "mask");
        return false;
    }
    return true;
}

bool method_memory_search(struct request *request, struct params_memory_search *params, struct err *err)
{
    if (!check_search(params, err)) {
        return false;
    }
    struct search *search = xcalloc(1, sizeof *search);
    search->limit = params->limit;
    search->scanner = memory_search_new(params->pattern.bytes, params->mask.bytes, params->pattern.length,
                                        params->start, params->align, found, search);
    struct range_read_source source = {.target = request->target,
                                       .address = params->start,
                                       .size = params->end - params->start,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &search_consumer, search), search_write);
}
