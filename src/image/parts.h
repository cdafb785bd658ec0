/*
 * What a format's parser finds in a file: parts, in the file's own order, which then become the segments of
 * an image. Shared by the parsers below src/image; not for others.
 */
#ifndef OCDMUX_IMAGE_PARTS_H
#define OCDMUX_IMAGE_PARTS_H

#include "image/image.h"

struct part {
    uint64_t address;
    const uint8_t *bytes; /* in the file's storage */
    uint64_t size;        /* 1 or more */
    uint64_t where;       /* line or offset in the file where it begins */
};

struct parts {
    enum image_format format;
    struct part *list; /* owned */
    size_t count;
    size_t room;
    bool has_entry;
    uint64_t entry;
};

/* More parts than this, in an order that does not join them as they come, are refused: they cost memory. */
#define PARTS_MAX (16u * IMAGE_MAX_SEGMENTS)

/* Nothing is added for size 0. Fails, naming `where`, for addresses past 2^64 and too many parts. */
bool parts_add(struct parts *parts, uint64_t address, const uint8_t *bytes, uint64_t size, uint64_t where,
               struct err *err) __attribute__((warn_unused_result));

void parts_set_entry(struct parts *parts, uint64_t entry);

/*
 * Sorts, refuses overlaps, joins what is adjacent. The parts hold no more bytes together than the file that
 * is their storage, so that joining needs no more memory than that. `take_storage` goes to the image, or is
 * freed if joining took memory of its own; on failure it stays the caller's.
 */
bool parts_make_image(struct parts *parts, uint8_t *take_storage, struct image *ret_image, struct err *err)
    __attribute__((warn_unused_result));
void parts_fini(struct parts *parts);

/*
 * image_invalid, "Intel HEX, line 7: ..." or "ELF, offset 0x34: ...", with the detail `line` or `offset`:
 * `where` is what the format counts in. Returns false.
 */
bool parts_fault(const struct parts *parts, struct err *err, uint64_t where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "Intel HEX", "S-record", ... as people write it */
const char *parts_format_title(enum image_format format);

#endif
