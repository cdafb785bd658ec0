/* rpc/json: spans, cursors, strings and integers of checked text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/json.h"

static struct json_span checked(const char *text)
{
    struct json_problem problem;
    if (!json_check(text, strlen(text), &problem)) {
        fail_msg("%s refused: %s", text, problem.reason);
    }
    return json_span_of(text, strlen(text));
}

static void assert_span(struct json_span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    assert_memory_equal(span.text, text, span.length);
}

static void assert_string_is(const char *text, const char *bytes, size_t length)
{
    struct json_span span = checked(text);
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "kept");
    json_span_string(span, &out);
    assert_int_equal(out.length, 4 + length);
    assert_memory_equal(out.data, "kept", 4);
    assert_memory_equal(out.data + 4, bytes, length);
    assert_int_equal(json_span_string_length(span), length);
    assert_true(json_span_equals(span, out.data + 4));
    strbuf_fini(&out);
}

static void test_json_span_knows_its_kind(void **state)
{
    (void)state;
    assert_int_equal(json_span_kind(checked("null")), JSON_NULL);
    assert_int_equal(json_span_kind(checked(" true ")), JSON_TRUE);
    assert_int_equal(json_span_kind(checked("false")), JSON_FALSE);
    assert_int_equal(json_span_kind(checked("-1")), JSON_NUMBER);
    assert_int_equal(json_span_kind(checked("7e1")), JSON_NUMBER);
    assert_int_equal(json_span_kind(checked("\"\"")), JSON_STRING);
    assert_int_equal(json_span_kind(checked("[ ]")), JSON_ARRAY);
    assert_int_equal(json_span_kind(checked("\n{}\r")), JSON_OBJECT);
    assert_int_equal(json_span_kind((struct json_span){.text = NULL}), JSON_NONE);
    assert_span(json_span_of(" \t\r\n[ 1 ] \n", 11), "[ 1 ]");
}

static void test_json_cursor_walks_elements(void **state)
{
    (void)state;
    struct json_cursor cursor;
    json_cursor_init(&cursor,
                     checked("[ 1,-2.5e3 ,\"a\\\"],b\\\\\",[[],{\"x\":\"]\"}] , {\"y\" : [1]},null]"));
    static const char *const expected[] = {
        "1", "-2.5e3", "\"a\\\"],b\\\\\"", "[[],{\"x\":\"]\"}]", "{\"y\" : [1]}", "null"};
    struct json_span value;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(json_next_element(&cursor, &value));
        assert_span(value, expected[i]);
    }
    assert_false(json_next_element(&cursor, &value));
    assert_false(json_next_element(&cursor, &value));
    assert_span(value, "null"); /* untouched */
    json_cursor_init(&cursor, checked("[ \n ]"));
    assert_false(json_next_element(&cursor, &value));
}

static void test_json_cursor_walks_members(void **state)
{
    (void)state;
    struct json_cursor cursor;
    json_cursor_init(&cursor, checked("{\"a\":1 , \"b:,}\" : {\"c\":2}\n,\"\\u0064\":\"\"}"));
    static const char *const expected[] = {"\"a\"", "1", "\"b:,}\"", "{\"c\":2}", "\"\\u0064\"", "\"\""};
    struct json_span key;
    struct json_span value;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i += 2) {
        assert_true(json_next_member(&cursor, &key, &value));
        assert_span(key, expected[i]);
        assert_span(value, expected[i + 1]);
    }
    assert_false(json_next_member(&cursor, &key, &value));
    assert_span(key, "\"\\u0064\"");
    json_cursor_init(&cursor, checked("{}"));
    assert_false(json_next_member(&cursor, &key, &value));
}

static void test_json_find_member_compares_unescaped(void **state)
{
    (void)state;
    struct json_span object = checked("{\"x\":{\"id\":1},\"i\":2,\"i\\u0064\":3,\"idx\":4}");
    struct json_span value = {.text = NULL};
    assert_true(json_find_member(object, "id", &value));
    assert_span(value, "3");
    assert_true(json_find_member(object, "idx", &value));
    assert_span(value, "4");
    assert_false(json_find_member(object, "ID", &value));
    assert_false(json_find_member(object, "", &value));
    assert_span(value, "4");
}

