/* rpc/json: the strict check. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "rpc/json.h"

/* A copy of its own, without a NUL behind it, so that AddressSanitizer sees every step too far. */
static bool check_exact(const char *text, size_t length, struct json_problem *problem)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    if (length > 0) {
        memcpy(copy, text, length);
    }
    bool good = json_check(copy, length, problem);
    free(copy);
    return good;
}

static void accepts(const char *text)
{
    struct json_problem problem = {.reason = "untouched"};
    if (!check_exact(text, strlen(text), &problem)) {
        fail_msg("%s refused at %zu: %s", text, problem.offset, problem.reason);
    }
    assert_string_equal(problem.reason, "untouched");
}

static void refuses_bytes(const char *text, size_t length, size_t offset, const char *reason)
{
    struct json_problem problem = {0};
    if (check_exact(text, length, &problem)) {
        fail_msg("%s taken", text);
    }
    assert_string_equal(problem.reason, reason);
    assert_int_equal(problem.offset, offset);
    assert_false(problem.limit);
}

static void refuses(const char *text, size_t offset, const char *reason)
{
    refuses_bytes(text, strlen(text), offset, reason);
}

static void test_json_check_takes_each_kind(void **state)
{
    (void)state;
    accepts("null");
    accepts("true");
    accepts("false");
    accepts("0");
    accepts("\"\"");
    accepts("[]");
    accepts("{}");
    accepts(" \t\r\n[ 1 , \"a\" , { \"b\" : [ ] , \"c\" : { } } , null ] \n");
    accepts("{\"\":1,\" \":2}");
}

static void test_json_check_refuses_broken_structure(void **state)
{
    (void)state;
    refuses("", 0, "value expected");
    refuses("   ", 3, "value expected");
    refuses("\xef\xbb\xbf{}", 0, "value expected");
    refuses("1 2", 2, "text behind the value");
    refuses("{}x", 2, "text behind the value");
    refuses("[1,]", 3, "value expected");
    refuses("[,1]", 1, "value expected");
    refuses("[1 2]", 3, "comma or ] expected");
    refuses("[1", 2, "comma or ] expected");
    refuses("[1}", 2, "comma or ] expected");
    refuses("{\"a\":1]", 6, "comma or } expected");
    refuses("{\"a\":1,}", 7, "key expected");
    refuses("{a:1}", 1, "key expected");
    refuses("{1:1}", 1, "key expected");
    refuses("{\"a\" 1}", 5, "colon expected");
    refuses("{\"a\":}", 5, "value expected");
    refuses("{\"a\"", 4, "colon expected");
    refuses("]", 0, "value expected");
    refuses("'a'", 0, "value expected");
    refuses("nul", 0, "value expected");
    refuses("nulll", 4, "text behind the value");
    refuses("True", 0, "value expected");
    refuses("[1]/**/", 3, "text behind the value");
    refuses("\f1", 0, "value expected");
    refuses_bytes("1\0", 2, 1, "text behind the value");
    refuses_bytes("[\0]", 3, 1, "value expected");
}

static void test_json_check_reads_numbers_by_the_grammar(void **state)
{
    (void)state;
    static const char *const good[] = {"0",   "-0",  "1",     "-1",    "10",      "0.5",     "-0.0",
                                       "1e3", "1E3", "1e+03", "1e-03", "12.50e1", "[0,0.0]", "{\"a\":-7}"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        accepts(good[i]);
    }
    refuses("01", 0, "number with a leading zero");
    refuses("-01", 1, "number with a leading zero");
    refuses("[00]", 1, "number with a leading zero");
    refuses("-", 1, "digit expected");
    refuses("-a", 1, "digit expected");
    refuses("1.", 2, "digit expected");
    refuses("1.e3", 2, "digit expected");
    refuses("1e", 2, "digit expected");
    refuses("1e+", 3, "digit expected");
    refuses("+1", 0, "value expected");
    refuses(".5", 0, "value expected");
    refuses("0x10", 1, "text behind the value");
    refuses("NaN", 0, "value expected");
    refuses("Infinity", 0, "value expected");
    refuses("-Infinity", 1, "digit expected");
}

