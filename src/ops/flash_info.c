/* Geometry of a bank. */
#include "ops/flash_info.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"

void flash_geometry_fini(struct flash_geometry *geometry)
{
    ocd_flash_info_fini(&geometry->sectors);
    ocd_flash_info_fini(&geometry->blocks);
}

/* `flash info N` lists protection blocks where the driver has them; only `flash info N sectors` lists true
 * sectors. */
void flash_geometry_script(struct strbuf *script, unsigned bank)
{
    strbuf_appendf(script, "flash probe %u; list [flash list] [flash info %u sectors] [flash info %u]", bank,
                   bank, bank);
}

bool flash_banks_read(struct ocd_info *info, const char *text, size_t length, struct err *err)
{
    struct ocd_bank *banks = NULL;
    size_t count = 0;
    if (!ocd_parse_flash_list(text, length, &banks, &count, err)) {
        return false;
    }
    free(info->banks);
    info->banks = banks;
    info->bank_count = count;
    return true;
}

bool flash_geometry_read(struct ocd_info *info, unsigned bank, const char *text, size_t length,
                         struct flash_geometry *ret_geometry, struct err *err)
{
    struct tcl_list list;
    struct strbuf parts[3] = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
    struct flash_geometry geometry;
    bool ok = true;

    memset(&geometry, 0, sizeof geometry);
    tcl_list_init(&list, text, length);
    for (size_t i = 0; i < 3 && ok; i++) {
        ok = tcl_list_next(&list, &parts[i]) == TCL_LIST_ELEMENT;
    }
    if (!ok) {
        err_set(err, ERR_OPENOCD_ERROR, "what OpenOCD says of flash bank %u cannot be read", bank);
    }
    ok = ok && flash_banks_read(info, strbuf_text(&parts[0]), parts[0].length, err) &&
         flash_bank_check(info, bank, "", err) &&
         ocd_parse_flash_info(strbuf_text(&parts[1]), parts[1].length, &geometry.sectors, err) &&
         ocd_parse_flash_info(strbuf_text(&parts[2]), parts[2].length, &geometry.blocks, err);
    for (size_t i = 0; i < 3; i++) {
        strbuf_fini(&parts[i]);
    }
    if (!ok) {
        flash_geometry_fini(&geometry);
        return false;
    }
    geometry.bank = info->banks[bank];
    *ret_geometry = geometry;
    return true;
}

/* OpenOCD 0.12, flash/nor/tcl.c: said where the driver cannot look; what the rows say then is made up. */
static const char no_check[] = "protection check is not implemented";

static void forget_protection(struct ocd_flash_info *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        rows->blocks[i].protection = OCD_PROTECTION_UNKNOWN;
    }
}

bool flash_geometry_take(struct ocd_info *info, unsigned bank, const struct ocd_reply *reply,
                         struct flash_geometry *ret_geometry, struct err *err)
{
    struct flash_geometry geometry;
    if (!flash_geometry_read(info, bank, reply->result, reply->result_length, &geometry, err)) {
        return false;
    }
    if (memmem(reply->log, reply->log_length, no_check, sizeof no_check - 1) != NULL) {
        forget_protection(&geometry.sectors);
        forget_protection(&geometry.blocks);
    }
    *ret_geometry = geometry;
    return true;
}

enum ocd_protection flash_sector_protection(const struct flash_geometry *geometry, size_t sector)
{
    const struct ocd_block *self = &geometry->sectors.blocks[sector];
    enum ocd_protection sum = OCD_PROTECTION_UNKNOWN;
    bool first = true;

    /* Where the driver has no blocks of its own, the rows are the sectors. */
    if (sector < geometry->blocks.count && geometry->blocks.blocks[sector].offset == self->offset &&
        geometry->blocks.blocks[sector].size == self->size) {
        return geometry->blocks.blocks[sector].protection;
    }
    for (size_t i = 0; i < geometry->blocks.count; i++) {
        const struct ocd_block *block = &geometry->blocks.blocks[i];
        if (block->offset + block->size <= self->offset || self->offset + self->size <= block->offset) {
            continue;
        }
        if (block->protection == OCD_PROTECTION_ON) {
            return OCD_PROTECTION_ON;
        }
        if (first || block->protection == OCD_PROTECTION_UNKNOWN) {
            sum = block->protection;
        }
        first = false;
    }
    return sum;
}

