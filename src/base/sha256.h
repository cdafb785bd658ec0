/* SHA-256 (FIPS 180-4) of a stream of bytes, by libcrypto. */
#ifndef OCDMUX_BASE_SHA256_H
#define OCDMUX_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT_SIZE 65

struct sha256;

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const uint8_t *bytes, size_t length);
/* Writes 64 lower-case hex digits and a NUL; after it only sha256_free() may be called. */
void sha256_finish(struct sha256 *sha, char text[SHA256_TEXT_SIZE]);

#endif
