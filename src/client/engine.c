/*
 * The protocol's state of one connection: which calls are in flight, which bytes have come and which are to
 * go. An answer goes to the call of its id, `progress` and `data` to the call they name, all else to the
 * event handler.
 */
#include "client/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "client/error.h"
#include "client/json_scan.h"

/* A buffer larger than this is not kept once it is empty. */
#define ENGINE_KEEP_BYTES ((size_t)1 << 20)
/* How much of a bad line an error shows. */
#define ENGINE_SHOWN_BYTES 60u

enum engine_call_state {
    ENGINE_CALL_WAITING,
    ENGINE_CALL_DONE,
    ENGINE_CALL_ABANDONED, /* in flight, and its owner is gone */
};

struct engine_call {
    struct list node; /* in engine.calls */
    struct engine *engine;
    uint64_t id;
    enum engine_call_state state;
    bool stopped;
    ocdmux_notification_fn *handler;
    void *handler_arg;
    struct ocdmux_result result; /* owned; set when done without error */
    struct ocdmux_error error;   /* owned; set when done with one */
};

struct engine {
    struct list calls;
    uint64_t last_id;
    size_t max_line; /* 0: without limit */
    struct strbuf input;
    size_t scanned; /* bytes of input that hold no LF */
    struct strbuf output;
    size_t sent; /* bytes of output that have gone */
    ocdmux_notification_fn *event_handler;
    void *event_arg;
    bool event_stop;
    struct ocdmux_error failure; /* its kind is set once the engine has failed */
};

struct engine *engine_new(void)
{
    struct engine *engine = xcalloc(1, sizeof(*engine));
    list_init(&engine->calls);
    strbuf_init(&engine->input);
    strbuf_init(&engine->output);
    return engine;
}

static void engine_call_free(struct engine_call *call)
{
    list_remove(&call->node);
    ocdmux_result_fini(&call->result);
    ocdmux_error_fini(&call->error);
    free(call);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    list_for_each_safe (node, following, &engine->calls) {
        engine_call_free(list_entry(node, struct engine_call, node));
    }
    strbuf_fini(&engine->input);
    strbuf_fini(&engine->output);
    ocdmux_error_fini(&engine->failure);
    free(engine);
}

void engine_set_max_line(struct engine *engine, size_t bytes)
{
    engine->max_line = bytes;
}

void engine_set_event_handler(struct engine *engine, ocdmux_notification_fn *handler, void *arg)
{
    engine->event_handler = handler;
    engine->event_arg = arg;
    engine->event_stop = false;
}

bool engine_take_event_stop(struct engine *engine)
{
    bool stop = engine->event_stop;
    engine->event_stop = false;
    return stop;
}

void ocdmux_result_fini(struct ocdmux_result *result)
{
    cJSON_Delete(result->json);
    free(result->text);
    *result = (struct ocdmux_result)OCDMUX_RESULT_INIT;
}

/* --- failing --- */

/* Ends everything with engine->failure. */
static void engine_fail_calls(struct engine *engine)
{
    list_for_each_safe (node, following, &engine->calls) {
        struct engine_call *call = list_entry(node, struct engine_call, node);
        switch (call->state) {
        case ENGINE_CALL_WAITING:
            error_copy(&call->error, &engine->failure);
            call->state = ENGINE_CALL_DONE;
            break;
        case ENGINE_CALL_ABANDONED:
            engine_call_free(call);
            break;
        case ENGINE_CALL_DONE:
            break;
        }
    }
    engine->sent = 0;
    strbuf_clear(&engine->output);
}

bool engine_has_failed(const struct engine *engine, struct ocdmux_error *error)
{
    if (engine->failure.kind == NULL) {
        return false;
    }
    error_copy(error, &engine->failure);
    return true;
}

