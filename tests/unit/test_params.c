/* rpc/params, on the real method table and on a small one of its own for what no method uses yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/methods_gen.h"
#include "rpc/params.h"

/* Large enough for every params struct, and filled with rubbish before each parse. */
union params {
    struct params_memory_read_u32 read;
    struct params_memory_write_u8 write_u8;
    struct params_memory_write_u64 write_u64;
    struct params_memory_write_bytes write_bytes;
    struct params_memory_search search;
    struct params_flash_write_image image;
    struct params_target_resume resume;
    struct params_openocd_command command;
    struct params_events_subscribe subscribe;
    struct params_events_unsubscribe unsubscribe;
    struct params_request_cancel cancel;
    struct params_server_stats stats;
    struct params_server_hello hello;
    struct params_operation_wait wait;
};

static bool parse(enum rpc_method_index index, const char *text, union params *params, struct err *err)
{
    struct json_problem problem;
    struct json_span span = {.text = NULL};
    if (text[0] != '\0') {
        if (!json_check(text, strlen(text), &problem)) {
            fail_msg("%s: %s", text, problem.reason);
        }
        span = json_span_of(text, strlen(text));
    }
    memset(params, 0xa5, sizeof *params);
    assert_true(rpc_methods[index].params_size <= sizeof *params);
    return rpc_params_parse(&rpc_methods[index], span, params, err);
}

static void takes(enum rpc_method_index index, const char *text, union params *params)
{
    struct err err;
    if (!parse(index, text, params, &err)) {
        fail_msg("%s refused: %s", text, err.message);
    }
}

static void give_back(enum rpc_method_index index, union params *params)
{
    rpc_params_fini(&rpc_methods[index], params);
    rpc_params_fini(&rpc_methods[index], params); /* harmless twice */
}

static void refuses(enum rpc_method_index index, const char *text, const char *message, const char *parameter)
{
    union params params;
    struct err err;
    if (parse(index, text, &params, &err)) {
        fail_msg("%s taken", text);
    }
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_non_null(err_find_detail(&err, "parameter"));
    assert_string_equal(err_find_detail(&err, "parameter")->text, parameter);
}

static void test_params_fills_defaults(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_MEMORY_READ_U32, "{\"address\":16}", &params);
    assert_true(params.read.address == 16);
    assert_true(params.read.count == 1);
    assert_false(params.read.physical);
    assert_null(params.read.common.board.text);
    assert_null(params.read.common.target.text);
    assert_null(params.read.common.progress.text);
    assert_true(params.read.common.timeout_ms == 0);
    give_back(RPC_METHOD_MEMORY_READ_U32, &params);

    takes(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\"}", &params);
    assert_true(params.image.erase && params.image.verify && params.image.detach);
    assert_int_equal(params.image.prepare, PARAMS_FLASH_WRITE_IMAGE_PREPARE_NONE);
    assert_int_equal(params.image.format, RPC_IMAGE_FORMAT_CHOICE_AUTO);
    assert_false(params.image.format_given || params.image.mode_given);
    assert_int_equal(params.image.encoding, RPC_ENCODING_BASE64);
    assert_false(params.image.address_given);
    give_back(RPC_METHOD_FLASH_WRITE_IMAGE, &params);
}

static void test_params_takes_common_ones(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_MEMORY_READ_U32,
          "{\"progress\":-12,\"timeout_ms\":\"0x10\",\"board\":\"l\\u00e4b\",\"target\":\"t.cpu\","
          "\"physical\":true,"
          "\"count\":\"65536\",\"address\":\"0xffffffffffffffff\"}",
          &params);
    assert_true(params.read.address == UINT64_MAX);
    assert_true(params.read.count == 65536);
    assert_true(params.read.physical);
    assert_string_equal(params.read.common.board.text, "l\xc3\xa4"
                                                       "b");
    assert_int_equal(params.read.common.board.length, 4);
    assert_string_equal(params.read.common.target.text, "t.cpu");
    assert_true(params.read.common.timeout_ms == 16);
    assert_string_equal(params.read.common.progress.text, "-12");
    give_back(RPC_METHOD_MEMORY_READ_U32, &params);
    refuses(RPC_METHOD_SERVER_STATS, "{\"board\":\"x\"}", "unknown parameter \"board\"", "board");
}

