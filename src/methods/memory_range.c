/* memory.read_bytes, write_bytes, hexdump, search and dump: one range reader with a consumer for each. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "memory/hexdump.h"
#include "memory/search.h"
#include "methods/handlers_gen.h"
#include "ops/range_read.h"
#include "ops/range_write.h"
#include "server/dump_file.h"
#include "server/request.h"

/* A line of hexdump has 78 characters for 16 bytes; in JSON, with its "\n", 79. */
#define HEXDUMP_GROWTH 5u

/* A consumer's context for all five. */
struct range_result {
    struct request *request;
    bool stream;
    bool hex;
    uint64_t taken;
    struct strbuf bytes; /* read_bytes: the data; hexdump: the text */
    struct sha256 *sha;
    char digest[SHA256_TEXT_SIZE];
    struct memory_hexdump dump;
    struct memory_search *search;
    uint64_t *matches;
    size_t match_count;
    size_t match_capacity;
    uint64_t match_limit;
    bool truncated;
    struct dump_file *file;
    char *path;
};

static struct range_result *result_new(struct request *request)
{
    struct range_result *result = xcalloc(1, sizeof *result);
    result->request = request;
    return result;
}

static void result_free(void *context)
{
    struct range_result *result = context;
    strbuf_fini(&result->bytes);
    sha256_free(result->sha);
    memory_search_free(result->search);
    free(result->matches);
    dump_file_free(result->file);
    free(result->path);
    free(result);
}

static struct range_result *result_of(const struct op *op)
{
    return ((const struct range_read *)op)->consumer_context;
}

static bool end_of_range(struct err *err, uint64_t address, uint64_t size)
{
    if (size - 1 <= UINT64_MAX - address) {
        return true;
    }
    err_set(err, ERR_INVALID_RANGE,
            "size: %" PRIu64 " bytes from 0x%08" PRIx64 " reach beyond the end of 64-bit addresses", size,
            address);
    err_add_address(err, "address", address);
    err_add_integer(err, "size", size);
    return false;
}

/* What is not streamed is held in memory and sent as one line. */
static bool fits_inline(const struct request *request, uint64_t size, uint64_t growth, struct err *err)
{
    uint64_t limit = request->server->config->limits.max_inline_bytes / growth;
    if (size <= limit) {
        return true;
    }
    err_set(err, ERR_LIMIT_EXCEEDED,
            "size: %" PRIu64 " bytes are more than the %" PRIu64
            " of one reply; ask for it with \"stream\": true",
            size, limit);
    err_add_text(err, "limit", "max_inline_bytes");
    err_add_integer(err, "maximum", limit);
    return false;
}

static void begin_data(struct range_result *result, uint64_t offset, struct strbuf *line,
                       struct json_writer *json)
{
    struct request *request = result->request;
    request_notify_begin(request, line, json, "data");
    json_raw(json, "id", request->id, strlen(request->id));
    json_u64(json, "offset", offset);
}

/* read_bytes */

static enum range_flow read_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                 struct err *err)
{
    struct range_result *result = context;
    (void)err;
    sha256_add(result->sha, bytes, length);
    if (result->stream) {
        struct strbuf line = STRBUF_INIT;
        struct json_writer json;
        begin_data(result, offset, &line, &json);
        json_bytes(&json, "data", bytes, length, result->hex);
        request_notify_end(result->request, &line, &json);
    } else {
        strbuf_append(&result->bytes, bytes, length);
    }
    return RANGE_MORE;
}

static bool digest_finish(void *context, struct err *err)
{
    struct range_result *result = context;
    (void)err;
    sha256_finish(result->sha, result->digest);
    return true;
}

static void read_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_result *result = result_of(op);
    (void)request;
    if (!result->stream) {
        json_bytes(json, "data", (const uint8_t *)result->bytes.data, result->bytes.length, result->hex);
    }
    json_u64(json, "size", ((const struct range_read *)op)->size);
    json_text(json, "sha256", result->digest);
}

static const struct range_consumer read_consumer = {
    .take = read_take, .finish = digest_finish, .free = result_free};

bool method_memory_read_bytes(struct request *request, struct params_memory_read_bytes *params,
                              struct err *err)
{
    if (!end_of_range(err, params->address, params->size) ||
        (!params->stream && !fits_inline(request, params->size, 1, err))) {
        return false;
    }
    struct range_result *result = result_new(request);
    result->stream = params->stream;
    result->hex = params->encoding == RPC_ENCODING_HEX;
    result->sha = sha256_new();
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &read_consumer, result), read_write);
}

/* write_bytes */

static void write_write(struct request *request, struct op *op, struct json_writer *json)
{
    (void)request;
    json_u64(json, "size", ((const struct range_write *)op)->size);
}

bool method_memory_write_bytes(struct request *request, struct params_memory_write_bytes *params,
                               struct err *err)
{
    if (!end_of_range(err, params->address, params->data.length)) {
        return false;
    }
    struct op *op = range_write_new(request->target, params->address, params->data.bytes, params->data.length,
                                    params->physical);
    params->data.bytes = NULL;
    return request_run(request, op, write_write);
}

/* hexdump */

