/* ops/typed: each element once, with exactly the width asked for. */
#include "op_memory.h"

#include "ops/typed.h"

static void start_read(struct op_driver *driver, uint64_t address, unsigned width, uint64_t count)
{
    op_driver_start(driver, typed_read_new(NULL, address, width, count, false, false));
}

static void start_write(struct op_driver *driver, uint64_t address, unsigned width, const uint64_t *values,
                        uint64_t count)
{
    uint64_t *copy = xcalloc(count, sizeof *copy);
    memcpy(copy, values, count * sizeof *copy);
    op_driver_start(driver, typed_write_new(NULL, address, width, copy, count, false));
}

static void expect_values(const struct op_driver *driver, const uint64_t *values, uint64_t count)
{
    const struct typed_access *typed = (const struct typed_access *)driver->op;
    assert_int_equal(driver->verdict, OP_DONE);
    assert_int_equal(typed->count, count);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(typed->values[i], values[i]);
    }
}

/* Reading. */

static void test_typed_read_uses_the_width_asked_for(void **state)
{
    static const struct {
        unsigned width;
        uint64_t address; /* aligned or not: that is the caller's affair */
        const char *script;
        const char *answer;
        uint64_t values[2];
    } cases[] = {
        {8, 0x20000001, "\"cpu\" read_memory 0x20000001 8 2", "0xff 0x0", {0xff, 0}},
        {16, 0x20000001, "\"cpu\" read_memory 0x20000001 16 2", "0xffff 0x1", {0xffff, 1}},
        {32, 0x20000002, "\"cpu\" read_memory 0x20000002 32 2", "0xffffffff 0x2", {0xffffffff, 2}},
        {64,
         0x20000000,
         "\"cpu\" read_memory 0x20000000 64 2",
         "0xffffffffffffffff 0x8000000000000000",
         {UINT64_MAX, 1ull << 63}},
    };
    struct op_driver *driver = *state;
    for (int big = 0; big < 2; big++) {
        op_driver_target(driver)->big_endian = big == 1;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            start_read(driver, cases[i].address, cases[i].width, 2);
            op_driver_expect(driver, cases[i].script);
            assert_int_equal(driver->command.bytes, 2 * cases[i].width / 8);
            assert_false(driver->command.changes);
            op_driver_answer_text(driver, cases[i].answer);
            expect_values(driver, cases[i].values, 2);
        }
    }
}

/* A register may clear when it is read: nobody may read it twice, unless its owner says so. */
static void test_typed_read_is_repeatable_only_where_asked(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, typed_read_new(NULL, 0, 32, 1, false, false));
    op_driver_run(driver);
    assert_false(driver->command.repeatable);
    op_driver_start(driver, typed_read_new(NULL, 0, 32, 1, false, true));
    op_driver_run(driver);
    assert_true(driver->command.repeatable);
    assert_false(driver->op->class->changes);
}

static void test_typed_read_physical_of_a_hostile_name(void **state)
{
    struct op_driver *driver = *state;
    snprintf(op_driver_target(driver)->name, OCD_NAME_SIZE, "x];exit;[\"$a\\");
    op_driver_start(driver, typed_read_new("x];exit;[\"$a\\", 0x10, 16, 1, true, false));
    op_driver_expect(driver, "\"x];exit;\\[\\\"\\$a\\\\\" read_memory 0x10 16 1 phys");
}

static void test_typed_read_of_many_goes_in_pieces(void **state)
{
    struct op_driver *driver = *state;
    struct strbuf answer = STRBUF_INIT;
    start_read(driver, 0x1000, 32, 65536);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 256");
    for (int i = 0; i < 256; i++) {
        strbuf_appendf(&answer, "0x%x ", i);
    }
    assert_int_equal(op_driver_answer(driver, 0, answer.data, answer.length, ""), OP_GO);
    driver->op->budget = 1u << 20;
    op_driver_expect(driver, "\"cpu\" read_memory 0x1400 32 2048"); /* OpenOCD's time grows with its square */
    assert_int_equal(((const struct typed_access *)driver->op)->values[255], 255);
    start_read(driver, 0x1000, 32, 3);
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 1");
    op_driver_answer_text(driver, "0x1");
    op_driver_expect(driver, "\"cpu\" read_memory 0x1004 32 1");
    start_read(driver, 0x1000, 64, 3);
    driver->op->budget = 1; /* one element at the least */
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 64 1");
    strbuf_fini(&answer);
}

