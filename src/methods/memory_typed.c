/* memory.read_u8 to read_u64 and memory.write_u8 to write_u64. */
#include "methods/handlers_gen.h"
#include "ops/typed.h"
#include "server/request.h"

static void write_values(struct request *request, struct op *op, struct json_writer *json)
{
    const struct typed_access *typed = (const struct typed_access *)op;
    (void)request;
    json_open_array(json, "values");
    for (uint64_t i = 0; i < typed->count; i++) {
        if (typed->width == 64) {
            json_address(json, NULL, typed->values[i]);
        } else {
            json_u64(json, NULL, typed->values[i]);
        }
    }
    json_close_array(json);
}

static void write_count(struct request *request, struct op *op, struct json_writer *json)
{
    const struct typed_access *typed = (const struct typed_access *)op;
    (void)request;
    json_u64(json, "count", typed->count);
}

#define READ_METHOD(WIDTH)                                                                                \
    bool method_memory_read_u##WIDTH(struct request *request, struct params_memory_read_u##WIDTH *params, \
                                     struct err *err)                                                     \
    {                                                                                                     \
        (void)err;                                                                                        \
        struct op *op = typed_read_new(request->target, params->address, WIDTH, params->count,            \
                                       params->physical, params->cacheable);                              \
        return request_run(request, op, write_values);                                                    \
    }

#define WRITE_METHOD(WIDTH)                                                                                 \
    bool method_memory_write_u##WIDTH(struct request *request, struct params_memory_write_u##WIDTH *params, \
                                      struct err *err)                                                      \
    {                                                                                                       \
        (void)err;                                                                                          \
        struct op *op = typed_write_new(request->target, params->address, WIDTH, params->values.values,     \
                                        params->values.count, params->physical);                            \
        params->values.values = NULL;                                                                       \
        return request_run(request, op, write_count);                                                       \
    }

READ_METHOD(8)
READ_METHOD(16)
READ_METHOD(32)
READ_METHOD(64)
WRITE_METHOD(8)
WRITE_METHOD(16)
WRITE_METHOD(32)
WRITE_METHOD(64)