void engine_fail_lost(struct engine *engine, const char *reason)
{
    if (engine->failure.kind != NULL) {
        return;
    }
    bool in_line = engine->input.length > 0;
    error_set(&engine->failure, OCDMUX_KIND_CONNECTION_LOST, "%s%s", reason,
              in_line ? ", in the middle of a line" : "");
    engine_fail_calls(engine);
}

static void engine_append_shown(struct strbuf *out, const char *bytes, size_t length)
{
    size_t shown = length < ENGINE_SHOWN_BYTES ? length : ENGINE_SHOWN_BYTES;
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20 || byte >= 0x7f) {
            strbuf_appendf(out, "\\x%02x", byte);
        } else {
            strbuf_append_byte(out, bytes[i]);
        }
    }
    if (shown < length) {
        strbuf_append_text(out, "...");
    }
}

/* The server broke the protocol with `line`, for `reason`. */
static bool engine_fail_protocol(struct engine *engine, const char *line, size_t length, const char *reason)
{
    struct strbuf shown = STRBUF_INIT;
    engine_append_shown(&shown, line, length);
    error_set(&engine->failure, OCDMUX_KIND_PROTOCOL,
              "the server sent a line that is not the protocol (%s): %s", reason, strbuf_text(&shown));
    strbuf_fini(&shown);
    engine_fail_calls(engine);
    return false;
}

/* --- sending --- */

static void engine_append_params(struct strbuf *out, struct json_scan_span params, bool progress, uint64_t id,
                                 bool has_members)
{
    strbuf_append_text(out, ",\"params\":{");
    if (progress) {
        strbuf_appendf(out, "\"progress\":%" PRIu64 "%s", id, has_members ? "," : "");
    }
    size_t start = out->length;
    strbuf_append(out, params.text + 1, params.length - 1);
    /* A line break is white space in JSON and the end of the line in the protocol. */
    for (size_t i = start; i < out->length; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r') {
            out->data[i] = ' ';
        }
    }
}

static struct json_scan_span engine_trim(const char *text, size_t length)
{
    const char *spaces = " \t\r\n";
    while (length > 0 && strchr(spaces, text[0]) != NULL) {
        text++;
        length--;
    }
    while (length > 0 && strchr(spaces, text[length - 1]) != NULL) {
        length--;
    }
    return (struct json_scan_span){text, length};
}

/* Appends the call's line, LF included, to `line`. */
static bool engine_format(struct strbuf *line, uint64_t id, const char *method, struct json_scan_span params,
                          bool progress, struct ocdmux_error *error)
{
    struct json_scan scan;
    const char *reason = NULL;
    strbuf_appendf(line, "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":", id);
    cJSON *name = cJSON_CreateStringReference(method);
    char *quoted = cJSON_PrintUnformatted(name);
    strbuf_append_text(line, quoted == NULL ? "\"\"" : quoted);
    cJSON_free(quoted);
    cJSON_Delete(name);
    if (params.text == NULL && progress) {
        params = (struct json_scan_span){"{}", 2};
    }
    if (params.text != NULL) {
        if (!json_scan_check(params.text, params.length, &scan, &reason)) {
            return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "the parameters are not good JSON: %s",
                             reason);
        }
        if (!scan.is_object) {
            return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "the parameters are not an object, {...}");
        }
        engine_append_params(line, engine_trim(params.text, params.length), progress, id,
                             scan.member_count > 0);
    }
    strbuf_append_text(line, "}\n");
    if (!json_scan_check(line->data, line->length, &scan, &reason)) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "the method's name is not good JSON: %s", reason);
    }
    return true;
}

