/* base/hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static void test_hex_encodes_every_byte(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    uint8_t bytes[256];
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
        strbuf_appendf(&expected, "%02x", i);
    }
    hex_encode(&out, bytes, sizeof bytes);
    assert_string_equal(strbuf_text(&out), strbuf_text(&expected));

    struct strbuf back = STRBUF_INIT;
    assert_true(hex_decode(&back, out.data, out.length));
    assert_int_equal(back.length, sizeof bytes);
    assert_memory_equal(back.data, bytes, sizeof bytes);
    strbuf_fini(&out);
    strbuf_fini(&expected);
    strbuf_fini(&back);
}

static void test_hex_appends_and_reads_both_cases(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "kept");
    assert_true(hex_decode(&out, "4f4B", 4));
    assert_true(hex_decode(&out, "", 0));
    assert_string_equal(strbuf_text(&out), "keptOK");
    hex_encode(&out, (const uint8_t *)"\xff", 1);
    assert_string_equal(strbuf_text(&out), "keptOKff");
    strbuf_fini(&out);
}

static void test_hex_refuses_and_leaves_unchanged(void **state)
{
    (void)state;
    static const char *const wrong[] = {"0",    "012", "0g", "g0", " 0", "0x",
                                        "00 0", "--",  "/0", ":0", "@0", "`0"};
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "kept");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(hex_decode(&out, wrong[i], strlen(wrong[i])));
        assert_int_equal(out.length, 4);
        assert_string_equal(strbuf_text(&out), "kept");
    }
    assert_false(hex_decode(&out, "0000000000\0000", 12));
    assert_string_equal(strbuf_text(&out), "kept");
    strbuf_fini(&out);
}

static void test_hex_digit_knows_22_characters(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    unsigned known = 0;
    for (int i = -128; i < 128; i++) {
        int value = hex_digit((char)i);
        if (value < 0) {
            assert_int_equal(value, -1);
            continue;
        }
        known++;
        assert_true(digits[value] == (char)i || digits[value + 16] == (char)i);
    }
    assert_int_equal(known, 22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex_encodes_every_byte),
        cmocka_unit_test(test_hex_appends_and_reads_both_cases),
        cmocka_unit_test(test_hex_refuses_and_leaves_unchanged),
        cmocka_unit_test(test_hex_digit_knows_22_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
