/* flash.banks, info, write_image and verify. */
#include "base/clock.h"
#include "methods/handlers_gen.h"
#include "methods/image_request.h"
#include "methods/write.h"
#include "ops/flash_verify.h"
#include "ops/flash_write.h"
#include "server/request.h"

static void write_banks(struct request *request, struct op *op, struct json_writer *json)
{
    (void)op;
    write_bank_list(board_info(request->board), json);
}

bool method_flash_banks(struct request *request, struct params_flash_banks *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, flash_banks_new(), write_banks);
}

static void write_info(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_geometry *geometry = &((const struct flash_info_op *)op)->geometry;
    (void)request;
    write_bank(&geometry->bank, json);
    json_open_array(json, "sectors");
    for (size_t i = 0; i < geometry->sectors.count; i++) {
        write_flash_row(json, i, &geometry->sectors.blocks[i], flash_sector_protection(geometry, i));
    }
    json_close_array(json);
    json_open_array(json, "protection_blocks");
    for (size_t i = 0; i < geometry->blocks.count; i++) {
        write_flash_row(json, i, &geometry->blocks.blocks[i], geometry->blocks.blocks[i].protection);
    }
    json_close_array(json);
    json_text_bytes(json, "description", strbuf_text(&geometry->blocks.description),
                    geometry->blocks.description.length);
}

bool method_flash_info(struct request *request, struct params_flash_info *params, struct err *err)
{
    (void)err;
    return request_run(request, flash_info_new((unsigned)params->bank), write_info);
}

/* write_image */

static void write_written(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_write *self = (const struct flash_write *)op;
    (void)request;
    json_text(json, "format", image_format_name(self->image.format));
    json_u64(json, "segments", self->image.segment_count);
    json_u64(json, "bytes_written", self->image_size - self->bytes_unchanged);
    json_u64(json, "bytes_unchanged", self->bytes_unchanged);
    json_u64(json, "sectors_erased", self->sectors_erased);
    json_bool(json, "verified", self->options.verify);
    json_u64(json, "repaired_bytes", self->bytes_repaired);
    if (self->image.has_entry) {
        json_address(json, "entry", self->image.entry);
    }
    json_u64(json, "duration_ms", (clock_now_us() - op->started_us) / 1000);
}

/* `mode` is `changed` where sectors are erased, unless something else was asked for. */
static bool wants_compare(const struct params_flash_write_image *params, bool *ret_compare, struct err *err)
{
    bool changed = params->mode_given ? params->mode == PARAMS_FLASH_WRITE_IMAGE_MODE_CHANGED : params->erase;
    if (changed && !params->erase) {
        err_set(err, ERR_INVALID_PARAMS,
                "mode: \"changed\" needs `erase`: what differs cannot be programmed over what is there");
        err_add_text(err, "parameter", "mode");
        return false;
    }
    *ret_compare = changed;
    return true;
}

bool method_flash_write_image(struct request *request, struct params_flash_write_image *params,
                              struct err *err)
{
    struct flash_write_options options = {
        .has_address = params->address_given,
        .erase = params->erase,
        .verify = params->verify,
        .unlock = params->unlock,
        .prepare = (enum prepare_mode)params->prepare,
        .reset = (enum flash_reset)params->reset,
    };
    struct image_request what = {.stage = &params->stage,
                                 .path = &params->path,
                                 .data = &params->data,
                                 .format = params->format_given ? (enum rpc_image_format_choice)params->format
                                                                : RPC_IMAGE_FORMAT_CHOICE_AUTO,
                                 .has_address = params->address_given,
                                 .address = params->address};
    struct image image;
    if (!wants_compare(params, &options.compare, err) || !image_request_read(request, &what, &image, err)) {
        return false;
    }
    struct op *op = flash_write_new(&options, &image);
    op->detached = params->detach;
    return request_run(request, op, write_written);
}

/* verify */

static void write_difference(const struct flash_difference *difference, struct json_writer *json)
{
    json_open_object(json, NULL);
    json_u64(json, "offset", difference->offset);
    json_address(json, "address", difference->address);
    json_u64(json, "expected", difference->expected);
    json_u64(json, "found", difference->found);
    json_close_object(json);
}

static void write_comparison(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_verify *self = (const struct flash_verify *)op;
    (void)request;
    json_bool(json, "match", self->difference_count == 0);
    json_u64(json, "size", self->image_size);
    json_open_array(json, "differences");
    for (uint64_t i = 0; i < self->difference_count && i < FLASH_VERIFY_FIRST_DIFFERENCES; i++) {
        write_difference(&self->differences[i], json);
    }
    json_close_array(json);
    json_u64(json, "difference_count", self->difference_count);
}

/* Plain bytes go to a bank, by offset. */
static bool check_offset(const struct params_flash_verify *params, const struct image *image, struct err *err)
{
    if (image->size - 1 <= UINT64_MAX - params->offset) {
        return true;
    }
    err_set(err, ERR_INVALID_RANGE, "offset: the data would reach beyond 2^64");
    err_add_integer(err, "size", image->size);
    return false;
}

bool method_flash_verify(struct request *request, struct params_flash_verify *params, struct err *err)
{
    struct image_request what = {.stage = &params->stage,
                                 .path = &params->path,
                                 .data = &params->data,
                                 .format = params->format_given ? (enum rpc_image_format_choice)params->format
                                                                : RPC_IMAGE_FORMAT_CHOICE_BIN};
    struct image image;
    if (!image_request_read(request, &what, &image, err)) {
        return false;
    }
    struct flash_verify_options options = {.has_bank = image.format == IMAGE_BIN,
                                           .bank = (unsigned)params->bank,
                                           .offset = params->offset,
                                           .consistent = params->consistent};
    if (options.has_bank && !check_offset(params, &image, err)) {
        image_fini(&image);
        return false;
    }
    return request_run(request, flash_verify_new(&options, &image), write_comparison);
}