bool engine_begin(struct engine *engine, const char *method, const char *params, size_t params_length,
                  bool progress, struct engine_call **ret_call, struct ocdmux_error *error)
{
    if (engine_has_failed(engine, error)) {
        return false;
    }
    uint64_t id = engine->last_id + 1;
    struct strbuf line = STRBUF_INIT;
    if (!engine_format(&line, id, method, (struct json_scan_span){params, params_length}, progress, error)) {
        strbuf_fini(&line);
        return false;
    }
    size_t length = line.length - 1;
    if (engine->max_line != 0 && length > engine->max_line) {
        strbuf_fini(&line);
        return error_set(error, OCDMUX_KIND_LINE_TOO_LONG,
                         "the request is a line of %zu bytes, and the server takes at most %zu", length,
                         engine->max_line);
    }
    strbuf_append(&engine->output, line.data, line.length);
    strbuf_fini(&line);
    struct engine_call *call = xcalloc(1, sizeof(*call));
    call->engine = engine;
    call->id = engine->last_id = id;
    call->state = ENGINE_CALL_WAITING;
    list_append(&engine->calls, &call->node);
    *ret_call = call;
    return true;
}

void engine_cancel(struct engine_call *call)
{
    char params[48];
    struct engine_call *cancel = NULL;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (call->state == ENGINE_CALL_DONE) {
        return;
    }
    int length = snprintf(params, sizeof(params), "{\"id\":%" PRIu64 "}", call->id);
    if (engine_begin(call->engine, "request.cancel", params, (size_t)length, false, &cancel, &error)) {
        engine_release(cancel);
    }
    ocdmux_error_fini(&error);
}

void engine_output(const struct engine *engine, const char **ret_bytes, size_t *ret_length)
{
    *ret_length = engine->output.length - engine->sent;
    *ret_bytes = *ret_length == 0 ? "" : engine->output.data + engine->sent;
}

void engine_output_sent(struct engine *engine, size_t length)
{
    engine->sent += length;
    if (engine->sent < engine->output.length) {
        return;
    }
    engine->sent = 0;
    strbuf_clear(&engine->output);
    if (engine->output.capacity > ENGINE_KEEP_BYTES) {
        strbuf_fini(&engine->output);
    }
}

/* --- calls --- */

uint64_t engine_call_id(const struct engine_call *call)
{
    return call->id;
}

void engine_call_set_handler(struct engine_call *call, ocdmux_notification_fn *handler, void *arg)
{
    call->handler = handler;
    call->handler_arg = arg;
}

bool engine_call_is_stopped(const struct engine_call *call)
{
    return call->stopped;
}

bool engine_call_is_done(const struct engine_call *call)
{
    return call->state == ENGINE_CALL_DONE;
}

bool engine_call_finish(struct engine_call *call, struct ocdmux_result *ret_result,
                        struct ocdmux_error *error)
{
    if (call->error.kind != NULL) {
        error_move(error, &call->error);
        return false;
    }
    *ret_result = call->result;
    call->result = (struct ocdmux_result)OCDMUX_RESULT_INIT;
    return true;
}

void engine_release(struct engine_call *call)
{
    if (call->state == ENGINE_CALL_DONE) {
        engine_call_free(call);
        return;
    }
    call->state = ENGINE_CALL_ABANDONED;
    call->handler = NULL;
}

/* --- receiving --- */

/* One received line and what the scan found in it. */
struct engine_line {
    const char *text;
    size_t length;
    struct json_scan scan;
};

/* cJSON ends a string at a NUL: each \u0000 becomes \ufffd, which is as long. An escaped backslash before
 * u0000 stays. */
static void engine_replace_nuls(char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        if (text[i] != '\\') {
            continue;
        }
        if (length - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) {
            memcpy(text + i, "\\ufffd", 6);
        }
        i++;
    }
}

/* NULL for what the scan takes and cJSON does not: a lone surrogate, a number of more than 63 characters. */
static cJSON *engine_parse(const struct engine_line *line, struct json_scan_span span)
{
    if (!line->scan.has_nul_escape) {
        return cJSON_ParseWithLength(span.text, span.length);
    }
    char *copy = xstrndup(span.text, span.length);
    engine_replace_nuls(copy, span.length);
    cJSON *tree = cJSON_ParseWithLength(copy, span.length);
    free(copy);
    return tree;
}

