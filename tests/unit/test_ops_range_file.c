/* ops/range_read through files on OpenOCD's host: memory with `dump_image`, flash with `flash read_bank`. */
#include <inttypes.h>

#include "op_range.h"

/* Through a file. */

static void expect_dump(struct op_driver *driver, uint64_t address, uint64_t size)
{
    char script[160];
    snprintf(script, sizeof script, "dump_image $p 0x%" PRIx64 " 0x%" PRIx64, address, size);
    op_driver_expect_get(driver, script);
    assert_string_equal(driver->command.current_target, "cpu");
    assert_true(driver->command.repeatable);
    assert_int_equal(driver->command.bytes, size);
}

static void test_range_read_of_much_goes_through_a_file(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    char bytes[1024];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7); /* with NUL, 0x1a and every other byte */
    }
    start_read(fixture, 0x20000001, 1030);
    /* Up to a border, so that what follows is aligned. */
    expect_dump(driver, 0x20000001, 0x3ff);
    assert_int_equal(op_driver_answer(driver, 0, bytes, 1023, "dumped 1023 bytes in 0.1s\n"), OP_GO);
    /* What is left is too little for a file. */
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000400 32 1");
    op_driver_answer_text(driver, "0x1");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000404 16 1");
    op_driver_answer_text(driver, "0x2");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000406 8 1");
    assert_int_equal(op_driver_answer_text(driver, "0x4"), OP_DONE);
    assert_memory_equal(fixture->sink.bytes.data, bytes, 1023);
    assert_int_equal(fixture->sink.bytes.length, 1030);
}

static void test_range_read_of_files_follows_the_budget_in_whole_pieces(void **state)
{
    static const struct {
        uint64_t address;
        uint64_t budget;
        uint64_t size;
    } cases[] = {
        {0x1000, 1024, 1024},
        {0x1000, 2047, 2040},
        {0x1003, 2047, 2045},
        {0x1000, 2048, 4096},
        {0x1000, 6143, 4096},
        {0x1000, 6144, 8192},
        {0x1010, 6144, 8176},
        {0x1f00, 6144, 4352},
        {0x1001, 4096, 4095},
        {0x1000, OP_FILE_MOST_BYTES, OP_FILE_MOST_BYTES},
        {0x1000, 1u << 24, OP_FILE_MOST_BYTES},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_read(fixture, cases[i].address, 1u << 30);
        fixture->driver.op->budget = cases[i].budget;
        expect_dump(&fixture->driver, cases[i].address, cases[i].size);
    }
    start_read(fixture, 0x1000, 5000); /* no further than the range */
    fixture->driver.op->budget = 1u << 20;
    expect_dump(&fixture->driver, 0x1000, 5000);
}

static void test_range_read_finds_out_with_read_memory_why_a_file_failed(void **state)
{
    static const char *const failures[] = {"", "Failed to read memory\n"};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < 2; i++) {
        start_read(fixture, 0x1000, 4096);
        expect_dump(driver, 0x1000, 1024);
        assert_int_equal(op_driver_answer_error(driver, -107, "", failures[i]), OP_GO);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 256");
    }
}

static void test_range_read_believes_no_file_of_another_size(void **state)
{
    static const size_t sizes[] = {0, 1023, 1025, 4096};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    char *bytes = xcalloc(4096, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        start_read(fixture, 0x1000, 4096);
        expect_dump(driver, 0x1000, 1024);
        assert_int_equal(op_driver_answer(driver, 0, bytes, sizes[i], "dumped 1024 bytes\n"), OP_GO);
        assert_int_equal(fixture->sink.pieces, 0);
        op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 256");
    }
    free(bytes);
}

static void test_range_read_uses_no_file_where_it_cannot(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_read_of(fixture, &(struct range_read_source){.address = 0x1000, .size = 4096, .physical = true});
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 256 phys");
    start_read(fixture, 0x1000, 508);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 127");
    without_files(fixture);
    start_read(fixture, 0x1000, 4096);
    op_driver_expect(driver, "\"cpu\" read_memory 0x1000 32 256");
}

static void test_range_read_through_a_file_runs_with_its_target(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    driver->info.targets[1] =
        (struct ocd_target){.name = "ab", .type = "cortex_m", .state = "halted", .address_bits = 32};
    driver->info.target_count = 2;
    start_read_of(fixture, &(struct range_read_source){.target = "ab", .address = 0, .size = 1024});
    op_driver_expect_get(driver, "dump_image $p 0x0 0x400");
    assert_string_equal(driver->command.current_target, "ab");
}

/* Flash. */

