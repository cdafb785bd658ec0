/* board/flight: what travels together, and who rides on whose command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/flight.h"
#include "board/sched.h"

#define OPS 8
#define ROOM 1000u

struct fixture {
    struct flight flight;
    struct sched sched;
    struct sched_identity identity;
    struct sched_queue queues[OPS]; /* one for each operation, unless the test moves it */
    struct op ops[OPS];
};

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    flight_init(&fixture->flight);
    sched_init(&fixture->sched);
    sched_identity_init(&fixture->identity);
    for (size_t i = 0; i < OPS; i++) {
        list_init(&fixture->ops[i].queue_node);
        list_init(&fixture->ops[i].flight_node);
        sched_queue_init(&fixture->queues[i], &fixture->sched, &fixture->identity);
        sched_add(&fixture->queues[i], &fixture->ops[i]);
    }
}

static struct op_command command_of(const char *script, uint32_t words)
{
    struct op_command command = {
        .script = STRBUF_INIT, .words = words, .repeatable = true, .shareable = true};
    strbuf_append_text(&command.script, script);
    return command;
}

static struct op_command change_of(const char *script, bool ends)
{
    struct op_command command = {.script = STRBUF_INIT, .words = 2, .changes = true, .ends = ends};
    strbuf_append_text(&command.script, script);
    return command;
}

/* Adds a command if it fits. */
static bool add(struct fixture *fixture, size_t op, struct op_command command)
{
    bool fits = flight_takes(&fixture->flight, &command, ROOM);
    if (fits) {
        flight_add(&fixture->flight, &fixture->ops[op], &command, 0);
    }
    strbuf_fini(&command.script);
    return fits;
}

/* The slot that the operation rides on; -1 if there is none. */
static int ride(struct fixture *fixture, size_t op, struct op_command command)
{
    size_t slot = 77;
    bool found = flight_find(&fixture->flight, &fixture->ops[op], &command, &slot);
    if (found) {
        flight_ride(&fixture->flight, &fixture->ops[op], &command, slot);
    }
    strbuf_fini(&command.script);
    return found ? (int)slot : -1;
}

static void test_flight_takes_short_commands_together(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_true(add(&fixture, 1, command_of("b", 2)));
    assert_false(add(&fixture, 2, command_of("long", 0)));
    assert_true(add(&fixture, 2, command_of("c", 2)));
    assert_int_equal(fixture.flight.count, 3);
    assert_ptr_equal(flight_first(&fixture.flight), &fixture.ops[0]);
    flight_clear(&fixture.flight);
    assert_true(flight_is_empty(&fixture.flight));
    assert_false(fixture.ops[0].in_flight);
}

static void test_flight_long_command_travels_alone(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("long", 0)));
    assert_false(add(&fixture, 1, command_of("a", 2)));
    flight_clear(&fixture.flight);
}

static void test_flight_keeps_to_its_room_and_number(void **state)
{
    struct flight flight;
    struct op ops[BUNDLE_MOST + 1];
    (void)state;
    flight_init(&flight);
    memset(ops, 0, sizeof ops);
    for (size_t i = 0; i <= BUNDLE_MOST; i++) {
        struct op_command command = {.script = STRBUF_INIT, .words = 2};
        list_init(&ops[i].flight_node);
        assert_int_equal(flight_takes(&flight, &command, 2 * i + 1), i == 0);
        assert_int_equal(flight_takes(&flight, &command, 2 * i + 2), i < BUNDLE_MOST);
        if (i < BUNDLE_MOST) {
            flight_add(&flight, &ops[i], &command, 0);
        }
    }
    flight_clear(&flight);
}

/* A change whose operation may need a second command keeps the others out: one changes the board at a time.
 */
