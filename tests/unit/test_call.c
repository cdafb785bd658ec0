/* rpc/call: the envelope. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/call.h"
#include "rpc/methods_gen.h"

static bool parse(const char *text, struct rpc_call *call, struct err *err)
{
    struct json_problem problem;
    if (!json_check(text, strlen(text), &problem)) {
        fail_msg("%s: %s", text, problem.reason);
    }
    return rpc_call_parse(json_span_of(text, strlen(text)), call, err);
}

static void assert_span(struct json_span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    if (span.length > 0) {
        assert_memory_equal(span.text, text, span.length);
    }
}

static void takes(const char *text, const char *id, enum rpc_method_index method, const char *params)
{
    struct rpc_call call;
    struct err err;
    if (!parse(text, &call, &err)) {
        fail_msg("%s refused: %s", text, err.message);
    }
    assert_span(call.id, id);
    assert_ptr_equal(call.method, &rpc_methods[method]);
    assert_span(call.params, params);
}

static void refuses(const char *text, const char *id, const char *message)
{
    struct rpc_call call;
    struct err err;
    if (parse(text, &call, &err)) {
        fail_msg("%s taken", text);
    }
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, ERR_INVALID_REQUEST);
    assert_span(call.id, id);
    assert_null(call.method);
}

static void test_call_takes_calls(void **state)
{
    (void)state;
    takes("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.stats\"}", "1", RPC_METHOD_SERVER_STATS, "");
    takes(" {\"params\": {\"a\":[1]} , "
          "\"method\":\"memory.\\u0072ead_u8\",\"id\":\"x\\n\",\"jsonrpc\":\"2.\\u0030\"} ",
          "\"x\\n\"", RPC_METHOD_MEMORY_READ_U8, "{\"a\":[1]}");
    takes("{\"jsonrpc\":\"2.0\",\"id\":-3,\"method\":\"board.list\",\"params\":{}}", "-3",
          RPC_METHOD_BOARD_LIST, "{}");
    takes("{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"board.list\",\"params\":[]}", "\"\"",
          RPC_METHOD_BOARD_LIST, "[]");
}

static void test_call_only_cancel_needs_no_id(void **state)
{
    (void)state;
    takes("{\"jsonrpc\":\"2.0\",\"method\":\"request.cancel\",\"params\":{\"id\":1}}", "",
          RPC_METHOD_REQUEST_CANCEL, "{\"id\":1}");
    refuses("{\"jsonrpc\":\"2.0\",\"method\":\"server.stats\"}", "",
            "id: is missing; only request.cancel may come without one");
    refuses("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}", "",
            "id: is missing; only request.cancel may come without one");
}

static void test_call_refuses_what_is_no_call(void **state)
{
    (void)state;
    static const char *const no_objects[] = {"[]", "1", "\"x\"", "null", "[{\"id\":1}]"};
    for (size_t i = 0; i < sizeof no_objects / sizeof no_objects[0]; i++) {
        refuses(no_objects[i], "", "a call must be an object");
    }
    refuses("{}", "", "jsonrpc: must be \"2.0\"");
    refuses("{\"id\":1,\"method\":\"server.stats\"}", "1", "jsonrpc: must be \"2.0\"");
    refuses("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"server.stats\"}", "1", "jsonrpc: must be \"2.0\"");
    refuses("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"server.stats\"}", "1", "jsonrpc: must be \"2.0\"");
    refuses("{\"jsonrpc\":\"2.0\",\"id\":1}", "1", "method: must be the name of a method");
    refuses("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", "1", "method: must be the name of a method");
    static const char *const bad_params[] = {"null", "1", "\"x\"", "true"};
    for (size_t i = 0; i < sizeof bad_params / sizeof bad_params[0]; i++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_appendf(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.stats\",\"params\":%s}",
                       bad_params[i]);
        refuses(strbuf_text(&text), "1", "params: must be an object");
        strbuf_fini(&text);
    }
}

static void test_call_refuses_unknown_members(void **state)
{
    (void)state;
    refuses("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.stats\",\"foo\":1,\"bar\":2}", "1",
            "unknown member \"foo\"");
    refuses("{\"Jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.stats\"}", "1", "unknown member \"Jsonrpc\"");
    refuses("{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":\"a\"}", "\"a\"", "unknown member \"result\"");
}

static void refuses_id(const char *id, const char *message)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"server.stats\"}", id);
    refuses(strbuf_text(&text), "", message);
    strbuf_fini(&text);
}

static void test_call_refuses_unusable_ids(void **state)
{
    (void)state;
    refuses_id("null", "id: must not be null");
    refuses_id("1.5", "id: must be a whole number, written as digits, or a string");
    refuses_id("1.0", "id: must be a whole number, written as digits, or a string");
    refuses_id("1E2", "id: must be a whole number, written as digits, or a string");
    refuses_id("true", "id: must be a string or a whole number");
    refuses_id("[1]", "id: must be a string or a whole number");
    refuses_id("{}", "id: must be a string or a whole number");
}

static void test_call_limits_ids(void **state)
{
    (void)state;
    struct strbuf id = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    strbuf_append_byte(&id, '"');
    for (size_t i = 0; i < 256; i++) {
        strbuf_append_byte(&id, 'x');
    }
    strbuf_append_byte(&id, '"');
    strbuf_appendf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"server.stats\"}", strbuf_text(&id));
    takes(strbuf_text(&text), strbuf_text(&id), RPC_METHOD_SERVER_STATS, "");
    strbuf_fini(&text);

    strbuf_truncate(&id, id.length - 1);
    strbuf_append_text(&id, "x\"");
    refuses_id(strbuf_text(&id), "id: is too long");
    memset(id.data, '1', id.length - 1);
    strbuf_truncate(&id, 257);
    id.data[256] = '1';
    refuses_id(strbuf_text(&id), "id: is too long");
    strbuf_fini(&id);
}

static void test_call_names_the_unknown_method(void **state)
{
    (void)state;
    struct rpc_call call;
    struct err err;
    assert_false(parse("{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"memory.read_u128\"}", &call, &err));
    assert_int_equal(err.kind, ERR_METHOD_NOT_FOUND);
    assert_string_equal(err.message, "there is no method \"memory.read_u128\"");
    assert_string_equal(err_find_detail(&err, "method")->text, "memory.read_u128");
    assert_span(call.id, "\"q\"");
    assert_false(parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", &call, &err));
    assert_string_equal(err.message, "there is no method \"\"");
    assert_span(call.id, "1");
}

#define CALL_OF "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%.*s\"}"

static void test_call_finds_every_method(void **state)
{
    (void)state;
    for (size_t i = 0; i < RPC_METHOD_COUNT; i++) {
        int length = (int)strlen(rpc_methods[i].name);
        struct rpc_call call;
        struct err err;
        char text[160];
        err_reset(&err);
        snprintf(text, sizeof text, CALL_OF, length, rpc_methods[i].name);
        assert_true(parse(text, &call, &err));
        assert_ptr_equal(call.method, &rpc_methods[i]);
        snprintf(text, sizeof text, CALL_OF, length - 1, rpc_methods[i].name);
        assert_false(parse(text, &call, &err));
        assert_int_equal(err.kind, ERR_METHOD_NOT_FOUND);
    }
}

static void test_call_methods_say_what_they_need(void **state)
{
    (void)state;
    const struct rpc_method *command = &rpc_methods[RPC_METHOD_OPENOCD_COMMAND];
    assert_true(command->board && command->changes && !command->immediate);
    assert_int_equal(command->role, RPC_ROLE_ADMIN);
    assert_int_equal(rpc_methods[RPC_METHOD_MEMORY_WRITE_U8].role, RPC_ROLE_USER);
    assert_int_equal(rpc_methods[RPC_METHOD_MEMORY_READ_U8].role, RPC_ROLE_OBSERVER);
    assert_int_equal(rpc_methods[RPC_METHOD_MEMORY_READ_U8].default_timeout_ms, 30000);
    assert_int_equal(rpc_methods[RPC_METHOD_FLASH_WRITE_IMAGE].default_timeout_ms, 0);
    assert_true(rpc_methods[RPC_METHOD_REQUEST_CANCEL].immediate);
    assert_false(rpc_methods[RPC_METHOD_OPERATION_WAIT].immediate);
    assert_false(rpc_methods[RPC_METHOD_OPERATION_WAIT].board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_takes_calls),
        cmocka_unit_test(test_call_only_cancel_needs_no_id),
        cmocka_unit_test(test_call_refuses_what_is_no_call),
        cmocka_unit_test(test_call_refuses_unknown_members),
        cmocka_unit_test(test_call_refuses_unusable_ids),
        cmocka_unit_test(test_call_limits_ids),
        cmocka_unit_test(test_call_names_the_unknown_method),
        cmocka_unit_test(test_call_finds_every_method),
        cmocka_unit_test(test_call_methods_say_what_they_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
