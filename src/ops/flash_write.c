/* Programming an image, step by step. Only complete success of a command, with its byte count, is believed.
 */
#include "ops/flash_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/script.h"

#define PIECE_MS 500u /* about how long one command may keep the others waiting */
#define VERIFY_FIRST_BYTES 1024u
#define VERIFY_MS 50u
#define COMMAND_LIMIT_MS 300000u
#define HALT_LIMIT_MS 5000u
#define LOOK_EVERY_MS 10u
/* What one command carries: quoted three times over (in the file's script, its caller and the envelope) a
 * byte may take eight. Commands end on a border of PROGRAM_BORDER, which suits every write unit. */
#define PROGRAM_BORDER 4096u
#define PROGRAM_MOST_BYTES ((ENVELOPE_MAX_COMMAND / 8u / PROGRAM_BORDER - 3) * PROGRAM_BORDER)
/* Sectors are not larger, unless OpenOCD's text is not what it seems. */
#define KEEP_MOST_BYTES (16u * 1024u * 1024u)

enum write_step {
    STEP_SURVEY,
    STEP_PREPARE,
    STEP_LOOK,
    STEP_KEEP_HEAD,
    STEP_KEEP_TAIL,
    STEP_ERASE,
    STEP_PROGRAM,
    STEP_VERIFY,
    STEP_RESET,
};

static struct flash_write *self_of(struct op *op)
{
    return (struct flash_write *)op;
}

static enum op_verdict fail_flash(const struct ocd_reply *reply, struct err *err, uint64_t address,
                                  const char *what)
{
    op_fail_openocd(reply, err, ERR_FLASH_ERROR, "%s at 0x%08" PRIx64, what, address);
    if (err->kind != ERR_FLASH_ERROR) {
        return OP_FAILED;
    }
    bool is_protected = strcasestr(err->message, "protected") != NULL;
    bool is_not_erased =
        memmem(err->openocd_text, err->openocd_length, "not erased", sizeof "not erased" - 1) != NULL;
    err_add_text(err, "reason", is_protected ? "protected" : is_not_erased ? "not_erased" : "driver");
    err_add_address(err, "address", address);
    return OP_FAILED;
}

/* Reading `size` bytes failed, or gave another number of them: those are no words of OpenOCD's. */
static enum op_verdict fail_read(const struct ocd_reply *reply, struct err *err, uint64_t address,
                                 uint64_t size, const char *what)
{
    if (!ocd_reply_ok(reply)) {
        return fail_flash(reply, err, address, what);
    }
    err_set(err, ERR_FLASH_ERROR, "%s at 0x%08" PRIx64 ": OpenOCD gave %zu bytes instead of %" PRIu64, what,
            address, reply->result_length, size);
    err_add_text(err, "reason", "driver");
    err_add_address(err, "address", address);
    return OP_FAILED;
}

/* Survey: the bank, its geometry, and whether everything fits, before anything is touched. */

static bool find_bank(const struct flash_write *self, const struct ocd_info *info, unsigned *ret_bank,
                      struct err *err)
{
    bool found = false;
    uint64_t best = 0;
    if (info->bank_count == 0) {
        return err_set(err, ERR_NOT_FOUND, "the board has no flash bank");
    }
    if (!self->options.has_address) {
        *ret_bank = 0;
        return true;
    }
    /* A bank that was not probed yet has no size, but its base is known. */
    for (size_t i = 0; i < info->bank_count; i++) {
        const struct ocd_bank *bank = &info->banks[i];
        bool beyond = bank->size > 0 && self->options.address - bank->base >= bank->size;
        if (bank->base <= self->options.address && !beyond && (!found || bank->base >= best)) {
            found = true;
            best = bank->base;
            *ret_bank = (unsigned)i;
        }
    }
    if (!found) {
        err_set(err, ERR_IMAGE_INVALID, "address: 0x%08" PRIx64 " is in no flash bank",
                self->options.address);
        err_add_address(err, "address", self->options.address);
    }
    return found;
}

