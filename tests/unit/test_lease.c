/* board/lease: what the owner is told and when, expected waits, and its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "board/lease_file.h"

#define SECOND 1000000ull
#define ID_A "0123456789abcdef0123456789abcdef"
#define ID_B "fedcba9876543210fedcba9876543210"

struct fixture {
    struct lease lease;
    struct lease_waiter a; /* of connection `here` */
    struct lease_waiter b; /* of connection `there` */
    enum lease_event events[32];
    size_t count;
    enum lease_verdict answer;
    bool answered;
    char here;
    char there;
    uint64_t number;
};

static void on_changed(void *context, enum lease_event event, struct lease_holder *holder,
                       const struct lease_waiter *waiter)
{
    struct fixture *fixture = context;
    assert_true((holder != NULL) != (waiter != NULL));
    assert_true(fixture->count < 32);
    fixture->events[fixture->count++] = event;
}

static const struct lease_owner owner = {.changed = on_changed};

static void on_answered(struct lease_waiter *waiter, enum lease_verdict verdict)
{
    struct fixture *fixture = waiter->user;
    assert_false(fixture->answered);
    fixture->answered = true;
    fixture->answer = verdict;
}

static void fill(struct fixture *fixture, struct lease_waiter *waiter, const char *id, const void *connection)
{
    memset(waiter, 0, sizeof *waiter);
    waiter->answered = on_answered;
    waiter->user = fixture;
    waiter->terms.connection = connection;
    waiter->terms.ttl_ms = 60000;
    snprintf(waiter->terms.identity, sizeof waiter->terms.identity, "somebody");
    snprintf(waiter->id, sizeof waiter->id, "%s", id);
}

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    lease_init(&fixture->lease, &owner, fixture, 10000, false);
    fill(fixture, &fixture->a, ID_A, &fixture->here);
    fill(fixture, &fixture->b, ID_B, &fixture->there);
    *state = fixture;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    lease_fini(&fixture->lease);
    free(fixture);
    return 0;
}

static void must_have_told(struct fixture *fixture, size_t count, const enum lease_event *events)
{
    assert_int_equal(fixture->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->events[i], events[i]);
    }
    fixture->count = 0;
}

#define MUST_HAVE_TOLD(fixture, ...)                                                              \
    must_have_told(fixture, sizeof((enum lease_event[]){__VA_ARGS__}) / sizeof(enum lease_event), \
                   (const enum lease_event[]){__VA_ARGS__})

static void test_lease_expires_to_the_microsecond(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_next_us(lease), 0);
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    assert_false(fixture->answered);
    assert_int_equal(lease_next_us(lease), 61 * SECOND);
    assert_int_equal(lease_acquire(lease, &fixture->b, 0, 61 * SECOND - 1), LEASE_BUSY);
    assert_int_equal(lease_remaining_us(lease, 61 * SECOND - 1), 1);
    lease_tick(lease, 61 * SECOND);
    assert_int_equal(lease->state, LEASE_FREE);
    MUST_HAVE_TOLD(fixture, LEASE_EVENT_GRANTED, LEASE_EVENT_EXPIRED);
}

static void test_lease_a_clock_that_falls_stands_still(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, 100 * SECOND), LEASE_OK);
    assert_int_equal(lease_renew(lease, &fixture->here, NULL, 1000, 50 * SECOND), LEASE_OK);
    assert_int_equal(lease->holder.expires_us, 101 * SECOND);
    assert_int_equal(lease_remaining_us(lease, 1), SECOND);
    lease_tick(lease, 101 * SECOND);
    assert_int_equal(lease->state, LEASE_FREE);
}

static void test_lease_expected_wait_adds_up(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    struct lease_waiter third;
    char elsewhere = 0;
    fill(fixture, &third, ID_A, &elsewhere);
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    fixture->b.terms.ttl_ms = 5000;
    assert_int_equal(lease_acquire(lease, &fixture->b, 3600000, SECOND), LEASE_WAITS);
    assert_int_equal(lease_acquire(lease, &third, 3600000, SECOND), LEASE_WAITS);
    assert_int_equal(lease_place_of(lease, &elsewhere), 2);
    assert_int_equal(lease_expected_wait_ms(lease, 1, 11 * SECOND), 50000);
    assert_int_equal(lease_expected_wait_ms(lease, 2, 11 * SECOND), 55000);
    assert_int_equal(lease_expected_wait_ms(lease, 3, 11 * SECOND), 115000);
    lease_connection_gone(lease, &fixture->here, 12 * SECOND);
    assert_int_equal(lease_expected_wait_ms(lease, 1, 13 * SECOND), 9000); /* the grace */
    lease_leave(lease, &third, 13 * SECOND);
    lease_connection_gone(lease, &fixture->there, 13 * SECOND);
    assert_int_equal(fixture->answer, LEASE_GONE);
}

