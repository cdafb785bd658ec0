/* Bytes as lower-case hexadecimal text (RFC 4648, section 8, which allows both cases; both are read). */
#ifndef OCDMUX_BASE_HEX_H
#define OCDMUX_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

void hex_encode(struct strbuf *out, const uint8_t *bytes, size_t length);

/* Appends the bytes to `out`. False, with `out` unchanged, for an odd length or a character that is no digit.
 */
bool hex_decode(struct strbuf *out, const char *text, size_t length) __attribute__((warn_unused_result));

/* 0 to 15, or -1. */
int hex_digit(char character);

#endif
