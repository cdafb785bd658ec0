/*
 * Programs an image into flash: looks at the banks and checks everything first, brings the targets where they
 * must be, compares, then erases and programs whole sectors in pieces of about half a second, reads back and
 * compares, and resets.
 *
 *   banks -> info* -> [prepare* -> look* -> info*] -> [unlock -> info*]* -> room -> (compare, sample)*
 *         -> ( keep* -> erase -> [blank] -> program* -> check* )*  -> verify* -> [reset]
 *
 * A piece is critical from its records, which are made right before its erase, to the end of its check:
 * cancel and deadlines take effect between pieces. What the erased sectors hold beside the image is given to
 * the keeper before the erase, and taken back from it when the sector reads as it should.
 */
#ifndef OCDMUX_OPS_FLASH_WRITE_H
#define OCDMUX_OPS_FLASH_WRITE_H

#include "image/image.h"
#include "ops/flash_plan.h"
#include "ops/op.h"
#include "ops/prepare.h"

enum flash_reset { FLASH_RESET_NONE, FLASH_RESET_RUN, FLASH_RESET_HALT };

struct flash_write_options {
    bool has_address; /* bin: `segments[0].address` of the image says where; else it goes to bank 0 */
    bool has_bank;    /* the image's one segment goes to `offset` of `bank`, whatever its address */
    unsigned bank;
    uint64_t offset;
    bool erase;
    bool verify;
    bool unlock;
    bool compare; /* program only what differs; with `erase` only */
    enum prepare_mode prepare;
    enum flash_reset reset;
};

/* How far lifting the protection came. */
enum flash_unlock {
    FLASH_UNLOCK_NONE,
    FLASH_UNLOCK_DONE,  /* the commands were sent: the banks are looked at again */
    FLASH_UNLOCK_RESET, /* it takes effect with a reset, which is made again */
};

/* A run of bytes of one range, `offset` and `end` from the start of the bank. */
struct flash_run {
    uint64_t offset;
    uint64_t end;
    bool differs; /* something in it is known to differ */
    bool sibling; /* the left half of one that differs: if it is the same, the run below it differs */
};

/* Where a walk over the ranges of the plan stands. */
struct flash_walk {
    size_t bank;     /* in the plan */
    size_t range;    /* in the bank */
    uint64_t offset; /* in the bank; not before the range's own */
};

struct flash_write {
    struct op op;
    struct flash_write_options options;
    struct image image;
    struct flash_plan plan;
    size_t at_bank; /* steps that go from bank to bank: which one is next */
    uint64_t image_size;
    enum flash_unlock unlock;
    size_t locked_sectors; /* that the image touches, before the last unlock */
    struct prepare prepare;
    bool prepared;     /* the reset that was asked for is over: the banks are looked at again */
    bool use_checksum; /* code on the target compares; else what is read back is compared here */

    /* Comparing, and verifying. */
    struct flash_walk walk;
    struct flash_run *runs; /* a stack: parts of the run that the walk stands at, which differs */
    size_t run_count;
    uint64_t run_end;  /* of that run */
    size_t sampled;    /* the first sector of the plan that was not looked into yet */
    uint64_t compared; /* bytes of the image */
    uint64_t verified;
    uint64_t verify_total;

    /* The piece that is programmed: sectors of one bank, one behind the other. */
    size_t piece_bank;
    size_t piece_first; /* sectors of the plan */
    size_t piece_last;
    size_t piece_sector;            /* keep and check: the one whose turn it is */
    const struct op_keeper *keeper; /* from the first piece on; NULL before */
    struct keeper_record *kept;     /* of the sectors with bytes beside the image */
    size_t kept_count;
    bool kept_saved; /* the keeper has them */
    bool erase_sent;
    uint8_t *piece;      /* what its sectors will hold; NULL: there is no piece */
    uint64_t piece_done; /* bytes of it that are programmed */
    bool blank_known;    /* whether an erased byte reads 0xff in this bank was looked at: */
    bool blank_is_ff;
    bool check_reads; /* check: the sector's checksum differed, its bytes are read */

    uint64_t to_program; /* bytes, and sectors, of all pieces */
    uint64_t sectors_to_erase;
    uint64_t programmed;
    uint64_t sectors_erased;
    uint64_t bytes_unchanged; /* of the image */
    uint64_t bytes_repaired;  /* put back from the keeper's records */
    bool touched;             /* an erase or program command was sent */
    bool complete;            /* all is programmed, and verified if that was asked for */
};

/* Takes the image's contents over. */
struct op *flash_write_new(const struct flash_write_options *options, struct image *take_image);

#endif