static void test_lease_wait_is_over_to_the_microsecond(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    assert_int_equal(lease_acquire(lease, &fixture->b, 2000, SECOND), LEASE_WAITS);
    assert_int_equal(lease_next_us(lease), 3 * SECOND);
    lease_tick(lease, 3 * SECOND - 1);
    assert_false(fixture->answered);
    lease_tick(lease, 3 * SECOND);
    assert_true(fixture->answered);
    assert_int_equal(fixture->answer, LEASE_BUSY);
    MUST_HAVE_TOLD(fixture, LEASE_EVENT_GRANTED, LEASE_EVENT_QUEUED, LEASE_EVENT_LEFT);
}

/* Where lease and wait end in one moment the wait was not for nothing. */
static void test_lease_grant_goes_before_the_end_of_the_wait(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    assert_int_equal(lease_acquire(lease, &fixture->b, 60000, SECOND), LEASE_WAITS);
    lease_tick(lease, 61 * SECOND);
    assert_int_equal(fixture->answer, LEASE_OK);
    assert_true(lease_is_held_by(lease, &fixture->there, NULL));
}

static void test_lease_running_change_keeps_it(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    struct lease_change change = {.connection = &fixture->here};
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    assert_int_equal(lease_admit(lease, &fixture->here, NULL, true, 2 * SECOND, &change.number), LEASE_OK);
    lease_change_accept(lease, &change);
    assert_false(lease_is_held_up(lease));
    lease_tick(lease, 100 * SECOND);
    assert_int_equal(lease->state, LEASE_OVERDUE);
    assert_true(lease_is_held_up(lease));
    assert_int_equal(lease_remaining_us(lease, 100 * SECOND), 0);
    assert_int_equal(lease_next_us(lease), 0);
    assert_true(lease_may_begin(lease, &change));
    assert_int_equal(lease_admit(lease, &fixture->here, NULL, true, 100 * SECOND, &fixture->number),
                     LEASE_OVER);
    assert_int_equal(lease_admit(lease, &fixture->there, NULL, true, 100 * SECOND, &fixture->number),
                     LEASE_BUSY);
    assert_int_equal(lease_renew(lease, &fixture->here, NULL, 0, 100 * SECOND), LEASE_OK);
    lease_tick(lease, 200 * SECOND);
    lease_change_end(lease, &change);
    assert_int_equal(lease->state, LEASE_OVERDUE);
    lease_tick(lease, 200 * SECOND);
    assert_int_equal(lease->state, LEASE_FREE);
    MUST_HAVE_TOLD(fixture, LEASE_EVENT_GRANTED, LEASE_EVENT_OVERDUE, LEASE_EVENT_RENEWED,
                   LEASE_EVENT_OVERDUE, LEASE_EVENT_EXPIRED);
}

static void test_lease_is_held_up_while_somebody_waits_for_a_change(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    struct lease_change change = {.connection = &fixture->here};
    assert_false(lease_is_held_up(lease));
    assert_int_equal(lease_admit(lease, &fixture->here, NULL, true, SECOND, &change.number), LEASE_OK);
    lease_change_accept(lease, &change);
    assert_false(lease_is_held_up(lease));
    assert_int_equal(lease_acquire(lease, &fixture->b, 60000, SECOND), LEASE_WAITS);
    assert_true(lease_is_held_up(lease));
    lease_change_end(lease, &change);
    lease_tick(lease, SECOND);
    assert_int_equal(fixture->answer, LEASE_OK);
    assert_false(lease_is_held_up(lease));
}

static void test_lease_the_next_connection_is_not_the_last(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    struct lease_change change = {.connection = &fixture->here};
    assert_int_equal(lease_admit(lease, &fixture->here, NULL, true, SECOND, &change.number), LEASE_OK);
    lease_change_accept(lease, &change);
    lease_connection_gone(lease, &fixture->here, SECOND);
    /* Another one, at the same place in memory: the change is not its own. */
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_BUSY);
    lease_change_end(lease, &change);
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
}

