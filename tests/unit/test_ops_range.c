/* ops/range_read of memory with `read_memory`, and what reads and writes of anything have in common. */
#include "op_memory.h"
#include "op_range.h"

/* Reading memory with `read_memory`. */

static void test_range_read_takes_the_widest_aligned_access(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read(fixture, 0x20000000, 8);
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 2");
    assert_true(driver->command.repeatable);
    assert_false(driver->command.changes);
    assert_int_equal(driver->command.bytes, 8);
    assert_int_equal(driver->command.limit_ms, 0);
    assert_int_equal(op_driver_answer_text(driver, "0x4030201 0x8070605"), OP_DONE);
    expect_bytes(fixture, "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(fixture->sink.finished, 1);
    assert_string_equal(driver->op->progress.phase, "read");
    assert_int_equal(driver->op->progress.done, 8);
    assert_int_equal(driver->op->progress.total, 8);
}

static void test_range_read_reads_unaligned_ends_narrow(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read(fixture, 0x20000001, 10); /* 1, 2 to 3, 4 to 7, 8 to 9, a */
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000001 8 1");
    op_driver_answer_text(driver, "0x1");
    assert_int_equal(driver->op->progress.done, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000002 16 1");
    op_driver_answer_text(driver, "0x302");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000004 32 1");
    op_driver_answer_text(driver, "0x7060504");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000008 16 1");
    op_driver_answer_text(driver, "0x908");
    op_driver_expect(driver, "\"cpu\" read_memory 0x2000000a 8 1");
    assert_int_equal(op_driver_answer_text(driver, "0xa"), OP_DONE);
    expect_bytes(fixture, "\1\2\3\4\5\6\7\10\11\12", 10);
    assert_int_equal(fixture->sink.finished, 1);
}

static void test_range_read_of_a_big_endian_target(void **state)
{
    struct fixture *fixture = *state;
    op_driver_target(&fixture->driver)->big_endian = true;
    start_read(fixture, 0x1000, 6);
    op_driver_expect(&fixture->driver, "\"cpu\" read_memory 0x1000 32 1");
    op_driver_answer_text(&fixture->driver, "0x1020304");
    op_driver_expect(&fixture->driver, "\"cpu\" read_memory 0x1004 16 1");
    assert_int_equal(op_driver_answer_text(&fixture->driver, "0x506"), OP_DONE);
    expect_bytes(fixture, "\1\2\3\4\5\6", 6);
}

static void test_range_read_physical_and_another_target(void **state)
{
    struct fixture *fixture = *state;
    fixture->driver.info.targets[1] = (struct ocd_target){
        .name = "a\"b[exit]$c\\", .type = "cortex_a", .state = "halted", .address_bits = 32};
    fixture->driver.info.target_count = 2;
    start_read_of(fixture, &(struct range_read_source){
                               .target = "a\"b[exit]$c\\", .address = 0, .size = 2048, .physical = true});
    op_driver_expect(&fixture->driver, "\"a\\\"b\\[exit]\\$c\\\\\" read_memory 0x0 32 256 phys");
}

static void test_range_read_is_bounded_by_budget_and_elements(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    without_files(fixture);
    start_read(fixture, 0x20000000, 100000);
    assert_int_equal(driver->op->budget, 1024); /* others shall not wait for what may be slow */
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 256");
    driver->op->budget = 1u << 20; /* nobody's turn would last longer, but OpenOCD's own limits hold */
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 256");
    start_read(fixture, 0x20000000, 100000);
    driver->op->budget = 1u << 20;
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 4096");
    start_read(fixture, 0x20000000, 100000);
    driver->op->budget = 1; /* one element at the least */
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 1");
}

/* Width 64. */

static void test_range_read_uses_width_64_where_the_target_has_it(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    op_driver_target(driver)->address_bits = 64;
    start_read(fixture, 0x800000000, 16);
    op_driver_expect(driver, "\"cpu\" read_memory 0x800000000 64 2");
    assert_int_equal(op_driver_answer_text(driver, "0x807060504030201 0x1"), OP_DONE);
    expect_bytes(fixture, "\1\2\3\4\5\6\7\10\1\0\0\0\0\0\0\0", 16);
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_YES);
    /* 32-bit targets may have a 64-bit bus too, once that is known. */
    op_driver_target(driver)->address_bits = 32;
    start_read(fixture, 0x1000, 16);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 64 2");
}

static void test_range_read_learns_that_width_64_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    op_driver_target(driver)->address_bits = 64;
    start_read(fixture, 0x1000, 16);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 64 2");
    assert_int_equal(op_driver_answer_error(driver, 1, "read_memory: failed to read memory", ""), OP_GO);
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_UNKNOWN); /* it may just not answer */
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 4");
    assert_int_equal(op_driver_answer_text(driver, "0x0 0x1 0x2 0x3"), OP_DONE);
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_NO);
    start_read(fixture, 0x1000, 16);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 4");
}

