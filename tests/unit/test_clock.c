/* base/clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_clock_never_falls(void **state)
{
    (void)state;
    uint64_t last = clock_now_us();
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_us();
        assert_true(now >= last);
        last = now;
    }
}

static void test_clock_can_be_faked(void **state)
{
    (void)state;
    uint64_t real = clock_now_us();
    clock_fake(123);
    assert_int_equal(clock_now_us(), 123);
    clock_fake(122);
    assert_int_equal(clock_now_us(), 122);
    clock_fake(0);
    assert_true(clock_now_us() >= real);
}

/* "2026-01-31T12:34:56.789Z", and the time between two readings of the wall clock. */
static void test_clock_wall_text_is_rfc3339_in_utc(void **state)
{
    (void)state;
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    char text[CLOCK_TEXT_SIZE];
    time_t before = time(NULL);
    clock_wall_text(text);
    time_t after = time(NULL);
    assert_int_equal(strlen(text), strlen(form));
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd') {
            assert_true(text[i] >= '0' && text[i] <= '9');
        } else {
            assert_int_equal(text[i], form[i]);
        }
    }
    struct tm parts;
    memset(&parts, 0, sizeof parts);
    assert_string_equal(strptime(text, "%Y-%m-%dT%H:%M:%S", &parts), text + 19);
    time_t written = timegm(&parts);
    /* time() reads a clock that may lag by a tick. */
    assert_true(written >= before - 1 && written <= after + 1);
}

static time_t parse_wall(const char *text)
{
    struct tm parts;
    memset(&parts, 0, sizeof parts);
    assert_string_equal(strptime(text, "%Y-%m-%dT%H:%M:%S", &parts), text + 19);
    return timegm(&parts);
}

static void test_clock_wall_text_of_later(void **state)
{
    static const uint64_t seconds[] = {0, 1, 3600, 86400ull * 400};
    char now[CLOCK_TEXT_SIZE];
    char later[CLOCK_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        clock_wall_text(now);
        clock_wall_text_in(later, seconds[i] * 1000000u);
        double apart = difftime(parse_wall(later), parse_wall(now)) - (double)seconds[i];
        assert_true(apart >= 0 && apart <= 10);
        assert_int_equal(strlen(later), 24);
    }
    /* Parts of a second carry over. */
    clock_wall_text_in(later, 999999);
    clock_wall_text(now);
    assert_true(difftime(parse_wall(later), parse_wall(now)) <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_never_falls),
        cmocka_unit_test(test_clock_can_be_faked),
        cmocka_unit_test(test_clock_wall_text_is_rfc3339_in_utc),
        cmocka_unit_test(test_clock_wall_text_of_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
