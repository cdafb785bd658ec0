/* Compares flash with an image: reads only, runs nothing on the target, and counts what differs. */
#ifndef OCDMUX_OPS_FLASH_VERIFY_H
#define OCDMUX_OPS_FLASH_VERIFY_H

#include "image/image.h"
#include "ops/flash_plan.h"
#include "ops/op.h"

#define FLASH_VERIFY_FIRST_DIFFERENCES 16u

struct flash_difference {
    uint64_t address;
    uint64_t offset; /* in its bank */
    uint8_t expected;
    uint8_t found;
};

struct flash_verify_options {
    bool has_bank; /* the image's one segment is compared from `offset` of `bank` on, whatever its address */
    unsigned bank;
    uint64_t offset;
    bool consistent;
};

struct flash_verify {
    struct op op;
    struct flash_verify_options options;
    struct image image;
    uint64_t image_size;
    struct flash_plan plan;
    size_t at_bank; /* where it stands: in the plan, in the bank, in the range */
    size_t at_range;
    uint64_t at_byte;
    uint64_t done;
    uint64_t difference_count;
    struct flash_difference differences[FLASH_VERIFY_FIRST_DIFFERENCES];
};

/* Takes the image's contents over. */
struct op *flash_verify_new(const struct flash_verify_options *options, struct image *take_image);

#endif
