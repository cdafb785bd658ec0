/*
 * server/operations: the records of long operations. What cannot be seen here is that the timer itself waits
 * ten minutes: the loop has a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop_pass.h"

#include "base/alloc.h"
#include "server/operations.h"

struct fixture {
    struct loop *loop;
    struct operations operations;
    struct op op; /* only its address matters */
};

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    clock_fake(1000000);
    fixture->loop = loop_new();
    operations_init(&fixture->operations, fixture->loop);
    *state = fixture;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    operations_fini(&fixture->operations);
    loop_free(fixture->loop);
    clock_fake(0);
    free(fixture);
    return 0;
}

static struct operation *add(struct fixture *fixture)
{
    return operations_add(&fixture->operations, "lab1", "memory.dump", "alice", "tester", &fixture->op);
}

/* Ends with a result of so many bytes. */
static void end_done(struct fixture *fixture, struct operation *operation, size_t bytes)
{
    struct strbuf result = STRBUF_INIT;
    memset(strbuf_extend(&result, bytes), '1', bytes);
    operations_end(&fixture->operations, operation, OPERATION_DONE, &result, NULL);
    strbuf_fini(&result);
}

static size_t list_length(const struct list *list)
{
    size_t length = 0;
    list_for_each (node, list) {
        length++;
    }
    return length;
}

static void test_operations_add_makes_a_record_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct operation *first = add(fixture);
    struct operation *second = add(fixture);
    assert_int_equal(strlen(first->id), 16);
    assert_int_equal(strspn(first->id, "0123456789abcdef"), 16);
    assert_string_not_equal(first->id, second->id);
    assert_int_equal(first->state, OPERATION_QUEUED);
    assert_string_equal(first->board, "lab1");
    assert_string_equal(first->method, "memory.dump");
    assert_string_equal(first->client, "tester");
    assert_ptr_equal(first->op, &fixture->op);
    assert_true(list_is_empty(&first->waiters));
    assert_true(strlen(first->created) > 0);
    assert_false(loop_timer_is_set(fixture->operations.expiry));
    end_done(fixture, first, 1);
    end_done(fixture, second, 1);
}

static void test_operations_find_active_and_ended_ones(void **state)
{
    struct fixture *fixture = *state;
    struct operation *active = add(fixture);
    struct operation *ended = add(fixture);
    end_done(fixture, ended, 10);
    assert_ptr_equal(operations_find(&fixture->operations, active->id), active);
    assert_ptr_equal(operations_find(&fixture->operations, ended->id), ended);
    assert_null(operations_find(&fixture->operations, "0123456789abcdef"));
    assert_null(operations_find(&fixture->operations, ""));
    end_done(fixture, active, 1);
}

static void test_operations_end_keeps_result_and_error(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf error = STRBUF_INIT;
    struct operation *done = add(fixture);
    struct operation *failed = add(fixture);
    end_done(fixture, done, 3);
    assert_int_equal(done->state, OPERATION_DONE);
    assert_string_equal(strbuf_text(&done->result), "111");
    assert_null(done->op);
    assert_int_equal(done->expires_us, 1000000 + 600000000ull);
    assert_true(loop_timer_is_set(fixture->operations.expiry));
    strbuf_append_text(&error, "{}");
    operations_end(&fixture->operations, failed, OPERATION_FAILED, NULL, &error);
    assert_string_equal(strbuf_text(&failed->error), "{}");
    assert_int_equal(failed->result.length, 0);
    assert_int_equal(fixture->operations.result_bytes, 5);
    strbuf_fini(&error);
}

static void test_operations_are_listed_in_the_order_of_their_end(void **state)
{
    struct fixture *fixture = *state;
    struct operation *records[4];
    static const size_t order[] = {2, 0, 3, 1};
    for (size_t i = 0; i < 4; i++) {
        records[i] = add(fixture);
    }
    for (size_t i = 0; i < 4; i++) {
        end_done(fixture, records[order[i]], 1);
        assert_int_equal(list_length(&fixture->operations.ended), i + 1);
        assert_int_equal(list_length(&fixture->operations.active), 3 - i);
    }
    size_t at = 0;
    list_for_each (node, &fixture->operations.ended) {
        assert_ptr_equal(list_entry(node, struct operation, node), records[order[at++]]);
    }
}

