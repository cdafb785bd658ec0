/*
 * Parameters by table. Members of the call are first matched to table rows, without looking at values; then
 * each row is read by its kind. What has been read so far lies in the params struct, so that one function
 * frees it.
 */
#include "rpc/params.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/methods_gen.h"
#include "rpc/params_read.h"

#define ROWS_MAX 32u

/* The rows that a method takes, its own and then the common ones, and what the call says for each. */
struct rows {
    const struct rpc_param *param[ROWS_MAX];
    struct json_span given[ROWS_MAX]; /* zero-length: not given */
    size_t count;
};

static void set_default(const struct rpc_param *param, void *place)
{
    switch (param->kind) {
    case RPC_PARAM_U64:
        *(uint64_t *)place = param->default_value;
        return;
    case RPC_PARAM_BOOL:
        *(bool *)place = param->default_value != 0;
        return;
    case RPC_PARAM_CHOICE:
        *(int *)place = (int)param->default_value;
        return;
    case RPC_PARAM_TEXT:
    case RPC_PARAM_SCRIPT:
    case RPC_PARAM_BYTES:
    case RPC_PARAM_INTEGERS:
    case RPC_PARAM_TEXTS:
    case RPC_PARAM_NUMBERS:
    case RPC_PARAM_RANGES:
    case RPC_PARAM_CHOICES:
    case RPC_PARAM_TOKEN:
    case RPC_PARAM_ID:
    case RPC_PARAM_ANY:
        return; /* all zero */
    }
}

static void *place_of(void *params, uint16_t offset)
{
    return (char *)params + offset;
}

static bool read_row(const struct rows *rows, size_t i, bool hex, void *params, struct err *err)
{
    const struct rpc_param *param = rows->param[i];
    struct params_reading reading = {
        .param = param, .place = place_of(params, param->offset), .hex = hex, .err = err};
    if (rows->given[i].length == 0) {
        set_default(param, reading.place);
        return !param->required || params_read_fault(&reading, "is missing");
    }
    if (!params_read_value(&reading, rows->given[i])) {
        return false;
    }
    if (param->given_offset != UINT16_MAX) {
        *(bool *)place_of(params, param->given_offset) = true;
    }
    return true;
}

static void list_rows(const struct rpc_method *method, struct rows *rows)
{
    *rows = (struct rows){.count = 0};
    size_t common = method->board ? RPC_COMMON_PARAM_COUNT : 0;
    assert(method->param_count + common <= ROWS_MAX);
    for (size_t i = 0; i < method->param_count; i++, rows->count++) {
        rows->param[rows->count] = &method->params[i];
    }
    for (size_t i = 0; i < common; i++, rows->count++) {
        rows->param[rows->count] = &rpc_common_params[i];
    }
}

static bool match_member(struct rows *rows, struct json_span key, struct json_span value, struct err *err)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (json_span_equals(key, rows->param[i]->name)) {
            rows->given[i] = value;
            return true;
        }
    }
    char label[JSON_LABEL_SIZE];
    json_span_label(key, label);
    err_set(err, ERR_INVALID_PARAMS, "unknown parameter \"%s\"", label);
    err_add_text(err, "parameter", label);
    return false;
}

static bool match_members(struct rows *rows, struct json_span span, struct err *err)
{
    if (span.length == 0) {
        return true;
    }
    if (json_span_kind(span) != JSON_OBJECT) {
        err_set(err, ERR_INVALID_PARAMS, "params: must be an object; parameters are given by name");
        err_add_text(err, "parameter", "params");
        return false;
    }
    struct json_cursor cursor;
    json_cursor_init(&cursor, span);
    struct json_span key;
    struct json_span value;
    while (json_next_member(&cursor, &key, &value)) {
        if (!match_member(rows, key, value, err)) {
            return false;
        }
    }
    return true;
}

/* Whether the parameter `encoding`, already read, is "hex". */
static bool is_hex(const struct rpc_method *method, void *params)
{
    for (size_t i = 0; i < method->param_count; i++) {
        const struct rpc_param *param = &method->params[i];
        if (param->kind == RPC_PARAM_CHOICE && strcmp(param->name, "encoding") == 0) {
            const int *index = place_of(params, param->offset);
            return strcmp(param->choices[*index], "hex") == 0;
        }
    }
    return false;
}

bool rpc_params_parse(const struct rpc_method *method, struct json_span span, void *params, struct err *err)
{
    memset(params, 0, method->params_size);
    struct rows rows;
    list_rows(method, &rows);
    bool good = match_members(&rows, span, err);
    for (size_t i = 0; good && i < rows.count; i++) {
        good = rows.param[i]->kind == RPC_PARAM_BYTES || read_row(&rows, i, false, params, err);
    }
    bool hex = good && is_hex(method, params);
    for (size_t i = 0; good && i < rows.count; i++) { /* last, when the encoding is known */
        good = rows.param[i]->kind != RPC_PARAM_BYTES || read_row(&rows, i, hex, params, err);
    }
    if (!good) {
        rpc_params_fini(method, params);
    }
    return good;
}

/* ---- giving back ---- */

static void fini_value(const struct rpc_param *param, void *place)
{
    switch (param->kind) {
    case RPC_PARAM_TEXT:
    case RPC_PARAM_SCRIPT:
    case RPC_PARAM_TOKEN:
    case RPC_PARAM_ID: {
        struct rpc_text *text = place;
        free(text->text);
        *text = (struct rpc_text){.text = NULL};
        return;
    }
    case RPC_PARAM_BYTES: {
        struct rpc_bytes *bytes = place;
        free(bytes->bytes);
        *bytes = (struct rpc_bytes){.bytes = NULL};
        return;
    }
    case RPC_PARAM_INTEGERS: {
        struct rpc_integers *integers = place;
        free(integers->values);
        *integers = (struct rpc_integers){.values = NULL};
        return;
    }
    case RPC_PARAM_TEXTS:
    case RPC_PARAM_NUMBERS: {
        struct rpc_texts *texts = place;
        for (size_t i = 0; i < texts->count; i++) {
            free(texts->items[i].text);
        }
        free(texts->items);
        *texts = (struct rpc_texts){.items = NULL};
        return;
    }
    case RPC_PARAM_RANGES: {
        struct rpc_ranges *ranges = place;
        free(ranges->items);
        *ranges = (struct rpc_ranges){.items = NULL};
        return;
    }
    case RPC_PARAM_U64:
    case RPC_PARAM_BOOL:
    case RPC_PARAM_CHOICE:
    case RPC_PARAM_CHOICES:
    case RPC_PARAM_ANY:
        return;
    }
}

void rpc_params_fini(const struct rpc_method *method, void *params)
{
    struct rows rows;
    list_rows(method, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        fini_value(rows.param[i], place_of(params, rows.param[i]->offset));
    }
}
