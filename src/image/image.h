/*
 * Firmware files, parsed into segments: plain bytes, Intel HEX (Intel, "Hexadecimal Object File Format
 * Specification", revision A), Motorola S-record (srec(5)), ELF (TIS ELF specification 1.2 and gABI; loadable
 * segments by physical address, by virtual address where none has a physical one, parts without file bytes
 * left out), and UF2 (the format's own README). Pure: no I/O.
 */
#ifndef OCDMUX_IMAGE_IMAGE_H
#define OCDMUX_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum image_format { IMAGE_BIN, IMAGE_IHEX, IMAGE_SREC, IMAGE_ELF, IMAGE_UF2 };

/* "bin", "ihex", "srec", "elf", "uf2" */
const char *image_format_name(enum image_format format);

/*
 * What the content says that it is, by its first bytes alone; IMAGE_BIN for what looks like none of the
 * others. A file that is recognised and then turns out to be broken is an error, never taken for bin.
 */
enum image_format image_detect(const uint8_t *bytes, size_t length);

/* Bytes for consecutive addresses. */
struct image_segment {
    uint64_t address; /* of the first byte; address + size does not pass 2^64 */
    const uint8_t *bytes;
    uint64_t size; /* 1 or more */
};

struct image {
    enum image_format format;
    struct image_segment *segments; /* by address, not overlapping, adjacent ones joined; one or more */
    size_t segment_count;
    uint64_t size; /* bytes of all segments */
    bool has_entry;
    uint64_t entry;   /* start address, where the format says one; 0 says none in ELF and S-records */
    uint8_t *storage; /* what the segments point into; owned */
};

/* More segments than this are refused: no firmware has them. */
#define IMAGE_MAX_SEGMENTS 65536u

/*
 * Parses `bytes`, of 1 byte or more, as `format`; a bin image gets its one segment at `bin_address` (the
 * caller changes segments[0].address while that is not known). Takes `take_bytes` (free()) over, on failure
 * too. Fails with image_invalid: overlaps, bad checksums, truncated files, addresses past 2^64, nothing to
 * load; with the details `line` (text formats, from 1), `offset` (binary formats, in the file) or `address`
 * where they are known. `ret_image` is untouched on failure.
 */
bool image_parse(enum image_format format, uint64_t bin_address, uint8_t *take_bytes, size_t length,
                 struct image *ret_image, struct err *err) __attribute__((warn_unused_result));
void image_fini(struct image *image);

#endif