static void test_typed_read_that_fails_tells_where(void **state)
{
    struct op_driver *driver = *state;
    start_read(driver, 0x1000, 32, 3);
    driver->op->budget = 8;
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 2");
    op_driver_answer_text(driver, "0x1 0x2");
    op_driver_expect(driver, "\"cpu\" read_memory 0x1008 32 1");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "Failed to read memory\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR,
                            "cannot read 1 x 32 bits at 0x00001008: read_memory: failed to read memory");
    op_driver_assert_address(driver, "address", 0x1008);
    op_driver_assert_text(driver, "target", "cpu");
    op_driver_assert_integer(driver, "done", 2);
    op_driver_assert_integer(driver, "total", 3);
    op_driver_assert_text(driver, "unit", "values");
    op_driver_assert_openocd(driver, 1, "read_memory: failed to read memory\nFailed to read memory");
}

static void test_typed_read_falls_back_to_no_other_width(void **state)
{
    static const unsigned widths[] = {8, 16, 32};
    struct op_driver *driver = *state;
    for (size_t i = 0; i < 3; i++) {
        start_read(driver, 0x1000, widths[i], 1);
        op_driver_run(driver);
        op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
        op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 1 x");
    }
}

static void test_typed_read_believes_no_impossible_text(void **state)
{
    static const struct {
        unsigned width;
        const char *text;
    } lies[] = {
        {8, "0x100"},      {16, "0x10000"}, {32, "0x100000000"}, {64, "0x10000000000000000"},
        {32, ""},          {32, "0x1 0x2"}, {32, "1"},           {32, "0x1read_memory: failed"},
        {32, "{0x1} 0x2"}, {32, "unknown"}, {32, "-0x1"},
    };
    struct op_driver *driver = *state;
    op_driver_target(driver)->takes_width64 = OCD_YES;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start_read(driver, 0x1000, lies[i].width, 1);
        op_driver_run(driver);
        op_driver_answer_text(driver, lies[i].text);
        op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "reading at 0x00001000");
        op_driver_assert_openocd(driver, 0, lies[i].text);
    }
}

