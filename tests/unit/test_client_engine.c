/* The client library without sockets: the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/engine.h"
#include "client/json_scan.h"
#include "client/ocdmux.h"

static int setup(void **state)
{
    *state = engine_new();
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static struct engine_call *begin(struct engine *engine, const char *method, const char *params, bool progress)
{
    struct engine_call *call = NULL;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    size_t length = params == NULL ? 0 : strlen(params);
    assert_true(engine_begin(engine, method, params, length, progress, &call, &error));
    assert_null(error.kind);
    return call;
}

static void assert_refused(struct engine *engine, const char *method, const char *params, const char *kind)
{
    struct engine_call *call = NULL;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_false(
        engine_begin(engine, method, params, params == NULL ? 0 : strlen(params), false, &call, &error));
    assert_null(call);
    assert_string_equal(error.kind, kind);
    assert_true(error.local);
    ocdmux_error_fini(&error);
}

/* Takes all of the output. */
static void assert_output(struct engine *engine, const char *expected)
{
    const char *bytes;
    size_t length;
    engine_output(engine, &bytes, &length);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(bytes, expected, length);
    engine_output_sent(engine, length);
}

static void drop_output(struct engine *engine)
{
    const char *bytes;
    size_t length;
    engine_output(engine, &bytes, &length);
    engine_output_sent(engine, length);
}

static void feed(struct engine *engine, const char *text)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_true(engine_input(engine, text, strlen(text), &error));
    assert_null(error.kind);
}

static void feed_broken(struct engine *engine, const char *text, const char *words)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_false(engine_input(engine, text, strlen(text), &error));
    assert_string_equal(error.kind, OCDMUX_KIND_PROTOCOL);
    assert_non_null(strstr(error.message, words));
    ocdmux_error_fini(&error);
}

static void assert_result(struct engine_call *call, const char *text)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_true(engine_call_is_done(call));
    assert_true(engine_call_finish(call, &result, &error));
    assert_string_equal(result.text, text);
    assert_int_equal(result.length, strlen(text));
    assert_non_null(result.json);
    ocdmux_result_fini(&result);
    engine_release(call);
}

static void assert_error(struct engine_call *call, const char *kind, bool local)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_true(engine_call_is_done(call));
    assert_false(engine_call_finish(call, &result, &error));
    assert_null(result.json);
    assert_string_equal(error.kind, kind);
    assert_int_equal(error.local, local);
    ocdmux_error_fini(&error);
    engine_release(call);
}

/* The connection still works: a call goes out and its answer comes in. */
static void assert_works(struct engine *engine)
{
    char line[64];
    drop_output(engine);
    struct engine_call *call = begin(engine, "m", NULL, false);
    drop_output(engine);
    (void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":[1]}\n",
                   (unsigned)engine_call_id(call));
    feed(engine, line);
    assert_result(call, "[1]");
}

/* --- sending --- */

static void test_begin_writes_one_line(void **state)
{
    struct engine *engine = *state;
    struct engine_call *first = begin(engine, "a.b", NULL, false);
    struct engine_call *second = begin(engine, "c\"d", "{\"x\":1}", false);
    assert_output(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a.b\"}\n"
                          "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"c\\\"d\",\"params\":{\"x\":1}}\n");
    engine_release(first);
    engine_release(second);
}

static void test_begin_adds_progress(void **state)
{
    struct engine *engine = *state;
    engine_release(begin(engine, "m", NULL, true));
    engine_release(begin(engine, "m", " { } ", true));
    engine_release(begin(engine, "m", "{ \"x\":1}", true));
    assert_output(engine,
                  "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"progress\":1}}\n"
                  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"m\",\"params\":{\"progress\":2 }}\n"
                  "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"m\",\"params\":{\"progress\":3, \"x\":1}}\n");
}

static void test_begin_keeps_parameters_in_one_line(void **state)
{
    struct engine *engine = *state;
    engine_release(begin(engine, "m", "\r\n{\r\n\"big\":18446744073709551615,\n\"f\":1.50}\n", false));
    assert_output(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":"
                          "{  \"big\":18446744073709551615, \"f\":1.50}}\n");
}

