/* stage.create, write, read, list and delete: the store in server/stage, with parameters and results. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "methods/handlers_gen.h"
#include "server/request.h"
#include "server/stage.h"

/* NULL in `ret_hash` where none was given. Either case of letters is taken, as from other tools. */
static bool take_hash(const struct rpc_text *text, char hash[SHA256_TEXT_SIZE], const char **ret_hash,
                      struct err *err)
{
    if (text->text == NULL) {
        *ret_hash = NULL;
        return true;
    }
    bool good = text->length == SHA256_TEXT_SIZE - 1;
    for (size_t i = 0; good && i < text->length; i++) {
        int digit = hex_digit(text->text[i]);
        good = digit >= 0;
        hash[i] = good ? "0123456789abcdef"[digit] : '\0';
    }
    if (!good) {
        err_set(err, ERR_INVALID_PARAMS, "sha256: must be 64 hex digits");
        err_add_text(err, "parameter", "sha256");
        return false;
    }
    hash[SHA256_TEXT_SIZE - 1] = '\0';
    *ret_hash = hash;
    return true;
}

static bool find(struct request *request, const struct rpc_text *id, struct stage **ret_stage,
                 struct err *err)
{
    return stage_find(&request->server->stages, request->client->identity, id->text, ret_stage, err);
}

bool method_stage_create(struct request *request, struct params_stage_create *params, struct err *err)
{
    char hash[SHA256_TEXT_SIZE];
    const char *sha256 = NULL;
    struct stage *stage = NULL;
    if (!take_hash(&params->sha256, hash, &sha256, err) ||
        !stage_create(&request->server->stages, request->client->identity, params->name.text, params->size,
                      sha256, &stage, err)) {
        return false;
    }
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "stage", stage->id);
    json_bool(json, "present", stage->state == STAGE_COMPLETE);
    json_u64(json, "offset", stage->offset);
    request_reply_end(request);
    return true;
}

bool method_stage_write(struct request *request, struct params_stage_write *params, struct err *err)
{
    struct stage *stage = NULL;
    if (!find(request, &params->stage, &stage, err) ||
        !stage_write(stage, params->offset, params->data.bytes, params->data.length, err)) {
        return false;
    }
    struct json_writer *json = request_reply_begin(request);
    json_u64(json, "offset", stage->offset);
    json_u64(json, "size", stage->size);
    json_bool(json, "complete", stage->state == STAGE_COMPLETE);
    if (stage->state == STAGE_COMPLETE) {
        json_text(json, "sha256", stage->sha256);
    }
    request_reply_end(request);
    return true;
}

static bool check_read(const struct request *request, const struct params_stage_read *params,
                       const struct stage *stage, struct err *err)
{
    uint64_t limit = request->server->config->limits.max_inline_bytes;
    if (params->size > limit) {
        err_set(err, ERR_LIMIT_EXCEEDED, "size: one reply holds at most %" PRIu64 " bytes", limit);
        err_add_text(err, "limit", "max_inline_bytes");
        err_add_integer(err, "maximum", limit);
        return false;
    }
    if (!stage_check_complete(stage, err)) {
        return false;
    }
    if (params->offset >= stage->size) {
        err_set(err, ERR_INVALID_RANGE, "offset: stage %s has %" PRIu64 " bytes", stage->id, stage->size);
        err_add_integer(err, "size", stage->size);
        return false;
    }
    return true;
}

bool method_stage_read(struct request *request, struct params_stage_read *params, struct err *err)
{
    struct stage *stage = NULL;
    if (!find(request, &params->stage, &stage, err) || !check_read(request, params, stage, err)) {
        return false;
    }
    uint64_t left = stage->size - params->offset;
    size_t length = (size_t)(params->size < left ? params->size : left);
    uint8_t *bytes = xmalloc(length);
    if (!stage_read(stage, params->offset, bytes, length, err)) {
        free(bytes);
        return false;
    }
    struct json_writer *json = request_reply_begin(request);
    json_bytes(json, "data", bytes, length, params->encoding == RPC_ENCODING_HEX);
    json_u64(json, "offset", params->offset);
    json_u64(json, "size", length);
    free(bytes);
    request_reply_end(request);
    return true;
}

static void write_stage(const struct stage *stage, struct json_writer *json)
{
    char expires[CLOCK_TEXT_SIZE];
    stage_expires_text(stage, expires);
    json_open_object(json, NULL);
    json_text(json, "stage", stage->id);
    json_text(json, "name", stage->name);
    json_u64(json, "size", stage->size);
    json_u64(json, "offset", stage->offset);
    json_bool(json, "complete", stage->state == STAGE_COMPLETE);
    if (stage->sha256[0] != '\0') {
        json_text(json, "sha256", stage->sha256);
    }
    json_bool(json, "pinned", stage->pins > 0);
    json_text(json, "expires", expires);
    json_close_object(json);
}

bool method_stage_list(struct request *request, struct params_stage_list *params, struct err *err)
{
    struct server *server = request->server;
    const struct stage_owner *owner = stage_owner_find(&server->stages, request->client->identity);
    (void)params;
    (void)err;
    struct json_writer *json = request_reply_begin(request);
    json_open_array(json, "stages");
    if (owner != NULL) {
        list_for_each (node, &owner->stages) {
            write_stage(list_entry(node, struct stage, node), json);
        }
    }
    json_close_array(json);
    json_u64(json, "used_bytes", owner != NULL ? owner->bytes : 0);
    json_u64(json, "quota_bytes", server->config->limits.max_stage_bytes);
    request_reply_end(request);
    return true;
}

bool method_stage_delete(struct request *request, struct params_stage_delete *params, struct err *err)
{
    struct stage *stage = NULL;
    if (!find(request, &params->stage, &stage, err)) {
        return false;
    }
    stage_delete(stage);
    json_bool(request_reply_begin(request), "deleted", true);
    request_reply_end(request);
    return true;
}