static void test_lease_grace_ends_when_its_id_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    lease_connection_gone(lease, &fixture->here, 2 * SECOND);
    assert_int_equal(lease_next_us(lease), 12 * SECOND);
    assert_int_equal(lease_admit(lease, &fixture->there, ID_A, false, 12 * SECOND - 1, &fixture->number),
                     LEASE_OK);
    assert_int_equal(lease_next_us(lease), 61 * SECOND);
    assert_int_equal(lease_admit(lease, &fixture->there, NULL, true, 13 * SECOND, &fixture->number),
                     LEASE_BUSY);
    assert_int_equal(lease_renew(lease, &fixture->there, ID_A, 0, 13 * SECOND), LEASE_OK);
    assert_int_equal(lease_admit(lease, &fixture->there, NULL, true, 13 * SECOND, &fixture->number),
                     LEASE_OK);
    MUST_HAVE_TOLD(fixture, LEASE_EVENT_GRANTED, LEASE_EVENT_ABSENT, LEASE_EVENT_RESUMED,
                   LEASE_EVENT_RENEWED);
}

static void test_lease_is_joined_by_its_holders_identity(void **state)
{
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_join(lease, &fixture->there, "somebody", 1, &fixture->number), LEASE_BUSY);
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, 1), LEASE_OK);
    assert_int_equal(lease_join(lease, &fixture->there, "else", 2, &fixture->number), LEASE_BUSY);
    assert_int_equal(fixture->number, 0);
    assert_int_equal(lease_join(lease, &fixture->there, "somebody", 2, &fixture->number), LEASE_OK);
    assert_int_equal(fixture->number, 1);
    /* It stays for those who have joined, and is not absent before the last has gone. */
    lease_connection_gone(lease, &fixture->here, 3);
    assert_int_equal(lease->state, LEASE_HELD);
    struct lease_change hold = {.connection = &fixture->there, .number = 1};
    lease_change_accept(lease, &hold);
    lease_tick(lease, 61 * SECOND);
    assert_int_equal(lease->state, LEASE_OVERDUE);
    assert_int_equal(lease_join(lease, &fixture->there, "somebody", 61 * SECOND, &fixture->number),
                     LEASE_OVER);
    lease_change_end(lease, &hold);
    lease_tick(lease, 61 * SECOND);
    assert_int_equal(lease->state, LEASE_FREE);
}

static void test_lease_wrong_ids(void **state)
{
    static const char *const wrong[] = {"", "0", ID_B, ID_A "0", "0123456789abcdef0123456789abcdeF"};
    struct fixture *fixture = *state;
    struct lease *lease = &fixture->lease;
    assert_int_equal(lease_renew(lease, &fixture->here, ID_A, 0, SECOND), LEASE_LOST);
    assert_int_equal(lease_acquire(lease, &fixture->a, 0, SECOND), LEASE_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(lease_admit(lease, &fixture->here, wrong[i], true, SECOND, &fixture->number),
                         LEASE_LOST);
        assert_int_equal(lease_renew(lease, &fixture->here, wrong[i], 0, SECOND), LEASE_LOST);
        assert_int_equal(lease_release(lease, &fixture->here, wrong[i], SECOND), LEASE_LOST);
    }
    assert_true(lease_is_held_by(lease, NULL, ID_A));
    assert_false(lease_is_held_by(lease, NULL, NULL));
}

/* The file. */

static struct lease_holder example(void)
{
    struct lease_holder holder = {.terms = {.identity = "ci", .ttl_ms = 60000, .detached = true}};
    snprintf(holder.terms.reason, sizeof holder.terms.reason, "\"n\\ightly\" \xc3\xa4");
    snprintf(holder.since, sizeof holder.since, "2026-01-31T12:34:56.789Z");
    lease_digest(ID_A, holder.digest);
    return holder;
}

static void test_lease_file_round_trip(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct lease_holder holder = example();
    struct lease_holder read;
    uint64_t remaining_ms = 0;
    (void)state;
    lease_file_encode(&text, &holder, 59999);
    assert_null(strstr(text.data, ID_A));
    assert_true(lease_file_decode(text.data, text.length, &read, &remaining_ms));
    assert_memory_equal(&read, &holder, sizeof read);
    assert_int_equal(remaining_ms, 59999);
    for (size_t length = 0; length + 1 < text.length; length++) {
        assert_false(lease_file_decode(text.data, length, &read, &remaining_ms));
    }
    strbuf_fini(&text);
}