static void test_typed_access_stays_within_the_targets_addresses(void **state)
{
    static const uint64_t values[2] = {1, 2};
    struct op_driver *driver = *state;
    start_read(driver, 0xfffffffc, 32, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0xfffffffc 32 1");
    start_read(driver, 0xfffffffc, 32, 2);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond 0xffffffff");
    op_driver_assert_address(driver, "address", 0xfffffffc);
    start_write(driver, 0xfffffffd, 32, values, 1);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond 0xffffffff");
    start_write(driver, 0x100000000, 8, values, 1);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond");
    op_driver_target(driver)->address_bits = 64;
    start_read(driver, UINT64_MAX - 7, 64, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0xfffffffffffffff8 64 1");
    start_read(driver, UINT64_MAX - 7, 64, 2);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond");
}

/* Width 64. */

static const char refusal[] = "read_memory: read at 0x00001000 with width=64 and count=1 failed\n";

static void test_typed_read_of_64_bits_is_made_of_halves_where_the_bus_has_32(void **state)
{
    static const uint64_t little[] = {0x0807060504030201};
    static const uint64_t big[] = {0x0403020108070605};
    struct op_driver *driver = *state;
    for (int is_big = 0; is_big < 2; is_big++) {
        op_driver_target(driver)->takes_width64 = OCD_UNKNOWN;
        op_driver_target(driver)->big_endian = is_big == 1;
        start_read(driver, 0x1000, 64, 1);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 64 1");
        assert_int_equal(op_driver_answer_error(driver, 1, "read_memory: failed to read memory", refusal),
                         OP_GO);
        assert_int_equal(op_driver_target(driver)->takes_width64, OCD_UNKNOWN);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 2");
        assert_int_equal(driver->command.bytes, 8);
        op_driver_answer_text(driver, "0x4030201 0x8070605");
        expect_values(driver, is_big == 1 ? big : little, 1);
        assert_int_equal(op_driver_target(driver)->takes_width64, OCD_NO);
        start_read(driver, 0x1008, 64, 1); /* known now */
        op_driver_expect(driver, "\"cpu\" read_memory 0x1008 32 2");
    }
}

/* How a refusal can look: nothing in the log, one line, one line without an end. */
static void test_typed_read_knows_a_refusal_by_its_log(void **state)
{
    static const char *const logs[] = {"", "one line\n", "one line"};
    struct op_driver *driver = *state;
    for (size_t i = 0; i < 3; i++) {
        start_read(driver, 0x1000, 64, 1);
        op_driver_run(driver);
        assert_int_equal(op_driver_answer_error(driver, 1, "read_memory: failed to read memory", logs[i]),
                         OP_GO);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 2");
    }
}

/* An access that reached the bus must not be made again, in whatever width. */
static void test_typed_access_of_64_bits_that_went_wrong_is_not_repeated(void **state)
{
    static const uint64_t values[1] = {1};
    static const char *const log = "JTAG-DP STICKY ERROR\nFailed to access memory at 0x00001000\n";
    struct op_driver *driver = *state;
    start_read(driver, 0x1000, 64, 1);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", log);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 1 x 64 bits at 0x00001000");
    start_write(driver, 0x1000, 64, values, 1);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "write_memory: failed to write memory", log);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot write 1 x 64 bits at 0x00001000");
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_UNKNOWN);
}

static void test_typed_access_of_64_bits_that_worked_before_is_no_refusal(void **state)
{
    struct op_driver *driver = *state;
    op_driver_target(driver)->takes_width64 = OCD_YES;
    start_read(driver, 0x1000, 64, 1);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", refusal);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 1 x 64 bits");
    op_driver_target(driver)->takes_width64 = OCD_UNKNOWN;
    start_read(driver, 0x1000, 64, 2);
    driver->op->budget = 8;
    op_driver_run(driver);
    op_driver_answer_text(driver, "0x1");
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_YES);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1008 64 1");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", refusal);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 1 x 64 bits at 0x00001008");
    op_driver_assert_integer(driver, "done", 1);
}

static void test_typed_access_in_halves_that_fails_teaches_nothing(void **state)
{
    struct op_driver *driver = *state;
    start_read(driver, 0x1000, 64, 1);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", refusal);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 2");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", refusal);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 2 x 32 bits at 0x00001000");
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_UNKNOWN);
}

static void test_typed_write_of_64_bits_in_halves(void **state)
{
    static const uint64_t values[] = {0x0807060504030201, 0x1817161514131211};
    struct op_driver *driver = *state;
    start_write(driver, 0x1000, 64, values, 2);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 64 {0x807060504030201 0x1817161514131211}");
    assert_int_equal(op_driver_answer_error(driver, 1, "write_memory: failed to write memory", refusal),
                     OP_GO);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 32 {0x4030201 0x8070605 0x14131211 0x18171615}");
    assert_true(driver->command.changes);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_NO);
    op_driver_target(driver)->big_endian = true;
    start_write(driver, 0x1000, 64, values, 1);
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 32 {0x8070605 0x4030201}");
}

/* Writing. */

