/*
 * Tokens, the secrets by which clients say who they are, and the hashes of them that configurations hold.
 *
 * A token is "ocdmux_" and 64 hex digits: 256 random bits that token_make() alone chooses. That is why one
 * round of HMAC-SHA256 (RFC 2104) with a salt is enough of a hash: no list of likely secrets exists that a
 * slow hash would have to defend, and a login costs a microsecond for each token that is configured, so that
 * a flood of logins stalls nobody.
 */
#ifndef OCDMUX_BASE_TOKEN_H
#define OCDMUX_BASE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_TEXT_SIZE 72 /* with the NUL */
#define TOKEN_SALT_BYTES 16u
#define TOKEN_DIGEST_BYTES 32u
/* "hmac-sha256:", 32 hex digits of salt, ":", 64 hex digits of digest, and the NUL. */
#define TOKEN_HASH_TEXT_SIZE 110

struct token_hash {
    uint8_t salt[TOKEN_SALT_BYTES];
    uint8_t digest[TOKEN_DIGEST_BYTES];
};

/* A fresh token and its hash. False only where the system has no random bytes. */
bool token_make(char text[TOKEN_TEXT_SIZE], char hash[TOKEN_HASH_TEXT_SIZE])
    __attribute__((warn_unused_result));

/* Reads what token_make() wrote as `hash`, letters of either case. */
bool token_hash_parse(const char *text, struct token_hash *ret_hash) __attribute__((warn_unused_result));

/* Whether the hash is that of the token, in a time that does not depend on where they differ. */
bool token_matches(const struct token_hash *hash, const char *token, size_t length);

#endif
