/* The steps of flash_write, which stand in several files: one for each part of the work. */
#ifndef OCDMUX_OPS_FLASH_WRITE_STEPS_H
#define OCDMUX_OPS_FLASH_WRITE_STEPS_H

#include "ops/flash_write.h"

/* The longest that one command may take. */
#define FLASH_COMMAND_LIMIT_MS 300000u
/* About how long one command may keep the others waiting. */
#define FLASH_PIECE_MS 500u
/* Reads, which begin small, for nobody knows how fast the target is. */
#define FLASH_READ_FIRST_BYTES 1024u
#define FLASH_READ_MS 50u

enum flash_write_step {
    FLASH_STEP_BANKS,
    FLASH_STEP_INFO,
    FLASH_STEP_PREPARE,
    FLASH_STEP_LOOK,
    FLASH_STEP_UNLOCK,
    FLASH_STEP_ROOM,
    FLASH_STEP_COMPARE,
    FLASH_STEP_SAMPLE,
    FLASH_STEP_KEEP,
    FLASH_STEP_ERASE,
    FLASH_STEP_BLANK,
    FLASH_STEP_PROGRAM,
    FLASH_STEP_CHECK,
    FLASH_STEP_VERIFY,
    FLASH_STEP_RESET,
};

#define FLASH_STEP(name)                                                                        \
    enum op_verdict flash_write_##name##_send(struct op *op, const struct op_context *context,  \
                                              struct op_command *command, struct err *err);     \
    enum op_verdict flash_write_##name##_reply(struct op *op, const struct op_context *context, \
                                               const struct ocd_reply *reply, struct err *err)

/* flash_compare.c */
FLASH_STEP(compare);
FLASH_STEP(sample);
/* flash_confirm.c */
FLASH_STEP(verify);
/* flash_keep.c */
FLASH_STEP(keep);
/* flash_program.c */
FLASH_STEP(erase);
FLASH_STEP(blank);
FLASH_STEP(program);
FLASH_STEP(check);

/* The piece, or the operation, ends: of sectors that it was about to erase and did not, nothing has to be put
 * back. */
void flash_write_drop_kept(struct flash_write *self);

static inline struct flash_write *flash_write_of(struct op *op)
{
    return (struct flash_write *)op;
}

/* Where each part goes on when it is through. */
enum op_verdict flash_write_begin_compare(struct flash_write *self, const struct op_context *context,
                                          struct err *err);
enum op_verdict flash_write_begin_pieces(struct flash_write *self);
enum op_verdict flash_write_begin_verify(struct flash_write *self);
enum op_verdict flash_write_begin_reset(struct flash_write *self);

/* Reading `size` bytes of a bank failed, or gave another number of them: an error as flash_error_fail() makes
 * it. Returns OP_FAILED. */
enum op_verdict flash_write_fail_read(const struct ocd_reply *reply, struct err *err, unsigned bank,
                                      uint64_t address, uint64_t size, const char *what);

/*
 * The keeper's record of a sector; false: there is none, or, with `err` set, none that can be used: it cannot
 * be read, or is of another size than the sector has now.
 */
bool flash_write_find_record(const struct op_keeper *keeper, const struct flash_plan_bank *bank,
                             const struct flash_plan_sector *sector, struct keeper_record *ret_record,
                             struct err *err) __attribute__((warn_unused_result));

/* How much the next commands compare, by checksum or by reading, until it is known how fast that is. */
void flash_write_set_compare_budget(struct flash_write *self);

/* `flash read_bank` of these bytes into the command's file. */
void flash_write_read_script(struct op_command *command, unsigned bank, uint64_t offset, uint64_t size);
/* A checksum of these bytes, made on the target, against `bytes`. */
void flash_write_checksum_script(struct op_command *command, const struct flash_plan_bank *bank,
                                 uint64_t offset, const uint8_t *bytes, uint64_t size);
enum flash_checksum { FLASH_CHECKSUM_SAME, FLASH_CHECKSUM_DIFFERS, FLASH_CHECKSUM_FAILED };
enum flash_checksum flash_write_checksum_reply(const struct ocd_reply *reply, uint64_t size);

/* verify_mismatch for the first byte that differs, if one does: false then. */
bool flash_write_same(const uint8_t *expected, const uint8_t *found, uint64_t size, uint64_t address,
                      struct err *err);

#endif
