/* board/pace: how much one envelope may hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/pace.h"

static void test_pace_is_careful_at_first(void **state)
{
    struct pace pace = {0};
    (void)state;
    assert_in_range(pace_room(&pace), 2, 100);
}

static void test_pace_fills_the_time_of_a_piece(void **state)
{
    struct pace pace = {0};
    (void)state;
    for (int i = 0; i < 50; i++) {
        pace_learn(&pace, 10, 1000); /* 100 us a word */
    }
    assert_in_range(pace_room(&pace), PACE_ENVELOPE_US / 100 - 5, PACE_ENVELOPE_US / 100);
}

/* Slower sooner than faster. */
static void test_pace_believes_trouble_first(void **state)
{
    struct pace pace = {0};
    int envelopes = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        pace_learn(&pace, 1, 100);
    }
    uint64_t fast = pace_room(&pace);
    for (; pace_room(&pace) > PACE_ENVELOPE_US / 10000; envelopes++) {
        pace_learn(&pace, 1, 10000);
    }
    assert_in_range(envelopes, 2, 8);
    for (envelopes = 0; pace_room(&pace) < fast * 9 / 10; envelopes++) {
        pace_learn(&pace, 1, 100);
    }
    assert_in_range(envelopes, 9, 40);
}

/* One command is always sent; one that hung halves the room and no more, and many that hang leave some. */
static void test_pace_keeps_room_for_one_and_recovers(void **state)
{
    static const uint64_t hung[] = {60000000, UINT64_MAX / 2, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof hung / sizeof hung[0]; i++) {
        struct pace pace = {0};
        uint64_t room = pace_room(&pace);
        pace_learn(&pace, 1, hung[i]);
        assert_int_equal(pace_room(&pace), room / 2);
        for (int k = 0; k < 100; k++) {
            pace_learn(&pace, 1, hung[i]);
        }
        assert_int_equal(pace_room(&pace), 1);
        for (int k = 0; k < 40; k++) {
            pace_learn(&pace, 1, 100);
        }
        assert_true(pace_room(&pace) > 100);
    }
}

/* Nothing that is too fast to be measured divides by nothing. */
static void test_pace_of_no_time_is_finite(void **state)
{
    struct pace pace = {0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        pace_learn(&pace, 1000, 0);
    }
    assert_true(pace_room(&pace) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace_is_careful_at_first),
        cmocka_unit_test(test_pace_fills_the_time_of_a_piece),
        cmocka_unit_test(test_pace_believes_trouble_first),
        cmocka_unit_test(test_pace_keeps_room_for_one_and_recovers),
        cmocka_unit_test(test_pace_of_no_time_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