static struct engine_call *engine_find_call(struct engine *engine, uint64_t id)
{
    list_for_each (node, &engine->calls) {
        struct engine_call *call = list_entry(node, struct engine_call, node);
        if (call->id == id && call->state != ENGINE_CALL_DONE) {
            return call;
        }
    }
    return NULL;
}

/* The only call in flight; NULL if there is none or more than one. */
static struct engine_call *engine_only_call(struct engine *engine)
{
    struct engine_call *only = NULL;
    list_for_each (node, &engine->calls) {
        struct engine_call *call = list_entry(node, struct engine_call, node);
        if (call->state == ENGINE_CALL_DONE) {
            continue;
        }
        if (only != NULL) {
            return NULL;
        }
        only = call;
    }
    return only;
}

/* An id as we send them: digits without leading zeros. */
static bool engine_parse_id(struct json_scan_span span, uint64_t *ret_id)
{
    uint64_t id = 0;
    if (span.length == 0 || span.length > 18 || span.text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < span.length; i++) {
        if (span.text[i] < '0' || span.text[i] > '9') {
            return false;
        }
        id = id * 10 + (uint64_t)(span.text[i] - '0');
    }
    *ret_id = id;
    return true;
}

/* The call that an answer is for. An error without an id is about a line that the server could not read. */
static struct engine_call *engine_answered_call(struct engine *engine, const struct engine_line *line)
{
    uint64_t id;
    struct json_scan_span span = json_scan_find(&line->scan, "id");
    if (json_scan_equals(span, "null") && json_scan_find(&line->scan, "error").text != NULL) {
        return engine_only_call(engine);
    }
    return engine_parse_id(span, &id) ? engine_find_call(engine, id) : NULL;
}

static bool engine_take_answer(struct engine *engine, const struct engine_line *line)
{
    struct json_scan_span result = json_scan_find(&line->scan, "result");
    struct json_scan_span failed = json_scan_find(&line->scan, "error");
    if ((result.text == NULL) == (failed.text == NULL)) {
        return engine_fail_protocol(engine, line->text, line->length, "an answer has a result or an error");
    }
    struct engine_call *call = engine_answered_call(engine, line);
    if (call == NULL) {
        return engine_fail_protocol(engine, line->text, line->length, "no request of that id is in flight");
    }
    cJSON *tree = engine_parse(line, result.text != NULL ? result : failed);
    if (tree == NULL || (failed.text != NULL && !cJSON_IsObject(tree))) {
        cJSON_Delete(tree);
        return engine_fail_protocol(engine, line->text, line->length, "an unreadable result or error");
    }
    if (call->state == ENGINE_CALL_ABANDONED) {
        cJSON_Delete(tree);
        engine_call_free(call);
        return true;
    }
    if (failed.text != NULL) {
        ocdmux_error_read(&call->error, tree);
        cJSON_Delete(tree);
    } else {
        call->result = (struct ocdmux_result){tree, xstrndup(result.text, result.length), result.length};
    }
    call->state = ENGINE_CALL_DONE;
    return true;
}

static void engine_notify_call(struct engine *engine, const cJSON *id,
                               const struct ocdmux_notification *notification)
{
    uint64_t number;
    if (!cJSON_IsNumber(id) || !ocdmux_json_u64(id, &number)) {
        return;
    }
    struct engine_call *call = engine_find_call(engine, number);
    if (call != NULL && call->handler != NULL && !call->stopped) {
        call->stopped = !call->handler(call->handler_arg, notification);
    }
}

