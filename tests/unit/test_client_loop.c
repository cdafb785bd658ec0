/* The client library in an event loop: calls in flight, their limits, handlers, and the ends of a connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>

#include "base/clock.h"
#include "client_rig.h"

#define START_US UINT64_C(1000000000)

/* How a call ended, as its handler saw it. */
struct end {
    struct rig *rig;
    unsigned count;
    char text[64]; /* of the result */
    char kind[64]; /* of the error */
    bool local;
    void (*then)(struct end *end);
};

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    clock_fake(0);
    rig_free(*state);
    return 0;
}

static void note_end(void *arg, struct ocdmux_result *result, struct ocdmux_error *error)
{
    struct end *end = arg;
    end->count++;
    (void)snprintf(end->text, sizeof end->text, "%s", result->text == NULL ? "" : result->text);
    (void)snprintf(end->kind, sizeof end->kind, "%s", error->kind == NULL ? "" : error->kind);
    end->local = error->local;
    if (end->then != NULL) {
        end->then(end);
    }
}

static struct ocdmux_pending *begin(struct rig *rig, struct end *end, struct ocdmux_call_options options)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_pending *pending = NULL;
    end->rig = rig;
    options.done = note_end;
    options.arg = end;
    assert_true(ocdmux_begin_text(rig->connection, "m", NULL, &options, &pending, &error));
    assert_non_null(pending);
    return pending;
}

static const struct ocdmux_call_options no_options = {.timeout_ms = 0};

static void process(struct rig *rig)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_true(ocdmux_process(rig->connection, &error));
    assert_null(error.kind);
}

/* What the server has got since it was asked last. */
static void assert_sent(struct rig *rig, const char *expected)
{
    char bytes[1024];
    ssize_t got = recv(rig->server, bytes, sizeof bytes, MSG_DONTWAIT);
    assert_int_equal(got < 0 ? 0 : got, strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
}

static void assert_end(const struct end *end, const char *text, const char *kind)
{
    assert_int_equal(end->count, 1);
    assert_string_equal(end->text, text);
    assert_string_equal(end->kind, kind);
}

/* The connection still works: `id` is the next one. */
static void assert_works(struct rig *rig, unsigned id)
{
    char line[64];
    struct end end = {.count = 0};
    (void)begin(rig, &end, no_options);
    (void)snprintf(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":\"ok\"}\n", id);
    write_all(rig->server, line);
    process(rig);
    assert_end(&end, "\"ok\"", "");
}

static void test_loop_ends_each_call_once_in_the_order_of_answers(void **state)
{
    struct rig *rig = *state;
    struct end ends[3] = {{.count = 0}};
    for (unsigned i = 0; i < 3; i++) {
        (void)begin(rig, &ends[i], no_options);
    }
    process(rig);
    assert_sent(rig, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,"
                     "\"method\":\"m\"}\n{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"m\"}\n");
    write_all(rig->server,
              "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":3}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"res");
    process(rig);
    assert_end(&ends[2], "3", "");
    assert_int_equal(ends[0].count + ends[1].count, 0);
    write_all(rig->server,
              "ult\":1}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32000,\"message\":\"No.\","
              "\"data\":{\"kind\":\"target_error\"}}}\n");
    process(rig);
    assert_end(&ends[0], "1", "");
    assert_end(&ends[1], "", "target_error");
    assert_false(ends[1].local);
    assert_works(rig, 4);
    assert_int_equal(ends[0].count + ends[1].count + ends[2].count, 3);
}

static void test_loop_says_what_it_waits_for(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    clock_fake(START_US);
    assert_int_equal(ocdmux_events(rig->connection), POLLIN);
    assert_int_equal(ocdmux_timeout(rig->connection), -1);
    (void)begin(rig, &end, (struct ocdmux_call_options){.timeout_ms = 5000});
    (void)begin(rig, &end, (struct ocdmux_call_options){.timeout_ms = 700});
    assert_int_equal(ocdmux_events(rig->connection), POLLIN | POLLOUT);
    process(rig);
    assert_int_equal(ocdmux_events(rig->connection), POLLIN);
    assert_int_equal(ocdmux_timeout(rig->connection), 700);
    clock_fake(START_US + 600500);
    assert_int_equal(ocdmux_timeout(rig->connection), 100);
    struct pollfd wait = {.fd = ocdmux_fd(rig->connection), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 0), 0);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":2}\n");
    assert_int_equal(poll(&wait, 1, 5000), 1);
    process(rig);
    assert_end(&end, "2", "");
    assert_int_equal(ocdmux_timeout(rig->connection), 4400);
}

