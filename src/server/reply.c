/* Replies and notifications on their way to a client's line, one by one or as the array of a batch. */
#include "server/reply.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/client.h"

#define MAX_BATCH_REPLY_BYTES (8u * 1024u * 1024u)

struct reply_batch {
    struct client *client;
    size_t open; /* how often it is held */
    struct strbuf replies;
};

static void send_line(struct client *client, struct strbuf *take_line)
{
    strbuf_append_byte(take_line, '\n');
    client_send(client, take_line);
}

struct reply_batch *reply_batch_new(struct client *client)
{
    struct reply_batch *batch = xcalloc(1, sizeof *batch);
    batch->client = client;
    batch->open = 1;
    return batch;
}

void reply_batch_hold(struct reply_batch *batch)
{
    batch->open++;
}

void reply_batch_release(struct reply_batch *batch)
{
    batch->open--;
    if (batch->open > 0) {
        return;
    }
    if (batch->replies.length > 0) {
        strbuf_append_byte(&batch->replies, ']');
        send_line(batch->client, &batch->replies);
    }
    strbuf_fini(&batch->replies);
    free(batch);
}

bool reply_batch_is_full(const struct reply_batch *batch, size_t length)
{
    return batch != NULL && batch->replies.length + length > MAX_BATCH_REPLY_BYTES;
}

void reply_batch_full_error(struct err *err)
{
    err_set(err, ERR_LIMIT_EXCEEDED, "the answers of this batch would be longer than %u bytes",
            MAX_BATCH_REPLY_BYTES);
    err_add_text(err, "limit", "max_batch_reply_bytes");
}

static void batch_add(struct reply_batch *batch, struct strbuf *take_reply)
{
    strbuf_append_byte(&batch->replies, batch->replies.length == 0 ? '[' : ',');
    strbuf_append(&batch->replies, take_reply->data, take_reply->length);
    strbuf_fini(take_reply);
}

void reply_send(struct client *client, struct reply_batch *batch, struct strbuf *take_reply)
{
    if (batch != NULL) {
        batch_add(batch, take_reply);
    } else {
        send_line(client, take_reply);
    }
}

void reply_write_head(struct json_writer *json, struct json_span id)
{
    json_open_object(json, NULL);
    json_text(json, "jsonrpc", "2.0");
    if (id.length > 0) {
        json_raw(json, "id", id.text, id.length);
    } else {
        json_null(json, "id");
    }
}

void reply_write_error(struct strbuf *out, struct json_span id, const struct err *err)
{
    struct json_writer json;
    json_writer_init(&json, out);
    reply_write_head(&json, id);
    json_error(&json, "error", err);
    json_close_object(&json);
}

void reply_refuse(struct client *client, struct reply_batch *batch, struct json_span id,
                  const struct rpc_method *method, const struct err *err)
{
    struct strbuf reply = STRBUF_INIT;
    client->server->counters.errors++;
    metrics_count_request(&client->server->metrics, method, err->kind);
    reply_write_error(&reply, id, err);
    reply_send(client, batch, &reply);
}

void reply_notify_begin(struct strbuf *line, struct json_writer *json, const char *method)
{
    json_writer_init(json, line);
    json_open_object(json, NULL);
    json_text(json, "jsonrpc", "2.0");
    json_text(json, "method", method);
    json_open_object(json, "params");
}

void reply_notify_end(struct client *client, struct strbuf *take_line, struct json_writer *json)
{
    json_close_object(json);
    json_close_object(json);
    client->server->counters.notifications++;
    send_line(client, take_line);
}