/* 2^1024 - 2^970: the least number that is rounded to infinity. */
#define LEAST_INFINITE                                                                                     \
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070" \
    "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447" \
    "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904" \
    "174497792"

static void test_json_check_refuses_exactly_what_no_double_holds(void **state)
{
    (void)state;
    accepts("1e308");
    accepts("1.7976931348623157e308");
    accepts("-1.7976931348623157e308");
    accepts("1.7976931348623158e308"); /* rounds down to the largest */
    accepts("17976931348623157e292");
    accepts("0.00017976931348623157e312");
    refuses("1.7976931348623159e308", 0, "number too large");
    refuses("[-1.8e308]", 1, "number too large");
    refuses("1e309", 0, "number too large");
    refuses("1e99999999999999999999999999", 0, "number too large");
    accepts("1e-99999999999999999999999999");
    accepts("0e99999999999999999999999999");
    accepts("0.000e400");
    assert_true(strtod(LEAST_INFINITE, NULL) > DBL_MAX);
    refuses(LEAST_INFINITE, 0, "number too large");
    refuses(LEAST_INFINITE ".0", 0, "number too large");

    /* One less in the last digit, and the same with the point elsewhere, is the largest double. */
    char below[] = LEAST_INFINITE;
    below[sizeof below - 2]--; /* ends in 2 */
    assert_true(strtod(below, NULL) <= DBL_MAX);
    accepts(below);
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "%c.%s999e308", below[0], below + 1);
    accepts(strbuf_text(&text));
    strbuf_clear(&text);
    strbuf_appendf(&text, "0.%se309", LEAST_INFINITE);
    refuses(strbuf_text(&text), 0, "number too large");
    strbuf_fini(&text);
}

static void test_json_check_agrees_with_strtod(void **state)
{
    (void)state;
    static const char *const mantissas[] = {
        "1",    "9.99", "0.1",    "179.76931348623157", "179.76931348623159",
        "1797", "1798", "17.978", "0.0000000000001"};
    for (size_t i = 0; i < sizeof mantissas / sizeof mantissas[0]; i++) {
        for (int exponent = 290; exponent < 325; exponent++) {
            struct strbuf text = STRBUF_INIT;
            strbuf_appendf(&text, "%se%d", mantissas[i], exponent);
            struct json_problem problem;
            bool finite = strtod(strbuf_text(&text), NULL) <= DBL_MAX;
            assert_int_equal(json_check(text.data, text.length, &problem), finite);
            strbuf_fini(&text);
        }
    }
}

static void test_json_check_takes_strings(void **state)
{
    (void)state;
    accepts("\"plain ASCII of more than eight bytes, with DEL \x7f\"");
    accepts("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\uFFFF\"");
    accepts("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xef\xbf\xbf\"");
    accepts("\"\\ud83d\\ude00 \\uD800\\uDC00 \\udbff\\udfff\"");
}

static void test_json_check_refuses_bad_strings(void **state)
{
    (void)state;
    refuses("\"", 0, "string without an end");
    refuses("[\"abc", 1, "string without an end");
    refuses("\"abc\\\"", 0, "string without an end");
    refuses("\"\\", 1, "string without an end");
    refuses("\"\\x41\"", 1, "unknown escape");
    refuses("\"\\'\"", 1, "unknown escape");
    refuses("\"\\U0041\"", 1, "unknown escape");
    refuses_bytes("\"\\\0\"", 4, 1, "unknown escape");
    refuses("\"\\u12\"", 1, "\\u without four hex digits");
    refuses("\"\\u12g4\"", 1, "\\u without four hex digits");
    refuses("\"\\u+123\"", 1, "\\u without four hex digits");
    refuses("\"a\nb\"", 2, "control character in a string");
    refuses("\"a\tb\"", 2, "control character in a string");
    refuses("\"0123456789\x1f\"", 11, "control character in a string");
    refuses_bytes("\"a\0b\"", 5, 2, "NUL in a string");
    refuses("\"a\\u0000b\"", 2, "NUL in a string");
    refuses("{\"\\u0000\":1}", 2, "NUL in a string");
}