static void test_params_may_be_missing_altogether(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_SERVER_STATS, "", &params);
    takes(RPC_METHOD_SERVER_STATS, "{}", &params);
    takes(RPC_METHOD_TARGET_LIST, " { } ", &params);
    refuses(RPC_METHOD_MEMORY_READ_U32, "", "address: is missing", "address");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"count\":1}", "address: is missing", "address");
}

static void test_params_go_by_name(void **state)
{
    (void)state;
    static const char message[] = "params: must be an object; parameters are given by name";
    refuses(RPC_METHOD_MEMORY_READ_U32, "[0]", message, "params");
    refuses(RPC_METHOD_SERVER_STATS, "[]", message, "params");
    refuses(RPC_METHOD_SERVER_STATS, "null", message, "params");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"foo\":1}", "unknown parameter \"foo\"", "foo");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"Address\":0}", "unknown parameter \"Address\"", "Address");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"\":1}", "unknown parameter \"\"", "");
    union params params;
    takes(RPC_METHOD_MEMORY_READ_U32, "{\"\\u0061ddress\":7}", &params);
    assert_true(params.read.address == 7);
    give_back(RPC_METHOD_MEMORY_READ_U32, &params);
}

static void refuses_address(const char *value, const char *message)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "{\"address\":%s}", value);
    refuses(RPC_METHOD_MEMORY_READ_U32, strbuf_text(&text), message, "address");
    strbuf_fini(&text);
}

static void test_params_names_what_is_wrong_with_an_integer(void **state)
{
    (void)state;
    refuses_address("-1", "address: must not be negative");
    refuses_address("1.0", "address: must be a whole number, written as digits");
    refuses_address("1e3", "address: must be a whole number, written as digits");
    refuses_address("9007199254740992",
                    "address: 9007199254740992 is too large for a JSON number here; write it as a string");
    refuses_address(
        "18446744073709551615",
        "address: 18446744073709551615 is too large for a JSON number here; write it as a string");
    refuses_address("18446744073709551616", "address: must be at most 18446744073709551615");
    refuses_address("\"18446744073709551616\"", "address: must be at most 18446744073709551615");
    refuses_address("123456789012345678901234567890", "address: must be at most 18446744073709551615");
    static const char text_rule[] =
        "address: must be a whole number, or text of decimal digits or 0x and hex digits";
    static const char *const wrong[] = {"\"0x\"", "\"0X1F\"", "\" 1\"", "\"\"", "null",
                                        "true",   "[]",       "[1]",    "{}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuses_address(wrong[i], text_rule);
    }
}

static void test_params_checks_ranges_of_integers(void **state)
{
    (void)state;
    static const char range[] = "count: must be from 1 to 65536";
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"count\":0}", range, "count");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"count\":65537}", range, "count");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"count\":\"0x10001\"}", range, "count");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"count\":9007199254740992}", range, "count");
    refuses(RPC_METHOD_MEMORY_READ_BYTES, "{\"address\":0,\"size\":0}", "size: must be at least 1", "size");
    refuses(RPC_METHOD_MEMORY_READ_BYTES, "{\"address\":0,\"size\":\"18446744073709551616\"}",
            "size: must be at most 18446744073709551615", "size");
    refuses(RPC_METHOD_FLASH_INFO, "{\"bank\":1024}", "bank: must be at most 1023", "bank");
    refuses(RPC_METHOD_MEMORY_READ_U32, "{\"address\":0,\"timeout_ms\":0}",
            "timeout_ms: must be from 1 to 86400000", "timeout_ms");
    union params params;
    takes(RPC_METHOD_MEMORY_SEARCH,
          "{\"pattern\":\"AA==\",\"start\":0,\"end\":1,\"align\":4294967296,\"limit\":200000}", &params);
    assert_true(params.search.align == UINT64_C(4294967296));
    give_back(RPC_METHOD_MEMORY_SEARCH, &params);
}