static void test_begin_refuses_bad_parameters(void **state)
{
    struct engine *engine = *state;
    static const char *const bad[] = {"",          "[]",
                                      "1",         "{",
                                      "{}{}",      "{\"a\":\"\xff\"}",
                                      "{a}",       "{\"a\":nan}",
                                      "\"{}\"",    "{\"a\":\"\n\"}",
                                      "{\"a\":1,}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(engine, "m", bad[i], OCDMUX_KIND_INVALID_PARAMS);
    }
    assert_refused(engine, "\xff", NULL, OCDMUX_KIND_INVALID_PARAMS);
    assert_output(engine, "");
    assert_works(engine);
}

static void test_begin_refuses_a_long_line(void **state)
{
    struct engine *engine = *state;
    const char *line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"x\":1}}";
    engine_set_max_line(engine, strlen(line) - 1);
    assert_refused(engine, "m", "{\"x\":1}", OCDMUX_KIND_LINE_TOO_LONG);
    assert_output(engine, "");
    engine_set_max_line(engine, strlen(line));
    engine_release(begin(engine, "m", "{\"x\":1}", false));
    drop_output(engine);
    assert_works(engine);
}

static void test_output_goes_in_pieces(void **state)
{
    struct engine *engine = *state;
    const char *bytes;
    size_t length;
    engine_release(begin(engine, "m", NULL, false));
    engine_output_sent(engine, 30);
    engine_output(engine, &bytes, &length);
    assert_string_equal(bytes, "d\":\"m\"}\n");
    engine_output_sent(engine, 1);
    engine_release(begin(engine, "n", NULL, false));
    assert_output(engine, "\":\"m\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"n\"}\n");
}

/* --- answers --- */

static void test_answer_of_any_cut(void **state)
{
    struct engine *engine = *state;
    struct engine_call *call = begin(engine, "m", NULL, false);
    const char *line = "\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{ \"n\": 18446744073709551615 }}\r\n";
    for (const char *next = line; *next != '\0'; next++) {
        const char one[] = {*next, '\0'};
        assert_false(engine_call_is_done(call));
        feed(engine, one);
    }
    assert_result(call, "{ \"n\": 18446744073709551615 }");
}

static void test_answers_in_another_order(void **state)
{
    struct engine *engine = *state;
    struct engine_call *first = begin(engine, "m", NULL, false);
    struct engine_call *second = begin(engine, "m", NULL, false);
    feed(engine, "{\"result\":2,\"id\":2,\"jsonrpc\":\"2.0\"}\n{\"jsonrpc\":\"2.0\",");
    assert_false(engine_call_is_done(first));
    assert_result(second, "2");
    feed(engine, "\"id\":1,\"result\":null}\n");
    assert_result(first, "null");
}

static void test_answer_keeps_nul(void **state)
{
    struct engine *engine = *state;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct engine_call *call = begin(engine, "m", NULL, false);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[\"a\\u0000b\\\\u0000\\\\\\u0000\"]}\n");
    assert_true(engine_call_finish(call, &result, &error));
    assert_string_equal(result.text, "[\"a\\u0000b\\\\u0000\\\\\\u0000\"]");
    assert_string_equal(cJSON_GetArrayItem(result.json, 0)->valuestring, "a\xef\xbf\xbd"
                                                                         "b\\u0000\\\xef\xbf\xbd");
    ocdmux_result_fini(&result);
    engine_release(call);
}

static void test_error_is_read(void **state)
{
    struct engine *engine = *state;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct engine_call *call = begin(engine, "m", NULL, false);
    feed(engine,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":{\"kind\":"
         "\"flash_error\",\"openocd\":{\"code\":-902,\"text\":\"words\\n\"},\"address\":\"0x08000000\"}}}\n");
    assert_false(engine_call_finish(call, &result, &error));
    assert_string_equal(error.kind, "flash_error");
    assert_string_equal(error.message, "no");
    assert_false(error.local);
    assert_true(error.has_openocd);
    assert_int_equal(error.openocd_code, -902);
    assert_string_equal(error.openocd_text, "words\n");
    assert_int_equal(cJSON_GetArraySize(error.details), 1);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(error.details, "address")->valuestring,
                        "0x08000000");
    ocdmux_error_fini(&error);
    assert_null(error.kind);
    engine_release(call);
    assert_works(engine);
}

