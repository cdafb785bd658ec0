/* server/places: how many clients the descriptors carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "server/gdb.h"
#include "server/http.h"
#include "server/places.h"

static unsigned warnings;

static int setup(void **state)
{
    struct config *config = xcalloc(1, sizeof *config);
    config_init(config);
    config->board_count = 1;
    config->listener_count = 1;
    config->limits.max_clients = 1000;
    *state = config;
    return 0;
}

static int teardown(void **state)
{
    struct config *config = *state;
    config_fini(config);
    free(config);
    return 0;
}

static void test_places_are_what_is_configured(void **state)
{
    struct config *config = *state;
    uint64_t enough = 1000 + places_reserved(config);
    assert_int_equal(places_for(config, enough), 1000);
    assert_int_equal(places_for(config, UINT64_MAX), 1000);
    config->limits.max_clients = 1;
    assert_int_equal(places_for(config, enough), 1);
}

static void test_places_are_what_descriptors_carry(void **state)
{
    struct config *config = *state;
    uint64_t reserved = places_reserved(config);
    assert_int_equal(places_for(config, 999 + reserved), 999);
    assert_int_equal(places_for(config, 2 + reserved), 2);
}

static void test_places_are_never_none(void **state)
{
    struct config *config = *state;
    for (uint64_t descriptors = 0; descriptors <= places_reserved(config) + 1; descriptors++) {
        assert_int_equal(places_for(config, descriptors), 1);
    }
}

static void test_places_leave_room_for_the_daemon(void **state)
{
    struct config *config = *state;
    uint64_t least = places_reserved(config);
    assert_true(least >= 16);
    config->listener_count = 3;
    assert_int_equal(places_reserved(config), least + 2);
    config->metrics_given = true;
    assert_int_equal(places_reserved(config), least + 2 + 1 + HTTP_MAX_CONNECTIONS);
    config->boards[0].gdb.listens = true;
    uint64_t with_gdb = least + 2 + 1 + HTTP_MAX_CONNECTIONS + 1 + 2 * GDB_MOST_SESSIONS;
    assert_int_equal(places_reserved(config), with_gdb);
    config->board_count = 2;
    assert_true(places_reserved(config) > with_gdb);
}

static void count_warnings(void *context, enum log_level level, const char *time, const char *text)
{
    (void)context;
    (void)time;
    (void)text;
    warnings += level == LOG_LEVEL_WARN;
}

static void test_places_that_are_fewer_are_said(void **state)
{
    struct config *config = *state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = places_reserved(config) + 7, .rlim_max = before.rlim_max};
    assert_true(low.rlim_cur < before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    log_set_sink(count_warnings, NULL);
    warnings = 0;
    assert_int_equal(places_now(config), 7);
    assert_int_equal(warnings, 1);
    config->limits.max_clients = 7;
    assert_int_equal(places_now(config), 7);
    assert_int_equal(warnings, 1);
    log_set_sink(NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places_are_what_is_configured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places_are_what_descriptors_carry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places_are_never_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places_leave_room_for_the_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places_that_are_fewer_are_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