static void test_json_check_refuses_lone_surrogates(void **state)
{
    (void)state;
    refuses("\"\\ud800\"", 1, "lone surrogate");
    refuses("\"\\udc00\"", 1, "lone surrogate");
    refuses("\"\\ud800\\ud800\"", 1, "lone surrogate");
    refuses("\"\\udc00\\udc00\"", 1, "lone surrogate");
    refuses("\"\\udfff\\udc00\"", 1, "lone surrogate");
    refuses("\"\\ud800x\\udc00\"", 1, "lone surrogate");
    refuses("\"\\ud800\\n\"", 1, "lone surrogate");
    refuses("\"\\ud83d\\u0041\"", 1, "lone surrogate");
    refuses("\"\\ud83d\\ude\"", 1, "lone surrogate");
    refuses("\"ab\\ude00\\ud83d\"", 3, "lone surrogate");
}

static void test_json_check_refuses_invalid_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xe2\x82",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80",
                                      "\xf5",
                                      "\xff",
                                      "\xfe\xfe",
                                      "\xc3\x28",
                                      "\xe2\x28\xa1",
                                      "\xf0\x9f\x98\x28",
                                      "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_appendf(&text, "\"12345678%s\"", bad[i]);
        refuses(strbuf_text(&text), 9, "invalid UTF-8");
        strbuf_fini(&text);
    }
    refuses("\"\xe2\x82", 1, "invalid UTF-8");
}

static void test_json_check_sees_specials_at_every_place(void **state)
{
    (void)state;
    for (size_t place = 0; place < 24; place++) {
        char text[28];
        memset(text, 'x', sizeof text);
        text[0] = '"';
        text[sizeof text - 1] = '"';
        struct json_problem problem;
        assert_true(check_exact(text, sizeof text, &problem));
        for (unsigned byte = 0; byte < 256; byte++) {
            text[1 + place] = (char)byte;
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            assert_int_equal(check_exact(text, sizeof text, &problem), plain);
            assert_true(plain || problem.offset == 1 + place || (byte == '"' && problem.offset == 2 + place));
        }
    }
}

static void test_json_check_refuses_duplicate_keys(void **state)
{
    (void)state;
    refuses("{\"a\":1,\"a\":2}", 7, "duplicate key");
    refuses("{\"a\":1,\"b\":2,\"\\u0061\":3}", 13, "duplicate key");
    refuses("{\"\\u00e9\":1,\"\xc3\xa9\":2}", 12, "duplicate key");
    refuses("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 18, "duplicate key");
    refuses("{\"/\":1,\"\\/\":2}", 7, "duplicate key");
    refuses("{\"\":1,\"\":2}", 6, "duplicate key");
    refuses("[{\"x\":{\"a\":1,\"a\":2}}]", 13, "duplicate key");
    /* The first that repeats, whichever name it has. */
    refuses("{\"a\":1,\"b\":2,\"b\":3,\"a\":4}", 13, "duplicate key");
    refuses("{\"b\":1,\"a\":2,\"a\":3,\"b\":4,\"a\":5}", 13, "duplicate key");
}

static void test_json_check_takes_equal_keys_of_different_objects(void **state)
{
    (void)state;
    accepts("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}],\"A\":1,\"aa\":2,\"\":3}");
    accepts("{\"a\\u0001\":1,\"a\\u0002\":2,\"a\":3}");
    refuses("{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":3},\"a\":1}", 31, "duplicate key");
}

static struct strbuf nest(unsigned depth, bool objects)
{
    struct strbuf text = STRBUF_INIT;
    for (unsigned i = 0; i < depth; i++) {
        strbuf_append_text(&text, objects && i + 1 < depth ? "{\"a\":" : "[");
    }
    for (unsigned i = depth; i > 0; i--) {
        strbuf_append_text(&text, objects && i < depth ? "}" : "]");
    }
    return text;
}