static void test_error_without_data(void **state)
{
    struct engine *engine = *state;
    static const struct {
        const char *object;
        const char *kind;
    } cases[] = {
        {"{\"code\":-32700,\"message\":\"x\"}", "parse_error"},
        {"{\"code\":-32602,\"message\":\"x\",\"data\":[]}", "invalid_params"},
        {"{\"code\":5}", "unknown_error"},
        {"{\"code\":-32000,\"data\":{\"kind\":7,\"openocd\":8}}", "unknown_error"},
        {"{\"Code\":-32700,\"data\":{\"Kind\":\"timeout\"}}", "unknown_error"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[256];
        struct engine_call *call = begin(engine, "m", NULL, false);
        (void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%u,\"error\":%s}\n",
                       (unsigned)engine_call_id(call), cases[i].object);
        feed(engine, line);
        assert_error(call, cases[i].kind, false);
    }
}

static void test_error_without_id_is_for_the_only_call(void **state)
{
    struct engine *engine = *state;
    const char *line = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}\n";
    struct engine_call *call = begin(engine, "m", NULL, false);
    feed(engine, line);
    assert_error(call, "parse_error", false);
    assert_works(engine);
    struct engine_call *first = begin(engine, "m", NULL, false);
    struct engine_call *second = begin(engine, "m", NULL, false);
    feed_broken(engine, line, "no request of that id");
    assert_error(first, OCDMUX_KIND_PROTOCOL, true);
    assert_error(second, OCDMUX_KIND_PROTOCOL, true);
}

/* --- cancelling and abandoning --- */

static void test_cancel_names_the_call(void **state)
{
    struct engine *engine = *state;
    struct engine_call *call = begin(engine, "m", NULL, false);
    drop_output(engine);
    engine_cancel(call);
    assert_output(engine,
                  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"request.cancel\",\"params\":{\"id\":1}}\n");
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"found\":true}}\n");
    assert_false(engine_call_is_done(call));
    feed(engine,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"x\",\"data\":{\"kind\":"
         "\"cancelled\"}}}\n");
    engine_cancel(call);
    assert_output(engine, "");
    assert_error(call, "cancelled", false);
    assert_works(engine);
}

static void test_late_answer_is_dropped(void **state)
{
    struct engine *engine = *state;
    struct engine_call *call = begin(engine, "m", NULL, false);
    engine_release(call);
    struct engine_call *other = begin(engine, "m", NULL, false);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    assert_false(engine_call_is_done(other));
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":2}\n");
    assert_result(other, "2");
    /* Once only: a second late answer is one that nobody asked for. */
    feed_broken(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n", "no request of that id");
}

/* --- notifications --- */

struct seen {
    unsigned count;
    bool answer;
    char last[128];
};

static bool see(void *arg, const struct ocdmux_notification *notification)
{
    struct seen *seen = arg;
    seen->count++;
    (void)snprintf(seen->last, sizeof(seen->last), "%s %.*s", notification->method, (int)notification->length,
                   notification->text);
    assert_true(cJSON_IsObject(notification->params));
    return seen->answer;
}

static void test_notifications_find_their_call(void **state)
{
    struct engine *engine = *state;
    struct seen first = {.answer = true};
    struct seen second = {.answer = true};
    struct seen events = {.answer = true};
    struct engine_call *one = begin(engine, "m", NULL, true);
    struct engine_call *two = begin(engine, "m", NULL, true);
    engine_call_set_handler(one, see, &first);
    engine_call_set_handler(two, see, &second);
    engine_set_event_handler(engine, see, &events);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":2, \"offset\":0}}\n");
    assert_string_equal(second.last, "data {\"id\":2, \"offset\":0}");
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"token\":1}}\n");
    assert_string_equal(first.last, "progress {\"token\":1}");
    feed(engine, "{\"params\":{},\"method\":\"event\",\"jsonrpc\":\"2.0\"}\n");
    assert_string_equal(events.last, "event {}");
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":\"1\"}}\n"
                 "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":3}}\n"
                 "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"ID\":1}}\n"
                 "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"token\":1.5}}\n");
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
    assert_int_equal(events.count, 1);
    engine_release(one);
    engine_release(two);
}

