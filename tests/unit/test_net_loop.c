/* net/loop: timers, signals, the graveyard. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net_wait.h"

static struct loop *loop;
static struct loop_timer *timer;
static char events[32]; /* what happened, a letter each */

static void note(char letter)
{
    size_t length = strlen(events);
    assert_true(length + 1 < sizeof events);
    events[length] = letter;
    events[length + 1] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    timer = NULL;
    events[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_timer_free(timer);
    loop_free(loop);
    return 0;
}

static bool is_timer_unset(void *context)
{
    return !loop_timer_is_set(context);
}

static void fire_noting(void *context)
{
    note(*(const char *)context);
}

static void fire_stopping(void *context)
{
    note(*(const char *)context);
    loop_stop(loop);
}

static void test_net_loop_timer_fires_once_for_each_setting(void **state)
{
    (void)state;
    timer = loop_timer_new(loop, fire_noting, "t");
    assert_false(loop_timer_is_set(timer));
    for (int i = 0; i < 3; i++) {
        loop_timer_set(timer, 0);
        assert_true(loop_timer_is_set(timer));
        assert_true(net_wait_until(loop, is_timer_unset, timer));
        net_wait_idle(loop);
    }
    assert_string_equal(events, "ttt");
}

static void test_net_loop_timer_is_never_early(void **state)
{
    (void)state;
    timer = loop_timer_new(loop, fire_stopping, "t");
    for (uint64_t delay_ms = 1; delay_ms <= 10; delay_ms++) {
        uint64_t begin = clock_now_us();
        loop_timer_set(timer, delay_ms);
        loop_run(loop);
        assert_true(clock_now_us() - begin >= delay_ms * 1000);
    }
}

static void test_net_loop_timers_fire_in_order(void **state)
{
    (void)state;
    struct loop_timer *late = loop_timer_new(loop, fire_stopping, "c");
    struct loop_timer *middle = loop_timer_new(loop, fire_noting, "b");
    struct loop_timer *early = loop_timer_new(loop, fire_noting, "a");
    loop_timer_set(late, 6);
    loop_timer_set(middle, 3);
    loop_timer_set(early, 0);
    loop_run(loop);
    assert_string_equal(events, "abc");
    loop_timer_free(late);
    loop_timer_free(middle);
    loop_timer_free(early);
}

static void test_net_loop_timer_setting_replaces_and_cancel_drops(void **state)
{
    (void)state;
    timer = loop_timer_new(loop, fire_noting, "t");
    loop_timer_set(timer, 1);
    loop_timer_set(timer, UINT64_MAX);
    net_wait_idle(loop);
    assert_true(loop_timer_is_set(timer));
    loop_timer_set(timer, 0);
    loop_timer_cancel(timer);
    assert_false(loop_timer_is_set(timer));
    loop_timer_cancel(timer);
    net_wait_idle(loop);
    assert_string_equal(events, "");
    loop_timer_set(timer, 0);
    assert_true(net_wait_until(loop, is_timer_unset, timer));
    assert_string_equal(events, "t");
}

static void fire_cancelling_the_other(void *context)
{
    struct loop_timer **other = context;
    note('x');
    loop_timer_cancel(*other);
}

static void test_net_loop_timer_that_is_due_can_be_cancelled(void **state)
{
    (void)state;
    struct loop_timer *victim = NULL;
    timer = loop_timer_new(loop, fire_cancelling_the_other, &victim);
    victim = loop_timer_new(loop, fire_noting, "v");
    loop_timer_set(timer, 0);
    loop_timer_set(victim, 0);
    net_wait_idle(loop);
    assert_string_equal(events, "x");
    loop_timer_free(victim);
}

static void fire_postponing_the_other(void *context)
{
    struct loop_timer **other = context;
    note('x');
    loop_timer_set(*other, 60000);
}

static void test_net_loop_timer_that_is_due_can_be_set_anew(void **state)
{
    (void)state;
    struct loop_timer *victim = NULL;
    timer = loop_timer_new(loop, fire_postponing_the_other, &victim);
    victim = loop_timer_new(loop, fire_noting, "v");
    loop_timer_set(timer, 0);
    loop_timer_set(victim, 0);
    net_wait_idle(loop);
    assert_string_equal(events, "x");
    assert_true(loop_timer_is_set(victim));
    loop_timer_free(victim);
}

static void fire_again(void *context)
{
    (void)context;
    assert_false(loop_timer_is_set(timer));
    note('t');
    if (strlen(events) < 3) {
        loop_timer_set(timer, 0);
    }
}

static void fire_freeing_itself(void *context)
{
    note('f');
    loop_timer_free(timer);
    timer = NULL;
    (void)context;
}

static void test_net_loop_timer_may_set_and_free_itself(void **state)
{
    (void)state;
    timer = loop_timer_new(loop, fire_again, NULL);
    loop_timer_set(timer, 0);
    net_wait_idle(loop);
    assert_string_equal(events, "ttt");
    loop_timer_free(timer);
    timer = loop_timer_new(loop, fire_freeing_itself, NULL);
    loop_timer_set(timer, 0);
    net_wait_idle(loop);
    assert_string_equal(events, "tttf");
    assert_null(timer);
}

static void test_net_loop_stop_before_run_counts(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_run(loop);
    /* And only once. */
    timer = loop_timer_new(loop, fire_stopping, "t");
    loop_timer_set(timer, 0);
    loop_run(loop);
    assert_string_equal(events, "t");
}

static void free_noting(void *object)
{
    note(*(char *)object);
    free(object);
}

static void *new_letter(char letter)
{
    char *object = malloc(1);
    assert_non_null(object);
    *object = letter;
    return object;
}

static void fire_burying(void *context)
{
    (void)context;
    loop_bury(loop, new_letter('1'), free_noting);
    loop_bury(loop, new_letter('2'), free_noting);
    note('r'); /* nothing was freed under this callback */
}

static void test_net_loop_buries_after_the_callback(void **state)
{
    (void)state;
    timer = loop_timer_new(loop, fire_burying, NULL);
    loop_timer_set(timer, 0);
    net_wait_idle(loop);
    assert_string_equal(events, "r12");
}

static void free_burying_another(void *object)
{
    free_noting(object);
    loop_bury(loop, new_letter('b'), free_noting);
    note('-');
}

static void test_net_loop_funerals_may_bury(void **state)
{
    (void)state;
    loop_bury(loop, new_letter('a'), free_burying_another);
    assert_string_equal(events, "");
    net_wait_idle(loop);
    assert_string_equal(events, "a-b");
}

static void test_net_loop_free_empties_the_graveyard(void **state)
{
    (void)state;
    struct loop *outer = loop;
    loop = loop_new();
    loop_bury(loop, new_letter('a'), free_burying_another);
    loop_free(loop);
    loop = outer;
    assert_string_equal(events, "a-b");
    loop_free(NULL);
}

static bool is_something_noted(void *context)
{
    (void)context;
    return events[0] != '\0';
}

static void test_net_loop_hears_signals(void **state)
{
    (void)state;
    struct loop_signal *caught = loop_signal_new(loop, SIGUSR1, fire_noting, "s");
    for (int i = 0; i < 2; i++) {
        events[0] = '\0';
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_true(net_wait_until(loop, is_something_noted, NULL));
        assert_string_equal(events, "s");
    }
    loop_signal_free(caught);
    loop_signal_free(NULL);
}

static void fire_freeing_the_signal(void *context)
{
    struct loop_signal **caught = context;
    note('s');
    loop_signal_free(*caught);
    *caught = NULL;
}

static void test_net_loop_signal_may_free_itself(void **state)
{
    (void)state;
    struct loop_signal *caught = NULL;
    caught = loop_signal_new(loop, SIGUSR1, fire_freeing_the_signal, &caught);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_true(net_wait_until(loop, is_something_noted, NULL));
    assert_null(caught);
}

static void test_net_loop_ignores_sigpipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_net_loop_timer_fires_once_for_each_setting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timer_is_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timers_fire_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timer_setting_replaces_and_cancel_drops, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timer_that_is_due_can_be_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timer_that_is_due_can_be_set_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_timer_may_set_and_free_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_stop_before_run_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_buries_after_the_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_funerals_may_bury, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_free_empties_the_graveyard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_hears_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_signal_may_free_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_loop_ignores_sigpipe, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
