/* rpc/json_text: what the check and the reader share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/json_text.h"

/* -1, 0 or 1, after making sure that the other way round is the opposite. */
static int compare(const char *a, const char *b)
{
    int there = json_text_compare(a, strlen(a), b, strlen(b));
    int back = json_text_compare(b, strlen(b), a, strlen(a));
    int sign = (there > 0) - (there < 0);
    assert_int_equal(sign, (back < 0) - (back > 0));
    return sign;
}

static void test_json_text_compares_what_is_meant(void **state)
{
    (void)state;
    assert_int_equal(compare("", ""), 0);
    assert_int_equal(compare("abc", "abc"), 0);
    assert_int_equal(compare("a\\u0062c", "\\u0061bc"), 0);
    assert_int_equal(compare("\\/\\n", "/\\u000a"), 0);
    assert_int_equal(compare("\\u20acx", "\xe2\x82\xacx"), 0);
    assert_int_equal(compare("\\ud83d\\ude00", "\xf0\x9f\x98\x80"), 0);
    assert_int_equal(compare("abc", "abd"), -1);
    assert_int_equal(compare("ab\\u0063", "abd"), -1);
    assert_int_equal(compare("", "a"), -1);
    assert_int_equal(compare("ab", "abc"), -1);
    assert_int_equal(compare("ab", "ab\\u0001"), -1);
    assert_int_equal(compare("\\u00e9", "z"), 1); /* bytes, not signed characters */
    assert_int_equal(compare("\xc3\xa9", "z"), 1);
}

static void test_json_text_run_stops_at_specials(void **state)
{
    (void)state;
    static const char plain[] = " !#$%&'()*+,-./0123456789[]^_`{|}~\x7f and more than that";
    assert_int_equal(json_text_run(plain, sizeof plain - 1), sizeof plain - 1);
    for (size_t length = 0; length < sizeof plain; length++) {
        assert_int_equal(json_text_run(plain, length), length);
    }
    static const char specials[] = {'"', '\\', '\x1f', '\0', '\x80', '\xff'};
    for (size_t place = 0; place < 20; place++) {
        for (size_t i = 0; i < sizeof specials; i++) {
            char text[24];
            memset(text, 'x', sizeof text);
            text[place] = specials[i];
            assert_int_equal(json_text_run(text, sizeof text), place);
        }
    }
}

static void test_json_text_reads_four_hex_digits(void **state)
{
    (void)state;
    uint32_t value = 7;
    assert_true(json_text_hex4("0aFf1", 5, &value));
    assert_int_equal(value, 0x0aff);
    assert_false(json_text_hex4("0aF", 3, &value));
    assert_false(json_text_hex4("00g0", 4, &value));
    assert_false(json_text_hex4(" 000", 4, &value));
    assert_int_equal(value, 0x0aff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_text_compares_what_is_meant),
        cmocka_unit_test(test_json_text_run_stops_at_specials),
        cmocka_unit_test(test_json_text_reads_four_hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
