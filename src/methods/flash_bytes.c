/* flash.write: bytes to a place in a bank. */
#include <stdlib.h>

#include "methods/handlers_gen.h"
#include "ops/flash_write.h"
#include "server/request.h"
#include "server/source.h"

static void write_written(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_write *self = (const struct flash_write *)op;
    (void)request;
    json_u64(json, "size", self->image_size);
    json_u64(json, "sectors_erased", self->sectors_erased);
}

bool method_flash_write(struct request *request, struct params_flash_write *params, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    struct image image;
    if (!source_read(request, &params->stage, NULL, &params->data, &bytes, &length, err)) {
        return false;
    }
    if (length - 1 > UINT64_MAX - params->offset) {
        free(bytes);
        err_set(err, ERR_INVALID_RANGE, "offset: the data would reach beyond 2^64");
        err_add_integer(err, "size", length);
        return false;
    }
    if (!image_parse(IMAGE_BIN, 0, bytes, length, &image, err)) {
        return false;
    }
    struct flash_write_options options = {
        .has_bank = true, .bank = (unsigned)params->bank, .offset = params->offset, .erase = params->erase};
    return request_run(request, flash_write_new(&options, &image), write_written);
}
