/* base/sha256: the examples of FIPS 180-4 (NIST's "SHA256" example values), in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

static void assert_digest(const char *text, size_t length, size_t cut, const char *expected)
{
    struct sha256 *sha = sha256_new();
    char digest[SHA256_TEXT_SIZE];
    sha256_add(sha, (const uint8_t *)text, cut);
    sha256_add(sha, (const uint8_t *)text + cut, length - cut);
    sha256_finish(sha, digest);
    sha256_free(sha);
    assert_string_equal(digest, expected);
}

static void test_sha256_known_digests_in_every_cut(void **state)
{
    (void)state;
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_digest("", 0, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t cut = 0; cut <= 3; cut++) {
        assert_digest("abc", 3, cut, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    for (size_t cut = 0; cut < sizeof two_blocks; cut++) {
        assert_digest(two_blocks, strlen(two_blocks), cut,
                      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
}

static void test_sha256_may_be_freed_unfinished(void **state)
{
    (void)state;
    struct sha256 *sha = sha256_new();
    sha256_add(sha, (const uint8_t *)"abc", 3);
    sha256_free(sha);
    sha256_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_known_digests_in_every_cut),
        cmocka_unit_test(test_sha256_may_be_freed_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
