/* rpc/params: arrays of ranges. */
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

static const struct rpc_method *const method = &rpc_methods[RPC_METHOD_MEMORY_WATCH];

static bool parse(const char *ranges, struct params_memory_watch *params, struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    struct json_problem problem;
    strbuf_appendf(&text, "{\"ranges\":%s}", ranges);
    assert_true(json_check(text.data, text.length, &problem));
    memset(params, 0xa5, sizeof *params);
    bool ok = rpc_params_parse(method, json_span_of(text.data, text.length), params, err);
    strbuf_fini(&text);
    return ok;
}

static void refuses(const char *ranges, const char *message)
{
    struct params_memory_watch params;
    struct err err;
    assert_false(parse(ranges, &params, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_string_equal(err_find_detail(&err, "parameter")->text, "ranges");
}

static void test_params_takes_ranges(void **state)
{
    struct params_memory_watch params;
    struct err err;
    (void)state;
    assert_true(
        parse("[{\"address\":\"0xffffffffffffffff\",\"size\":1},{\"size\":\"0x100000\",\"address\":7}]",
              &params, &err));
    assert_int_equal(params.ranges.count, 2);
    assert_true(params.ranges.items[0].address == UINT64_MAX && params.ranges.items[0].size == 1);
    assert_true(params.ranges.items[1].address == 7 && params.ranges.items[1].size == 1u << 20);
    assert_int_equal(params.interval_ms, 100);
    rpc_params_fini(method, &params);
    assert_null(params.ranges.items);
    assert_int_equal(params.ranges.count, 0);
}

static void test_params_refuses_ranges_by_their_place(void **state)
{
    (void)state;
    refuses("{\"address\":0,\"size\":4}", "ranges: must be an array of ranges");
    refuses("null", "ranges: must be an array of ranges");
    refuses("[]", "ranges: must hold from 1 to 64 ranges");
    refuses("[{\"address\":0,\"size\":4},5]", "ranges[1]: must be an object of address and size");
    refuses("[{\"address\":0}]", "ranges[0]: size: is missing");
    refuses("[{\"address\":0,\"size\":4},{\"size\":4}]", "ranges[1]: address: is missing");
    refuses("[{\"address\":0,\"size\":0}]", "ranges[0]: size: must be from 1 to 1048576");
    refuses("[{\"address\":0,\"size\":1048577}]", "ranges[0]: size: must be from 1 to 1048576");
    refuses("[{\"address\":-1,\"size\":1}]", "ranges[0]: address: must not be negative");
    refuses("[{\"address\":0,\"size\":1,\"more\":1}]", "ranges[0]: unknown parameter \"more\"");
}

static void test_params_counts_ranges(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct params_memory_watch params;
    struct err err;
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        strbuf_append_text(&text, i == 0 ? "[" : ",");
        strbuf_appendf(&text, "{\"address\":%u,\"size\":1}", i);
    }
    size_t most = text.length;
    strbuf_append_text(&text, "]");
    assert_true(parse(strbuf_text(&text), &params, &err));
    assert_int_equal(params.ranges.count, 64);
    assert_int_equal(params.ranges.items[63].address, 63);
    rpc_params_fini(method, &params);
    strbuf_truncate(&text, most);
    strbuf_append_text(&text, ",{\"address\":1,\"size\":1}]");
    refuses(strbuf_text(&text), "ranges: must hold from 1 to 64 ranges");
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_takes_ranges),
        cmocka_unit_test(test_params_refuses_ranges_by_their_place),
        cmocka_unit_test(test_params_counts_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
