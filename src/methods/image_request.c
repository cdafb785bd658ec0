/* From a call's parameters to an image. */
#include "methods/image_request.h"

#include <stdlib.h>

#include "server/source.h"

static enum image_format format_of(enum rpc_image_format_choice choice, const uint8_t *bytes, size_t length)
{
    switch (choice) {
    case RPC_IMAGE_FORMAT_CHOICE_AUTO:
        return image_detect(bytes, length);
    case RPC_IMAGE_FORMAT_CHOICE_BIN:
        return IMAGE_BIN;
    case RPC_IMAGE_FORMAT_CHOICE_IHEX:
        return IMAGE_IHEX;
    case RPC_IMAGE_FORMAT_CHOICE_SREC:
        return IMAGE_SREC;
    case RPC_IMAGE_FORMAT_CHOICE_ELF:
        return IMAGE_ELF;
    case RPC_IMAGE_FORMAT_CHOICE_UF2:
        return IMAGE_UF2;
    }
    return IMAGE_BIN;
}

static bool check_address(const struct image_request *what, enum image_format format, size_t length,
                          struct err *err)
{
    bool is_bin = format == IMAGE_BIN;
    if (is_bin ? what->needs_address && !what->has_address : what->has_address) {
        err_set(err, ERR_INVALID_PARAMS,
                is_bin ? "address: needed, for a %s image does not say where it belongs"
                       : "address: a %s image has addresses of its own",
                image_format_name(format));
        err_add_text(err, "parameter", "address");
        return false;
    }
    if (is_bin && length - 1 > UINT64_MAX - what->address) {
        err_set(err, ERR_INVALID_RANGE, "address: %zu bytes from there reach beyond 2^64", length);
        err_add_address(err, "address", what->address);
        err_add_integer(err, "size", length);
        return false;
    }
    return true;
}

bool image_request_read(struct request *request, const struct image_request *what, struct image *ret_image,
                        struct err *err)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (!source_read(request, what->stage, what->path, what->data, &bytes, &length, err)) {
        return false;
    }
    enum image_format format = format_of(what->format, bytes, length);
    if (!check_address(what, format, length, err)) {
        free(bytes);
        return false;
    }
    return image_parse(format, what->address, bytes, length, ret_image, err);
}
