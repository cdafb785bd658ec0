/*
 * Reads a byte range piece by piece and hands each piece to a consumer: what read_bytes, hexdump, search,
 * dump and verify have in common. From memory: byte accesses at unaligned ends only, the widest width that
 * the target takes between them, narrower ones where it refuses. From a flash bank: through OpenOCD's flash
 * driver (`flash read_bank`), in pieces.
 */
#ifndef OCDMUX_OPS_RANGE_READ_H
#define OCDMUX_OPS_RANGE_READ_H

#include "ops/op.h"

enum range_flow { RANGE_MORE, RANGE_ENOUGH, RANGE_FAILED };

struct range_consumer {
    /* The next bytes of the range, in order. RANGE_ENOUGH ends the operation well, before its end. */
    enum range_flow (*take)(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                            struct err *err);
    /* All was read (or was enough). False fails the operation. May be NULL. */
    bool (*finish)(void *context, struct err *err);
    void (*free)(void *context);
    /* With `to_end` alone, once, before the first take(): how many bytes there will be. May be NULL. */
    bool (*sized)(void *context, uint64_t size, struct err *err);
};

struct range_read {
    struct op op;
    const struct range_consumer *consumer;
    void *consumer_context;
    const char *phase;
    uint64_t address; /* memory: first byte; flash: offset in the bank */
    uint64_t size;    /* 0 while it is not known */
    uint64_t done;
    bool physical;
    bool from_flash;
    unsigned bank;
    unsigned width;      /* memory: bits of the widest access that is tried now */
    bool file_failed;    /* memory: `dump_image` does not work here */
    bool refused64;      /* the access before this one had 64 bits and failed */
    struct strbuf bytes; /* one piece, decoded */
};

struct range_read_source {
    const char *target; /* memory */
    uint64_t address;
    uint64_t size; /* 1 or more; not read with `to_end` */
    bool to_end;   /* flash: up to the end of the bank, which is probed first */
    bool physical;
    bool consistent;
    bool from_flash; /* `address` is an offset in `bank` then */
    unsigned bank;
};

/* Takes the consumer over. `phase` is static: what progress calls it. */
struct op *range_read_new(const struct range_read_source *source, const char *phase,
                          const struct range_consumer *consumer, void *take_context);

#endif