static enum op_verdict survey_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    struct flash_write *self = self_of(op);
    if (context->info->stage_template[0] == '\0') {
        err_set(err, ERR_STAGE_ERROR,
                "OpenOCD has no directory for the temporary files that writing flash takes");
        return OP_FAILED;
    }
    if (!find_bank(self, context->info, &self->bank, err) ||
        !flash_bank_check(context->info, self->bank, op->target, err)) {
        return OP_FAILED;
    }
    command->repeatable = true;
    flash_geometry_script(&command->script, self->bank);
    return OP_SEND;
}

static bool check_room(struct flash_write *self, struct err *err)
{
    const struct ocd_bank *bank = &self->geometry.bank;
    uint64_t address = self->options.has_address ? self->options.address : bank->base;
    self->image_offset = address - bank->base;
    if (self->image_offset < bank->size && self->image_size <= bank->size - self->image_offset) {
        return true;
    }
    err_set(err, ERR_IMAGE_INVALID,
            "address: %" PRIu64 " bytes at 0x%08" PRIx64 " do not fit into flash bank %u: it has %" PRIu64
            " bytes from 0x%08" PRIx64,
            self->image_size, address, self->bank, bank->size, bank->base);
    err_add_address(err, "address", address);
    return false;
}

/* Whether the sectors that the image touches lie one behind the other and inside the bank. */
static bool sectors_are_sound(const struct flash_write *self)
{
    const struct ocd_block *sectors = self->geometry.sectors.blocks;
    uint64_t bank_size = self->geometry.bank.size;
    if (self->first_sector > self->last_sector || self->last_sector >= self->geometry.sectors.count) {
        return false;
    }
    for (size_t i = self->first_sector; i <= self->last_sector; i++) {
        bool inside = sectors[i].offset < bank_size && sectors[i].size <= bank_size - sectors[i].offset;
        bool follows =
            i == self->first_sector || sectors[i].offset == sectors[i - 1].offset + sectors[i - 1].size;
        if (sectors[i].size == 0 || !inside || !follows) {
            return false;
        }
    }
    return true;
}

static bool check_sectors(struct flash_write *self, struct err *err)
{
    const struct flash_geometry *geometry = &self->geometry;
    self->first_sector = flash_sector_at(geometry, self->image_offset);
    self->last_sector = flash_sector_at(geometry, self->image_offset + self->image_size - 1);
    if (!sectors_are_sound(self)) {
        err_set(err, ERR_FLASH_ERROR,
                "flash bank %u has no sectors, or impossible ones, where the image goes", self->bank);
        err_add_text(err, "reason", "driver");
        return false;
    }
    for (size_t i = self->first_sector; i <= self->last_sector; i++) {
        if (flash_sector_protection(geometry, i) == OCD_PROTECTION_ON) {
            uint64_t address = geometry->bank.base + geometry->sectors.blocks[i].offset;
            err_set(err, ERR_FLASH_ERROR, "sector %zu of flash bank %u, at 0x%08" PRIx64 ", is protected", i,
                    self->bank, address);
            err_add_text(err, "reason", "protected");
            err_add_address(err, "address", address);
            return false;
        }
    }
    return true;
}

/* What is kept is held in memory. */
static bool check_kept(const struct flash_write *self, struct err *err)
{
    const struct ocd_block *first = &self->geometry.sectors.blocks[self->first_sector];
    const struct ocd_block *last = &self->geometry.sectors.blocks[self->last_sector];
    uint64_t head = self->image_offset - first->offset;
    uint64_t tail = last->offset + last->size - (self->image_offset + self->image_size);
    if (!self->options.erase || (head <= KEEP_MOST_BYTES && tail <= KEEP_MOST_BYTES)) {
        return true;
    }
    err_set(
        err, ERR_LIMIT_EXCEEDED,
        "flash bank %u has such large sectors that more than %u bytes beside the image would have to be kept",
        self->bank, KEEP_MOST_BYTES);
    err_add_text(err, "limit", "kept_bytes");
    err_add_integer(err, "maximum", KEEP_MOST_BYTES);
    return false;
}

