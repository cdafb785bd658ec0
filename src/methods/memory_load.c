/* memory.load_image. */
#include "ops/memory_load.h"
#include "base/clock.h"
#include "methods/handlers_gen.h"
#include "methods/image_request.h"
#include "server/request.h"

static void write_loaded(struct request *request, struct op *op, struct json_writer *json)
{
    const struct memory_load *self = (const struct memory_load *)op;
    (void)request;
    json_text(json, "format", image_format_name(self->image.format));
    json_u64(json, "segments", self->image.segment_count);
    json_u64(json, "bytes_written", self->written);
    if (self->image.has_entry) {
        json_address(json, "entry", self->image.entry);
    }
    json_bool(json, "verified", self->verify);
    json_u64(json, "duration_ms", (clock_now_us() - op->started_us) / 1000);
}

static enum prepare_mode prepare_of(int word)
{
    switch ((enum params_memory_load_image_prepare)word) {
    case PARAMS_MEMORY_LOAD_IMAGE_PREPARE_NONE:
        break;
    case PARAMS_MEMORY_LOAD_IMAGE_PREPARE_HALT:
        return PREPARE_HALT;
    case PARAMS_MEMORY_LOAD_IMAGE_PREPARE_RESET_HALT:
        return PREPARE_RESET_HALT;
    case PARAMS_MEMORY_LOAD_IMAGE_PREPARE_RESET_INIT:
        return PREPARE_RESET_INIT;
    }
    return PREPARE_NONE;
}

bool method_memory_load_image(struct request *request, struct params_memory_load_image *params,
                              struct err *err)
{
    struct image_request what = {.stage = &params->stage,
                                 .path = &params->path,
                                 .data = &params->data,
                                 .format = params->format_given ? (enum rpc_image_format_choice)params->format
                                                                : RPC_IMAGE_FORMAT_CHOICE_AUTO,
                                 .needs_address = true,
                                 .has_address = params->address_given,
                                 .address = params->address};
    struct image image;
    if (!image_request_read(request, &what, &image, err)) {
        return false;
    }
    struct op *op = memory_load_new(request->target, &image, params->verify, prepare_of(params->prepare));
    return request_run(request, op, write_loaded);
}