static void test_operations_reads_go_before_changes(void **state)
{
    struct fixture *fixture = *state;
    char change[OPERATIONS_ID_SIZE];
    struct operation *operation = add(fixture);
    operation->changes = true;
    memcpy(change, operation->id, sizeof change);
    end_done(fixture, operation, 1);
    for (unsigned i = 0; i < 2 * OPERATIONS_MAX_ENDED; i++) {
        end_done(fixture, add(fixture), 1);
    }
    assert_non_null(operations_find(&fixture->operations, change));
    assert_int_equal(fixture->operations.ended_count, OPERATIONS_MAX_ENDED);
}

static void test_operations_keep_so_many_and_the_oldest_go_first(void **state)
{
    struct fixture *fixture = *state;
    char first[OPERATIONS_ID_SIZE] = "";
    char second[OPERATIONS_ID_SIZE] = "";
    for (unsigned i = 0; i < OPERATIONS_MAX_ENDED; i++) {
        struct operation *operation = add(fixture);
        if (i < 2) {
            memcpy(i == 0 ? first : second, operation->id, sizeof first);
        }
        end_done(fixture, operation, 1);
    }
    assert_non_null(operations_find(&fixture->operations, first));
    assert_int_equal(fixture->operations.ended_count, OPERATIONS_MAX_ENDED);
    end_done(fixture, add(fixture), 1);
    assert_null(operations_find(&fixture->operations, first));
    assert_non_null(operations_find(&fixture->operations, second));
    assert_int_equal(fixture->operations.ended_count, OPERATIONS_MAX_ENDED);
    assert_int_equal(fixture->operations.result_bytes, OPERATIONS_MAX_ENDED);
}

static void test_operations_hold_so_many_bytes_of_results(void **state)
{
    struct fixture *fixture = *state;
    const size_t largest = OPERATIONS_MAX_RESULT_BYTES / 8;
    struct operation *records[9];
    char ids[9][OPERATIONS_ID_SIZE];
    for (size_t i = 0; i < 9; i++) {
        records[i] = add(fixture);
        memcpy(ids[i], records[i]->id, sizeof ids[i]);
        end_done(fixture, records[i], largest);
        assert_true(fixture->operations.result_bytes <= OPERATIONS_MAX_RESULT_BYTES);
    }
    assert_null(operations_find(&fixture->operations, ids[0]));
    assert_non_null(operations_find(&fixture->operations, ids[1]));
    assert_int_equal(fixture->operations.ended_count, 8);
    /* One result may not take the place of all others. */
    struct operation *giant = add(fixture);
    end_done(fixture, giant, largest + 1);
    assert_int_equal(giant->state, OPERATION_DONE);
    assert_int_equal(giant->result.length, 0);
    assert_non_null(operations_find(&fixture->operations, ids[1]));
}

/* Active ones take no part in the limits: none may vanish before its end was told. */
static void test_operations_that_are_active_stay(void **state)
{
    struct fixture *fixture = *state;
    struct operation *active = add(fixture);
    for (unsigned i = 0; i < OPERATIONS_MAX_ENDED + 10; i++) {
        end_done(fixture, add(fixture), 1);
    }
    assert_ptr_equal(operations_find(&fixture->operations, active->id), active);
    end_done(fixture, active, 1);
}