static void test_params_says_whether_it_was_given(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_TARGET_RESUME, "{}", &params);
    assert_false(params.resume.address_given);
    assert_true(params.resume.address == 0);
    takes(RPC_METHOD_TARGET_RESUME, "{\"address\":0}", &params);
    assert_true(params.resume.address_given);
    assert_true(params.resume.address == 0);
    takes(RPC_METHOD_EVENTS_UNSUBSCRIBE, "{}", &params);
    assert_false(params.unsubscribe.topics_given);
    takes(RPC_METHOD_EVENTS_UNSUBSCRIBE, "{\"topics\":[\"link\"]}", &params);
    assert_true(params.unsubscribe.topics_given);
    assert_true(params.unsubscribe.topics == UINT64_C(1) << RPC_TOPIC_LINK);
}

static void test_params_reads_booleans(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\",\"erase\":false,\"verify\":true}", &params);
    assert_false(params.image.erase);
    assert_true(params.image.verify);
    give_back(RPC_METHOD_FLASH_WRITE_IMAGE, &params);
    static const char *const wrong[] = {"0", "1", "\"true\"", "null", "[]"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_appendf(&text, "{\"address\":0,\"physical\":%s}", wrong[i]);
        refuses(RPC_METHOD_MEMORY_READ_U32, strbuf_text(&text), "physical: must be true or false",
                "physical");
        strbuf_fini(&text);
    }
}

static void test_params_reads_words(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_FLASH_WRITE_IMAGE,
          "{\"data\":\"AA==\",\"prepare\":\"reset_\\u0069nit\",\"mode\":\"full\",\"format\":\"elf\"}",
          &params);
    assert_int_equal(params.image.prepare, PARAMS_FLASH_WRITE_IMAGE_PREPARE_RESET_INIT);
    assert_int_equal(params.image.format, RPC_IMAGE_FORMAT_CHOICE_ELF);
    assert_true(params.image.format_given && params.image.mode_given);
    give_back(RPC_METHOD_FLASH_WRITE_IMAGE, &params);
    static const char rule[] = "prepare: must be one of none, halt, reset_halt, reset_init";
    refuses(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\",\"prepare\":\"Halt\"}", rule, "prepare");
    refuses(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\",\"prepare\":\"\"}", rule, "prepare");
    refuses(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\",\"prepare\":1}", rule, "prepare");
    refuses(RPC_METHOD_FLASH_WRITE_IMAGE, "{\"data\":\"AA==\",\"format\":\"hex\"}",
            "format: must be one of auto, bin, ihex, srec, elf, uf2", "format");
}

static void test_params_reads_word_lists(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_EVENTS_SUBSCRIBE, "{\"topics\":[\"operation\",\"target\",\"target\"],\"board\":\"a\"}",
          &params);
    assert_true(params.subscribe.topics == (1u << RPC_TOPIC_OPERATION | 1u << RPC_TOPIC_TARGET));
    assert_string_equal(params.subscribe.board.text, "a");
    give_back(RPC_METHOD_EVENTS_SUBSCRIBE, &params);
    refuses(RPC_METHOD_EVENTS_SUBSCRIBE, "{}", "topics: is missing", "topics");
    refuses(RPC_METHOD_EVENTS_SUBSCRIBE, "{\"topics\":[]}", "topics: must hold at least 1 of its words",
            "topics");
    refuses(RPC_METHOD_EVENTS_SUBSCRIBE, "{\"topics\":\"link\"}", "topics: must be an array of words",
            "topics");
    refuses(RPC_METHOD_EVENTS_SUBSCRIBE, "{\"topics\":[\"link\",\"weather\"]}",
            "topics[1]: must be one of target, link, operation, lease, queue, log, memory, gdb", "topics");
    refuses(RPC_METHOD_EVENTS_SUBSCRIBE, "{\"topics\":[null]}",
            "topics[0]: must be one of target, link, operation, lease, queue, log, memory, gdb", "topics");
}

/* {"board": "xxx..."} with `count` times `piece`. */
static struct strbuf board_of(size_t count, const char *piece)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "{\"board\":\"");
    for (size_t i = 0; i < count; i++) {
        strbuf_append_text(&text, piece);
    }
    strbuf_append_text(&text, "\"}");
    return text;
}

