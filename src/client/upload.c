/* The upload of a stage: stage.create, then stage.write until it is complete. */
#include <stdio.h>
#include <string.h>

#include "base/sha256.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "client/error.h"
#include "client/job.h"

/* Larger pieces are no faster, and an interrupt waits for the piece to end. */
#define UPLOAD_PIECE_BYTES ((size_t)1 << 20)
/* What the protocol takes as a stage's name. */
#define UPLOAD_NAME_BYTES ((size_t)255)

struct upload {
    struct ocdmux *connection;
    const struct ocdmux_job *job;
    const uint8_t *bytes;
    uint64_t size;
    struct ocdmux_stage stage;
    uint64_t offset; /* of the first byte that the server does not have */
};

/* Whether a character of UTF-8 is a control character, as the protocol has it: C0, DEL, C1. */
static bool upload_is_control(const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    return length == 1 ? first < 0x20 || first == 0x7f
                       : length == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

static void upload_add_name(cJSON *params, const char *name)
{
    struct strbuf text = STRBUF_INIT;
    size_t length = strlen(name);
    for (size_t i = 0; i < length;) {
        size_t taken = utf8_sequence(name + i, length - i);
        bool good = taken > 0 && !upload_is_control(name + i, taken);
        size_t room = UPLOAD_NAME_BYTES - text.length;
        if (room < (good ? taken : 1)) {
            break;
        }
        strbuf_append(&text, good ? name + i : "?", good ? taken : 1);
        i += taken > 0 ? taken : 1;
    }
    cJSON_AddStringToObject(params, "name", strbuf_text(&text));
    strbuf_fini(&text);
}

/* Takes the answer to stage.create; false if it is not what the protocol says. */
static bool upload_take_created(struct upload *upload, const cJSON *result)
{
    const cJSON *present = job_member(result, "present");
    uint64_t offset;
    if (!job_take_id(result, "stage", upload->stage.stage) || !cJSON_IsBool(present) ||
        !ocdmux_json_u64(job_member(result, "offset"), &offset)) {
        return false;
    }
    upload->stage.present = cJSON_IsTrue(present);
    upload->offset = upload->stage.present ? upload->size : offset;
    return upload->stage.present || offset < upload->size;
}

static bool upload_create(struct upload *upload, const char *name, struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "stage.create", .take_params = cJSON_CreateObject()};
    upload_add_name(call.take_params, name);
    ocdmux_json_add_u64(call.take_params, "size", upload->size);
    cJSON_AddStringToObject(call.take_params, "sha256", upload->stage.sha256);
    if (!job_run(upload->connection, upload->job, &call, &result, error)) {
        return false;
    }
    bool good = upload_take_created(upload, result.json);
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, call.method);
}

/*
 * Takes the answer to stage.write. The server may have more than this piece where somebody else sends the
 * same content; no answer may lead backwards, or this would never end.
 */
static bool upload_take_written(struct upload *upload, const cJSON *result)
{
    const cJSON *complete = job_member(result, "complete");
    const cJSON *sha = job_member(result, "sha256");
    uint64_t offset;
    uint64_t size;
    if (!ocdmux_json_u64(job_member(result, "offset"), &offset) ||
        !ocdmux_json_u64(job_member(result, "size"), &size) || !cJSON_IsBool(complete)) {
        return false;
    }
    if (size != upload->size || offset <= upload->offset || offset > size ||
        cJSON_IsTrue(complete) != (offset == size)) {
        return false;
    }
    if (cJSON_IsString(sha) && strcmp(sha->valuestring, upload->stage.sha256) != 0) {
        return false;
    }
    upload->offset = offset;
    return true;
}

static bool upload_write(struct upload *upload, size_t length, struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "stage.write", .take_params = cJSON_CreateObject()};
    cJSON_AddStringToObject(call.take_params, "stage", upload->stage.stage);
    ocdmux_json_add_u64(call.take_params, "offset", upload->offset);
    job_add_data(call.take_params, upload->bytes + upload->offset, length);
    if (!job_run(upload->connection, upload->job, &call, &result, error)) {
        return false;
    }
    bool good = upload_take_written(upload, result.json);
    ocdmux_result_fini(&result);
    return good || job_fail_result(error, call.method);
}

/* Sends what the server does not have. */
static bool upload_send(struct upload *upload, struct ocdmux_error *error)
{
    size_t piece = ocdmux_inline_room(upload->connection);
    piece = piece < UPLOAD_PIECE_BYTES ? piece : UPLOAD_PIECE_BYTES;
    if (piece == 0) {
        return error_set(error, OCDMUX_KIND_LINE_TOO_LONG, "the server's lines are too short for any data");
    }
    bool goes_on = job_tell(upload->job, "upload", upload->offset, upload->size);
    while (upload->offset < upload->size) {
        uint64_t left = upload->size - upload->offset;
        if (!goes_on) {
            return error_set(error, OCDMUX_KIND_CANCELLED, "stopped during the upload");
        }
        if (!upload_write(upload, left < piece ? (size_t)left : piece, error)) {
            return false;
        }
        goes_on = job_tell(upload->job, "upload", upload->offset, upload->size);
    }
    return true;
}

bool ocdmux_upload(struct ocdmux *connection, const struct ocdmux_job *job, const char *name,
                   const void *bytes, size_t size, struct ocdmux_stage *ret_stage, struct ocdmux_error *error)
{
    struct upload upload = {.connection = connection, .job = job, .bytes = bytes, .size = size};
    struct sha256 *sha = sha256_new();
    sha256_add(sha, bytes, size);
    sha256_finish(sha, upload.stage.sha256);
    sha256_free(sha);
    if (!upload_create(&upload, name, error)) {
        return false;
    }
    if (!upload.stage.present && !upload_send(&upload, error)) {
        return false;
    }
    *ret_stage = upload.stage;
    return true;
}
