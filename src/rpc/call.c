/* The envelope of a call: each member is noted in one pass, then the rules are applied in one order. */
#include "rpc/call.h"

#include <string.h>

#include "rpc/methods_gen.h"

#define ID_MAX 256u

/* The members of a call; zero-length: not given. */
struct members {
    struct json_span jsonrpc;
    struct json_span method;
    struct json_span id;
    struct json_span params;
    struct json_span unknown; /* the key of the first member that is none of those */
};

static void note_member(struct members *members, struct json_span key, struct json_span value)
{
    if (json_span_equals(key, "jsonrpc")) {
        members->jsonrpc = value;
    } else if (json_span_equals(key, "method")) {
        members->method = value;
    } else if (json_span_equals(key, "id")) {
        members->id = value;
    } else if (json_span_equals(key, "params")) {
        members->params = value;
    } else if (members->unknown.length == 0) {
        members->unknown = key;
    }
}

static bool check_members(const struct members *members, struct err *err)
{
    if (members->unknown.length > 0) {
        char label[JSON_LABEL_SIZE];
        json_span_label(members->unknown, label);
        return err_set(err, ERR_INVALID_REQUEST, "unknown member \"%s\"", label);
    }
    if (!json_span_equals(members->jsonrpc, "2.0")) {
        return err_set(err, ERR_INVALID_REQUEST, "jsonrpc: must be \"2.0\"");
    }
    if (json_span_kind(members->method) != JSON_STRING) {
        return err_set(err, ERR_INVALID_REQUEST, "method: must be the name of a method");
    }
    enum json_kind kind = json_span_kind(members->params);
    if (kind != JSON_NONE && kind != JSON_OBJECT && kind != JSON_ARRAY) {
        return err_set(err, ERR_INVALID_REQUEST, "params: must be an object");
    }
    return true;
}

static bool find_method(struct json_span name, const struct rpc_method **ret_method, struct err *err)
{
    for (size_t i = 0; i < RPC_METHOD_COUNT; i++) {
        if (json_span_equals(name, rpc_methods[i].name)) {
            *ret_method = &rpc_methods[i];
            return true;
        }
    }
    char label[JSON_LABEL_SIZE];
    json_span_label(name, label);
    err_set(err, ERR_METHOD_NOT_FOUND, "there is no method \"%s\"", label);
    err_add_text(err, "method", label);
    return false;
}

bool rpc_call_parse(struct json_span span, struct rpc_call *ret_call, struct err *err)
{
    *ret_call = (struct rpc_call){.method = NULL};
    if (json_span_kind(span) != JSON_OBJECT) {
        return err_set(err, ERR_INVALID_REQUEST, "a call must be an object");
    }
    struct members members = {.id = {.length = 0}};
    struct json_cursor cursor;
    json_cursor_init(&cursor, span);
    struct json_span key;
    struct json_span value;
    while (json_next_member(&cursor, &key, &value)) {
        note_member(&members, key, value);
    }
    const char *rule = members.id.length > 0 ? rpc_params_token_fault(members.id, ID_MAX) : NULL;
    if (rule != NULL) {
        return err_set(err, ERR_INVALID_REQUEST, "id: %s", rule);
    }
    ret_call->id = members.id;
    if (!check_members(&members, err)) {
        return false;
    }
    /* Before the method is looked for: without an id nobody could tell what the answer belongs to. */
    const struct rpc_method *cancel = &rpc_methods[RPC_METHOD_REQUEST_CANCEL];
    if (members.id.length == 0 && !json_span_equals(members.method, cancel->name)) {
        return err_set(err, ERR_INVALID_REQUEST, "id: is missing; only %s may come without one",
                       cancel->name);
    }
    const struct rpc_method *method = NULL;
    if (!find_method(members.method, &method, err)) {
        return false;
    }
    ret_call->method = method;
    ret_call->params = members.params;
    return true;
}
