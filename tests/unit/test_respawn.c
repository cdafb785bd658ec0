/* board/respawn: when a process is started, given up and started again, on a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/respawn.h"

#define MS 1000ull

static uint64_t now_us;
static struct respawn respawn;

static void begin(bool prepares)
{
    struct respawn_limits limits = {
        .first_ms = 500, .most_ms = 30000, .good_ms = 10000, .start_ms = 5000, .prepares = prepares};
    now_us = 77 * MS;
    respawn_init(&respawn, &limits, now_us);
}

static int set_up(void **state)
{
    (void)state;
    begin(false);
    return 0;
}

static void advance(uint64_t ms)
{
    now_us += ms * MS;
}

static void start(void)
{
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_START);
    assert_int_equal(respawn.state, RESPAWN_STARTING);
}

/* The pause until the next start, which is then due and not before. */
static uint64_t pause_ms(void)
{
    assert_int_equal(respawn.state, RESPAWN_WAITING);
    uint64_t pause_us = respawn.due_us - now_us;
    now_us = respawn.due_us - 1;
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
    now_us++;
    return pause_us / MS;
}

static void test_respawn_starts_at_once(void **state)
{
    (void)state;
    assert_int_equal(respawn.state, RESPAWN_WAITING);
    start();
    assert_int_equal(respawn.starts, 1);
    respawn_up(&respawn, now_us);
    assert_int_equal(respawn.state, RESPAWN_RUNNING);
    assert_int_equal(respawn.due_us, 0);
    advance(1000000);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
}

static void test_respawn_pauses_double_up_to_the_most(void **state)
{
    static const uint64_t pauses[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    (void)state;
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        start();
        respawn_ended(&respawn, now_us);
        assert_int_equal(pause_ms(), pauses[i]);
    }
    for (int i = 0; i < 100; i++) {
        start();
        respawn_ended(&respawn, now_us);
        assert_int_equal(pause_ms(), 30000);
    }
    assert_int_equal(respawn.starts, 108);
}

static void test_respawn_pauses_are_short_again_behind_a_good_run(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        start();
        respawn_ended(&respawn, now_us);
        (void)pause_ms();
    }
    start();
    respawn_up(&respawn, now_us);
    advance(9999);
    respawn_ended(&respawn, now_us);
    assert_int_equal(pause_ms(), 8000);
    start();
    advance(4000); /* getting ready does not count */
    respawn_up(&respawn, now_us);
    advance(10000);
    respawn_ended(&respawn, now_us);
    assert_int_equal(pause_ms(), 500);
}

static void test_respawn_ends_what_does_not_get_ready(void **state)
{
    (void)state;
    start();
    advance(4999);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
    advance(1);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_END);
    assert_int_equal(respawn.state, RESPAWN_ENDING);
    advance(100000);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
    respawn_up(&respawn, now_us); /* too late */
    assert_int_equal(respawn.state, RESPAWN_ENDING);
    respawn_ended(&respawn, now_us);
    assert_int_equal(pause_ms(), 500);
}

static void test_respawn_ends_what_stays_lost(void **state)
{
    (void)state;
    start();
    respawn_up(&respawn, now_us);
    respawn_lost(&respawn, now_us);
    advance(3000);
    respawn_lost(&respawn, now_us); /* again: counts from the first */
    respawn_up(&respawn, now_us);
    advance(3000);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
    respawn_lost(&respawn, now_us);
    advance(3000);
    respawn_lost(&respawn, now_us);
    advance(2000);
    assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_END);
    assert_int_equal(respawn.state, RESPAWN_ENDING);
}

static void test_respawn_fails_once(void **state)
{
    (void)state;
    assert_int_equal(respawn_fail(&respawn), RESPAWN_NOTHING);
    start();
    respawn_up(&respawn, now_us);
    assert_int_equal(respawn_fail(&respawn), RESPAWN_END);
    assert_int_equal(respawn_fail(&respawn), RESPAWN_NOTHING);
    respawn_ended(&respawn, now_us);
    assert_int_equal(respawn_fail(&respawn), RESPAWN_NOTHING);
    assert_int_equal(respawn.state, RESPAWN_WAITING);
}

static void test_respawn_prepares_before_each_start(void **state)
{
    (void)state;
    begin(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_PREPARE);
        assert_int_equal(respawn.state, RESPAWN_PREPARING);
        advance(1000000);
        assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
        assert_int_equal(respawn_prepared(&respawn, now_us), RESPAWN_START);
        assert_int_equal(respawn_prepared(&respawn, now_us), RESPAWN_NOTHING);
        advance(4000);
        assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
        respawn_ended(&respawn, now_us);
        (void)pause_ms();
    }
}

static void test_respawn_stops_for_good_from_everywhere(void **state)
{
    (void)state;
    for (int at = 0; at < 6; at++) {
        begin(true);
        if (at >= 1) {
            assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_PREPARE);
        }
        if (at >= 2) {
            assert_int_equal(respawn_prepared(&respawn, now_us), RESPAWN_START);
        }
        if (at >= 3) {
            respawn_up(&respawn, now_us);
        }
        if (at >= 4) {
            assert_int_equal(respawn_fail(&respawn), RESPAWN_END);
        }
        if (at >= 5) {
            respawn_ended(&respawn, now_us);
        }
        bool runs = at >= 1 && at <= 4;
        assert_int_equal(respawn_stop(&respawn), runs ? RESPAWN_END : RESPAWN_NOTHING);
        if (runs) {
            assert_int_equal(respawn.state, RESPAWN_STOPPING);
            assert_int_equal(respawn_prepared(&respawn, now_us), RESPAWN_NOTHING);
            respawn_up(&respawn, now_us);
            respawn_lost(&respawn, now_us);
            assert_int_equal(respawn.state, RESPAWN_STOPPING);
            respawn_ended(&respawn, now_us);
        }
        advance(1000000);
        assert_int_equal(respawn_due(&respawn, now_us), RESPAWN_NOTHING);
        assert_int_equal(respawn.state, RESPAWN_STOPPED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_respawn_starts_at_once, set_up),
        cmocka_unit_test_setup(test_respawn_pauses_double_up_to_the_most, set_up),
        cmocka_unit_test_setup(test_respawn_pauses_are_short_again_behind_a_good_run, set_up),
        cmocka_unit_test_setup(test_respawn_ends_what_does_not_get_ready, set_up),
        cmocka_unit_test_setup(test_respawn_ends_what_stays_lost, set_up),
        cmocka_unit_test_setup(test_respawn_fails_once, set_up),
        cmocka_unit_test_setup(test_respawn_prepares_before_each_start, set_up),
        cmocka_unit_test_setup(test_respawn_stops_for_good_from_everywhere, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
