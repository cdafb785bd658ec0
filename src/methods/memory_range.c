/* memory.read_bytes, write_bytes and dump. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "methods/handlers_gen.h"
#include "methods/range.h"
#include "ops/range_write.h"
#include "server/source.h"

bool method_memory_read_bytes(struct request *request, struct params_memory_read_bytes *params,
                              struct err *err)
{
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return range_check_end(params->address, params->size, err) &&
           range_bytes_run(request, &source, params->stream, params->encoding == RPC_ENCODING_HEX, err);
}

bool method_memory_dump(struct request *request, struct params_memory_dump *params, struct err *err)
{
    char name[64];
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    snprintf(name, sizeof name, "memory-0x%08" PRIx64 ".bin", params->address);
    return range_check_end(params->address, params->size, err) &&
           range_file_run(request, &source, &params->path, name, err);
}

static void write_write(struct request *request, struct op *op, struct json_writer *json)
{
    (void)request;
    json_u64(json, "size", ((const struct range_write *)op)->size);
}

bool method_memory_write_bytes(struct request *request, struct params_memory_write_bytes *params,
                               struct err *err)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (!source_read(request, &params->stage, NULL, &params->data, &bytes, &length, err)) {
        return false;
    }
    if (!range_check_end(params->address, length, err)) {
        free(bytes);
        return false;
    }
    struct op *op = range_write_new(request->target, params->address, bytes, length, params->physical);
    return request_run(request, op, write_write);
}