bool flash_sectors_check(const struct flash_geometry *geometry, size_t first, size_t last, struct err *err)
{
    const struct ocd_bank *bank = &geometry->bank;
    size_t count = geometry->sectors.count;
    if (count > 0 && last >= count) {
        err_set(err, ERR_INVALID_RANGE,
                "last: sector %zu of flash bank %u does not exist: the last one is %zu", last, bank->index,
                count - 1);
        err_add_integer(err, "bank", bank->index);
        err_add_integer(err, "last", count - 1);
        return false;
    }
    for (size_t i = first; i <= last; i++) {
        if (count == 0 || geometry->sectors.blocks[i].size == 0) {
            err_set(err, ERR_FLASH_ERROR, "flash bank %u has no sectors, or impossible ones", bank->index);
            err_add_text(err, "reason", "driver");
            err_add_integer(err, "bank", bank->index);
            return false;
        }
    }
    return true;
}

size_t flash_sector_at(const struct flash_geometry *geometry, uint64_t offset)
{
    for (size_t i = 0; i < geometry->sectors.count; i++) {
        const struct ocd_block *sector = &geometry->sectors.blocks[i];
        if (offset >= sector->offset && offset - sector->offset < sector->size) {
            return i;
        }
    }
    return geometry->sectors.count;
}

bool flash_bank_check(const struct ocd_info *info, uint64_t bank, const char *target, struct err *err)
{
    if (bank >= info->bank_count) {
        err_set(err, ERR_NOT_FOUND, "there is no flash bank %" PRIu64 ": the board has %zu", bank,
                info->bank_count);
        err_add_text(err, "parameter", "bank");
        return false;
    }
    if (target[0] != '\0' && strcmp(info->banks[bank].target, target) != 0) {
        err_set(err, ERR_INVALID_PARAMS, "target: flash bank %" PRIu64 " belongs to %s", bank,
                info->banks[bank].target);
        err_add_text(err, "parameter", "target");
        return false;
    }
    return true;
}

bool flash_beyond_bank(unsigned bank, uint64_t offset, uint64_t size, struct err *err)
{
    err_set(err, ERR_INVALID_RANGE,
            "offset: %" PRIu64 " bytes at offset 0x%" PRIx64 " reach beyond flash bank %u", size, offset,
            bank);
    err_add_integer(err, "bank", bank);
    err_add_integer(err, "size", size);
    return false;
}

static enum op_verdict info_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    const struct flash_info_op *self = (const struct flash_info_op *)op;
    if (!flash_bank_check(context->info, self->bank, op->target, err)) {
        return OP_FAILED;
    }
    command->repeatable = true;
    flash_geometry_script(&command->script, self->bank);
    return OP_SEND;
}

static enum op_verdict info_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_info_op *self = (struct flash_info_op *)op;
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot look at flash bank %u", self->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    bool ok = flash_geometry_take(context->info, self->bank, reply, &self->geometry, err);
    return ok ? OP_DONE : OP_FAILED;
}

static void free_info(struct op *op)
{
    struct flash_info_op *self = (struct flash_info_op *)op;
    flash_geometry_fini(&self->geometry);
    free(self);
}

static const struct op_step steps[] = {{"info", info_send, info_reply}};
static const struct op_class info_class = {.name = "flash info", .steps = steps, .free = free_info};

struct op *flash_info_new(unsigned bank)
{
    struct flash_info_op *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &info_class, NULL);
    self->bank = bank;
    return &self->op;
}

bool flash_banks_are_known(const struct ocd_info *info)
{
    for (size_t i = 0; i < info->bank_count; i++) {
        if (info->banks[i].size == 0) {
            return false;
        }
    }
    return true;
}

/* A bank that cannot be probed now (a target that does not answer) is listed all the same, with size 0. */
void flash_banks_script(struct strbuf *script)
{
    strbuf_append_text(script,
                       "apply {{} {set i 0; foreach b [flash list] {"
                       "if {[dict get $b size] == 0} {catch {flash probe $i}}; incr i}; flash list}}");
}

bool flash_banks_take(struct ocd_info *info, const struct ocd_reply *reply, struct err *err)
{
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot list the flash banks");
        return false;
    }
    return flash_banks_read(info, reply->result, reply->result_length, err);
}

static enum op_verdict banks_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    (void)op;
    (void)context;
    (void)err;
    command->repeatable = true;
    flash_banks_script(&command->script);
    return OP_SEND;
}

static enum op_verdict banks_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    (void)op;
    return flash_banks_take(context->info, reply, err) ? OP_DONE : OP_FAILED;
}

static void free_banks(struct op *op)
{
    free(op);
}

static const struct op_step banks_steps[] = {{"banks", banks_send, banks_reply}};
static const struct op_class banks_class = {.name = "flash banks", .steps = banks_steps, .free = free_banks};

struct op *flash_banks_new(void)
{
    struct op *op = xcalloc(1, sizeof *op);
    op_init(op, &banks_class, NULL);
    return op;
}