static void test_params_counts_bytes_of_texts(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        size_t most; /* pieces in 64 bytes */
    } cases[] = {{"x", 64},       {"\\u0041", 64},        {"\\u00e9", 32},
                 {"\\u20ac", 21}, {"\\ud83d\\ude00", 16}, {"\xc3\xa9", 32}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strbuf text = board_of(cases[i].most, cases[i].piece);
        union params params;
        takes(RPC_METHOD_TARGET_LIST, strbuf_text(&text), &params);
        give_back(RPC_METHOD_TARGET_LIST, &params);
        strbuf_fini(&text);
        text = board_of(cases[i].most + 1, cases[i].piece);
        refuses(RPC_METHOD_TARGET_LIST, strbuf_text(&text), "board: must have at most 64 bytes", "board");
        strbuf_fini(&text);
    }
    struct strbuf text = board_of(1000000, "y");
    refuses(RPC_METHOD_TARGET_LIST, strbuf_text(&text), "board: must have at most 64 bytes", "board");
    strbuf_fini(&text);
    refuses(RPC_METHOD_TARGET_LIST, "{\"board\":\"\"}", "board: must not be empty", "board");
    refuses(RPC_METHOD_TARGET_LIST, "{\"board\":1}", "board: must be text", "board");
    refuses(RPC_METHOD_TARGET_LIST, "{\"board\":null}", "board: must be text", "board");
    union params params;
    takes(RPC_METHOD_SERVER_HELLO, "{\"client\":\"\"}", &params);
    assert_non_null(params.hello.client.text); /* given, though empty */
    assert_int_equal(params.hello.client.length, 0);
    give_back(RPC_METHOD_SERVER_HELLO, &params);
}

static void test_params_refuses_control_characters_but_in_scripts(void **state)
{
    (void)state;
    static const char *const controls[] = {"\\n",     "\\u0001",  "\\u001b", "\x7f",
                                           "\\u0080", "\xc2\x9f", "a\\tb"};
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        struct strbuf text = board_of(1, controls[i]);
        refuses(RPC_METHOD_TARGET_LIST, strbuf_text(&text), "board: must not hold control characters",
                "board");
        strbuf_fini(&text);
    }
    union params params;
    takes(RPC_METHOD_TARGET_LIST, "{\"board\":\"\xc2\xa0\xc3\x80\"}", &params);
    give_back(RPC_METHOD_TARGET_LIST, &params);
    takes(RPC_METHOD_OPENOCD_COMMAND, "{\"command\":\"a\\n\\u0001\\u007f\"}", &params);
    assert_string_equal(params.command.command.text, "a\n\x01\x7f");
    give_back(RPC_METHOD_OPENOCD_COMMAND, &params);
    refuses(RPC_METHOD_OPENOCD_COMMAND, "{\"command\":\"\"}", "command: must not be empty", "command");
}

static void assert_data(const char *members, const char *expected, size_t length)
{
    union params params;
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "{\"address\":0,%s}", members);
    takes(RPC_METHOD_MEMORY_WRITE_BYTES, strbuf_text(&text), &params);
    assert_int_equal(params.write_bytes.data.length, length);
    assert_memory_equal(params.write_bytes.data.bytes, expected, length);
    give_back(RPC_METHOD_MEMORY_WRITE_BYTES, &params);
    strbuf_fini(&text);
}

static void refuses_data(const char *members, const char *message)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "{\"address\":0,%s}", members);
    refuses(RPC_METHOD_MEMORY_WRITE_BYTES, strbuf_text(&text), message, "data");
    strbuf_fini(&text);
}

static void test_params_decodes_bytes(void **state)
{
    (void)state;
    assert_data("\"data\":\"AFD/qw==\"", "\x00\x50\xff\xab", 4);
    assert_data("\"data\":\"AFD\\/qw\\u003d=\"", "\x00\x50\xff\xab", 4);
    assert_data("\"data\":\"0050FFab\",\"encoding\":\"hex\"", "\x00\x50\xff\xab", 4);
    assert_data("\"encoding\":\"hex\",\"data\":\"0\\u00350\\u0030\"", "\x05\x00", 2);
    assert_data("\"encoding\":\"base64\",\"data\":\"0050\"", "\xd3\x4e\x74", 3);
    refuses_data("\"data\":\"\"", "data: must not be empty");
    refuses_data("\"data\":\"\",\"encoding\":\"hex\"", "data: must not be empty");
    refuses_data("\"data\":\"AFD\"", "data: is not valid base64");
    refuses_data("\"data\":\"AF D\"", "data: is not valid base64");
    refuses_data("\"data\":\"AF\\nD\"", "data: is not valid base64");
    refuses_data("\"data\":\"AB==\"", "data: is not valid base64");
    refuses_data("\"data\":\"123\",\"encoding\":\"hex\"", "data: is not valid hex");
    refuses_data("\"data\":\"0x12\",\"encoding\":\"hex\"", "data: is not valid hex");
    refuses_data("\"data\":[1,2]", "data: must be base64 text");
    refuses_data("\"data\":12,\"encoding\":\"hex\"", "data: must be hex text");
    refuses(RPC_METHOD_MEMORY_SEARCH, "{\"start\":0,\"end\":9}", "pattern: is missing", "pattern");
    refuses(RPC_METHOD_MEMORY_WRITE_BYTES, "{\"address\":0,\"data\":\"AA==\",\"encoding\":\"octal\"}",
            "encoding: must be one of base64, hex", "encoding");
}

