/* SHA-256 through libcrypto's EVP interface, which uses the processor's instructions where it has them. */
#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define DIGEST_SIZE 32u

struct sha256 {
    EVP_MD_CTX *context;
};

/* Only a broken libcrypto, or no memory, makes these calls fail. */
static void require(bool worked)
{
    if (!worked) {
        fprintf(stderr, "ocdmux: libcrypto cannot compute SHA-256\n");
        abort();
    }
}

struct sha256 *sha256_new(void)
{
    struct sha256 *sha = xmalloc(sizeof *sha);
    sha->context = EVP_MD_CTX_new();
    require(sha->context != NULL);
    require(EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL) == 1);
    return sha;
}

void sha256_free(struct sha256 *sha)
{
    if (sha == NULL) {
        return;
    }
    EVP_MD_CTX_free(sha->context);
    free(sha);
}

void sha256_add(struct sha256 *sha, const uint8_t *bytes, size_t length)
{
    require(EVP_DigestUpdate(sha->context, bytes, length) == 1);
}

void sha256_finish(struct sha256 *sha, char text[SHA256_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    require(EVP_DigestFinal_ex(sha->context, digest, &length) == 1 && length == DIGEST_SIZE);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 0x0fu];
    }
    text[2 * DIGEST_SIZE] = '\0';
}