static void test_operations_expire_after_ten_minutes(void **state)
{
    struct fixture *fixture = *state;
    char ids[3][OPERATIONS_ID_SIZE];
    for (size_t i = 0; i < 3; i++) {
        struct operation *operation = add(fixture);
        memcpy(ids[i], operation->id, sizeof ids[i]);
        clock_fake(1000000 + i * 300000000ull); /* at 0, 5 and 10 minutes */
        end_done(fixture, operation, 1);
    }
    loop_pass(fixture->loop);
    assert_null(operations_find(&fixture->operations, ids[0]));
    assert_non_null(operations_find(&fixture->operations, ids[1]));
    assert_non_null(operations_find(&fixture->operations, ids[2]));
    assert_int_equal(fixture->operations.ended_count, 2);
    assert_int_equal(fixture->operations.result_bytes, 2);
    assert_true(loop_timer_is_set(fixture->operations.expiry));
}

static void write_operation(const struct operation *operation, bool with_result, struct strbuf *text)
{
    struct json_writer json;
    json_writer_init(&json, text);
    json_open_object(&json, NULL);
    operation_write(operation, &json, with_result);
    json_close_object(&json);
}

static void test_operation_is_written_as_the_protocol_has_it(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf text = STRBUF_INIT;
    struct operation *operation = add(fixture);
    char wanted[400];
    write_operation(operation, true, &text);
    snprintf(wanted, sizeof wanted,
             "{\"operation\":\"%s\",\"board\":\"lab1\",\"method\":\"memory.dump\",\"client\":\"tester\","
             "\"state\":\"queued\",\"created\":\"%s\"}",
             operation->id, operation->created);
    assert_string_equal(strbuf_text(&text), wanted);
    strbuf_clear(&text);
    operation->client[0] = '\0';
    operation->progress = (struct op_progress){.phase = "read", .done = 1, .total = 2, .unit = "bytes"};
    end_done(fixture, operation, 2);
    write_operation(operation, true, &text);
    snprintf(wanted, sizeof wanted,
             "{\"operation\":\"%s\",\"board\":\"lab1\",\"method\":\"memory.dump\",\"state\":\"done\","
             "\"created\":\"%s\",\"progress\":{\"phase\":\"read\",\"done\":1,\"total\":2,\"unit\":\"bytes\"},"
             "\"result\":11}",
             operation->id, operation->created);
    assert_string_equal(strbuf_text(&text), wanted);
    strbuf_clear(&text);
    write_operation(operation, false, &text);
    assert_null(strstr(strbuf_text(&text), "result"));
    strbuf_fini(&text);
}

static void test_operation_progress_without_a_total(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct json_writer json;
    (void)state;
    json_writer_init(&json, &text);
    operation_write_progress(&json, NULL,
                             &(struct op_progress){.phase = "read", .done = 5, .total = 0, .unit = "bytes"});
    assert_string_equal(strbuf_text(&text), "{\"phase\":\"read\",\"done\":5,\"unit\":\"bytes\"}");
    strbuf_fini(&text);
}

static void test_operation_states_have_their_words(void **state)
{
    (void)state;
    assert_string_equal(operation_state_name(OPERATION_QUEUED), "queued");
    assert_string_equal(operation_state_name(OPERATION_RUNNING), "running");
    assert_string_equal(operation_state_name(OPERATION_DONE), "done");
    assert_string_equal(operation_state_name(OPERATION_FAILED), "failed");
    assert_string_equal(operation_state_name(OPERATION_CANCELLED), "cancelled");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_operations_add_makes_a_record_of_its_own),
        WITH_FIXTURE(test_operations_find_active_and_ended_ones),
        WITH_FIXTURE(test_operations_end_keeps_result_and_error),
        WITH_FIXTURE(test_operations_are_listed_in_the_order_of_their_end),
        WITH_FIXTURE(test_operations_reads_go_before_changes),
        WITH_FIXTURE(test_operations_keep_so_many_and_the_oldest_go_first),
        WITH_FIXTURE(test_operations_hold_so_many_bytes_of_results),
        WITH_FIXTURE(test_operations_that_are_active_stay),
        WITH_FIXTURE(test_operations_expire_after_ten_minutes),
        WITH_FIXTURE(test_operation_is_written_as_the_protocol_has_it),
        cmocka_unit_test(test_operation_progress_without_a_total),
        cmocka_unit_test(test_operation_states_have_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