static void test_range_read_blames_no_width_for_a_dead_bus(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    static const char *const tries[] = {"64 2", "32 4", "16 8", "8 16"};
    op_driver_target(driver)->address_bits = 64;
    start_read(fixture, 0x1000, 16);
    for (size_t i = 0; i < 4; i++) {
        char script[64];
        snprintf(script, sizeof script, "\"cpu\" read_memory 0x1000 %s", tries[i]);
        op_driver_expect(driver, script);
        op_driver_answer_error(driver, 1, "read_memory: failed to read memory",
                               "Failed to read memory at 0x00001000\n");
    }
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read 16 bytes at 0x00001000");
    op_driver_assert_integer(driver, "done", 0);
    op_driver_assert_address(driver, "address", 0x1000);
    op_driver_assert_text(driver, "target", "cpu");
    op_driver_assert_openocd(driver, 1,
                             "read_memory: failed to read memory\nFailed to read memory at 0x00001000");
    assert_int_equal(op_driver_target(driver)->takes_width64, OCD_UNKNOWN);
    assert_int_equal(fixture->sink.finished, 0);
}

/* Refusals and faults. */

static void test_range_read_falls_back_to_narrower_accesses(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read(fixture, 0x1000, 4);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 1");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 16 2");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 8 4");
    assert_int_equal(op_driver_answer_text(driver, "0x1 0x2 0x3 0x4"), OP_DONE);
    expect_bytes(fixture, "\1\2\3\4", 4);
}

static void test_range_read_keeps_the_width_that_worked_and_shrinks_the_piece(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    without_files(fixture);
    start_read(fixture, 0x1000, 65536);
    driver->op->budget = 16384;
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 4096");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    assert_int_equal(driver->op->budget, 4096); /* narrow accesses take longer */
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 16 2048");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    assert_int_equal(driver->op->budget, 1024);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 8 1024");
    struct strbuf text = STRBUF_INIT;
    for (int i = 0; i < 1024; i++) {
        strbuf_append_text(&text, "0x55 ");
    }
    assert_int_equal(op_driver_answer(driver, 0, text.data, text.length, ""), OP_GO);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1400 8 1024");
    strbuf_fini(&text);
}

static void test_range_read_tells_how_far_it_came_before_a_fault(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read(fixture, 0x1000, 12);
    driver->op->budget = 4;
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 1");
    op_driver_answer_text(driver, "0x4030201");
    for (unsigned width = 32; width >= 8; width /= 2) {
        char script[64];
        driver->op->budget = 4;
        snprintf(script, sizeof script, "\"cpu\" read_memory 0x1004 %u %u", width, 32 / width);
        op_driver_expect(driver, script);
        op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    }
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "at 0x00001004: read_memory: failed to read memory");
    op_driver_assert_integer(driver, "done", 4);
    op_driver_assert_address(driver, "address", 0x1004);
    expect_bytes(fixture, "\1\2\3\4", 4);
    assert_int_equal(fixture->sink.finished, 0);
}

static void test_range_read_that_needs_a_halted_target_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read(fixture, 0x1001, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1001 8 1");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "target not halted\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "read_memory: failed to read memory");
    op_driver_assert_openocd(driver, 1, "read_memory: failed to read memory\ntarget not halted");
    start_read(fixture, 0x1001, 1);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1001 8 1");
    op_driver_answer_error(driver, -304, "", "");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cannot read 1 bytes at 0x00001001");
}

static void test_range_read_believes_no_impossible_text(void **state)
{
    static const char *const lies[] = {
        "",
        "0x1 0x2",     /* too many */
        "0x1ffffffff", /* too wide */
        "-1",          /* no hexadecimal number */
        "1",           /* without its 0x */
        "0x1failed to read memory",
        "zz",
        "0x",
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start_read(fixture, 0x1000, 4);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 1");
        op_driver_answer_text(driver, lies[i]);
        op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "reading at 0x00001000");
        assert_int_equal(fixture->sink.pieces, 0);
    }
    start_read(fixture, 0x1000, 8); /* too few */
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 2");
    op_driver_answer_text(driver, "0x1");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "reading at 0x00001000");
}

/* The address space. */

static void test_range_read_stays_within_the_targets_addresses(void **state)
{
    static const struct {
        unsigned bits;
        uint64_t address;
        uint64_t size;
        bool good;
    } cases[] = {
        {32, 0xfffffff0, 16, true},  {32, 0xfffffff0, 17, false},        {32, 0xffffffff, 1, true},
        {32, 0x100000000, 1, false}, {32, 0, 0x100000000, true},         {32, 0, 0x100000001, false},
        {32, 1, UINT64_MAX, false},  {64, 0xfffffffffffffff0, 16, true}, {64, 0xfffffffffffffff0, 17, false},
        {64, 0x100000000, 1, true},  {64, UINT64_MAX, 1, true},          {64, UINT64_MAX, 2, false},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        op_driver_target(driver)->address_bits = cases[i].bits;
        start_read(fixture, cases[i].address, cases[i].size);
        if (cases[i].good) {
            assert_int_equal(op_driver_run(driver), OP_SEND);
        } else {
            op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond");
            op_driver_assert_address(driver, "address", cases[i].address);
            op_driver_assert_integer(driver, "address_bits", cases[i].bits);
        }
    }
}