static void test_flight_takes_changes_that_end_with_their_answer(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_false(add(&fixture, 1, change_of("w", false)));
    assert_false(flight_changes(&fixture.flight));
    assert_true(add(&fixture, 1, change_of("w", true)));
    assert_true(flight_changes(&fixture.flight));
    assert_true(add(&fixture, 2, change_of("v", true)));
    flight_drop(&fixture.ops[1]);
    flight_drop(&fixture.ops[2]);
    assert_false(flight_changes(&fixture.flight)); /* nobody waits for them any more */
    flight_clear(&fixture.flight);
}

static void test_flight_same_reads_ride_on_one(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_true(add(&fixture, 1, command_of("b", 2)));
    assert_int_equal(ride(&fixture, 2, command_of("b", 2)), 1);
    assert_int_equal(ride(&fixture, 3, command_of("c", 2)), -1);
    struct op_command own = command_of("b", 2);
    own.shareable = false; /* this one is to be read for its own client */
    assert_int_equal(ride(&fixture, 3, own), -1);
    own = command_of("b", 2);
    own.file = OP_FILE_GET;
    assert_int_equal(ride(&fixture, 3, own), -1);
    own = command_of("b", 2);
    own.current_target = "other";
    assert_int_equal(ride(&fixture, 3, own), -1);
    assert_int_equal(fixture.flight.count, 2);
    assert_int_equal(fixture.flight.slots[1].riders, 2);
    flight_clear(&fixture.flight);
}

static void test_flight_read_is_not_shared_across_a_change(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_true(add(&fixture, 1, change_of("w", true)));
    assert_int_equal(ride(&fixture, 2, command_of("a", 2)), -1);
    assert_true(add(&fixture, 2, command_of("a", 2)));
    assert_int_equal(ride(&fixture, 3, command_of("a", 2)), 2);
    flight_clear(&fixture.flight);
}

/* What a connection asked for first is read first. */
static void test_flight_read_does_not_overtake_its_own_queue(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    sched_remove(&fixture.ops[2]);
    sched_add(&fixture.queues[1], &fixture.ops[2]);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_true(add(&fixture, 1, command_of("b", 2)));
    assert_int_equal(ride(&fixture, 2, command_of("a", 2)), -1);
    assert_int_equal(ride(&fixture, 3, command_of("a", 2)), 0);
    flight_clear(&fixture.flight);
}

static void test_flight_shares_its_time(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_true(add(&fixture, 0, command_of("a", 2)));
    assert_true(add(&fixture, 1, command_of("b", 6)));
    assert_int_equal(ride(&fixture, 2, command_of("b", 6)), 1);
    const struct flight_slot *a = flight_slot_of(&fixture.flight, &fixture.ops[0]);
    const struct flight_slot *b = flight_slot_of(&fixture.flight, &fixture.ops[2]);
    assert_int_equal(flight_slot_us(&fixture.flight, a, 800), 200);
    assert_int_equal(flight_slot_us(&fixture.flight, b, 800), 600);
    assert_int_equal(flight_share_us(&fixture.flight, a, 800), 200);
    assert_int_equal(flight_share_us(&fixture.flight, b, 800), 300);
    flight_drop(&fixture.ops[1]); /* it had its part all the same */
    assert_int_equal(flight_share_us(&fixture.flight, b, 800), 300);
    flight_clear(&fixture.flight);
    assert_true(add(&fixture, 0, command_of("long", 0)));
    assert_int_equal(flight_share_us(&fixture.flight, &fixture.flight.slots[0], 800), 800);
    flight_clear(&fixture.flight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flight_takes_short_commands_together),
        cmocka_unit_test(test_flight_long_command_travels_alone),
        cmocka_unit_test(test_flight_keeps_to_its_room_and_number),
        cmocka_unit_test(test_flight_takes_changes_that_end_with_their_answer),
        cmocka_unit_test(test_flight_same_reads_ride_on_one),
        cmocka_unit_test(test_flight_read_is_not_shared_across_a_change),
        cmocka_unit_test(test_flight_read_does_not_overtake_its_own_queue),
        cmocka_unit_test(test_flight_shares_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