static void test_loop_ends_a_call_whose_time_is_over(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    clock_fake(START_US);
    (void)begin(rig, &end, (struct ocdmux_call_options){.timeout_ms = 50});
    process(rig);
    assert_sent(rig, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n");
    clock_fake(START_US + 50000);
    assert_int_equal(ocdmux_timeout(rig->connection), 0);
    process(rig);
    assert_end(&end, "", OCDMUX_KIND_TIMEOUT);
    assert_true(end.local);
    assert_sent(rig, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"request.cancel\",\"params\":{\"id\":1}}\n");
    /* The late answers are dropped. */
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"found\":true}}\n"
                           "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    process(rig);
    assert_int_equal(end.count, 1);
    assert_works(rig, 3);
}

static void test_loop_prefers_an_answer_to_a_deadline(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    clock_fake(START_US);
    (void)begin(rig, &end, (struct ocdmux_call_options){.timeout_ms = 50});
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    clock_fake(START_US + 60000);
    process(rig);
    assert_end(&end, "1", "");
    assert_works(rig, 2);
}

static void test_loop_cancel_waits_for_the_answer(void **state)
{
    struct rig *rig = *state;
    struct end late = {.count = 0};
    struct end silent = {.count = 0};
    clock_fake(START_US);
    struct ocdmux_pending *first = begin(rig, &late, no_options);
    struct ocdmux_pending *second = begin(rig, &silent, (struct ocdmux_call_options){.cancel_wait_ms = 80});
    process(rig);
    assert_sent(rig,
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
                "\"m\"}\n");
    ocdmux_cancel(first);
    ocdmux_cancel(first);
    ocdmux_cancel(second);
    process(rig);
    assert_sent(rig, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"request.cancel\",\"params\":{\"id\":1}}\n"
                     "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"request.cancel\",\"params\":{\"id\":2}}\n");
    assert_int_equal(late.count + silent.count, 0);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    clock_fake(START_US + 80000);
    process(rig);
    assert_end(&late, "1", "");
    assert_end(&silent, "", OCDMUX_KIND_CANCELLED);
    assert_true(silent.local);
    assert_works(rig, 5);
}

/* Stops at the second piece. */
static bool stop_at_two(void *arg, const struct ocdmux_notification *notification)
{
    struct end *end = arg;
    assert_string_equal(notification->method, "data");
    (void)end;
    return cJSON_GetObjectItemCaseSensitive(notification->params, "offset")->valuedouble < 1;
}

static void test_loop_cancels_where_a_handler_wants_it(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    (void)begin(rig, &end, (struct ocdmux_call_options){.notify = stop_at_two});
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1,\"offset\":0}}\n"
                           "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1,\"offset\":1}}\n"
                           "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":1,\"offset\":0}}\n");
    process(rig);
    process(rig);
    assert_sent(rig,
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
                "\"request.cancel\",\"params\":{\"id\":1}}\n");
    assert_int_equal(end.count, 0);
    write_all(rig->server,
              "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"Cancelled.\","
              "\"data\":{\"kind\":\"cancelled\"}}}\n");
    process(rig);
    assert_end(&end, "", "cancelled");
    assert_false(end.local);
    assert_works(rig, 3);
}

static struct end second_end;

static void begin_another(struct end *end)
{
    (void)begin(end->rig, &second_end, no_options);
}

static void test_loop_handlers_may_begin_calls(void **state)
{
    struct rig *rig = *state;
    struct end end = {.then = begin_another};
    second_end = (struct end){.count = 0};
    (void)begin(rig, &end, no_options);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    process(rig);
    assert_end(&end, "1", "");
    assert_int_equal(second_end.count, 0);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":2}\n");
    process(rig);
    assert_end(&second_end, "2", "");
    assert_works(rig, 3);
}

static void block_in_handler(struct end *end)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    assert_false(ocdmux_call(end->rig->connection, "m", NULL, NULL, &result, &error));
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_INVALID_PARAMS));
    assert_false(ocdmux_process(end->rig->connection, &error));
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_INVALID_PARAMS));
    assert_false(ocdmux_wait(end->rig->connection, 1, &error));
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_INVALID_PARAMS));
    ocdmux_error_fini(&error);
}

static struct ocdmux_pending *own_pending;

static void cancel_itself(struct end *end)
{
    (void)end;
    ocdmux_cancel(own_pending);
}

