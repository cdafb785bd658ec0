/* flash.erase_sector, erase_all and protect. */
#include <inttypes.h>

#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/flash_erase.h"
#include "ops/flash_protect.h"
#include "server/request.h"

/* What needs no look at the bank is told at once. */
static bool check_order(uint64_t first, uint64_t last, struct err *err)
{
    if (first <= last) {
        return true;
    }
    err_set(err, ERR_INVALID_RANGE, "first: sector %" PRIu64 " comes behind the last, %" PRIu64, first, last);
    err_add_integer(err, "first", first);
    err_add_integer(err, "last", last);
    return false;
}

static void write_erased(struct request *request, struct op *op, struct json_writer *json)
{
    (void)request;
    json_u64(json, "sectors_erased", ((const struct flash_erase *)op)->erased);
}

bool method_flash_erase_sector(struct request *request, struct params_flash_erase_sector *params,
                               struct err *err)
{
    if (!check_order(params->first, params->last, err)) {
        return false;
    }
    struct op *op = flash_erase_new((unsigned)params->bank, (size_t)params->first, (size_t)params->last);
    return request_run(request, op, write_erased);
}

bool method_flash_erase_all(struct request *request, struct params_flash_erase_all *params, struct err *err)
{
    (void)err;
    return request_run(request, flash_erase_all_new((unsigned)params->bank), write_erased);
}

static void write_protected(struct request *request, struct op *op, struct json_writer *json)
{
    const struct flash_protect *self = (const struct flash_protect *)op;
    (void)request;
    json_open_array(json, "sectors");
    for (size_t i = self->first; i <= self->last; i++) {
        write_flash_row(json, i, &self->geometry.sectors.blocks[i],
                        flash_sector_protection(&self->geometry, i));
    }
    json_close_array(json);
    json_bool(json, "reset_needed", self->reset_needed);
}

bool method_flash_protect(struct request *request, struct params_flash_protect *params, struct err *err)
{
    if (!check_order(params->first, params->last, err)) {
        return false;
    }
    struct op *op =
        flash_protect_new((unsigned)params->bank, (size_t)params->first, (size_t)params->last, params->on);
    return request_run(request, op, write_protected);
}