/* Whole sectors where they are erased, with blanks where the board's own bytes will be put; else just the
 * image. */
static void lay_out_content(struct flash_write *self)
{
    const struct ocd_block *first = &self->geometry.sectors.blocks[self->first_sector];
    const struct ocd_block *last = &self->geometry.sectors.blocks[self->last_sector];
    bool whole = self->options.erase;
    self->content_offset = whole ? first->offset : self->image_offset;
    uint64_t end = whole ? last->offset + last->size : self->image_offset + self->image_size;
    self->content_size = end - self->content_offset;
    self->content = xmalloc(self->content_size);
    memset(self->content, 0xff, self->content_size);
    memcpy(self->content + (self->image_offset - self->content_offset), self->image, self->image_size);
    self->next_sector = self->first_sector;
}

static enum op_verdict survey_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_FLASH_ERROR, "cannot look at flash bank %u", self->bank);
        op_add_driver_reason(err);
        return OP_FAILED;
    }
    if (!flash_geometry_read(context->info, self->bank, reply->result, reply->result_length, &self->geometry,
                             err) ||
        !check_room(self, err) || !check_sectors(self, err) || !check_kept(self, err)) {
        return OP_FAILED;
    }
    lay_out_content(self);
    return op_go(op, self->options.prepare == FLASH_PREPARE_NONE ? STEP_LOOK : STEP_PREPARE);
}

/* Prepare, and look whether the target is halted: erasing and programming need that. */

static enum op_verdict prepare_send(struct op *op, const struct op_context *context,
                                    struct op_command *command, struct err *err)
{
    const struct flash_write *self = self_of(op);
    (void)err;
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    switch (self->options.prepare) {
    case FLASH_PREPARE_NONE:
        break;
    case FLASH_PREPARE_HALT:
        script_on_target(&command->script, context->info, self->geometry.bank.target, "halt 0");
        break;
    case FLASH_PREPARE_RESET_HALT:
        strbuf_append_text(&command->script, "reset halt");
        break;
    case FLASH_PREPARE_RESET_INIT:
        strbuf_append_text(&command->script, "reset init");
        break;
    }
    return OP_SEND;
}

static enum op_verdict prepare_reply(struct op *op, const struct op_context *context,
                                     const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot prepare %s", self->geometry.bank.target);
    }
    self->asked_us = context->now_us;
    return op_go(op, STEP_LOOK);
}

static enum op_verdict look_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    const struct flash_write *self = self_of(op);
    (void)context;
    (void)err;
    command->repeatable = true;
    tcl_quote_text(&command->script, self->geometry.bank.target);
    strbuf_append_text(&command->script, " curstate");
    return OP_SEND;
}

static enum op_verdict look_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    char state[OCD_NAME_SIZE];
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot see the state of %s",
                               self->geometry.bank.target);
    }
    if (!target_read_state(self->geometry.bank.target, reply, state, err)) {
        return OP_FAILED;
    }
    if (strcmp(state, "halted") == 0) {
        return op_go(op, self->options.erase ? STEP_KEEP_HEAD : STEP_PROGRAM);
    }
    bool asked = self->options.prepare != FLASH_PREPARE_NONE;
    if (asked && context->now_us - self->asked_us < HALT_LIMIT_MS * 1000ull) {
        op->wait_ms = LOOK_EVERY_MS;
        return OP_WAIT;
    }
    err_set(err, ERR_TARGET_NOT_HALTED, "%s is %.40s: writing flash needs it halted%s",
            self->geometry.bank.target, state, asked ? "" : " (see `prepare`)");
    err_add_text(err, "target", self->geometry.bank.target);
    err_add_text(err, "state", state);
    return OP_FAILED;
}

/* Keep: the bytes of the first and the last sector that the image does not cover get back what they held. */