static void test_loop_cancel_of_what_has_just_ended_does_nothing(void **state)
{
    struct rig *rig = *state;
    struct end end = {.then = cancel_itself};
    own_pending = begin(rig, &end, no_options);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    process(rig);
    assert_end(&end, "1", "");
    assert_sent(rig, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n");
    assert_works(rig, 2);
}

static void test_loop_handlers_may_not_block(void **state)
{
    struct rig *rig = *state;
    struct end end = {.then = block_in_handler};
    (void)begin(rig, &end, no_options);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n");
    process(rig);
    assert_end(&end, "1", "");
    assert_works(rig, 2);
}

static void test_loop_keeps_what_ends_during_a_blocking_call(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct end end = {.count = 0};
    (void)begin(rig, &end, no_options);
    write_all(rig->server,
              "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":2}\n");
    assert_true(ocdmux_call(rig->connection, "m", NULL, NULL, &result, &error));
    assert_string_equal(result.text, "2");
    ocdmux_result_fini(&result);
    assert_int_equal(end.count, 0);
    assert_int_equal(ocdmux_timeout(rig->connection), 0);
    process(rig);
    assert_end(&end, "1", "");
    assert_int_equal(ocdmux_timeout(rig->connection), -1);
    assert_works(rig, 3);
}

static void assert_connection_ends(struct rig *rig, const char *kind)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_pending *pending = NULL;
    assert_false(ocdmux_process(rig->connection, &error));
    assert_string_equal(error.kind, kind);
    assert_false(ocdmux_begin_text(rig->connection, "m", NULL, NULL, &pending, &error));
    assert_string_equal(error.kind, kind);
    assert_null(pending);
    assert_false(ocdmux_process(rig->connection, &error));
    assert_string_equal(error.kind, kind);
    ocdmux_error_fini(&error);
}

static void test_loop_tells_every_call_of_a_lost_connection(void **state)
{
    struct rig *rig = *state;
    struct end ends[2] = {{.count = 0}};
    (void)begin(rig, &ends[0], no_options);
    (void)begin(rig, &ends[1], no_options);
    process(rig);
    assert_int_equal(shutdown(rig->server, SHUT_RDWR), 0);
    assert_connection_ends(rig, OCDMUX_KIND_CONNECTION_LOST);
    assert_end(&ends[0], "", OCDMUX_KIND_CONNECTION_LOST);
    assert_end(&ends[1], "", OCDMUX_KIND_CONNECTION_LOST);
}

/* SIGPIPE would end this program. */
static void test_loop_sends_to_a_closed_connection_without_a_signal(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    close(rig->server);
    rig->server = open("/dev/null", O_RDONLY);
    (void)begin(rig, &end, no_options);
    assert_connection_ends(rig, OCDMUX_KIND_CONNECTION_LOST);
    assert_end(&end, "", OCDMUX_KIND_CONNECTION_LOST);
}

static void test_loop_ends_where_the_server_speaks_something_else(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    (void)begin(rig, &end, no_options);
    write_all(rig->server, "HTTP/1.1 400 Bad Request\r\n");
    assert_connection_ends(rig, OCDMUX_KIND_PROTOCOL);
    assert_end(&end, "", OCDMUX_KIND_PROTOCOL);
}

static void test_loop_refuses_bad_calls_before_anything_is_sent(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_false(ocdmux_begin_text(rig->connection, "m", "[1]", NULL, NULL, &error));
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_INVALID_PARAMS));
    ocdmux_error_fini(&error);
    assert_int_equal(ocdmux_events(rig->connection), POLLIN);
    assert_works(rig, 1);
}

static bool count_event(void *arg, const struct ocdmux_notification *notification)
{
    assert_string_equal(notification->method, "event");
    (*(unsigned *)arg)++;
    return true;
}

static void test_loop_hands_on_events(void **state)
{
    struct rig *rig = *state;
    unsigned events = 0;
    ocdmux_set_event_handler(rig->connection, count_event, &events);
    write_all(rig->server, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":1}}\n"
                           "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":2}}\n");
    process(rig);
    assert_int_equal(events, 2);
    assert_works(rig, 1);
}

/* Nobody is told of what was given up by the one who closes. */
static void test_loop_close_forgets_calls_in_flight(void **state)
{
    struct rig *rig = *state;
    struct end end = {.count = 0};
    (void)begin(rig, &end, no_options);
    process(rig);
    ocdmux_close(rig->connection);
    rig->connection = NULL;
    assert_int_equal(end.count, 0);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_loop_ends_each_call_once_in_the_order_of_answers),
        LOOP_TEST(test_loop_says_what_it_waits_for),
        LOOP_TEST(test_loop_ends_a_call_whose_time_is_over),
        LOOP_TEST(test_loop_prefers_an_answer_to_a_deadline),
        LOOP_TEST(test_loop_cancel_waits_for_the_answer),
        LOOP_TEST(test_loop_cancels_where_a_handler_wants_it),
        LOOP_TEST(test_loop_handlers_may_begin_calls),
        LOOP_TEST(test_loop_cancel_of_what_has_just_ended_does_nothing),
        LOOP_TEST(test_loop_handlers_may_not_block),
        LOOP_TEST(test_loop_keeps_what_ends_during_a_blocking_call),
        LOOP_TEST(test_loop_tells_every_call_of_a_lost_connection),
        LOOP_TEST(test_loop_sends_to_a_closed_connection_without_a_signal),
        LOOP_TEST(test_loop_ends_where_the_server_speaks_something_else),
        LOOP_TEST(test_loop_refuses_bad_calls_before_anything_is_sent),
        LOOP_TEST(test_loop_hands_on_events),
        LOOP_TEST(test_loop_close_forgets_calls_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