static void test_typed_write_uses_the_width_asked_for(void **state)
{
    static const uint64_t values[] = {0, 0xff, 0x10};
    struct op_driver *driver = *state;
    start_write(driver, 0x20000001, 8, values, 3);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000001 8 {0x0 0xff 0x10}");
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    assert_int_equal(driver->command.bytes, 3);
    assert_true(driver->op->class->changes);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
    op_driver_target(driver)->big_endian = true; /* values are values: the bus sorts them */
    start_write(driver, 0x20000001, 16, values, 3);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000001 16 {0x0 0xff 0x10}");
    start_write(driver, 0x20000001, 32, values, 3);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000001 32 {0x0 0xff 0x10}");
    uint64_t *copy = xcalloc(1, sizeof *copy);
    copy[0] = UINT64_MAX;
    op_driver_start(driver, typed_write_new("cpu", 0, 64, copy, 1, true));
    op_driver_expect(driver, "\"cpu\" write_memory 0x0 64 {0xffffffffffffffff} phys");
}

static void test_typed_write_that_fails_tells_what_was_written(void **state)
{
    static const uint64_t values[] = {1, 2, 3};
    struct op_driver *driver = *state;
    start_write(driver, 0x1000, 16, values, 3);
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" write_memory 0x1000 16 {0x1 0x2}");
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, "\"cpu\" write_memory 0x1004 16 {0x3}");
    op_driver_answer_error(driver, 1, "write_memory: failed to write memory", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot write 1 x 16 bits at 0x00001004");
    op_driver_assert_integer(driver, "done", 2);
    op_driver_assert_text(driver, "phase", "write");
}

/* 0.12 complains of an element with a return code of 0, and writes the one before again. */
static void test_typed_write_believes_success_only_without_words(void **state)
{
    static const uint64_t values[] = {1};
    static const unsigned widths[] = {8, 16, 32, 64};
    struct op_driver *driver = *state;
    for (size_t i = 0; i < 4; i++) {
        start_write(driver, 0x1000, widths[i], values, 1);
        op_driver_run(driver);
        op_driver_answer_text(driver, "expected integer but got \"0x1\"");
        op_driver_expect_failed(driver, ERR_TARGET_ERROR, "expected integer");
        op_driver_assert_integer(driver, "done", 0);
    }
}

/* Any count, any budget, whatever the target makes of width 64: values come back as they were written. */
static void test_typed_access_of_anything_is_exact(void **state)
{
    static struct made_up memory;
    struct op_driver *driver = *state;
    uint32_t seed = 11;
    for (int round = 0; round < 300; round++) {
        made_up_fill(&memory, &seed);
        memory.refused &= 64;
        op_driver_target(driver)->takes_width64 = OCD_UNKNOWN;
        op_driver_target(driver)->big_endian = memory.big_endian;
        unsigned width = 8u << random_below(&seed, 4);
        uint64_t first = random_below(&seed, MADE_UP_SIZE / 8);
        uint64_t count = 1 + random_below(&seed, (uint32_t)(MADE_UP_SIZE / 8 - first));
        uint64_t *values = xcalloc(count, sizeof *values);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t value = (uint64_t)random_below(&seed, 1u << 24) * 0x9e3779b97f4a7c15u;
            values[i] = width == 64 ? value : value & ((1ull << width) - 1);
        }
        start_write(driver, MADE_UP_BASE + first * (width / 8), width, values, count);
        made_up_run(&memory, driver, &seed);
        op_driver_expect_done(driver);
        for (uint64_t i = 0; i < count; i++) {
            const uint8_t *at = memory.bytes + (first + i) * (width / 8);
            assert_int_equal(memory_value_from_bytes(at, width, memory.big_endian), values[i]);
        }
        start_read(driver, MADE_UP_BASE + first * (width / 8), width, count);
        made_up_run(&memory, driver, &seed);
        expect_values(driver, values, count);
        free(values);
    }
}