static void test_range_read_reaches_the_last_address(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    op_driver_target(driver)->address_bits = 64;
    start_read(fixture, UINT64_MAX - 2, 3);
    op_driver_expect(driver, "\"cpu\" read_memory 0xfffffffffffffffd 8 1");
    op_driver_answer_text(driver, "0x1");
    op_driver_expect(driver, "\"cpu\" read_memory 0xfffffffffffffffe 16 1");
    assert_int_equal(op_driver_answer_text(driver, "0x302"), OP_DONE);
    expect_bytes(fixture, "\1\2\3", 3);
}

/* Consumers. */

static void test_range_read_ends_when_its_consumer_has_enough(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->sink.enough = 2;
    op_driver_start(driver, range_read_new(&(struct range_read_source){.address = 0x1000, .size = 12}, "read",
                                           &endless_consumer, &fixture->sink));
    driver->op->budget = 4;
    op_driver_run(driver);
    op_driver_answer_text(driver, "0x1");
    op_driver_run(driver);
    assert_int_equal(op_driver_answer_text(driver, "0x2"), OP_DONE);
    assert_int_equal(driver->op->progress.done, 8);
    assert_int_equal(fixture->sink.finished, 0);
    op_driver_start(driver, range_read_new(&(struct range_read_source){.size = 1}, "read", &endless_consumer,
                                           &fixture->sink));
    assert_int_equal(fixture->sink.freed, 1);
}

static void test_range_read_fails_with_its_consumer(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->sink.fails = true;
    start_read(fixture, 0x1000, 8);
    driver->op->budget = 4;
    op_driver_run(driver);
    op_driver_answer_text(driver, "0x1");
    op_driver_expect_failed(driver, ERR_STAGE_ERROR, "the disk is full");
    assert_int_equal(driver->op->progress.done, 0);
    fixture->sink.fails = false;
    fixture->sink.end_fails = true;
    start_read(fixture, 0x1000, 4);
    op_driver_run(driver);
    op_driver_answer_text(driver, "0x1");
    op_driver_expect_failed(driver, ERR_STAGE_ERROR, "cannot finish");
    assert_int_equal(fixture->sink.finished, 1);
}

/* Any range, any budget, any widths that a target refuses: what arrives is what is there. */

static void test_range_read_and_write_of_anything_are_exact(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    static struct made_up memory;
    static uint8_t before[MADE_UP_SIZE];
    uint32_t seed = 7;
    without_files(fixture);
    for (int round = 0; round < 300; round++) {
        made_up_fill(&memory, &seed);
        uint32_t offset = random_below(&seed, MADE_UP_SIZE);
        uint32_t size = 1 + random_below(&seed, MADE_UP_SIZE - offset);
        *op_driver_target(driver) = (struct ocd_target){
            .name = "cpu", .address_bits = random_below(&seed, 2) ? 64 : 32, .big_endian = memory.big_endian};
        start_read(fixture, MADE_UP_BASE + offset, size);
        made_up_run(&memory, driver, &seed);
        op_driver_expect_done(driver);
        expect_bytes(fixture, (const char *)memory.bytes + offset, size);

        char *bytes = xmalloc(size);
        for (uint32_t i = 0; i < size; i++) {
            bytes[i] = (char)random_below(&seed, 256);
        }
        memcpy(before, memory.bytes, sizeof before);
        memory.commands = 0;
        start_write(fixture, MADE_UP_BASE + offset, bytes, size, false);
        made_up_run(&memory, driver, &seed);
        op_driver_expect_done(driver);
        memcpy(before + offset, bytes, size);
        assert_memory_equal(memory.bytes, before, sizeof before);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_range_read_takes_the_widest_aligned_access),
        WITH_FIXTURE(test_range_read_reads_unaligned_ends_narrow),
        WITH_FIXTURE(test_range_read_of_a_big_endian_target),
        WITH_FIXTURE(test_range_read_physical_and_another_target),
        WITH_FIXTURE(test_range_read_is_bounded_by_budget_and_elements),
        WITH_FIXTURE(test_range_read_uses_width_64_where_the_target_has_it),
        WITH_FIXTURE(test_range_read_learns_that_width_64_is_refused),
        WITH_FIXTURE(test_range_read_blames_no_width_for_a_dead_bus),
        WITH_FIXTURE(test_range_read_falls_back_to_narrower_accesses),
        WITH_FIXTURE(test_range_read_keeps_the_width_that_worked_and_shrinks_the_piece),
        WITH_FIXTURE(test_range_read_tells_how_far_it_came_before_a_fault),
        WITH_FIXTURE(test_range_read_that_needs_a_halted_target_says_so),
        WITH_FIXTURE(test_range_read_believes_no_impossible_text),
        WITH_FIXTURE(test_range_read_stays_within_the_targets_addresses),
        WITH_FIXTURE(test_range_read_reaches_the_last_address),
        WITH_FIXTURE(test_range_read_ends_when_its_consumer_has_enough),
        WITH_FIXTURE(test_range_read_fails_with_its_consumer),
        WITH_FIXTURE(test_range_read_and_write_of_anything_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
