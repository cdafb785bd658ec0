/* rpc/json_write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/discover_gen.h"
#include "rpc/json.h"
#include "rpc/json_write.h"

/* What is written must always pass the check for what is read. */
static void assert_written(struct strbuf *out, const char *expected)
{
    assert_string_equal(strbuf_text(out), expected);
    struct json_problem problem;
    assert_true(json_check(out->data, out->length, &problem));
    strbuf_fini(out);
}

static void test_json_write_sets_commas(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_object(&json, NULL);
    json_null(&json, "a");
    json_open_array(&json, "b");
    json_bool(&json, NULL, true);
    json_bool(&json, NULL, false);
    json_open_array(&json, NULL);
    json_close_array(&json);
    json_open_object(&json, NULL);
    json_close_object(&json);
    json_raw(&json, NULL, "[1, 2]", 6);
    json_close_array(&json);
    json_open_object(&json, "c");
    json_u64(&json, "d", 1);
    json_close_object(&json);
    json_text(&json, "e", "");
    json_close_object(&json);
    assert_written(&out, "{\"a\":null,\"b\":[true,false,[],{},[1, 2]],\"c\":{\"d\":1},\"e\":\"\"}");
}

static void test_json_write_numbers(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_array(&json, NULL);
    json_u64(&json, NULL, 0);
    json_u64(&json, NULL, 10);
    json_u64(&json, NULL, UINT64_MAX);
    json_i64(&json, NULL, -4);
    json_i64(&json, NULL, INT64_MIN);
    json_close_array(&json);
    assert_written(&out, "[0,10,18446744073709551615,-4,-9223372036854775808]");
}

static void test_json_write_addresses(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_array(&json, NULL);
    json_address(&json, NULL, 0);
    json_address(&json, NULL, 0x08000000);
    json_address(&json, NULL, 0xffffffff);
    json_address(&json, NULL, 0x100000000);
    json_address(&json, NULL, UINT64_C(0xabcdef0123456789));
    json_close_array(&json);
    assert_written(&out,
                   "[\"0x00000000\",\"0x08000000\",\"0xffffffff\",\"0x100000000\",\"0xabcdef0123456789\"]");
}

static void test_json_write_escapes_texts(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_array(&json, NULL);
    json_text(&json, NULL, "plain \"\\/ \b\f\n\r\t \x01\x1f\x7f \xc3\xa9\xf0\x9f\x98\x80");
    json_text_bytes(&json, NULL, "a\0b", 3);
    json_text_bytes(&json, NULL, "0123456789\xff\xc3(\xed\xa0\x80\xe2\x82", 18);
    json_close_array(&json);
    assert_written(
        &out,
        "[\"plain \\\"\\\\/ \\b\\f\\n\\r\\t \\u0001\\u001f\x7f \xc3\xa9\xf0\x9f\x98\x80\",\"a\xef\xbf\xbd"
        "b\",\"0123456789\xef\xbf\xbd\xef\xbf\xbd("
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\"]");
}

static void test_json_write_any_byte_comes_back(void **state)
{
    (void)state;
    for (unsigned first = 1; first < 128; first++) {
        for (unsigned second = 1; second < 128; second++) {
            const char bytes[2] = {(char)first, (char)second};
            struct strbuf out = STRBUF_INIT;
            struct json_writer json;
            json_writer_init(&json, &out);
            json_text_bytes(&json, NULL, bytes, sizeof bytes);
            struct json_problem problem;
            assert_true(json_check(out.data, out.length, &problem));
            struct strbuf back = STRBUF_INIT;
            json_span_string(json_span_of(out.data, out.length), &back);
            assert_int_equal(back.length, sizeof bytes);
            assert_memory_equal(back.data, bytes, sizeof bytes);
            strbuf_fini(&back);
            strbuf_fini(&out);
        }
    }
}

static void test_json_write_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x50, 0xff, 0xab};
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_object(&json, NULL);
    json_bytes(&json, "a", bytes, sizeof bytes, false);
    json_bytes(&json, "b", bytes, sizeof bytes, true);
    json_bytes(&json, "c", bytes, 0, false);
    json_close_object(&json);
    assert_written(&out, "{\"a\":\"AFD/qw==\",\"b\":\"0050ffab\",\"c\":\"\"}");
}

static void test_json_write_error(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, ERR_TARGET_ERROR, "cannot \"read\" %d bytes", 4);
    err_set_openocd(&err, -4, "failed\n\xff\0", 9);
    err_add_address(&err, "address", 0x20000000);
    err_add_integer(&err, "done", 3);
    err_add_text(&err, "unit", "bytes");
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_open_object(&json, NULL);
    json_error(&json, "error", &err);
    json_u64(&json, "id", 1);
    json_close_object(&json);
    assert_written(
        &out, "{\"error\":{\"code\":-32000,\"message\":\"cannot \\\"read\\\" 4 bytes\",\"data\":{\"kind\":"
              "\"target_error\",\"address\":\"0x20000000\",\"done\":3,\"unit\":\"bytes\","
              "\"openocd\":{\"code\":-4,\"text\":\"failed\\n\xef\xbf\xbd\xef\xbf\xbd\"}}},\"id\":1}");
}

static void test_json_write_error_without_details(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, ERR_PARSE_ERROR, "no");
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_error(&json, NULL, &err);
    assert_written(&out, "{\"code\":-32700,\"message\":\"no\",\"data\":{\"kind\":\"parse_error\"}}");
}

static void test_json_write_kinds_have_codes(void **state)
{
    (void)state;
    assert_int_equal(err_kind_code(ERR_NONE), 0);
    assert_int_equal(err_kind_code(ERR_INVALID_REQUEST), -32600);
    assert_int_equal(err_kind_code(ERR_METHOD_NOT_FOUND), -32601);
    assert_int_equal(err_kind_code(ERR_INVALID_PARAMS), -32602);
    assert_int_equal(err_kind_code(ERR_INTERNAL_ERROR), -32603);
    assert_int_equal(err_kind_code(ERR_LINE_TOO_LONG), -32000);
    assert_int_equal(err_kind_code(ERR_UNSUPPORTED), -32000);
    assert_string_equal(err_kind_name(ERR_NONE), "none");
    assert_string_equal(err_kind_name(ERR_OUTCOME_UNKNOWN), "outcome_unknown");
}

static void test_json_write_discover_document_is_whole(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    discover_gen_append(&out);
    struct json_problem problem;
    assert_true(json_check(out.data, out.length, &problem));
    assert_null(memchr(out.data, '\n', out.length));
    struct json_span document = json_span_of(out.data, out.length);
    struct json_span value;
    assert_true(json_find_member(document, "openrpc", &value));
    assert_true(json_find_member(document, "methods", &value));
    assert_int_equal(json_span_kind(value), JSON_ARRAY);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write_sets_commas),
        cmocka_unit_test(test_json_write_numbers),
        cmocka_unit_test(test_json_write_addresses),
        cmocka_unit_test(test_json_write_escapes_texts),
        cmocka_unit_test(test_json_write_any_byte_comes_back),
        cmocka_unit_test(test_json_write_bytes),
        cmocka_unit_test(test_json_write_error),
        cmocka_unit_test(test_json_write_error_without_details),
        cmocka_unit_test(test_json_write_kinds_have_codes),
        cmocka_unit_test(test_json_write_discover_document_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
