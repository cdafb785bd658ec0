/* The image that a call names: its bytes, from wherever they come, parsed. */
#ifndef OCDMUX_METHODS_IMAGE_REQUEST_H
#define OCDMUX_METHODS_IMAGE_REQUEST_H

#include "image/image.h"
#include "rpc/methods_gen.h"
#include "server/request.h"

struct image_request {
    const struct rpc_text *stage;
    const struct rpc_text *path;
    struct rpc_bytes *data;
    enum rpc_image_format_choice format;
    bool needs_address; /* a bin image has no place of its own to go to */
    bool has_address;   /* for bin alone: the others have addresses of their own, and refuse it */
    uint64_t address;
};

/* Fails as source_read() and image_parse() do, and with invalid_params, naming `address`. */
bool image_request_read(struct request *request, const struct image_request *what, struct image *ret_image,
                        struct err *err) __attribute__((warn_unused_result));

#endif