static void kept_range(const struct flash_write *self, uint64_t *ret_offset, uint64_t *ret_size)
{
    uint64_t image_end = self->image_offset + self->image_size;
    bool head = self->op.step == STEP_KEEP_HEAD;
    *ret_offset = head ? self->content_offset : image_end;
    *ret_size = head ? self->image_offset - self->content_offset
                     : self->content_offset + self->content_size - image_end;
}

static void read_bank_script(const struct op_context *context, struct op_command *command, unsigned bank,
                             uint64_t offset, uint64_t size)
{
    struct strbuf body = STRBUF_INIT;
    strbuf_appendf(&body, "flash read_bank %u $p 0x%" PRIx64 " 0x%" PRIx64 "; ", bank, offset, size);
    script_drain_file(&body);
    script_with_file(&command->script, context->info, body.data, body.length);
    strbuf_fini(&body);
}

static enum op_verdict keep_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    (void)err;
    kept_range(self, &offset, &size);
    if (size == 0) {
        return op_go(op, op->step + 1);
    }
    command->repeatable = true;
    read_bank_script(context, command, self->bank, offset, size);
    return OP_SEND;
}

static enum op_verdict keep_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    (void)context;
    kept_range(self, &offset, &size);
    if (!ocd_reply_ok(reply) || reply->result_length != size) {
        return fail_read(reply, err, self->geometry.bank.base + offset, size,
                         "cannot read what must be kept");
    }
    memcpy(self->content + (offset - self->content_offset), reply->result, size);
    return op_go(op, op->step + 1);
}

/* Erase and program, a piece at a time. */

/* The bytes of the next piece, in the bank: whole sectors, at least one, as many as the budget allows. */
static void next_piece(const struct flash_write *self, uint64_t budget, uint64_t *ret_offset,
                       uint64_t *ret_size, size_t *ret_last)
{
    const struct ocd_block *sectors = self->geometry.sectors.blocks;
    uint64_t offset = self->content_offset + self->programmed;
    size_t last = self->next_sector;
    uint64_t content_end = self->content_offset + self->content_size;

    while (last < self->last_sector && sectors[last + 1].offset + sectors[last + 1].size - offset <= budget) {
        last++;
    }
    uint64_t end = sectors[last].offset + sectors[last].size;
    *ret_offset = offset;
    *ret_size = (end < content_end ? end : content_end) - offset;
    *ret_last = last;
}

static enum op_verdict erase_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    size_t last = 0;
    (void)err;
    next_piece(self, context->budget, &offset, &size, &last);
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    self->touched = true;
    op->critical = true;
    strbuf_appendf(&command->script, "flash erase_sector %u %zu %zu", self->bank, self->next_sector, last);
    return OP_SEND;
}

static enum op_verdict erase_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    size_t last = 0;
    unsigned from = 0;
    unsigned to = 0;

    next_piece(self, context->budget, &offset, &size, &last);
    bool said = ocd_parse_erased(reply->result, reply->result_length, &from, &to);
    if (!ocd_reply_ok(reply) || !said || from != self->next_sector || to != last) {
        return fail_flash(reply, err, self->geometry.bank.base + offset, "erasing failed");
    }
    self->sectors_erased += last - self->next_sector + 1;
    self->erased_end = offset + size;
    op_progress_set(op, "erase", self->sectors_erased, self->last_sector - self->first_sector + 1, "sectors");
    return op_go(op, STEP_PROGRAM);
}

/* The bytes of the next command: the rest of the piece that was erased, or as much of it as one command
 * takes. */
static void next_program(const struct flash_write *self, uint64_t budget, uint64_t *ret_offset,
                         uint64_t *ret_size)
{
    uint64_t offset = self->content_offset + self->programmed;
    uint64_t size = self->erased_end - offset;
    size_t last = 0;
    if (!self->options.erase) {
        next_piece(self, budget, &offset, &size, &last);
    }
    if (size > PROGRAM_MOST_BYTES) {
        size = PROGRAM_MOST_BYTES - (offset + PROGRAM_MOST_BYTES) % PROGRAM_BORDER;
    }
    *ret_offset = offset;
    *ret_size = size;
}