/* A search whose pattern has `bytes` bytes, in hex. */
static struct strbuf search_for(size_t bytes)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "{\"start\":0,\"end\":9,\"encoding\":\"hex\",\"pattern\":\"");
    for (size_t i = 0; i < bytes; i++) {
        strbuf_append_text(&text, "a5");
    }
    strbuf_append_text(&text, "\"}");
    return text;
}

static void test_params_limits_bytes(void **state)
{
    (void)state;
    union params params;
    struct strbuf text = search_for(4096);
    takes(RPC_METHOD_MEMORY_SEARCH, strbuf_text(&text), &params);
    assert_int_equal(params.search.pattern.length, 4096);
    assert_null(params.search.mask.bytes);
    give_back(RPC_METHOD_MEMORY_SEARCH, &params);
    strbuf_fini(&text);
    text = search_for(4097);
    refuses(RPC_METHOD_MEMORY_SEARCH, strbuf_text(&text), "pattern: must have at most 4096 bytes", "pattern");
    strbuf_fini(&text);
}

static void test_params_reads_integer_lists(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":255}", &params);
    assert_int_equal(params.write_u8.values.count, 1);
    assert_true(params.write_u8.values.values[0] == 255);
    give_back(RPC_METHOD_MEMORY_WRITE_U8, &params);
    takes(RPC_METHOD_MEMORY_WRITE_U8,
          "{\"address\":0,\"values\":[1, \"0x2\",\"3\" ,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", &params);
    assert_int_equal(params.write_u8.values.count, 17);
    for (size_t i = 0; i < 17; i++) {
        assert_true(params.write_u8.values.values[i] == i + 1);
    }
    give_back(RPC_METHOD_MEMORY_WRITE_U8, &params);
    takes(RPC_METHOD_MEMORY_WRITE_U64, "{\"address\":0,\"values\":\"0xffffffffffffffff\"}", &params);
    assert_true(params.write_u64.values.values[0] == UINT64_MAX);
    give_back(RPC_METHOD_MEMORY_WRITE_U64, &params);

    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":[1,2,3,256]}",
            "values[3]: must be at most 255", "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":256}", "values: must be at most 255",
            "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U16, "{\"address\":0,\"values\":[65536]}",
            "values[0]: must be at most 65535", "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U32, "{\"address\":0,\"values\":[4294967296]}",
            "values[0]: must be at most 4294967295", "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":[1,-1]}",
            "values[1]: must not be negative", "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":[1,[2]]}",
            "values[1]: must be a whole number, or text of decimal digits or 0x and hex digits", "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U64, "{\"address\":0,\"values\":[9007199254740992]}",
            "values[0]: 9007199254740992 is too large for a JSON number here; write it as a string",
            "values");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":{}}",
            "values: must be a whole number, or text of decimal digits or 0x and hex digits", "values");
}

static void test_params_limits_integer_lists(void **state)
{
    (void)state;
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":[]}",
            "values: must hold from 1 to 65536 values", "values");
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "{\"address\":0,\"values\":[0");
    for (size_t i = 1; i < 65536; i++) {
        strbuf_append_text(&text, ",1");
    }
    size_t length = text.length;
    strbuf_append_text(&text, "]}");
    union params params;
    takes(RPC_METHOD_MEMORY_WRITE_U8, strbuf_text(&text), &params);
    assert_int_equal(params.write_u8.values.count, 65536);
    give_back(RPC_METHOD_MEMORY_WRITE_U8, &params);
    strbuf_truncate(&text, length);
    strbuf_append_text(&text, ",1]}");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, strbuf_text(&text), "values: must hold from 1 to 65536 values",
            "values");
    strbuf_fini(&text);
}

