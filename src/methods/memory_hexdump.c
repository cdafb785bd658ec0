/* memory.hexdump. */
#include <stdlib.h>

#include "base/alloc.h"
#include "memory/hexdump.h"
#include "methods/handlers_gen.h"
#include "methods/range.h"
#include "server/reply.h"

/* A line of hexdump has 78 characters for 16 bytes; in JSON, with its "\n", 79. */
#define HEXDUMP_GROWTH 5u

struct hexdump {
    struct request *request;
    bool stream;
    uint64_t taken; /* bytes of the range whose lines are through */
    struct memory_hexdump dump;
    struct strbuf text; /* lines that were not sent yet */
};

static void stream_text(struct hexdump *self, uint64_t offset, const struct strbuf *text)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    range_begin_data(self->request, offset, &line, &json);
    json_text_bytes(&json, "text", text->data, text->length);
    reply_notify_end(self->request->client, &line, &json);
}

static enum range_flow hexdump_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                    struct err *err)
{
    struct hexdump *self = context;
    (void)offset;
    (void)err;
    memory_hexdump_feed(&self->dump, &self->text, bytes, length);
    if (self->stream && self->text.length > 0) {
        stream_text(self, self->taken, &self->text);
        strbuf_clear(&self->text);
        self->taken = offset + length - self->dump.held;
    }
    return RANGE_MORE;
}

static bool hexdump_finish(void *context, struct err *err)
{
    struct hexdump *self = context;
    (void)err;
    memory_hexdump_finish(&self->dump, &self->text);
    if (self->stream && self->text.length > 0) {
        stream_text(self, self->taken, &self->text);
    }
    return true;
}

static void hexdump_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct hexdump *self = ((const struct range_read *)op)->consumer_context;
    (void)request;
    if (!self->stream) {
        json_text_bytes(json, "text", self->text.data, self->text.length);
    }
    json_u64(json, "size", ((const struct range_read *)op)->size);
}

static void hexdump_free(void *context)
{
    struct hexdump *self = context;
    strbuf_fini(&self->text);
    free(self);
}

static const struct range_consumer hexdump_consumer = {
    .take = hexdump_take, .finish = hexdump_finish, .free = hexdump_free};

bool method_memory_hexdump(struct request *request, struct params_memory_hexdump *params, struct err *err)
{
    if (!range_check_end(params->address, params->size, err) ||
        (!params->stream && !range_check_inline(request, params->size, HEXDUMP_GROWTH, err))) {
        return false;
    }
    struct hexdump *self = xcalloc(1, sizeof *self);
    self->request = request;
    self->stream = params->stream;
    memory_hexdump_init(&self->dump, params->address, params->size);
    struct range_read_source source = {.target = request->target,
                                       .address = params->address,
                                       .size = params->size,
                                       .physical = params->physical,
                                       .consistent = params->consistent};
    return request_run(request, range_read_new(&source, "read", &hexdump_consumer, self), hexdump_write);
}