static enum op_verdict program_send(struct op *op, const struct op_context *context,
                                    struct op_command *command, struct err *err)
{
    struct flash_write *self = self_of(op);
    struct strbuf body = STRBUF_INIT;
    uint64_t offset = 0;
    uint64_t size = 0;
    (void)err;
    next_program(self, context->budget, &offset, &size);
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    command->bytes = size;
    self->touched = true;
    op->critical = true;
    script_fill_file(&body, self->content + (offset - self->content_offset), size);
    strbuf_appendf(&body, "flash write_bank %u $p 0x%" PRIx64, self->bank, offset);
    script_with_file(&command->script, context->info, body.data, body.length);
    strbuf_fini(&body);
    return OP_SEND;
}

static enum op_verdict after_programming(struct op *op)
{
    struct flash_write *self = self_of(op);
    if (!self->options.verify) {
        return op_go(op, STEP_RESET);
    }
    op->budget = VERIFY_FIRST_BYTES;
    op->command_ms = VERIFY_MS;
    op_progress_set(op, "verify", 0, self->image_size, "bytes");
    return op_go(op, STEP_VERIFY);
}

static void skip_done_sectors(struct flash_write *self)
{
    const struct ocd_block *sectors = self->geometry.sectors.blocks;
    uint64_t end = self->content_offset + self->programmed;
    while (self->next_sector <= self->last_sector &&
           sectors[self->next_sector].offset + sectors[self->next_sector].size <= end) {
        self->next_sector++;
    }
}

static enum op_verdict program_reply(struct op *op, const struct op_context *context,
                                     const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t wrote = 0;

    next_program(self, context->budget, &offset, &size);
    bool said = ocd_parse_byte_count(reply->result, reply->result_length, "wrote", &wrote);
    if (!ocd_reply_ok(reply) || !said || wrote != size) {
        return fail_flash(reply, err, self->geometry.bank.base + offset, "programming failed");
    }
    self->programmed += size;
    skip_done_sectors(self);
    op_progress_set(op, "program", self->programmed, self->content_size, "bytes");
    if (self->options.erase && offset + size < self->erased_end) {
        return op_go(op, STEP_PROGRAM);
    }
    op->critical = false;
    if (self->programmed < self->content_size) {
        return op_go(op, self->options.erase ? STEP_ERASE : STEP_PROGRAM);
    }
    return after_programming(op);
}

/* Verify: reads back what was programmed and compares it here. */

static uint64_t next_verify_size(const struct flash_write *self, uint64_t budget)
{
    uint64_t left = self->image_size - self->verified;
    return left < budget ? left : budget;
}

static enum op_verdict verify_send(struct op *op, const struct op_context *context,
                                   struct op_command *command, struct err *err)
{
    struct flash_write *self = self_of(op);
    (void)err;
    command->repeatable = true;
    command->bytes = next_verify_size(self, context->budget);
    read_bank_script(context, command, self->bank, self->image_offset + self->verified, command->bytes);
    return OP_SEND;
}

static bool compare(struct flash_write *self, const uint8_t *found, uint64_t size, struct err *err)
{
    const uint8_t *expected = self->image + self->verified;
    if (memcmp(found, expected, size) == 0) {
        return true;
    }
    uint64_t i = 0;
    while (found[i] == expected[i]) {
        i++;
    }
    uint64_t address = self->geometry.bank.base + self->image_offset + self->verified + i;
    err_set(err, ERR_VERIFY_MISMATCH, "0x%08" PRIx64 " reads 0x%02x instead of 0x%02x", address, found[i],
            expected[i]);
    err_add_address(err, "address", address);
    err_add_integer(err, "expected", expected[i]);
    err_add_integer(err, "found", found[i]);
    return false;
}

