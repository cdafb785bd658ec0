/* Programming an image: the upload, then flash.write_image. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "client/error.h"
#include "client/job.h"

#define FLASH_READ_BYTES ((size_t)64 << 10)

static void flash_add_options(cJSON *params, const struct ocdmux_flash_options *options)
{
    const struct {
        const char *name;
        const char *value;
    } texts[] = {{"format", options->format},
                 {"mode", options->mode},
                 {"prepare", options->prepare},
                 {"reset", options->reset}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            cJSON_AddStringToObject(params, texts[i].name, texts[i].value);
        }
    }
    if (options->has_address) {
        ocdmux_json_add_address(params, "address", options->address);
    }
    if (options->no_erase) {
        cJSON_AddFalseToObject(params, "erase");
    }
    if (options->no_verify) {
        cJSON_AddFalseToObject(params, "verify");
    }
    if (options->unlock) {
        cJSON_AddTrueToObject(params, "unlock");
    }
    if (options->no_detach) {
        cJSON_AddFalseToObject(params, "detach");
    }
}

static bool flash_refuse_size(struct ocdmux_error *error, const char *name, uint64_t maximum)
{
    return error_set(error, "limit_exceeded", "%s has more than the %" PRIu64 " bytes that the server takes",
                     name, maximum);
}

bool ocdmux_flash_image(struct ocdmux *connection, const struct ocdmux_job *job, const char *name,
                        const void *image, size_t size, const struct ocdmux_flash_options *options,
                        struct ocdmux_result *ret_result, struct ocdmux_error *error)
{
    struct ocdmux_stage stage;
    uint64_t maximum = ocdmux_limits(connection)->max_image_bytes;
    if (size > maximum) {
        return flash_refuse_size(error, name, maximum);
    }
    if (!ocdmux_upload(connection, job, name, image, size, &stage, error)) {
        return false;
    }
    struct job_call call = {.method = "flash.write_image", .take_params = job_params(job), .board = true};
    cJSON_AddStringToObject(call.take_params, "stage", stage.stage);
    if (options != NULL) {
        flash_add_options(call.take_params, options);
    }
    return job_run(connection, job, &call, ret_result, error);
}

/* All of a file, unless it is longer than `maximum`. */
static bool flash_read_file(const char *path, uint64_t maximum, struct strbuf *image,
                            struct ocdmux_error *error)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "%s: %s", path, strerror(errno));
    }
    size_t got = 0;
    do {
        char *room = strbuf_extend(image, FLASH_READ_BYTES);
        got = fread(room, 1, FLASH_READ_BYTES, file);
        strbuf_truncate(image, image->length - (FLASH_READ_BYTES - got));
    } while (got > 0 && image->length <= maximum);
    int reason = ferror(file) != 0 ? errno : 0;
    (void)fclose(file);
    if (reason != 0) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "%s: %s", path, strerror(reason));
    }
    if (image->length == 0) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "%s has no bytes", path);
    }
    return image->length <= maximum || flash_refuse_size(error, path, maximum);
}

bool ocdmux_flash_file(struct ocdmux *connection, const struct ocdmux_job *job, const char *path,
                       const struct ocdmux_flash_options *options, struct ocdmux_result *ret_result,
                       struct ocdmux_error *error)
{
    struct strbuf image = STRBUF_INIT;
    const char *slash = strrchr(path, '/');
    bool good = flash_read_file(path, ocdmux_limits(connection)->max_image_bytes, &image, error) &&
                ocdmux_flash_image(connection, job, slash == NULL ? path : slash + 1, image.data,
                                   image.length, options, ret_result, error);
    strbuf_fini(&image);
    return good;
}
