/* base/token: tokens and their hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/token.h"

static void make(char text[TOKEN_TEXT_SIZE], struct token_hash *hash)
{
    char hash_text[TOKEN_HASH_TEXT_SIZE];
    assert_true(token_make(text, hash_text));
    assert_int_equal(strlen(text), TOKEN_TEXT_SIZE - 1);
    assert_int_equal(strlen(hash_text), TOKEN_HASH_TEXT_SIZE - 1);
    assert_null(strstr(hash_text, text + strlen("ocdmux_")));
    assert_true(token_hash_parse(hash_text, hash));
}

static void test_token_fits_its_hash_and_no_other(void **state)
{
    (void)state;
    char first[TOKEN_TEXT_SIZE];
    char second[TOKEN_TEXT_SIZE];
    struct token_hash first_hash;
    struct token_hash second_hash;
    make(first, &first_hash);
    make(second, &second_hash);
    assert_string_not_equal(first, second);
    assert_memory_not_equal(first_hash.salt, second_hash.salt, TOKEN_SALT_BYTES);
    assert_true(token_matches(&first_hash, first, strlen(first)));
    assert_true(token_matches(&second_hash, second, strlen(second)));
    assert_false(token_matches(&first_hash, second, strlen(second)));
    assert_false(token_matches(&second_hash, first, strlen(first)));
}

static void test_token_every_byte_counts(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    struct token_hash hash;
    make(text, &hash);
    for (size_t i = 0; i < TOKEN_TEXT_SIZE - 1; i++) {
        text[i] ^= 1;
        assert_false(token_matches(&hash, text, TOKEN_TEXT_SIZE - 1));
        text[i] ^= 1;
    }
    assert_false(token_matches(&hash, text, TOKEN_TEXT_SIZE - 2));
    assert_false(token_matches(&hash, text, TOKEN_TEXT_SIZE)); /* the NUL as well */
    assert_false(token_matches(&hash, "", 0));
    assert_true(token_matches(&hash, text, TOKEN_TEXT_SIZE - 1));
}

/* As `printf %s TOKEN | openssl dgst -sha256 -mac HMAC -macopt hexkey:SALT` gives it. */
static void test_token_hash_is_hmac_sha256(void **state)
{
    (void)state;
    struct token_hash hash;
    assert_true(token_hash_parse("hmac-sha256:000102030405060708090A0b0c0d0e0f:"
                                 "bdc2ad8f3abe7f578b31bd700d5dd83b55629dcc3b53009b211f6fb513dfa062",
                                 &hash));
    assert_true(token_matches(&hash, "ocdmux_test", strlen("ocdmux_test")));
}

static void test_token_hash_refuses_other_forms(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    char good[TOKEN_HASH_TEXT_SIZE];
    char bad[TOKEN_HASH_TEXT_SIZE + 2];
    struct token_hash hash;
    memset(&hash, 0x5a, sizeof hash);
    const struct token_hash untouched = hash;
    assert_true(token_make(text, good));
    for (size_t i = 0; i < sizeof good - 1; i++) {
        snprintf(bad, sizeof bad, "%s", good);
        bad[i] = '#';
        assert_false(token_hash_parse(bad, &hash));
        bad[i] = '\0';
        assert_false(token_hash_parse(bad, &hash));
    }
    snprintf(bad, sizeof bad, "%s0", good);
    assert_false(token_hash_parse(bad, &hash));
    assert_false(token_hash_parse("", &hash));
    assert_memory_equal(&hash, &untouched, sizeof hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_fits_its_hash_and_no_other),
        cmocka_unit_test(test_token_every_byte_counts),
        cmocka_unit_test(test_token_hash_is_hmac_sha256),
        cmocka_unit_test(test_token_hash_refuses_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