static void test_handler_that_stops_is_not_called_again(void **state)
{
    struct engine *engine = *state;
    struct seen seen = {.answer = false};
    struct engine_call *call = begin(engine, "m", NULL, false);
    engine_call_set_handler(call, see, &seen);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1}}\n"
                 "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1}}\n");
    assert_int_equal(seen.count, 1);
    assert_true(engine_call_is_stopped(call));
    engine_set_event_handler(engine, see, &seen);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}\n"
                 "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}\n");
    assert_int_equal(seen.count, 2);
    assert_true(engine_take_event_stop(engine));
    assert_false(engine_take_event_stop(engine));
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    assert_result(call, "1");
}

static void test_abandoned_call_is_not_notified(void **state)
{
    struct engine *engine = *state;
    struct seen seen = {.answer = true};
    struct engine_call *call = begin(engine, "m", NULL, false);
    engine_call_set_handler(call, see, &seen);
    engine_release(call);
    feed(engine, "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1}}\n");
    assert_int_equal(seen.count, 0);
}

/* --- failing --- */

static void test_failure_ends_every_call(void **state)
{
    struct engine *engine = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct engine_call *first = begin(engine, "m", NULL, false);
    struct engine_call *done = begin(engine, "m", NULL, false);
    engine_release(begin(engine, "m", NULL, false));
    feed(engine, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":true}\n");
    feed_broken(engine, "\x1b garbage\n", "(not JSON): \\x1b garbage");
    assert_output(engine, "");
    assert_result(done, "true");
    assert_error(first, OCDMUX_KIND_PROTOCOL, true);
    assert_refused(engine, "m", NULL, OCDMUX_KIND_PROTOCOL);
    assert_true(engine_has_failed(engine, &error));
    assert_string_equal(error.kind, OCDMUX_KIND_PROTOCOL);
    ocdmux_error_fini(&error);
    /* The first failure counts. */
    engine_fail_lost(engine, "gone");
    assert_refused(engine, "m", NULL, OCDMUX_KIND_PROTOCOL);
    feed_broken(engine, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n", "garbage");
}

static void test_lost_connection(void **state)
{
    struct engine *engine = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct engine_call *call = begin(engine, "m", NULL, false);
    assert_false(engine_has_failed(engine, &error));
    feed(engine, "{\"jsonrpc\":");
    engine_fail_lost(engine, "gone");
    assert_true(engine_has_failed(engine, &error));
    assert_string_equal(error.message, "gone, in the middle of a line");
    ocdmux_error_fini(&error);
    assert_error(call, OCDMUX_KIND_CONNECTION_LOST, true);
    assert_refused(engine, "m", NULL, OCDMUX_KIND_CONNECTION_LOST);
}

static void test_line_without_end_is_bounded(void **state)
{
    struct engine *engine = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    size_t size = (size_t)1 << 20;
    char *piece = malloc(size);
    assert_non_null(piece);
    memset(piece, 'x', size);
    for (size_t fed = 0; fed < OCDMUX_MAX_LINE_BYTES; fed += size) {
        assert_true(engine_input(engine, piece, size, &error));
    }
    assert_false(engine_input(engine, piece, 1, &error));
    assert_string_equal(error.kind, OCDMUX_KIND_PROTOCOL);
    assert_non_null(strstr(error.message, "64 MiB"));
    ocdmux_error_fini(&error);
    free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin_writes_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_adds_progress, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_keeps_parameters_in_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_refuses_bad_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_refuses_a_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_goes_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_of_any_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_in_another_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_keeps_nul, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_without_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_without_id_is_for_the_only_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_names_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_answer_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notifications_find_their_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handler_that_stops_is_not_called_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandoned_call_is_not_notified, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_ends_every_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_without_end_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