static void test_params_keeps_tokens_as_they_are_written(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-7", "\"\"", "\"a\\u0062\\n\"",
                                       "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        union params params;
        struct strbuf text = STRBUF_INIT;
        strbuf_appendf(&text, "{\"id\": %s }", good[i]);
        takes(RPC_METHOD_REQUEST_CANCEL, strbuf_text(&text), &params);
        assert_string_equal(params.cancel.id.text, good[i]);
        assert_int_equal(params.cancel.id.length, strlen(good[i]));
        give_back(RPC_METHOD_REQUEST_CANCEL, &params);
        strbuf_fini(&text);
    }
    refuses(RPC_METHOD_REQUEST_CANCEL, "{\"id\":null}", "id: must not be null", "id");
    refuses(RPC_METHOD_REQUEST_CANCEL, "{\"id\":1.5}",
            "id: must be a whole number, written as digits, or a string", "id");
    refuses(RPC_METHOD_REQUEST_CANCEL, "{\"id\":1e3}",
            "id: must be a whole number, written as digits, or a string", "id");
    refuses(RPC_METHOD_REQUEST_CANCEL, "{\"id\":[1]}", "id: must be a string or a whole number", "id");
    refuses(RPC_METHOD_TARGET_LIST, "{\"progress\":true}", "progress: must be a string or a whole number",
            "progress");
}

static void test_params_limits_tokens(void **state)
{
    (void)state;
    for (size_t length = 256; length < 258; length++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_append_text(&text, "{\"progress\":\"");
        for (size_t i = 0; i < length; i++) {
            strbuf_append_text(&text, "\\u0041"); /* counted as what it stands for */
        }
        strbuf_append_text(&text, "\"}");
        if (length == 256) {
            union params params;
            takes(RPC_METHOD_TARGET_LIST, strbuf_text(&text), &params);
            give_back(RPC_METHOD_TARGET_LIST, &params);
        } else {
            refuses(RPC_METHOD_TARGET_LIST, strbuf_text(&text), "progress: is too long", "progress");
        }
        strbuf_fini(&text);
    }
}

static void test_params_frees_what_was_read_before_a_fault(void **state)
{
    (void)state;
    /* LeakSanitizer sees it if not. */
    refuses(RPC_METHOD_MEMORY_SEARCH,
            "{\"pattern\":\"AAAA\",\"mask\":\"!\",\"start\":0,\"end\":1,\"board\":\"b\",\"target\":\"t\","
            "\"progress\":1}",
            "mask: is not valid base64", "mask");
    refuses(RPC_METHOD_MEMORY_WRITE_U8, "{\"address\":0,\"values\":[1,2],\"board\":\"b\",\"timeout_ms\":0}",
            "timeout_ms: must be from 1 to 86400000", "timeout_ms");
}

static void test_params_lets_a_handler_take_buffers(void **state)
{
    (void)state;
    union params params;
    takes(RPC_METHOD_MEMORY_WRITE_BYTES, "{\"address\":0,\"data\":\"AAAA\"}", &params);
    uint8_t *taken = params.write_bytes.data.bytes;
    params.write_bytes.data.bytes = NULL;
    give_back(RPC_METHOD_MEMORY_WRITE_BYTES, &params);
    assert_memory_equal(taken, "\0\0\0", 3);
    free(taken);
}

struct own_params {
    struct json_span any;
    bool flag;
    bool flag_given;
    int word;
    bool word_given;
    uint64_t few;
};

static const char *const own_words[] = {"a", "b", NULL};
static const struct rpc_param own_table[] = {
    {.name = "any",
     .kind = RPC_PARAM_ANY,
     .offset = offsetof(struct own_params, any),
     .given_offset = UINT16_MAX},
    {.name = "flag",
     .kind = RPC_PARAM_BOOL,
     .offset = offsetof(struct own_params, flag),
     .given_offset = offsetof(struct own_params, flag_given)},
    {.name = "word",
     .kind = RPC_PARAM_CHOICE,
     .offset = offsetof(struct own_params, word),
     .given_offset = offsetof(struct own_params, word_given),
     .choices = own_words},
    {.name = "few",
     .kind = RPC_PARAM_U64,
     .offset = offsetof(struct own_params, few),
     .given_offset = UINT16_MAX,
     .minimum = 3,
     .maximum = 9007199254740993,
     .default_value = 5},
};
static const struct rpc_method own_method = {
    .name = "own", .params_size = sizeof(struct own_params), .params = own_table, .param_count = 4};

