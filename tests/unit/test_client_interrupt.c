/* Interrupts of the blocking client: none is lost, however close to an answer it comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_rig.h"

#define PROGRESS                                                                                   \
    "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"token\":1,\"operation\":\"op-1\"," \
    "\"phase\":\"read\",\"done\":1,\"unit\":\"bytes\"}}\n"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* From here on both an interrupt and the answer wait for the client. */
static bool interrupt_and_answer(void *arg, const struct ocdmux_notification *notification)
{
    const struct rig *rig = arg;
    assert_string_equal(notification->method, "progress");
    write_all(rig->interrupts[1], "!");
    write_all(rig->server, ANSWER);
    return true;
}

static void test_client_keeps_an_interrupt_that_comes_with_the_answer(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_call_options options = {.progress = true, .notify = interrupt_and_answer, .arg = rig};
    write_all(rig->server, PROGRESS);
    assert_true(ocdmux_call(rig->connection, "memory.search", NULL, &options, &result, &error));
    ocdmux_result_fini(&result);
    struct ocdmux_call_options limited = {.timeout_ms = 5000};
    assert_false(ocdmux_call(rig->connection, "memory.search", NULL, &limited, &result, &error));
    assert_true(error.local);
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_CANCELLED));
    assert_string_equal(error.message, "interrupted before the request was sent");
    ocdmux_error_fini(&error);
}

static void test_client_ends_a_wait_by_an_interrupt_that_came_with_the_answer(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_call_options options = {.progress = true, .notify = interrupt_and_answer, .arg = rig};
    write_all(rig->server, PROGRESS);
    assert_true(ocdmux_call(rig->connection, "events.subscribe", NULL, &options, &result, &error));
    ocdmux_result_fini(&result);
    /* Were it not over at once, the end of the connection would be an error. */
    assert_int_equal(shutdown(rig->server, SHUT_RDWR), 0);
    assert_true(ocdmux_wait(rig->connection, 0, &error));
}

static void test_client_forgets_an_interrupt_that_it_has_told(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    write_all(rig->interrupts[1], "!");
    assert_false(ocdmux_call(rig->connection, "memory.search", NULL, NULL, &result, &error));
    assert_true(ocdmux_error_is(&error, OCDMUX_KIND_CANCELLED));
    ocdmux_error_fini(&error);
    write_all(rig->server, ANSWER);
    assert_true(ocdmux_call(rig->connection, "memory.search", NULL, NULL, &result, &error));
    ocdmux_result_fini(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_client_keeps_an_interrupt_that_comes_with_the_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_client_ends_a_wait_by_an_interrupt_that_came_with_the_answer,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_forgets_an_interrupt_that_it_has_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