static void test_lease_file_longest_texts(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct lease_holder holder = example();
    struct lease_holder read;
    uint64_t remaining_ms = 0;
    (void)state;
    memset(holder.terms.identity, '\x01', sizeof holder.terms.identity - 1);
    memset(holder.terms.client, '\x01', sizeof holder.terms.client - 1);
    memset(holder.terms.reason, '\x01', sizeof holder.terms.reason - 1);
    lease_file_encode(&text, &holder, 1);
    assert_true(text.length <= LEASE_FILE_MOST_BYTES);
    assert_true(lease_file_decode(text.data, text.length, &read, &remaining_ms));
    assert_memory_equal(&read, &holder, sizeof read);
    strbuf_fini(&text);
}

#define DIGEST "\"digest\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""
#define WHO "\"identity\":\"i\",\"client\":\"\",\"reason\":\"\""
#define SINCE "\"since\":\"2026-01-31T12:34:56.789Z\""
#define REST "\"detached\":false,\"ttl_ms\":1000,\"remaining_ms\":1000"

static void test_lease_file_refuses_what_it_did_not_write(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "{}",
        "{\"version\":2," DIGEST "," WHO "," SINCE "," REST "}",
        "{\"version\":1," DIGEST "," WHO "," SINCE "," REST ",\"more\":1}",
        "{\"version\":1,\"digest\":\"aa\"," WHO "," SINCE "," REST "}",
        "{\"version\":1," DIGEST ",\"identity\":\"\",\"client\":\"\",\"reason\":\"\"," SINCE "," REST "}",
        "{\"version\":1," DIGEST ",\"identity\":1,\"client\":\"\",\"reason\":\"\"," SINCE "," REST "}",
        "{\"version\":1," DIGEST "," WHO ",\"since\":\"2026-01-31\"," REST "}",
        "{\"version\":1," DIGEST "," WHO "," SINCE ",\"detached\":0,\"ttl_ms\":1000,\"remaining_ms\":1}",
        "{\"version\":1," DIGEST "," WHO "," SINCE ",\"detached\":true,\"ttl_ms\":999,\"remaining_ms\":1}",
        "{\"version\":1," DIGEST "," WHO "," SINCE ",\"detached\":true,\"ttl_ms\":1000,\"remaining_ms\":0}",
        "{\"version\":1," DIGEST "," WHO "," SINCE
        ",\"detached\":true,\"ttl_ms\":1000,\"remaining_ms\":1001}",
        "{\"version\":1," DIGEST "," WHO "," SINCE
        ",\"detached\":true,\"ttl_ms\":86400001,\"remaining_ms\":1}",
        "{\"version\":1," DIGEST "," WHO "," SINCE
        ",\"detached\":true,\"ttl_ms\":\"1000\",\"remaining_ms\":1}",
    };
    static const char right[] = "{\"version\":1," DIGEST "," WHO "," SINCE "," REST "}";
    struct lease_holder read;
    struct lease_holder untouched;
    uint64_t remaining_ms = 7;
    (void)state;
    memset(&read, 0x55, sizeof read);
    untouched = read;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(lease_file_decode(wrong[i], strlen(wrong[i]), &read, &remaining_ms));
        assert_memory_equal(&read, &untouched, sizeof read);
        assert_int_equal(remaining_ms, 7);
    }
    assert_true(lease_file_decode(right, strlen(right), &read, &remaining_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lease_expires_to_the_microsecond, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_a_clock_that_falls_stands_still, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_is_held_up_while_somebody_waits_for_a_change,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_expected_wait_adds_up, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_wait_is_over_to_the_microsecond, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_grant_goes_before_the_end_of_the_wait, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_running_change_keeps_it, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_the_next_connection_is_not_the_last, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_grace_ends_when_its_id_is_named, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_is_joined_by_its_holders_identity, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lease_wrong_ids, fixture_setup, fixture_teardown),
        cmocka_unit_test(test_lease_file_round_trip),
        cmocka_unit_test(test_lease_file_longest_texts),
        cmocka_unit_test(test_lease_file_refuses_what_it_did_not_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
