/* Checks of ranges, and the reading that ends in bytes for the client: in one reply, or streamed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "methods/range.h"
#include "server/reply.h"

bool range_check_end(uint64_t address, uint64_t size, struct err *err)
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
bool range_check_inline(const struct request *request, uint64_t size, uint64_t growth, struct err *err)
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

void range_begin_data(struct request *request, uint64_t offset, struct strbuf *line, struct json_writer *json)
{
    reply_notify_begin(line, json, "data");
    json_raw(json, "id", request->id, strlen(request->id));
    json_u64(json, "offset", offset);
}

struct range_bytes {
    struct request *request;
    bool stream;
    bool hex;
    struct strbuf bytes;
    struct sha256 *sha;
    char digest[SHA256_TEXT_SIZE];
};

static enum range_flow bytes_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                  struct err *err)
{
    struct range_bytes *self = context;
    (void)err;
    sha256_add(self->sha, bytes, length);
    if (self->stream) {
        struct strbuf line = STRBUF_INIT;
        struct json_writer json;
        range_begin_data(self->request, offset, &line, &json);
        json_bytes(&json, "data", bytes, length, self->hex);
        reply_notify_end(self->request->client, &line, &json);
    } else {
        strbuf_append(&self->bytes, bytes, length);
    }
    return RANGE_MORE;
}

static bool bytes_finish(void *context, struct err *err)
{
    struct range_bytes *self = context;
    (void)err;
    sha256_finish(self->sha, self->digest);
    return true;
}

static void bytes_free(void *context)
{
    struct range_bytes *self = context;
    strbuf_fini(&self->bytes);
    sha256_free(self->sha);
    free(self);
}

static void bytes_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_read *read = (const struct range_read *)op;
    const struct range_bytes *self = read->consumer_context;
    (void)request;
    if (!self->stream) {
        json_bytes(json, "data", (const uint8_t *)self->bytes.data, self->bytes.length, self->hex);
    }
    json_u64(json, "size", read->size);
    json_text(json, "sha256", self->digest);
}

static const struct range_consumer bytes_consumer = {
    .take = bytes_take, .finish = bytes_finish, .free = bytes_free};

bool range_bytes_run(struct request *request, const struct range_read_source *source, bool stream, bool hex,
                     struct err *err)
{
    if (!stream && !range_check_inline(request, source->size, 1, err)) {
        return false;
    }
    struct range_bytes *self = xcalloc(1, sizeof *self);
    self->request = request;
    self->stream = stream;
    self->hex = hex;
    self->sha = sha256_new();
    return request_run(request, range_read_new(source, "read", &bytes_consumer, self), bytes_write);
}
