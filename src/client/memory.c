/* Reading and writing memory: bytes of any number, and values of one width. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/strbuf.h"
#include "client/error.h"
#include "client/job.h"

/* From here on bytes come in pieces while they are read, and are sent ahead as a stage. */
#define MEMORY_LONG_BYTES ((size_t)256 << 10)
/* The most that one call of the protocol takes. */
#define MEMORY_MAX_VALUES 65536u

/* --- bytes --- */

struct memory_read {
    uint8_t *bytes;
    size_t size;
    size_t filled;
    bool broken; /* what came is not what the protocol says */
};

/* Appends a piece of base64; never more than there is room for. */
static bool memory_fill(struct memory_read *read, const cJSON *data)
{
    struct strbuf piece = STRBUF_INIT;
    const char *text = cJSON_GetStringValue(data);
    bool good = text != NULL && base64_decode(&piece, text, strlen(text)) &&
                piece.length <= read->size - read->filled;
    if (good && piece.length > 0) {
        memcpy(read->bytes + read->filled, piece.data, piece.length);
        read->filled += piece.length;
    }
    strbuf_fini(&piece);
    return good;
}

static bool memory_take_piece(void *arg, const cJSON *params)
{
    struct memory_read *read = arg;
    uint64_t offset;
    read->broken = read->broken || !ocdmux_json_u64(job_member(params, "offset"), &offset) ||
                   offset != read->filled || !memory_fill(read, job_member(params, "data"));
    return !read->broken;
}

bool ocdmux_read_bytes(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t address, void *bytes,
                       size_t size, struct ocdmux_error *error)
{
    struct memory_read read = {.bytes = bytes, .size = size};
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "memory.read_bytes",
                            .take_params = job_params(job),
                            .board = true,
                            .data = memory_take_piece,
                            .data_arg = &read};
    bool stream = size > MEMORY_LONG_BYTES || size > ocdmux_limits(connection)->max_inline_bytes;
    ocdmux_json_add_address(call.take_params, "address", address);
    ocdmux_json_add_u64(call.take_params, "size", size);
    if (stream) {
        cJSON_AddTrueToObject(call.take_params, "stream");
    }
    if (!job_run(connection, job, &call, &result, error)) {
        return read.broken ? job_fail_result(error, call.method) : false;
    }
    bool good = !read.broken && (stream || memory_fill(&read, job_member(result.json, "data"))) &&
                read.filled == size;
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, call.method);
}

bool ocdmux_write_bytes(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t address,
                        const void *bytes, size_t size, struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_stage stage;
    struct job_call call = {.method = "memory.write_bytes", .board = true};
    uint64_t written = 0;
    bool is_long = size > MEMORY_LONG_BYTES || size > ocdmux_inline_room(connection);
    if (is_long && !ocdmux_upload(connection, job, "memory", bytes, size, &stage, error)) {
        return false;
    }
    call.take_params = job_params(job);
    ocdmux_json_add_address(call.take_params, "address", address);
    if (is_long) {
        cJSON_AddStringToObject(call.take_params, "stage", stage.stage);
    } else {
        job_add_data(call.take_params, bytes, size);
    }
    if (!job_run(connection, job, &call, &result, error)) {
        return false;
    }
    bool good = ocdmux_json_u64(job_member(result.json, "size"), &written) && written == size;
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, call.method);
}

/* --- values --- */

static bool memory_is_width(unsigned bits)
{
    return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

/* Refuses what no server takes; else fills the method's name and the parameters but for the values. */
static bool memory_begin_values(const struct ocdmux_job *job, const char *verb, unsigned bits,
                                uint64_t address, size_t count, char method[32], struct job_call *call,
                                struct ocdmux_error *error)
{
    if (!memory_is_width(bits) || count == 0 || count > MEMORY_MAX_VALUES) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS,
                         "values have 8, 16, 32 or 64 bits, and are 1 to %u at a time", MEMORY_MAX_VALUES);
    }
    (void)snprintf(method, 32, "memory.%s_u%u", verb, bits);
    *call = (struct job_call){.method = method, .take_params = job_params(job), .board = true};
    ocdmux_json_add_address(call->take_params, "address", address);
    return true;
}

static bool memory_take_values(const cJSON *result, unsigned bits, uint64_t *values, size_t count)
{
    const cJSON *array = job_member(result, "values");
    const cJSON *item = NULL;
    size_t taken = 0;
    if (!cJSON_IsArray(array)) {
        return false;
    }
    cJSON_ArrayForEach(item, array)
    {
        uint64_t value;
        if (taken == count || !ocdmux_json_u64(item, &value) || (bits < 64 && value >> bits != 0)) {
            return false;
        }
        values[taken++] = value;
    }
    return taken == count;
}

bool ocdmux_read_values(struct ocdmux *connection, const struct ocdmux_job *job, unsigned bits,
                        uint64_t address, uint64_t *values, size_t count, struct ocdmux_error *error)
{
    char method[32];
    struct job_call call;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!memory_begin_values(job, "read", bits, address, count, method, &call, error)) {
        return false;
    }
    ocdmux_json_add_u64(call.take_params, "count", count);
    if (!job_run(connection, job, &call, &result, error)) {
        return false;
    }
    bool good = memory_take_values(result.json, bits, values, count);
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, method);
}

bool ocdmux_write_values(struct ocdmux *connection, const struct ocdmux_job *job, unsigned bits,
                         uint64_t address, const uint64_t *values, size_t count, struct ocdmux_error *error)
{
    char method[32];
    struct job_call call;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    uint64_t written = 0;
    if (!memory_begin_values(job, "write", bits, address, count, method, &call, error)) {
        return false;
    }
    cJSON *array = cJSON_AddArrayToObject(call.take_params, "values");
    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(array, ocdmux_json_new_u64(values[i]));
    }
    if (!job_run(connection, job, &call, &result, error)) {
        return false;
    }
    bool good = ocdmux_json_u64(job_member(result.json, "count"), &written) && written == count;
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, method);
}
