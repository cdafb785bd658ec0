/* What Intel HEX and S-record have in common: lines, each a record of hexadecimal digits with its own length.
 */
#ifndef OCDMUX_IMAGE_RECORDS_H
#define OCDMUX_IMAGE_RECORDS_H

#include "image/parts.h"

/* The longest record: Intel HEX, one byte each of length, type and checksum, two of address, 255 of data. */
#define RECORD_MAX 260u

struct records {
    const struct parts *parts; /* for errors */
    const uint8_t *bytes;
    size_t length;
    size_t at;
    uint64_t line;       /* number of the current line, from 1; 0 before the first */
    const uint8_t *text; /* the current line, without blanks and line ends behind it */
    size_t text_length;
};

/* The next line that is not blank (LF, CR and CR LF end lines); false at the end of the file. */
bool records_next(struct records *records);

/*
 * Decodes the digits of the current line after `prefix` characters. The first byte says how many follow, less
 * `extra` - 1. Fails, naming line and column, for other characters and for lines that are longer or shorter
 * than that.
 */
bool records_decode(const struct records *records, size_t prefix, size_t extra, uint8_t ret_bytes[RECORD_MAX],
                    size_t *ret_count, struct err *err) __attribute__((warn_unused_result));

/* Whether a file begins with a line of text that has `minimum` hexadecimal digits after `prefix` characters.
 */
bool records_detect(const uint8_t *bytes, size_t length, size_t prefix, size_t minimum);

#endif