static void start_flash(struct fixture *fixture, unsigned bank, uint64_t offset, uint64_t size)
{
    start_read_of(fixture, &(struct range_read_source){
                               .address = offset, .size = size, .from_flash = true, .bank = bank});
}

static void expect_bank(struct op_driver *driver, const char *range)
{
    char script[160];
    snprintf(script, sizeof script, "flash read_bank %s", range);
    op_driver_expect_get(driver, script);
    assert_null(driver->command.current_target);
    assert_true(driver->command.repeatable);
}

static void test_range_read_of_flash_goes_through_its_driver(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_flash(fixture, 0, 0x10, 3);
    driver->op->budget = 2;
    expect_bank(driver, "0 $p 0x10 0x2");
    assert_int_equal(driver->command.bytes, 2);
    assert_int_equal(op_driver_answer(driver, 0, "\0\x1a", 2, ""), OP_GO);
    expect_bank(driver, "0 $p 0x12 0x1");
    assert_int_equal(op_driver_answer(driver, 0, "z", 1, ""), OP_DONE);
    expect_bytes(fixture, "\0\x1az", 3);
}

static void test_range_read_of_flash_believes_no_other_size(void **state)
{
    static const char *const lies[] = {"", "a", "abc"};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < 3; i++) {
        start_flash(fixture, 0, 0x1ffe, 2);
        expect_bank(driver, "0 $p 0x1ffe 0x2");
        op_driver_answer_text(driver, lies[i]);
        op_driver_expect_failed(driver, ERR_FLASH_ERROR, "instead of 2");
        op_driver_assert_text(driver, "reason", "driver");
        op_driver_assert_integer(driver, "done", 0);
    }
}

static void test_range_read_of_flash_stays_within_the_bank(void **state)
{
    static const struct {
        uint64_t bank_size; /* 0: not probed yet */
        uint64_t offset;
        uint64_t size;
        bool good;
    } cases[] = {
        {0x2000, 0, 0x2000, true},  {0x2000, 0x1fff, 1, true},      {0x2000, 0, 0x2001, false},
        {0x2000, 0x2000, 1, false}, {0x2000, UINT64_MAX, 2, false}, {0, 0x2000, 1, true},
        {0, UINT64_MAX, 1, false},  {0, 0, UINT64_MAX, false},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        driver->info.banks[0].size = cases[i].bank_size;
        start_flash(fixture, 0, cases[i].offset, cases[i].size);
        if (cases[i].good) {
            assert_int_equal(op_driver_run(driver), OP_SEND);
        } else {
            op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond flash bank 0");
            op_driver_assert_integer(driver, "bank", 0);
            op_driver_assert_integer(driver, "size", cases[i].size);
        }
    }
    /* OpenOCD, which probed the bank just now, knows better. */
    start_flash(fixture, 0, 0x10000, 4);
    op_driver_run(driver);
    op_driver_answer_error(driver, -603, "",
                           "Length of 4 bytes with offset 0x00010000 is out of range of the flash bank\n");
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond flash bank 0");
}

static void test_range_read_of_flash_hands_on_openocds_words(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_flash(fixture, 0, 0, 4);
    op_driver_run(driver);
    op_driver_answer_error(driver, -603, "", "offset 0x0 is out of range\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR,
                            "cannot read 4 bytes at offset 0x0 of flash bank 0: offset 0x0 is out of range");
    op_driver_assert_openocd(driver, -603, "offset 0x0 is out of range");
    op_driver_assert_text(driver, "reason", "driver");
}

static void test_range_read_of_flash_needs_a_bank(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_flash(fixture, 1, 0, 4);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1: the board has 1");
    op_driver_assert_text(driver, "parameter", "bank");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_range_read_of_much_goes_through_a_file),
        WITH_FIXTURE(test_range_read_of_files_follows_the_budget_in_whole_pieces),
        WITH_FIXTURE(test_range_read_finds_out_with_read_memory_why_a_file_failed),
        WITH_FIXTURE(test_range_read_believes_no_file_of_another_size),
        WITH_FIXTURE(test_range_read_uses_no_file_where_it_cannot),
        WITH_FIXTURE(test_range_read_through_a_file_runs_with_its_target),
        WITH_FIXTURE(test_range_read_of_flash_goes_through_its_driver),
        WITH_FIXTURE(test_range_read_of_flash_believes_no_other_size),
        WITH_FIXTURE(test_range_read_of_flash_stays_within_the_bank),
        WITH_FIXTURE(test_range_read_of_flash_hands_on_openocds_words),
        WITH_FIXTURE(test_range_read_of_flash_needs_a_bank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
