/*
 * Loads an image into RAM: checks everything first, brings the target where it must be, writes the segments
 * piece by piece, reads them back and compares.
 *
 *   check -> ask -> look -> write* -> verify*
 */
#ifndef OCDMUX_OPS_MEMORY_LOAD_H
#define OCDMUX_OPS_MEMORY_LOAD_H

#include "image/image.h"
#include "ops/op.h"
#include "ops/prepare.h"
#include "ops/range_write.h"

struct memory_load {
    struct op op;
    struct image image;
    bool verify;
    struct prepare prepare;
    bool banks_listed; /* those of unknown size were asked for */
    size_t segment;    /* the one that is written or verified now */
    struct range_writer writer;
    uint64_t written;     /* bytes of the image */
    uint64_t verified;    /* bytes of the image */
    uint64_t verify_done; /* bytes of the segment */
    unsigned read_width;  /* bits */
};

/* Takes the image over. */
struct op *memory_load_new(const char *target, struct image *take_image, bool verify,
                           enum prepare_mode prepare);

#endif