static bool parse_own(const char *text, struct own_params *params, struct err *err)
{
    struct json_problem problem;
    assert_true(json_check(text, strlen(text), &problem));
    return rpc_params_parse(&own_method, json_span_of(text, strlen(text)), params, err);
}

static void test_params_passes_any_value_on(void **state)
{
    (void)state;
    static const char text[] = "{\"any\": [1, {\"x\":null}] ,\"flag\":false,\"word\":\"a\"}";
    struct own_params params;
    struct err err;
    assert_true(parse_own(text, &params, &err));
    assert_int_equal(params.any.length, 15);
    assert_ptr_equal(params.any.text, text + 8);
    assert_true(!params.flag && params.flag_given);
    assert_true(params.word == 0 && params.word_given);
    assert_true(params.few == 5);
    assert_true(parse_own("{}", &params, &err));
    assert_int_equal(params.any.length, 0);
    assert_true(!params.flag_given && !params.word_given);
    rpc_params_fini(&own_method, &params);
}

static void test_params_advises_text_only_where_it_would_help(void **state)
{
    (void)state;
    struct own_params params;
    struct err err;
    assert_false(parse_own("{\"few\":9007199254740993}", &params, &err));
    assert_string_equal(err.message,
                        "few: 9007199254740993 is too large for a JSON number here; write it as a string");
    assert_false(parse_own("{\"few\":9007199254740994}", &params, &err));
    assert_string_equal(err.message, "few: must be from 3 to 9007199254740993");
    assert_true(parse_own("{\"few\":\"9007199254740993\"}", &params, &err));
    assert_true(params.few == 9007199254740993);
}

static void test_params_tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < RPC_METHOD_COUNT; i++) {
        const struct rpc_method *method = &rpc_methods[i];
        assert_true(method->params_size > 0);
        for (size_t j = 0; j < method->param_count; j++) {
            const struct rpc_param *param = &method->params[j];
            assert_true(param->offset < method->params_size);
            assert_true(param->given_offset == UINT16_MAX || param->given_offset < method->params_size);
            assert_true(!method->board || param->offset >= sizeof(struct rpc_common));
            assert_true(param->kind != RPC_PARAM_U64 || param->default_value == 0 ||
                        (param->default_value >= param->minimum && param->default_value <= param->maximum));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_fills_defaults),
        cmocka_unit_test(test_params_takes_common_ones),
        cmocka_unit_test(test_params_may_be_missing_altogether),
        cmocka_unit_test(test_params_go_by_name),
        cmocka_unit_test(test_params_names_what_is_wrong_with_an_integer),
        cmocka_unit_test(test_params_checks_ranges_of_integers),
        cmocka_unit_test(test_params_says_whether_it_was_given),
        cmocka_unit_test(test_params_reads_booleans),
        cmocka_unit_test(test_params_reads_words),
        cmocka_unit_test(test_params_reads_word_lists),
        cmocka_unit_test(test_params_counts_bytes_of_texts),
        cmocka_unit_test(test_params_refuses_control_characters_but_in_scripts),
        cmocka_unit_test(test_params_decodes_bytes),
        cmocka_unit_test(test_params_limits_bytes),
        cmocka_unit_test(test_params_reads_integer_lists),
        cmocka_unit_test(test_params_limits_integer_lists),
        cmocka_unit_test(test_params_keeps_tokens_as_they_are_written),
        cmocka_unit_test(test_params_limits_tokens),
        cmocka_unit_test(test_params_frees_what_was_read_before_a_fault),
        cmocka_unit_test(test_params_lets_a_handler_take_buffers),
        cmocka_unit_test(test_params_passes_any_value_on),
        cmocka_unit_test(test_params_advises_text_only_where_it_would_help),
        cmocka_unit_test(test_params_tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
