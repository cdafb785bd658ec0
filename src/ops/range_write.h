/*
 * Writes bytes to memory, piece by piece: the widest aligned accesses that the target takes, byte accesses at
 * the ends. The writer is for every operation that does so; range_write is the one that does nothing else.
 */
#ifndef OCDMUX_OPS_RANGE_WRITE_H
#define OCDMUX_OPS_RANGE_WRITE_H

#include "ops/op.h"

/* For the first command of an operation that writes, and how long each should take. */
#define RANGE_WRITER_FIRST_BYTES 1024u
#define RANGE_WRITER_COMMAND_MS 50u

/* What is to be written, of 1 byte or more, and how far it is. */
struct range_writer {
    uint64_t address;
    const uint8_t *bytes; /* the owner's */
    uint64_t size;
    uint64_t done;
    bool physical;
    unsigned width; /* bits of the widest access that is tried now; 0: not known yet */
};

/* The next piece, for the `send` and the `reply` of a step. `reply` is OP_DONE when all is written. */
enum op_verdict range_writer_send(struct range_writer *writer, const struct op_context *context,
                                  struct op_command *command, struct err *err);
enum op_verdict range_writer_reply(struct range_writer *writer, struct op *op,
                                   const struct op_context *context, const struct ocd_reply *reply,
                                   struct err *err);

struct range_write {
    struct op op;
    uint8_t *bytes;
    uint64_t size;
    struct range_writer writer;
};

/* Takes `bytes` (free()) over. */
struct op *range_write_new(const char *target, uint64_t address, uint8_t *take_bytes, uint64_t size,
                           bool physical);

#endif
