/* The lines of the audit. */
#include "server/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "rpc/json_write.h"
#include "server/audit_file.h"
#include "server/request.h"

#define LONGEST_TEXT 256u

struct audit {
    struct audit_file file;
    bool required;
    uint64_t last_call;
};

bool audit_new(struct audit **ret_audit, const char *path, bool required, struct err *err)
{
    struct audit_file file;
    if (!audit_file_open(&file, path, err)) {
        return false;
    }
    *ret_audit = xcalloc(1, sizeof **ret_audit);
    (*ret_audit)->file = file;
    (*ret_audit)->required = required;
    return true;
}

void audit_free(struct audit *audit)
{
    if (audit != NULL) {
        audit_file_close(&audit->file);
        free(audit);
    }
}

void audit_reopen(struct audit *audit)
{
    if (audit != NULL) {
        audit_file_reopen(&audit->file);
    }
}

uint64_t audit_missing(const struct audit *audit)
{
    return audit != NULL ? audit->file.missing_ever : 0;
}

static void begin_line(struct strbuf *line, struct json_writer *json, const char *event)
{
    char now[CLOCK_TEXT_SIZE];
    clock_wall_text(now);
    json_writer_init(json, line);
    json_open_object(json, NULL);
    json_text(json, "time", now);
    json_text(json, "event", event);
}

static bool end_line(struct audit *audit, struct strbuf *line, struct json_writer *json, struct err *err)
{
    json_close_object(json);
    bool ok = audit_file_append(&audit->file, line, err);
    strbuf_fini(line);
    return ok;
}

/* Where the failure, which the file has told the log of, stops nothing. */
static void end_line_anyway(struct audit *audit, struct strbuf *line, struct json_writer *json)
{
    struct err ignored;
    err_reset(&ignored);
    if (!end_line(audit, line, json, &ignored)) {
        return;
    }
}

static void write_client(const struct client *client, struct json_writer *json)
{
    json_text(json, "identity", client->identity);
    if (client->name[0] != '\0') {
        json_text(json, "client", client->name);
    }
    json_text(json, "peer", client->peer);
}

static void write_error(const struct err *err, struct json_writer *json)
{
    json_open_object(json, "error");
    json_text(json, "kind", err_kind_name(err->kind));
    json_text(json, "message", err->message);
    json_close_object(json);
}

/* Secrets, and what would fill the file with what was moved. */
static bool is_left_out(struct json_span key)
{
    static const char *const names[] = {"lease", "token", "data", "values", "text", "log", "progress"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_span_equals(key, names[i])) {
            return true;
        }
    }
    return false;
}

static void write_member(struct json_span key, struct json_span value, struct json_writer *json)
{
    char *name =
        xstrndup(key.text + 1, key.length - 2); /* of the protocol, so there is nothing to unescape */
    if (json_span_kind(value) == JSON_STRING && json_span_string_length(value) > LONGEST_TEXT) {
        char label[JSON_LABEL_SIZE];
        json_span_label(value, label);
        json_text(json, name, label);
    } else {
        json_raw(json, name, value.text, value.length);
    }
    free(name);
}

/* Which registers; other arrays say too much. */
static bool is_short_list(struct json_span key, struct json_span value)
{
    return json_span_kind(value) == JSON_ARRAY && json_span_equals(key, "names") &&
           value.length <= LONGEST_TEXT;
}

/* The members of an object that say what was asked for, or what came of it. */
static void write_members(struct json_span object, struct json_writer *json)
{
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    if (json_span_kind(object) != JSON_OBJECT) {
        return;
    }
    json_cursor_init(&cursor, object);
    while (json_next_member(&cursor, &key, &value)) {
        enum json_kind kind = json_span_kind(value);
        bool plain = kind == JSON_NUMBER || kind == JSON_TRUE || kind == JSON_FALSE || kind == JSON_STRING;
        if ((plain || is_short_list(key, value)) && !is_left_out(key)) {
            write_member(key, value, json);
        }
    }
}

static void write_call(const struct request *request, struct json_writer *json)
{
    if (request->audit.number != 0) {
        json_u64(json, "call", request->audit.number);
    }
    json_text(json, "method", request->method->name);
    if (request->board != NULL) {
        json_text(json, "board", board_name(request->board));
    }
    if (request->target != NULL && request->target[0] != '\0') {
        json_text(json, "target", request->target);
    }
    write_client(request->client, json);
    json_raw(json, "params", strbuf_text(&request->audit.params), request->audit.params.length);
    if (request->audit.image_size > 0) {
        json_open_object(json, "image");
        json_text(json, "sha256", request->audit.image_sha256);
        json_u64(json, "size", request->audit.image_size);
        json_close_object(json);
    }
}