static enum op_verdict verify_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct flash_write *self = self_of(op);
    uint64_t size = next_verify_size(self, context->budget);
    if (!ocd_reply_ok(reply) || reply->result_length != size) {
        return fail_read(reply, err, self->geometry.bank.base + self->image_offset + self->verified, size,
                         "cannot read back what was programmed");
    }
    if (!compare(self, (const uint8_t *)reply->result, size, err)) {
        return OP_FAILED;
    }
    self->verified += size;
    op_progress_set(op, "verify", self->verified, self->image_size, "bytes");
    return op_go(op, self->verified < self->image_size ? STEP_VERIFY : STEP_RESET);
}

/* Reset, if it was asked for. */

static enum op_verdict reset_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    const struct flash_write *self = self_of(op);
    (void)context;
    (void)err;
    if (self->options.reset == FLASH_RESET_NONE) {
        return OP_DONE;
    }
    op_progress_set(op, "reset", 0, 1, "resets");
    command->changes = true;
    command->limit_ms = COMMAND_LIMIT_MS;
    strbuf_append_text(&command->script, self->options.reset == FLASH_RESET_RUN ? "reset run" : "reset halt");
    return OP_SEND;
}

static enum op_verdict reset_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    (void)context;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "the image is programmed, but the reset failed");
    }
    op_progress_set(op, "reset", 1, 1, "resets");
    return OP_DONE;
}

/* The kinds of errors that the protocol lets say what became of the flash. */
static bool kind_has_flash_state(enum err_kind kind)
{
    static const enum err_kind kinds[] = {
        ERR_FLASH_ERROR,     ERR_TARGET_NOT_HALTED, ERR_VERIFY_MISMATCH, ERR_OPENOCD_UNAVAILABLE,
        ERR_OUTCOME_UNKNOWN, ERR_TIMEOUT,           ERR_CANCELLED,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i] == kind) {
            return true;
        }
    }
    return false;
}

static void describe(const struct op *op, struct err *err)
{
    const struct flash_write *self = (const struct flash_write *)op;
    bool complete = self->content != NULL && self->programmed == self->content_size &&
                    (!self->options.verify || self->verified == self->image_size);
    if (!complete && kind_has_flash_state(err->kind)) {
        err_add_text(err, "flash_state", self->touched ? "partial" : "unchanged");
    }
    op_describe_progress(err, &op->progress);
}

static void free_write(struct op *op)
{
    struct flash_write *self = self_of(op);
    flash_geometry_fini(&self->geometry);
    free(self->image);
    free(self->content);
    free(self);
}

static const struct op_step steps[] = {
    [STEP_SURVEY] = {"survey", survey_send, survey_reply},
    [STEP_PREPARE] = {"prepare", prepare_send, prepare_reply},
    [STEP_LOOK] = {"look", look_send, look_reply},
    [STEP_KEEP_HEAD] = {"keep head", keep_send, keep_reply},
    [STEP_KEEP_TAIL] = {"keep tail", keep_send, keep_reply},
    [STEP_ERASE] = {"erase", erase_send, erase_reply},
    [STEP_PROGRAM] = {"program", program_send, program_reply},
    [STEP_VERIFY] = {"verify", verify_send, verify_reply},
    [STEP_RESET] = {"reset", reset_send, reset_reply},
};

static const struct op_class flash_write_class = {
    .name = "flash write",
    .steps = steps,
    .changes = true,
    .long_running = true,
    .first_budget = 1, /* one sector, whatever its size */
    .command_ms = PIECE_MS,
    .describe = describe,
    .free = free_write,
};

struct op *flash_write_new(const struct flash_write_options *options, uint8_t *take_image, uint64_t size)
{
    struct flash_write *self = xcalloc(1, sizeof *self);
    op_init(&self->op, &flash_write_class, NULL);
    self->options = *options;
    self->image = take_image;
    self->image_size = size;
    return &self->op;
}
