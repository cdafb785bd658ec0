/* The scan of what the client library receives, and the protocol's numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/json_scan.h"
#include "client/ocdmux.h"

static void test_scan_takes_json(void **state)
{
    static const char *const good[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-1.5e+10",
        "1E5",
        "\"\"",
        "\"\\u00e9\\n\\/\"",
        "\"\xc3\xa9\xf0\x9f\x98\x80\"",
        "[]",
        "[ ]",
        "[1,[2,{}],\"x\"]",
        "{}",
        "{ }",
        "{\"a\":1,\"b\":{\"a\":[]}}",
        "\t[\r\n1 ,2 ]\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct json_scan scan;
        const char *reason = NULL;
        assert_true(json_scan_check(good[i], strlen(good[i]), &scan, &reason));
        assert_null(reason);
    }
}

static void test_scan_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "nulls",
        "True",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "1 2",
        "\"",
        "\"\\\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xe2\x82\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "}",
        "{}}",
        "[}",
        "'a'",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json_scan scan;
        const char *reason = NULL;
        if (json_scan_check(bad[i], strlen(bad[i]), &scan, &reason)) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_non_null(reason);
    }
}

static void test_scan_finds_members(void **state)
{
    struct json_scan scan;
    const char *reason = NULL;
    const char *text = " { \"id\" : [1, {\"x\":2}] ,\"n\":null,\"s\":\"\\u0000\"} ";
    (void)state;
    assert_true(json_scan_check(text, strlen(text), &scan, &reason));
    assert_true(scan.is_object);
    assert_true(scan.has_nul_escape);
    assert_int_equal(scan.member_count, 3);
    assert_true(json_scan_equals(json_scan_find(&scan, "id"), "[1, {\"x\":2}]"));
    assert_true(json_scan_equals(json_scan_find(&scan, "n"), "null"));
    assert_null(json_scan_find(&scan, "x").text);
    assert_null(json_scan_find(&scan, "ID").text);
    assert_false(json_scan_equals(json_scan_find(&scan, "x"), ""));
    assert_true(json_scan_check("[{\"id\":1}]", 10, &scan, &reason));
    assert_false(scan.is_object);
    assert_int_equal(scan.member_count, 0);
}

static void test_scan_bounds_depth_and_values(void **state)
{
    struct json_scan scan;
    const char *reason = NULL;
    size_t size = 2 * JSON_SCAN_MAX_TOKENS + 2;
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    memset(text, '[', JSON_SCAN_MAX_DEPTH);
    memset(text + JSON_SCAN_MAX_DEPTH, ']', JSON_SCAN_MAX_DEPTH);
    assert_true(json_scan_check(text, 2 * (size_t)JSON_SCAN_MAX_DEPTH, &scan, &reason));
    memset(text, '[', JSON_SCAN_MAX_DEPTH + 1);
    assert_false(json_scan_check(text, JSON_SCAN_MAX_DEPTH + 1, &scan, &reason));
    assert_string_equal(reason, "nested too deep");
    /* The array itself is a value. */
    for (size_t i = 0; i < JSON_SCAN_MAX_TOKENS; i++) {
        text[2 * i + 1] = '0';
        text[2 * i + 2] = ',';
    }
    text[0] = '[';
    size_t most = 2 * (size_t)(JSON_SCAN_MAX_TOKENS - 1) + 1;
    text[most - 1] = ']';
    assert_true(json_scan_check(text, most, &scan, &reason));
    text[most - 1] = ',';
    text[most + 1] = ']';
    assert_false(json_scan_check(text, most + 2, &scan, &reason));
    assert_string_equal(reason, "too many values");
    free(text);
}

/* --- numbers --- */

static void test_json_u64_reads_both_forms(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},
        {"4294967296", true, 4294967296u},
        {"9007199254740991", true, 9007199254740991u},
        {"9007199254740992", false, 0},
        {"1e3", true, 1000},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"1e300", false, 0},
        {"\"0\"", true, 0},
        {"\"0x08000000\"", true, 0x08000000},
        {"\"0xFFFFFFFFFFFFFFFF\"", true, UINT64_MAX},
        {"\"18446744073709551615\"", true, UINT64_MAX},
        {"\"18446744073709551616\"", false, 0},
        {"\"0x10000000000000000\"", false, 0},
        {"\"\"", false, 0},
        {"\"0x\"", false, 0},
        {"\"12a\"", false, 0},
        {"\"-1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;
        cJSON *item = cJSON_Parse(cases[i].text);
        assert_int_equal(ocdmux_json_u64(item, &value), cases[i].good);
        assert_int_equal(value, cases[i].good ? cases[i].value : 77);
        cJSON_Delete(item);
    }
}

static void test_json_u64_is_written_as_digits(void **state)
{
    cJSON *object = cJSON_CreateObject();
    (void)state;
    ocdmux_json_add_u64(object, "a", 1000000000000000u);
    ocdmux_json_add_u64(object, "b", 9007199254740991u);
    ocdmux_json_add_u64(object, "c", 9007199254740992u);
    ocdmux_json_add_address(object, "d", 0x10);
    ocdmux_json_add_address(object, "e", UINT64_MAX);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, "{\"a\":1000000000000000,\"b\":9007199254740991,\"c\":\"0x20000000000000\","
                              "\"d\":\"0x00000010\",\"e\":\"0xffffffffffffffff\"}");
    cJSON_free(text);
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_takes_json),
        cmocka_unit_test(test_scan_refuses_everything_else),
        cmocka_unit_test(test_scan_finds_members),
        cmocka_unit_test(test_scan_bounds_depth_and_values),
        cmocka_unit_test(test_json_u64_reads_both_forms),
        cmocka_unit_test(test_json_u64_is_written_as_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