bool audit_wants(const struct rpc_method *method)
{
    const struct rpc_method *lease[] = {&rpc_methods[RPC_METHOD_LEASE_ACQUIRE],
                                        &rpc_methods[RPC_METHOD_LEASE_RELEASE],
                                        &rpc_methods[RPC_METHOD_LEASE_BREAK]};
    return method->changes || method == lease[0] || method == lease[1] || method == lease[2];
}

void audit_take(struct audit *audit, struct request *request, struct json_span params)
{
    struct json_writer json;
    if (audit == NULL || !audit_wants(request->method)) {
        return;
    }
    json_writer_init(&json, &request->audit.params);
    json_open_object(&json, NULL);
    write_members(params, &json);
    json_close_object(&json);
}

void audit_image(struct audit *audit, struct request *request, const uint8_t *bytes, size_t size,
                 const char *sha256)
{
    struct audit_call *call = &request->audit;
    if (audit == NULL || call->params.length == 0) {
        return;
    }
    call->image_size = size;
    if (sha256 != NULL && sha256[0] != '\0') {
        snprintf(call->image_sha256, sizeof call->image_sha256, "%s", sha256);
        return;
    }
    struct sha256 *sha = sha256_new();
    sha256_add(sha, bytes, size);
    sha256_finish(sha, call->image_sha256);
    sha256_free(sha);
}

bool audit_begin(struct audit *audit, struct request *request, struct err *err)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    struct err failure;
    if (audit == NULL || request->audit.params.length == 0) {
        return true;
    }
    err_reset(&failure);
    request->audit.number = ++audit->last_call;
    request->audit.begun_us = clock_now_us();
    begin_line(&line, &json, "begun");
    write_call(request, &json);
    if (end_line(audit, &line, &json, &failure) || !audit->required) {
        return true;
    }
    request->audit.number = 0;
    err_set(err, ERR_INTERNAL_ERROR, "nothing is changed while it cannot be written down: %s",
            failure.message);
    return false;
}

void audit_end(struct audit *audit, struct request *request, const struct err *err, struct json_span result)
{
    const struct audit_call *call = &request->audit;
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL || call->params.length == 0) {
        return;
    }
    const char *at_once = err == NULL ? "done" : "refused";
    begin_line(&line, &json, call->number != 0 ? "ended" : at_once);
    write_call(request, &json);
    if (call->number != 0) {
        json_text(&json, "outcome", err == NULL ? "done" : "failed");
        json_u64(&json, "duration_ms", (clock_now_us() - call->begun_us) / 1000);
    }
    if (err != NULL) {
        write_error(err, &json);
    } else {
        json_open_object(&json, "result");
        write_members(result, &json);
        json_close_object(&json);
    }
    end_line_anyway(audit, &line, &json);
}

void audit_refused(struct audit *audit, const struct client *client, const char *method,
                   const struct err *err)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL) {
        return;
    }
    begin_line(&line, &json, "refused");
    json_text(&json, "method", method);
    write_client(client, &json);
    write_error(err, &json);
    end_line_anyway(audit, &line, &json);
}

void audit_lease(struct audit *audit, const struct board *board, const char *kind,
                 const struct lease_terms *terms)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL) {
        return;
    }
    begin_line(&line, &json, "lease");
    json_text(&json, "kind", kind);
    json_text(&json, "board", board_name(board));
    json_text(&json, "identity", terms->identity);
    if (terms->client[0] != '\0') {
        json_text(&json, "client", terms->client);
    }
    if (terms->reason[0] != '\0') {
        json_text(&json, "reason", terms->reason);
    }
    end_line_anyway(audit, &line, &json);
}

void audit_gdb(struct audit *audit, const struct board *board, const char *kind, const char *identity,
               const char *peer, const char *target)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL) {
        return;
    }
    begin_line(&line, &json, "gdb");
    json_text(&json, "kind", kind);
    json_text(&json, "board", board_name(board));
    json_text(&json, "target", target);
    json_text(&json, "identity", identity);
    json_text(&json, "peer", peer);
    end_line_anyway(audit, &line, &json);
}

void audit_login(struct audit *audit, const struct client *client, const char *by)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL) {
        return;
    }
    begin_line(&line, &json, "login");
    write_client(client, &json);
    json_text(&json, "by", by);
    end_line_anyway(audit, &line, &json);
}

void audit_login_failed(struct audit *audit, const struct client *client, const char *by, const char *reason)
{
    struct strbuf line = STRBUF_INIT;
    struct json_writer json;
    if (audit == NULL) {
        return;
    }
    begin_line(&line, &json, "login");
    json_text(&json, "peer", client->peer);
    json_text(&json, "by", by);
    json_text(&json, "error", reason);
    end_line_anyway(audit, &line, &json);
}
