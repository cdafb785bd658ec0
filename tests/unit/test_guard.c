/* server/guard: how long wrong tokens wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/guard.h"

static struct guard guard;

static int setup(void **state)
{
    (void)state;
    guard_init(&guard);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guard_fini(&guard);
    return 0;
}

static void test_guard_delays_double_up_to_a_bound(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_int_equal(guard_note_failure(&guard, "192.0.2.1", 1000 + i), wanted[i]);
    }
    assert_int_equal(guard_delay_ms(UINT64_MAX), GUARD_MAX_DELAY_MS);
}

static void test_guard_knows_addresses_apart(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        guard_note_failure(&guard, "192.0.2.1", 1000);
    }
    assert_int_equal(guard_note_failure(&guard, "192.0.2.2", 1000), GUARD_FIRST_DELAY_MS);
    assert_int_equal(guard_note_failure(&guard, "192.0.2.1", 1000), GUARD_MAX_DELAY_MS);
}

static void test_guard_forgets_in_time(void **state)
{
    (void)state;
    guard_note_failure(&guard, "a", 1000);
    guard_note_failure(&guard, "b", 2000);
    assert_int_equal(guard.count, 2);
    assert_int_equal(guard_note_failure(&guard, "b", 1000 + GUARD_FORGET_US), 200);
    assert_int_equal(guard_note_failure(&guard, "a", 1001 + GUARD_FORGET_US), 100);
    assert_int_equal(guard.count, 2);
}

static void test_guard_remembers_so_many(void **state)
{
    (void)state;
    char address[GUARD_ADDRESS_SIZE];
    for (unsigned i = 0; i < GUARD_MAX_ADDRESSES + 10; i++) {
        snprintf(address, sizeof address, "host %u", i);
        assert_int_equal(guard_note_failure(&guard, address, 1000), 100);
        /* One that goes on stays, however many come. */
        guard_note_failure(&guard, "host 0", 1000);
    }
    assert_int_equal(guard.count, GUARD_MAX_ADDRESSES);
    assert_int_equal(guard_note_failure(&guard, "host 0", 1000), GUARD_MAX_DELAY_MS);
    assert_int_equal(guard_note_failure(&guard, "host 1", 1000), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_guard_delays_double_up_to_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard_knows_addresses_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard_forgets_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guard_remembers_so_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