/* What may travel with the commands of others, and whether the operation is through with it. */
static void test_typed_access_that_is_short_says_so(void **state)
{
    struct op_driver *driver = *state;
    start_read(driver, 0x20000000, 32, 1);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_int_equal(driver->command.words, 1);
    assert_true(driver->command.ends);
    assert_false(driver->command.shareable);
    op_driver_start(driver, typed_read_new(NULL, 0x20000000, 32, 64, false, true));
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_int_equal(driver->command.words, 64);
    assert_true(driver->command.shareable);
    start_read(driver, 0x20000000, 32, 65);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_int_equal(driver->command.words, 0);
    start_read(driver, 0x20000000, 32, 1000); /* goes in pieces */
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_false(driver->command.ends);
    /* Whether the target takes 64 bits is not known yet: two halves may have to follow. */
    start_read(driver, 0x20000000, 64, 1);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_false(driver->command.ends);
    op_driver_answer_text(driver, "0x1");
    start_write(driver, 0x20000000, 64, (uint64_t[]){1}, 1);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_true(driver->command.ends);
}

/* Others may learn of the target's width while the command is on the link. */
static void test_typed_access_of_64_bits_is_read_as_it_was_sent(void **state)
{
    struct op_driver *driver = *state;
    start_read(driver, 0x20000000, 64, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 64 1");
    op_driver_target(driver)->takes_width64 = OCD_NO;
    op_driver_answer_error(driver, 1, "", "Failed to read memory\n");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 2");
    op_driver_target(driver)->takes_width64 = OCD_YES;
    op_driver_answer_text(driver, "0x1 0x2");
    expect_values(driver, (uint64_t[]){0x200000001}, 1);
}

static void test_typed_reads_are_the_same_only_where_cacheable(void **state)
{
    struct op_driver *driver = *state;
    struct op *a = typed_read_new(NULL, 0x20000000, 32, 2, false, true);
    struct op *others[] = {
        typed_read_new(NULL, 0x20000000, 32, 2, false, true),
        typed_read_new(NULL, 0x20000000, 32, 2, false, false),
        typed_read_new(NULL, 0x20000004, 32, 2, false, true),
        typed_read_new(NULL, 0x20000000, 16, 2, false, true),
        typed_read_new(NULL, 0x20000000, 32, 1, false, true),
        typed_read_new(NULL, 0x20000000, 32, 2, true, true),
    };
    (void)driver;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(a->class->same_command(a, others[i]), i == 0);
        op_free(others[i]);
    }
    op_free(a);
}

#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, op_driver_setup, op_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DRIVER(test_typed_read_uses_the_width_asked_for),
        WITH_DRIVER(test_typed_read_is_repeatable_only_where_asked),
        WITH_DRIVER(test_typed_read_physical_of_a_hostile_name),
        WITH_DRIVER(test_typed_read_of_many_goes_in_pieces),
        WITH_DRIVER(test_typed_read_that_fails_tells_where),
        WITH_DRIVER(test_typed_read_falls_back_to_no_other_width),
        WITH_DRIVER(test_typed_read_believes_no_impossible_text),
        WITH_DRIVER(test_typed_access_stays_within_the_targets_addresses),
        WITH_DRIVER(test_typed_read_of_64_bits_is_made_of_halves_where_the_bus_has_32),
        WITH_DRIVER(test_typed_read_knows_a_refusal_by_its_log),
        WITH_DRIVER(test_typed_access_of_64_bits_that_went_wrong_is_not_repeated),
        WITH_DRIVER(test_typed_access_of_64_bits_that_worked_before_is_no_refusal),
        WITH_DRIVER(test_typed_access_in_halves_that_fails_teaches_nothing),
        WITH_DRIVER(test_typed_write_of_64_bits_in_halves),
        WITH_DRIVER(test_typed_write_uses_the_width_asked_for),
        WITH_DRIVER(test_typed_write_that_fails_tells_what_was_written),
        WITH_DRIVER(test_typed_write_believes_success_only_without_words),
        WITH_DRIVER(test_typed_access_of_anything_is_exact),
        WITH_DRIVER(test_typed_access_that_is_short_says_so),
        WITH_DRIVER(test_typed_access_of_64_bits_is_read_as_it_was_sent),
        WITH_DRIVER(test_typed_reads_are_the_same_only_where_cacheable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
