/* Tokens and their hashes, by libcrypto. */
#include "base/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hex.h"

#define TOKEN_BYTES 32u
#define TOKEN_PREFIX "ocdmux_"
#define HASH_PREFIX "hmac-sha256:"

static void digest_token(const uint8_t salt[TOKEN_SALT_BYTES], const char *token, size_t length,
                         uint8_t digest[TOKEN_DIGEST_BYTES])
{
    unsigned written = 0;
    if (HMAC(EVP_sha256(), salt, (int)TOKEN_SALT_BYTES, (const uint8_t *)token, length, digest, &written) ==
            NULL ||
        written != TOKEN_DIGEST_BYTES) {
        fprintf(stderr, "ocdmux: libcrypto has no HMAC-SHA256\n");
        abort();
    }
}

static void write_hex(char *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * length] = '\0';
}

bool token_make(char text[TOKEN_TEXT_SIZE], char hash[TOKEN_HASH_TEXT_SIZE])
{
    uint8_t random[TOKEN_BYTES + TOKEN_SALT_BYTES];
    uint8_t digest[TOKEN_DIGEST_BYTES];
    char salt_text[2 * TOKEN_SALT_BYTES + 1];
    char digest_text[2 * TOKEN_DIGEST_BYTES + 1];
    char secret[2 * TOKEN_BYTES + 1];
    const uint8_t *salt = random + TOKEN_BYTES;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    write_hex(secret, random, TOKEN_BYTES);
    snprintf(text, TOKEN_TEXT_SIZE, TOKEN_PREFIX "%s", secret);
    digest_token(salt, text, strlen(text), digest);
    write_hex(salt_text, salt, TOKEN_SALT_BYTES);
    write_hex(digest_text, digest, TOKEN_DIGEST_BYTES);
    snprintf(hash, TOKEN_HASH_TEXT_SIZE, HASH_PREFIX "%s:%s", salt_text, digest_text);
    OPENSSL_cleanse(random, sizeof random);
    OPENSSL_cleanse(secret, sizeof secret);
    return true;
}

static bool read_hex(const char *text, size_t count, uint8_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool token_hash_parse(const char *text, struct token_hash *ret_hash)
{
    struct token_hash hash;
    const char *salt = text + strlen(HASH_PREFIX);
    if (strlen(text) != TOKEN_HASH_TEXT_SIZE - 1 || strncmp(text, HASH_PREFIX, strlen(HASH_PREFIX)) != 0) {
        return false;
    }
    const char *digest = salt + 2 * TOKEN_SALT_BYTES + 1;
    if (digest[-1] != ':' || !read_hex(salt, TOKEN_SALT_BYTES, hash.salt) ||
        !read_hex(digest, TOKEN_DIGEST_BYTES, hash.digest)) {
        return false;
    }
    *ret_hash = hash;
    return true;
}

bool token_matches(const struct token_hash *hash, const char *token, size_t length)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    digest_token(hash->salt, token, length, digest);
    return CRYPTO_memcmp(digest, hash->digest, TOKEN_DIGEST_BYTES) == 0;
}