static void test_json_string_unescapes(void **state)
{
    (void)state;
    assert_string_is("\"\"", "", 0);
    assert_string_is("\"plain\"", "plain", 5);
    assert_string_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    assert_string_is("\"a\\u0041\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
                     "aA\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 13);
    assert_string_is("\"\\ud800\\udc00-\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80-\xf4\x8f\xbf\xbf", 9);
    assert_string_is("\"\xc3\xa9\\n\xe2\x82\xac\"", "\xc3\xa9\n\xe2\x82\xac", 6);
}

static void test_json_span_equals_only_the_whole_string(void **state)
{
    (void)state;
    assert_true(json_span_equals(checked("\"a\\u0062c\""), "abc"));
    assert_false(json_span_equals(checked("\"a\\u0062c\""), "ab"));
    assert_false(json_span_equals(checked("\"a\\u0062c\""), "abcd"));
    assert_false(json_span_equals(checked("\"a\\u0062c\""), ""));
    assert_true(json_span_equals(checked("\"\""), ""));
    assert_false(json_span_equals(checked("\"\""), "a"));
    assert_false(json_span_equals(checked("12"), "12"));
    assert_false(json_span_equals(checked("true"), "true"));
    assert_false(json_span_equals((struct json_span){.text = NULL}, ""));
}

static void assert_label(const char *text, const char *expected)
{
    char label[JSON_LABEL_SIZE];
    memset(label, 'x', sizeof label);
    json_span_label(checked(text), label);
    assert_string_equal(label, expected);
}

static void test_json_label_is_cut_and_printable(void **state)
{
    (void)state;
    assert_label("\"\"", "");
    assert_label("\"a\\n\\u007f\\\"\xc3\xa9\"", "a??\"\xc3\xa9");
#define TEN "0123456789"
    assert_label("\"" TEN TEN TEN TEN TEN TEN TEN "1\"", TEN TEN TEN TEN TEN TEN TEN "1");
    assert_label("\"" TEN TEN TEN TEN TEN TEN TEN "12\"", TEN TEN TEN TEN TEN TEN "01234567...");
    assert_label("\"" TEN TEN TEN TEN TEN TEN "0123456\xe2\x82\xac"
                 "abcdef\"",
                 TEN TEN TEN TEN TEN TEN "0123456...");
}

static void assert_u64(const char *text, uint64_t expected)
{
    uint64_t value = 12345;
    if (json_span_u64(checked(text), &value) != JSON_INTEGER_OK) {
        fail_msg("%s refused", text);
    }
    assert_true(value == expected);
}

static void assert_no_u64(const char *text, enum json_integer expected)
{
    uint64_t value = 12345;
    enum json_integer parsed = json_span_u64(checked(text), &value);
    if (parsed != expected) {
        fail_msg("%s: %d, not %d", text, (int)parsed, (int)expected);
    }
    assert_true(value == 12345);
}

static void test_json_u64_takes_digits(void **state)
{
    (void)state;
    assert_u64("0", 0);
    assert_u64("65536", 65536);
    assert_u64("9007199254740991", (UINT64_C(1) << 53) - 1);
    assert_u64("\"9007199254740992\"", UINT64_C(1) << 53);
    assert_u64("\"18446744073709551615\"", UINT64_MAX);
    assert_u64("\"0xffffffffffffffff\"", UINT64_MAX);
    assert_u64("\"0xFFFFFFFFffffffff\"", UINT64_MAX);
    assert_u64("\"0x0\"", 0);
    assert_u64("\"0x08000000\"", 0x08000000);
    assert_u64("\"0\"", 0);
    assert_u64("\"007\"", 7);
    assert_u64("\"0x00000000000000000000000000000001\"", 1);
    assert_u64("\"0000000000000000000000000000000012\"", 12);
    assert_u64("\"\\u0030\\u007810\"", 16);
}

static void test_json_u64_says_why_not(void **state)
{
    (void)state;
    assert_no_u64("-0", JSON_INTEGER_NEGATIVE);
    assert_no_u64("-1", JSON_INTEGER_NEGATIVE);
    assert_no_u64("-1.5", JSON_INTEGER_NEGATIVE);
    assert_no_u64("1.0", JSON_INTEGER_FRACTION);
    assert_no_u64("0.5", JSON_INTEGER_FRACTION);
    assert_no_u64("1e3", JSON_INTEGER_FRACTION);
    assert_no_u64("1E3", JSON_INTEGER_FRACTION);
    assert_no_u64("12345678901234567890123.5", JSON_INTEGER_FRACTION);
    assert_no_u64("9007199254740992", JSON_INTEGER_TOO_BIG);
    assert_no_u64("9007199254740993", JSON_INTEGER_TOO_BIG);
    assert_no_u64("18446744073709551615", JSON_INTEGER_TOO_BIG);
    assert_no_u64("18446744073709551616", JSON_INTEGER_TOO_BIG);
    assert_no_u64("100000000000000000000000000000000000000000", JSON_INTEGER_TOO_BIG);
    assert_no_u64("\"18446744073709551616\"", JSON_INTEGER_TOO_BIG);
    assert_no_u64("\"36893488147419103232\"", JSON_INTEGER_TOO_BIG);
    assert_no_u64("\"0x10000000000000000\"", JSON_INTEGER_TOO_BIG);
    assert_no_u64("\"99999999999999999999999999999999999999999999999999\"", JSON_INTEGER_TOO_BIG);
    static const char *const no[] = {"\"\"",
                                     "\"0x\"",
                                     "\"0X1F\"",
                                     "\" 1\"",
                                     "\"1 \"",
                                     "\"+1\"",
                                     "\"-1\"",
                                     "\"1.0\"",
                                     "\"1e3\"",
                                     "\"x10\"",
                                     "\"ff\"",
                                     "\"0xfg\"",
                                     "\"0x 1\"",
                                     "\"1_0\"",
                                     "\"0b1\"",
                                     "\"\xc2\xb2\"",
                                     "null",
                                     "true",
                                     "false",
                                     "[]",
                                     "[1]",
                                     "{}",
                                     "\"0x-1\"",
                                     "\"1\\n\"",
                                     "\"99999999999999999999999999999999999999999999999999z\""};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_no_u64(no[i], JSON_INTEGER_NO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_span_knows_its_kind),
        cmocka_unit_test(test_json_cursor_walks_elements),
        cmocka_unit_test(test_json_cursor_walks_members),
        cmocka_unit_test(test_json_find_member_compares_unescaped),
        cmocka_unit_test(test_json_string_unescapes),
        cmocka_unit_test(test_json_span_equals_only_the_whole_string),
        cmocka_unit_test(test_json_label_is_cut_and_printable),
        cmocka_unit_test(test_json_u64_takes_digits),
        cmocka_unit_test(test_json_u64_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
