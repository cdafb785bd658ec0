/*
 * OpenOCD's texts, as 0.12 prints them (flash/nor/tcl.c, flash/nor/core.c, target/target.c), and where they
 * differ as older and newer versions do. Each parser takes the whole text, refuses what it does not know, and
 * leaves its outputs untouched then. Those with an `err` set openocd_error, with the whole text as OpenOCD's
 * words (code 0). Pure.
 */
#ifndef OCDMUX_OPENOCD_PARSE_H
#define OCDMUX_OPENOCD_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define OCD_NAME_SIZE 128
/* More is refused: a text that says so is not OpenOCD's. */
#define OCD_BANKS_MAX 1024u
#define OCD_BLOCKS_MAX (1024u * 1024u)

/*
 * "Open On-Chip Debugger 0.12.0": 0, 12. Suffixes such as "+dev-00123-gabcdef (2025-01-31-12:34)" or "-rc1"
 * are allowed, and so are a packager's words before it and a "v" before the number.
 */
bool ocd_parse_version(const char *text, size_t length, unsigned *ret_major, unsigned *ret_minor)
    __attribute__((warn_unused_result));

/*
 * "0x1 0x2 ..." of `read_memory`: exactly `count` elements, each fitting `width` bits (8, 16, 32 or 64),
 * written to `out` as target bytes (count * width / 8 of them). False (openocd_error, naming the element) for
 * anything else, also for HEAD's failure text behind partial data.
 */
bool ocd_parse_values(const char *text, size_t length, unsigned width, size_t count, bool big_endian,
                      uint8_t *out, struct err *err) __attribute__((warn_unused_result));

/*
 * One bank of `flash list` (0.12: "{name N driver D base DEC size DEC bus_width n chip_width n target T}";
 * newer ones print several lines and hexadecimal numbers). Up to 0.11 there is neither driver nor target, and
 * the name is the driver's: `driver` repeats it, and `target` is empty. Keys not known here are passed over.
 */
struct ocd_bank {
    unsigned index;
    char name[OCD_NAME_SIZE];
    char driver[OCD_NAME_SIZE];
    char target[OCD_NAME_SIZE];
    uint64_t base; /* bytes */
    uint64_t size; /* bytes; 0 while the bank is not probed */
    unsigned bus_width;
    unsigned chip_width;
};

/* All banks of `flash list`, in order; the array is the caller's (free()); none is a success with NULL and 0.
 */
bool ocd_parse_flash_list(const char *text, size_t length, struct ocd_bank **ret_banks, size_t *ret_count,
                          struct err *err) __attribute__((warn_unused_result));

enum ocd_protection { OCD_PROTECTION_OFF, OCD_PROTECTION_ON, OCD_PROTECTION_UNKNOWN };

/* One row of `flash info`: a sector, or a protection block. */
struct ocd_block {
    uint64_t offset; /* bytes from the bank's base */
    uint64_t size;   /* bytes */
    enum ocd_protection
        protection; /* UNKNOWN in `flash info N sectors` where the driver has blocks: state is empty */
};

struct ocd_flash_info {
    struct ocd_block *blocks; /* NULL if there are none */
    size_t count;
    struct strbuf description; /* the driver's own text behind the rows, trimmed */
};

/*
 * `flash info N` or `flash info N sectors`. On success `ret_info` is filled without a look at what it held,
 * and the caller gives it to ocd_flash_info_fini(), which may be called twice.
 */
bool ocd_parse_flash_info(const char *text, size_t length, struct ocd_flash_info *ret_info, struct err *err)
    __attribute__((warn_unused_result));
void ocd_flash_info_fini(struct ocd_flash_info *info);

/* "erased sectors %u through %u on flash bank %u in %fs": the first such line. */
bool ocd_parse_erased(const char *text, size_t length, unsigned *ret_first, unsigned *ret_last)
    __attribute__((warn_unused_result));
/*
 * "wrote %zu bytes from file ..." of write_bank and write_image, "wrote %zd bytes to file ..." of read_bank,
 * "dumped %zu bytes", "verified %u bytes", "downloaded %u bytes", "read %zd bytes" of verify_bank: the count
 * of the first line that begins with `verb`, a number and "bytes ".
 */
bool ocd_parse_byte_count(const char *text, size_t length, const char *verb, uint64_t *ret_count)
    __attribute__((warn_unused_result));

#endif
