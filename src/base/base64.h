/* Base64 as in RFC 4648, section 4: the standard alphabet, padded, no line breaks. */
#ifndef OCDMUX_BASE_BASE64_H
#define OCDMUX_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

void base64_encode(struct strbuf *out, const uint8_t *bytes, size_t length);

/*
 * Appends the bytes to `out`. False, with `out` unchanged, for a length that is no multiple of four, a
 * foreign character, misplaced padding, or bits that are not zero behind the last byte.
 */
bool base64_decode(struct strbuf *out, const char *text, size_t length) __attribute__((warn_unused_result));

#endif
