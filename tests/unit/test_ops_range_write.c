/* ops/range_write. */
#include "op_range.h"

/* Writing. */

static void test_range_write_takes_the_widest_aligned_access(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_write(fixture, 0x20000002, "\1\2\3\4\5\6\0\0\0\0\x0b", 11, true);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000002 16 {0x201} phys");
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    assert_int_equal(driver->command.bytes, 2);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_GO);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000004 32 {0x6050403 0x0} phys");
    op_driver_answer_text(driver, "");
    assert_string_equal(driver->op->progress.phase, "write");
    assert_int_equal(driver->op->progress.done, 10);
    op_driver_expect(driver, "\"cpu\" write_memory 0x2000000c 8 {0xb} phys");
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
    assert_true(driver->op->class->changes);
}

static void test_range_write_to_a_big_endian_target(void **state)
{
    struct fixture *fixture = *state;
    op_driver_target(&fixture->driver)->big_endian = true;
    start_write(fixture, 0x1000, "\1\2\3\4\xff\xfe", 6, false);
    op_driver_expect(&fixture->driver, "\"cpu\" write_memory 0x1000 32 {0x1020304}");
    op_driver_answer_text(&fixture->driver, "");
    op_driver_expect(&fixture->driver, "\"cpu\" write_memory 0x1004 16 {0xfffe}");
}

static void test_range_write_of_width_64(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    op_driver_target(driver)->address_bits = 64;
    start_write(fixture, 0x1000, "\1\2\3\4\5\6\7\xf8", 8, false);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 64 {0xf807060504030201}");
    op_driver_target(driver)->address_bits = 32;
    op_driver_target(driver)->takes_width64 = OCD_YES;
    start_write(fixture, 0x1000, "\1\2\3\4\5\6\7\xf8", 8, false);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 64 {0xf807060504030201}");
    op_driver_target(driver)->address_bits = 64;
    op_driver_target(driver)->takes_width64 = OCD_NO;
    start_write(fixture, 0x1000, "\1\2\3\4\5\6\7\xf8", 8, false);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 32 {0x4030201 0xf8070605}");
}

static void test_range_write_falls_back_and_tells_how_far_it_came(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_write(fixture, 0x1000, "\1\2\3\4\5\6\7\10", 8, false);
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 32 {0x4030201}");
    op_driver_answer_text(driver, "");
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" write_memory 0x1004 32 {0x8070605}");
    op_driver_answer_error(driver, 1, "write_memory: failed to write memory", "");
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" write_memory 0x1004 16 {0x605 0x807}");
    op_driver_answer_error(driver, 1, "write_memory: failed to write memory", "");
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" write_memory 0x1004 8 {0x5 0x6 0x7 0x8}");
    op_driver_answer_error(driver, 1, "write_memory: failed to write memory", "bus error\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot write 4 bytes at 0x00001004");
    op_driver_assert_integer(driver, "done", 4);
    op_driver_assert_address(driver, "address", 0x1004);
    op_driver_assert_openocd(driver, 1, "write_memory: failed to write memory\nbus error");
}

/* 0.12 says "expected integer..." with code 0 where it did not understand an element. */
static void test_range_write_believes_success_only_without_words(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_write(fixture, 0x1000, "\1", 1, false);
    op_driver_run(driver);
    op_driver_answer_text(driver, "expected integer but got \"0x1\"");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "expected integer");
    op_driver_assert_integer(driver, "done", 0);
}

static void test_range_write_stays_within_the_targets_addresses(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_write(fixture, 0xfffffffc, "1234", 4, false);
    op_driver_expect(driver, "\"cpu\" write_memory 0xfffffffc 32 {0x34333231}");
    start_write(fixture, 0xfffffffc, "12345", 5, false);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond 0xffffffff");
    start_write(fixture, 0x100000000, "1", 1, false);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond");
}

static void test_range_write_is_bounded_by_budget_and_elements(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    char *bytes = xcalloc(1, 100000);
    start_write(fixture, 0x1000, bytes, 100000, false);
    op_driver_run(driver);
    assert_int_equal(driver->command.bytes, 1024);
    op_driver_answer_text(driver, "");
    driver->op->budget = 1u << 20;
    op_driver_run(driver);
    assert_int_equal(driver->command.bytes, 16384);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_range_write_takes_the_widest_aligned_access),
        WITH_FIXTURE(test_range_write_to_a_big_endian_target),
        WITH_FIXTURE(test_range_write_of_width_64),
        WITH_FIXTURE(test_range_write_falls_back_and_tells_how_far_it_came),
        WITH_FIXTURE(test_range_write_believes_success_only_without_words),
        WITH_FIXTURE(test_range_write_stays_within_the_targets_addresses),
        WITH_FIXTURE(test_range_write_is_bounded_by_budget_and_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
