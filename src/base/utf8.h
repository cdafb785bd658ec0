/* UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. Pure. */
#ifndef OCDMUX_BASE_UTF8_H
#define OCDMUX_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all `length` bytes are whole, valid sequences; true for none. NUL is a valid character here. */
bool utf8_valid(const char *bytes, size_t length);

/* The length, 1 to 4, of the valid sequence that `bytes` begins with; 0 if it begins with none or with a cut
 * one. */
size_t utf8_sequence(const char *bytes, size_t length);

#endif
