/*
 * Programs an image into flash: looks at the bank and checks everything first, brings the target where it
 * must be, keeps what the touched sectors hold beside the image, then erases and programs whole sectors in
 * pieces of about half a second, reads back and compares, and resets.
 *
 *   survey -> prepare -> look -> keep head -> keep tail -> ( erase -> program )* -> verify* -> reset
 *
 * A piece is critical from its erase to the end of its programming: cancel and deadlines take effect between
 * pieces.
 */
#ifndef OCDMUX_OPS_FLASH_WRITE_H
#define OCDMUX_OPS_FLASH_WRITE_H

#include "ops/flash_info.h"
#include "ops/op.h"
#include "ops/target_ops.h"

enum flash_prepare {
    FLASH_PREPARE_NONE,
    FLASH_PREPARE_HALT,
    FLASH_PREPARE_RESET_HALT,
    FLASH_PREPARE_RESET_INIT
};
enum flash_reset { FLASH_RESET_NONE, FLASH_RESET_RUN, FLASH_RESET_HALT };

struct flash_write_options {
    bool has_address;
    uint64_t address; /* of the image's first byte; without one, the base of bank 0 */
    bool erase;
    bool verify;
    enum flash_prepare prepare;
    enum flash_reset reset;
};

struct flash_write {
    struct op op;
    struct flash_write_options options;
    uint8_t *image;
    uint64_t image_size;

    unsigned bank;
    struct flash_geometry geometry;
    uint64_t image_offset; /* of the image's first byte in the bank */
    size_t first_sector;
    size_t last_sector; /* the last one that is touched */
    uint8_t
        *content; /* what goes into the flash: whole sectors where sectors are erased, else the image alone */
    uint64_t content_offset; /* in the bank */
    uint64_t content_size;

    size_t next_sector;  /* the first that is not programmed to its end yet */
    uint64_t erased_end; /* in the bank: how far what was erased last reaches */
    uint64_t programmed; /* bytes of `content` */
    uint64_t verified;   /* bytes of the image */
    uint64_t sectors_erased;
    bool touched;      /* an erase or program command was sent */
    uint64_t asked_us; /* waiting for the target to halt since then */
};

/* Takes `image` (free()), of 1 byte or more, over. */
struct op *flash_write_new(const struct flash_write_options *options, uint8_t *take_image, uint64_t size);

#endif
