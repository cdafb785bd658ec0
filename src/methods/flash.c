/* flash.banks, info, write_image and verify. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/flash_write.h"
#include "ops/range_read.h"
#include "server/request.h"

#define FIRST_DIFFERENCES 16u

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

static void write_protection(struct json_writer *json, enum ocd_protection protection)
{
    switch (protection) {
    case OCD_PROTECTION_OFF:
        json_bool(json, "protected", false);
        break;
    case OCD_PROTECTION_ON:
        json_bool(json, "protected", true);
        break;
    case OCD_PROTECTION_UNKNOWN:
        json_null(json, "protected");
        break;
    }
}

static void write_row(struct json_writer *json, size_t index, const struct ocd_block *block,
                      enum ocd_protection protection)
{
    json_open_object(json, NULL);
    json_u64(json, "index", index);
    json_u64(json, "offset", block->offset);
    json_u64(json, "size", block->size);
    write_protection(json, protection);
    json_close_object(json);
}

static void write_info(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_geometry *geometry = &((const struct flash_info_op *)op)->geometry;
    (void)request;
    write_bank(&geometry->bank, json);
    json_open_array(json, "sectors");
    for (size_t i = 0; i < geometry->sectors.count; i++) {
        write_row(json, i, &geometry->sectors.blocks[i], flash_sector_protection(geometry, i));
    }
    json_close_array(json);
    json_open_array(json, "protection_blocks");
    for (size_t i = 0; i < geometry->blocks.count; i++) {
        write_row(json, i, &geometry->blocks.blocks[i], geometry->blocks.blocks[i].protection);
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
    json_u64(json, "segments", 1);
    json_u64(json, "bytes_written", self->image_size);
    json_u64(json, "bytes_unchanged", 0);
    json_u64(json, "sectors_erased", self->sectors_erased);
    json_bool(json, "verified", self->options.verify);
    json_u64(json, "duration_ms", (clock_now_us() - op->started_us) / 1000);
}

bool method_flash_write_image(struct request *request, struct params_flash_write_image *params,
                              struct err *err)
{
    (void)err;
    struct flash_write_options options = {
        .has_address = params->address_given,
        .address = params->address,
        .erase = params->erase,
        .verify = params->verify,
        .prepare = (enum flash_prepare)params->prepare,
        .reset = (enum flash_reset)params->reset,
    };
    struct op *op = flash_write_new(&options, params->data.bytes, params->data.length);
    params->data.bytes = NULL;
    op->detached = params->detach;
    return request_run(request, op, write_written);
}

/* verify */

struct difference {
    uint64_t offset; /* in the bank */
    uint8_t expected;
    uint8_t found;
};

struct comparison {
    uint8_t *expected;
    uint64_t bank_offset; /* of the first byte */
    uint64_t difference_count;
    struct difference differences[FIRST_DIFFERENCES];
};

static enum range_flow compare_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                    struct err *err)
{
    struct comparison *comparison = context;
    const uint8_t *expected = comparison->expected + offset;
    (void)err;
    if (memcmp(expected, bytes, length) == 0) {
        return RANGE_MORE;
    }
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == expected[i]) {
            continue;
        }
        if (comparison->difference_count < FIRST_DIFFERENCES) {
            comparison->differences[comparison->difference_count] = (struct difference){
                .offset = comparison->bank_offset + offset + i, .expected = expected[i], .found = bytes[i]};
        }
        comparison->difference_count++;
    }
    return RANGE_MORE;
}

static void comparison_free(void *context)
{
    struct comparison *comparison = context;
    free(comparison->expected);
    free(comparison);
}

static const struct range_consumer compare_consumer = {.take = compare_take, .free = comparison_free};

static void write_comparison(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_read *read = (const struct range_read *)op;
    const struct comparison *comparison = read->consumer_context;
    const struct ocd_info *info = board_info(request->board);
    uint64_t base = read->bank < info->bank_count ? info->banks[read->bank].base : 0;
    uint64_t shown =
        comparison->difference_count < FIRST_DIFFERENCES ? comparison->difference_count : FIRST_DIFFERENCES;

    json_bool(json, "match", comparison->difference_count == 0);
    json_u64(json, "size", read->size);
    json_open_array(json, "differences");
    for (uint64_t i = 0; i < shown; i++) {
        const struct difference *difference = &comparison->differences[i];
        json_open_object(json, NULL);
        json_u64(json, "offset", difference->offset);
        json_address(json, "address", base + difference->offset);
        json_u64(json, "expected", difference->expected);
        json_u64(json, "found", difference->found);
        json_close_object(json);
    }
    json_close_array(json);
    json_u64(json, "difference_count", comparison->difference_count);
}

bool method_flash_verify(struct request *request, struct params_flash_verify *params, struct err *err)
{
    if (params->data.length - 1 > UINT64_MAX - params->offset) {
        err_set(err, ERR_INVALID_RANGE, "offset: the data would reach beyond 2^64");
        err_add_integer(err, "size", params->data.length);
        return false;
    }
    struct comparison *comparison = xcalloc(1, sizeof *comparison);
    struct range_read_source source = {.address = params->offset,
                                       .size = params->data.length,
                                       .consistent = params->consistent,
                                       .from_flash = true,
                                       .bank = (unsigned)params->bank};
    comparison->expected = params->data.bytes;
    comparison->bank_offset = params->offset;
    params->data.bytes = NULL;
    return request_run(request, range_read_new(&source, "verify", &compare_consumer, comparison),
                       write_comparison);
}