static void stream_text(struct range_result *result, uint64_t offset, const struct strbuf *text)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    begin_data(result, offset, &line, &json);
    json_text_bytes(&json, "text", text->data, text->length);
    request_notify_end(result->request, &line, &json);
}

static enum range_flow hexdump_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                    struct err *err)
{
    struct range_result *result = context;
    (void)offset;
    (void)err;
    memory_hexdump_feed(&result->dump, &result->bytes, bytes, length);
    if (result->stream && result->bytes.length > 0) {
        stream_text(result, result->taken, &result->bytes);
        strbuf_clear(&result->bytes);
        result->taken = offset + length - result->dump.held;
    }
    return RANGE_MORE;
}

static bool hexdump_finish(void *context, struct err *err)
{
    struct range_result *result = context;
    (void)err;
    memory_hexdump_finish(&result->dump, &result->bytes);
    if (result->stream && result->bytes.length > 0) {
        stream_text(result, result->taken, &result->bytes);
    }
    return true;
}

static void hexdump_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_result *result = result_of(op);
    (void)request;
    if (!result->stream) {
        json_text_bytes(json, "text", result->bytes.data, result->bytes.length);
    }
    json_u64(json, "size", ((const struct range_read *)op)->size);
}

static const struct range_consumer hexdump_consumer = {
    .take = hexdump_take, .finish = hexdump_finish, .free = result_free};

bool method_memory_hexdump(struct request *request, struct params_memory_hexdump *params, struct err *err)
{
    if (!end_of_range(err, params->address, params->size) ||
        (!params->stream && !fits_inline(request, params->size, HEXDUMP_GROWTH, err))) {
        return false;
    }
    struct range_result *result = result_new(request);
    result->stream = params->stream;
    memory_hexdump_init(&result->dump, params->address, params->size);
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &hexdump_consumer, result), hexdump_write);
}

/* search */

static bool found(void *context, uint64_t address)
{
    struct range_result *result = context;
    if (result->match_count == result->match_limit) {
        result->truncated = true;
        return false;
    }
    if (result->match_count == result->match_capacity) {
        result->match_capacity = result->match_capacity == 0 ? 64 : result->match_capacity * 2;
        result->matches = xrealloc(result->matches, result->match_capacity * sizeof *result->matches);
    }
    result->matches[result->match_count++] = address;
    return true;
}

static enum range_flow search_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                   struct err *err)
{
    struct range_result *result = context;
    (void)err;
    bool more = memory_search_feed(result->search, bytes, length);
    result->taken = offset + length;
    return more ? RANGE_MORE : RANGE_ENOUGH;
}

static void search_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_result *result = result_of(op);
    (void)request;
    json_open_array(json, "matches");
    for (size_t i = 0; i < result->match_count; i++) {
        json_address(json, NULL, result->matches[i]);
    }
    json_close_array(json);
    json_bool(json, "truncated", result->truncated);
    json_u64(json, "scanned", result->taken);
}

static const struct range_consumer search_consumer = {.take = search_take, .free = result_free};

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
    struct range_result *result = result_new(request);
    result->match_limit = params->limit;
    result->search = memory_search_new(params->pattern.bytes, params->mask.bytes, params->pattern.length,
                                       params->start, params->align, found, result);
    struct range_read_source source = {.target = request->target,
                                       .address = params->start,
                                       .size = params->end - params->start,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &search_consumer, result), search_write);
}

/* dump */

static enum range_flow dump_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                 struct err *err)
{
    struct range_result *result = context;
    if (offset == 0 &&
        !dump_file_open(&result->file, result->request->server->config->dump_root, result->path, err)) {
        return RANGE_FAILED;
    }
    sha256_add(result->sha, bytes, length);
    return dump_file_write(result->file, bytes, length, err) ? RANGE_MORE : RANGE_FAILED;
}

static bool dump_finish(void *context, struct err *err)
{
    struct range_result *result = context;
    sha256_finish(result->sha, result->digest);
    return dump_file_commit(result->file, err);
}

static void dump_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_result *result = result_of(op);
    (void)request;
    json_text(json, "path", result->path);
    json_u64(json, "size", ((const struct range_read *)op)->size);
    json_text(json, "sha256", result->digest);
}

static const struct range_consumer dump_consumer = {
    .take = dump_take, .finish = dump_finish, .free = result_free};

bool method_memory_dump(struct request *request, struct params_memory_dump *params, struct err *err)
{
    const char *root = request->server->config->dump_root;
    struct dump_file *file = NULL;
    if (!end_of_range(err, params->address, params->size)) {
        return false;
    }
    if (root == NULL) {
        return err_set(err, ERR_FORBIDDEN,
                       "this daemon writes no files: it has no dump_root; memory.read_bytes with "
                       "\"stream\": true brings any size to the client");
    }
    if (!dump_file_open(&file, root, params->path.text, err)) {
        return false;
    }
    /* That was a look, so that a bad path is told at once; what waits for its turn holds no descriptors. */
    dump_file_free(file);
    struct range_result *result = result_new(request);
    result->path = params->path.text;
    params->path.text = NULL;
    result->sha = sha256_new();
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &dump_consumer, result), dump_write);
}