static bool engine_take_notification(struct engine *engine, const struct engine_line *line)
{
    struct json_scan_span span = json_scan_find(&line->scan, "params");
    cJSON *method = engine_parse(line, json_scan_find(&line->scan, "method"));
    cJSON *params = span.text == NULL ? NULL : engine_parse(line, span);
    if (!cJSON_IsString(method) || !cJSON_IsObject(params)) {
        cJSON_Delete(method);
        cJSON_Delete(params);
        return engine_fail_protocol(engine, line->text, line->length,
                                    "a notification has a method and params");
    }
    struct ocdmux_notification notification = {method->valuestring, params, span.text, span.length};
    if (strcmp(notification.method, "progress") == 0) {
        engine_notify_call(engine, cJSON_GetObjectItemCaseSensitive(params, "token"), &notification);
    } else if (strcmp(notification.method, "data") == 0) {
        engine_notify_call(engine, cJSON_GetObjectItemCaseSensitive(params, "id"), &notification);
    } else if (engine->event_handler != NULL && !engine->event_stop) {
        engine->event_stop = !engine->event_handler(engine->event_arg, &notification);
    }
    cJSON_Delete(method);
    cJSON_Delete(params);
    return true;
}

/* A second "id" would make it a matter of taste whom an answer is for. */
static bool engine_has_duplicates(const struct json_scan *scan)
{
    for (size_t i = 1; i < scan->member_count && i < JSON_SCAN_MEMBERS; i++) {
        for (size_t j = 0; j < i; j++) {
            if (scan->keys[i].length == scan->keys[j].length &&
                memcmp(scan->keys[i].text, scan->keys[j].text, scan->keys[i].length) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool engine_take_line(struct engine *engine, const char *text, size_t length)
{
    struct engine_line line = {text, length, {.is_object = false}};
    const char *reason = NULL;
    if (!json_scan_check(text, length, &line.scan, &reason)) {
        return engine_fail_protocol(engine, text, length, reason);
    }
    if (!line.scan.is_object || line.scan.member_count > JSON_SCAN_MEMBERS ||
        engine_has_duplicates(&line.scan) ||
        !json_scan_equals(json_scan_find(&line.scan, "jsonrpc"), "\"2.0\"")) {
        return engine_fail_protocol(engine, text, length, "not a JSON-RPC 2.0 object");
    }
    if (json_scan_find(&line.scan, "method").text == NULL) {
        return engine_take_answer(engine, &line);
    }
    if (json_scan_find(&line.scan, "id").text != NULL) {
        return engine_fail_protocol(engine, text, length, "a server sends no requests");
    }
    return engine_take_notification(engine, &line);
}

/* Takes the complete lines of the input and keeps the rest. */
static bool engine_take_lines(struct engine *engine)
{
    size_t start = 0;
    for (;;) {
        const char *from = engine->input.data + engine->scanned;
        const char *feed = memchr(from, '\n', engine->input.length - engine->scanned);
        if (feed == NULL) {
            break;
        }
        const char *line = engine->input.data + start;
        size_t length = (size_t)(feed - line);
        start += length + 1;
        engine->scanned = start;
        if (length > 0 && line[length - 1] == '\r') {
            length--;
        }
        if (length > 0 && !engine_take_line(engine, line, length)) {
            return false;
        }
    }
    size_t left = engine->input.length - start;
    if (left > OCDMUX_MAX_LINE_BYTES) {
        return engine_fail_protocol(engine, engine->input.data + start, left, "a line of more than 64 MiB");
    }
    if (start > 0 && left > 0) {
        memmove(engine->input.data, engine->input.data + start, left);
    }
    strbuf_truncate(&engine->input, left);
    engine->scanned = left;
    if (left == 0 && engine->input.capacity > ENGINE_KEEP_BYTES) {
        strbuf_fini(&engine->input);
    }
    return true;
}

bool engine_input(struct engine *engine, const char *bytes, size_t length, struct ocdmux_error *error)
{
    if (engine_has_failed(engine, error)) {
        return false;
    }
    if (length == 0) {
        return true;
    }
    strbuf_append(&engine->input, bytes, length);
    if (!engine_take_lines(engine)) {
        error_copy(error, &engine->failure);
        return false;
    }
    return true;
}
