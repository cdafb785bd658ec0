/* rpc/params: arrays of texts, and of numbers of any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "rpc/methods_gen.h"
#include "rpc/params.h"

static const struct rpc_method *const method = &rpc_methods[RPC_METHOD_REGISTER_WRITE];

static bool parse(const char *names, const char *values, struct params_register_write *params,
                  struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    struct json_problem problem;
    strbuf_appendf(&text, "{\"names\":%s,\"values\":%s}", names, values);
    assert_true(json_check(text.data, text.length, &problem));
    memset(params, 0xa5, sizeof *params);
    bool ok = rpc_params_parse(method, json_span_of(text.data, text.length), params, err);
    strbuf_fini(&text);
    return ok;
}

static void refuses(const char *names, const char *values, const char *message)
{
    struct params_register_write params;
    struct err err;
    assert_false(parse(names, values, &params, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_memory_equal(err_find_detail(&err, "parameter")->text, message,
                        strlen(err_find_detail(&err, "parameter")->text));
}

static void test_params_takes_texts(void **state)
{
    (void)state;
    struct params_register_write params;
    struct err err;
    assert_true(parse("[\"r0\", \"p\\u0063\" ,\"\xc3\xa4\"]", "[1]", &params, &err));
    assert_int_equal(params.names.count, 3);
    assert_string_equal(params.names.items[0].text, "r0");
    assert_string_equal(params.names.items[1].text, "pc");
    assert_int_equal(params.names.items[2].length, 2);
    rpc_params_fini(method, &params);
    assert_null(params.names.items);
    assert_int_equal(params.names.count, 0);
    rpc_params_fini(method, &params); /* harmless twice */
}

static void test_params_refuses_texts_by_their_place(void **state)
{
    (void)state;
    refuses("\"r0\"", "[1]", "names: must be an array");
    refuses("null", "[1]", "names: must be an array");
    refuses("{}", "[1]", "names: must be an array");
    refuses("[]", "[1]", "names: must hold from 1 to 256 values");
    refuses("[\"a\",1]", "[1]", "names[1]: must be text");
    refuses("[null]", "[1]", "names[0]: must be text");
    refuses("[[\"a\"]]", "[1]", "names[0]: must be text");
    refuses("[\"a\",\"\"]", "[1]", "names[1]: must not be empty");
    refuses("[\"a\\u0007\"]", "[1]", "names[0]: must not hold control characters");
    refuses("[\"a\\n\"]", "[1]", "names[0]: must not hold control characters");
}

static void append_many(struct strbuf *out, size_t count, const char *element)
{
    strbuf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        strbuf_appendf(out, "%s%s", i > 0 ? "," : "", element);
    }
    strbuf_append_byte(out, ']');
}

static void test_params_bounds_the_number_of_texts(void **state)
{
    (void)state;
    struct strbuf texts = STRBUF_INIT;
    struct params_register_write params;
    struct err err;
    append_many(&texts, 256, "\"x\"");
    assert_true(parse(strbuf_text(&texts), "[1]", &params, &err));
    assert_int_equal(params.names.count, 256);
    rpc_params_fini(method, &params);
    strbuf_clear(&texts);
    append_many(&texts, 257, "\"x\"");
    refuses(strbuf_text(&texts), "[1]", "names: must hold from 1 to 256 values");
    strbuf_clear(&texts);
    append_many(&texts, 100000, "7");
    refuses("[\"a\"]", strbuf_text(&texts), "values: must hold from 1 to 256 values");
    strbuf_fini(&texts);
}

static void append_repeated(struct strbuf *out, const char *head, char character, size_t count)
{
    strbuf_appendf(out, "[\"%s", head);
    for (size_t i = 0; i < count; i++) {
        strbuf_append_byte(out, character);
    }
    strbuf_append_text(out, "\"]");
}

static void test_params_bounds_the_length_of_texts(void **state)
{
    (void)state;
    static const size_t lengths[] = {65, 66, 1000, 100000};
    struct strbuf texts = STRBUF_INIT;
    struct params_register_write params;
    struct err err;
    append_repeated(&texts, "", 'x', 64);
    assert_true(parse(strbuf_text(&texts), "[1]", &params, &err));
    rpc_params_fini(method, &params);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        strbuf_clear(&texts);
        append_repeated(&texts, "", 'x', lengths[i]);
        refuses(strbuf_text(&texts), "[1]", "names[0]: must have at most 64 bytes");
    }
    strbuf_fini(&texts);
}

static void test_params_takes_numbers_of_any_width(void **state)
{
    (void)state;
    struct params_register_write params;
    struct err err;
    assert_true(parse("[\"a\"]",
                      "[0, 9007199254740991, \"18446744073709551615\", \"0x0\", \"0xFF\","
                      " \"0x10000000000000000\", \"0x00112233445566778899AABBccddeeff00\"]",
                      &params, &err));
    static const char *const expected[] = {"0x0",
                                           "0x1fffffffffffff",
                                           "0xffffffffffffffff",
                                           "0x0",
                                           "0xff",
                                           "0x10000000000000000",
                                           "0x00112233445566778899aabbccddeeff00"};
    assert_int_equal(params.values.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < params.values.count; i++) {
        assert_string_equal(params.values.items[i].text, expected[i]);
        assert_int_equal(params.values.items[i].length, strlen(expected[i]));
    }
    rpc_params_fini(method, &params);
}

static void test_params_bounds_numbers(void **state)
{
    (void)state;
    struct strbuf texts = STRBUF_INIT;
    struct params_register_write params;
    struct err err;
    append_repeated(&texts, "0x", 'f', RPC_NUMBER_DIGITS);
    assert_true(parse("[\"a\"]", strbuf_text(&texts), &params, &err));
    assert_int_equal(params.values.items[0].length, RPC_NUMBER_DIGITS + 2);
    rpc_params_fini(method, &params);
    strbuf_clear(&texts);
    append_repeated(&texts, "0x", 'f', RPC_NUMBER_DIGITS + 1);
    assert_false(parse("[\"a\"]", strbuf_text(&texts), &params, &err));
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    strbuf_fini(&texts);
}

static void test_params_refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *const wrong[] = {"[-1]",
                                        "[1.5]",
                                        "[1e3]",
                                        "[true]",
                                        "[null]",
                                        "[\"\"]",
                                        "[\"zz\"]",
                                        "[\"0x\"]",
                                        "[\"0xg\"]",
                                        "[\"0X10\"]",
                                        "[\" 1\"]",
                                        "[9007199254740992]",
                                        "[\"18446744073709551616\"]",
                                        "[\"0x112233445566778899aabbccddeefg\"]",
                                        "[\"1x112233445566778899aabbccddeeff\"]",
                                        "[[1]]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct params_register_write params;
        struct err err;
        if (parse("[\"a\"]", wrong[i], &params, &err)) {
            fail_msg("%s taken", wrong[i]);
        }
        assert_memory_equal(err.message, "values[0]: ", 11);
        assert_string_equal(err_find_detail(&err, "parameter")->text, "values");
    }
    refuses("[\"a\"]", "7", "values: must be an array");
    refuses("[\"a\"]", "[]", "values: must hold from 1 to 256 values");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_takes_texts),
        cmocka_unit_test(test_params_refuses_texts_by_their_place),
        cmocka_unit_test(test_params_bounds_the_number_of_texts),
        cmocka_unit_test(test_params_bounds_the_length_of_texts),
        cmocka_unit_test(test_params_takes_numbers_of_any_width),
        cmocka_unit_test(test_params_bounds_numbers),
        cmocka_unit_test(test_params_refuses_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