static void test_json_check_limits_depth(void **state)
{
    (void)state;
    for (unsigned objects = 0; objects < 2; objects++) {
        struct strbuf text = nest(32, objects == 1);
        accepts(strbuf_text(&text));
        strbuf_fini(&text);
        text = nest(33, objects == 1);
        struct json_problem problem;
        assert_false(check_exact(text.data, text.length, &problem));
        assert_true(problem.limit);
        assert_string_equal(problem.reason, "too deep");
        assert_int_equal(problem.offset, objects == 1 ? 32 * 5 : 32);
        strbuf_fini(&text);
    }
    accepts("[[[[]]],[[[]]],[[[[[[]]]]]]]");
}

/* An array of `elements` zeros: elements and one more tokens. */
static struct strbuf zeros(size_t elements)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_byte(&text, '[');
    for (size_t i = 0; i < elements; i++) {
        strbuf_append_text(&text, i == 0 ? "0" : ",0");
    }
    strbuf_append_byte(&text, ']');
    return text;
}

static void test_json_check_limits_tokens(void **state)
{
    (void)state;
    struct strbuf text = zeros(JSON_MAX_TOKENS - 1);
    accepts(strbuf_text(&text));
    strbuf_fini(&text);
    text = zeros(JSON_MAX_TOKENS);
    struct json_problem problem;
    assert_false(check_exact(text.data, text.length, &problem));
    assert_true(problem.limit);
    assert_string_equal(problem.reason, "too many values and keys");
    assert_int_equal(problem.offset, text.length - 2);
    strbuf_fini(&text);
}

static struct strbuf many_members(size_t members)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_byte(&text, '{');
    for (size_t i = 0; i < members; i++) {
        strbuf_appendf(&text, "%s\"key %zu\":0", i == 0 ? "" : ",", i);
    }
    return text;
}

static void test_json_check_counts_keys_as_tokens(void **state)
{
    (void)state;
    struct strbuf text = many_members((JSON_MAX_TOKENS - 2) / 2);
    size_t length = text.length;
    strbuf_append_byte(&text, '}');
    accepts(strbuf_text(&text)); /* 199,999 */

    strbuf_truncate(&text, length);
    strbuf_append_text(
        &text, ",\"key 77777\":0}"); /* 200,001: the value is one too many, before the duplicate shows */
    struct json_problem problem;
    assert_false(check_exact(text.data, text.length, &problem));
    assert_true(problem.limit);
    strbuf_fini(&text);
}

static void test_json_check_finds_a_duplicate_among_many_keys(void **state)
{
    (void)state;
    struct strbuf text = many_members(50000);
    size_t place = text.length + 1;
    strbuf_append_text(&text, ",\"key \\u0034\\u00320\":0}");
    refuses(strbuf_text(&text), place, "duplicate key");
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_check_takes_each_kind),
        cmocka_unit_test(test_json_check_refuses_broken_structure),
        cmocka_unit_test(test_json_check_reads_numbers_by_the_grammar),
        cmocka_unit_test(test_json_check_refuses_exactly_what_no_double_holds),
        cmocka_unit_test(test_json_check_agrees_with_strtod),
        cmocka_unit_test(test_json_check_takes_strings),
        cmocka_unit_test(test_json_check_refuses_bad_strings),
        cmocka_unit_test(test_json_check_refuses_lone_surrogates),
        cmocka_unit_test(test_json_check_refuses_invalid_utf8),
        cmocka_unit_test(test_json_check_sees_specials_at_every_place),
        cmocka_unit_test(test_json_check_refuses_duplicate_keys),
        cmocka_unit_test(test_json_check_takes_equal_keys_of_different_objects),
        cmocka_unit_test(test_json_check_limits_depth),
        cmocka_unit_test(test_json_check_limits_tokens),
        cmocka_unit_test(test_json_check_counts_keys_as_tokens),
        cmocka_unit_test(test_json_check_finds_a_duplicate_among_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
