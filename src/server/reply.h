/*
 * The texts that answer calls, and the arrays that they go out in where the calls came in one (a batch). Made
 * of what the line said, so that calls that cannot be read are answered too.
 */
#ifndef OCDMUX_SERVER_REPLY_H
#define OCDMUX_SERVER_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "rpc/json.h"
#include "rpc/json_write.h"

struct client;
struct reply_batch;
struct rpc_method;

/* The array that answers one of calls. It frees itself: hold it while its calls are read, and once for each
 * call that is not answered yet; the last release sends what was added, or nothing if that is nothing. */
struct reply_batch *reply_batch_new(struct client *client);
void reply_batch_hold(struct reply_batch *batch);
void reply_batch_release(struct reply_batch *batch);
/* Whether the array would be too long with `length` bytes more. `batch` NULL: it is not one. */
bool reply_batch_is_full(const struct reply_batch *batch, size_t length);
/* limit_exceeded, for the call that finds it so. */
void reply_batch_full_error(struct err *err);

/* Opens the reply to `id`, a JSON text that may be empty: null. */
void reply_write_head(struct json_writer *json, struct json_span id);
/* A whole reply. */
void reply_write_error(struct strbuf *out, struct json_span id, const struct err *err);
/* Sends the reply, or adds it to `batch` where that is not NULL. */
void reply_send(struct client *client, struct reply_batch *batch, struct strbuf *take_reply);
/* Answers a call of which no request was made, and counts it. `method` NULL: nobody knows which. */
void reply_refuse(struct client *client, struct reply_batch *batch, struct json_span id,
                  const struct rpc_method *method, const struct err *err);

/* A notification: write the members of `params` between the two. */
void reply_notify_begin(struct strbuf *line, struct json_writer *json, const char *method);
void reply_notify_end(struct client *client, struct strbuf *take_line, struct json_writer *json);

#endif
