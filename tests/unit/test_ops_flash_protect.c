/* ops/flash_protect. */
#include "op_flash_write.h"

#include "ops/flash_protect.h"

static int protect_setup(void **state)
{
    struct fixture *fixture = fixture_new();
    flash_init(&fixture->flash, 16, 1024);
    fixture->flash.block_sectors = 4;
    *state = fixture;
    return 0;
}

static const struct flash_protect *self_of(const struct fixture *fixture)
{
    return (const struct flash_protect *)fixture->driver.op;
}

/* Starts, and lets it look at the bank. */
static void start(struct fixture *fixture, size_t first, size_t last, bool on)
{
    op_driver_start(&fixture->driver, flash_protect_new(0, first, last, on));
    op_driver_expect(&fixture->driver,
                     "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]");
    assert_true(fixture->driver.command.repeatable);
    flash_answer_geometry(&fixture->flash, &fixture->driver);
}

static void test_flash_protect_counts_in_blocks_and_reads_back(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 4, 11, true);
    op_driver_expect(driver, "flash protect 0 1 2 on");
    assert_true(driver->command.changes);
    op_driver_answer_text(driver, "set protection for blocks 1 through 2 on flash bank 0\n");
    op_driver_expect(driver, "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]");
    assert_true(driver->command.repeatable);
    fixture->flash.protected_blocks = 6;
    assert_int_equal(flash_answer_geometry(&fixture->flash, driver), OP_DONE);
    assert_false(self_of(fixture)->reset_needed);
    assert_int_equal(flash_sector_protection(&self_of(fixture)->geometry, 4), OCD_PROTECTION_ON);
    assert_int_equal(flash_sector_protection(&self_of(fixture)->geometry, 12), OCD_PROTECTION_OFF);
}

static void test_flash_protect_that_does_not_read_back_needs_a_reset(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.protected_blocks = 1;
    start(fixture, 0, 7, false);
    op_driver_expect(driver, "flash protect 0 0 1 off");
    op_driver_answer_text(driver, "cleared protection for blocks 0 through 1 on flash bank 0\n");
    op_driver_run(driver);
    assert_int_equal(flash_answer_geometry(&fixture->flash, driver), OP_DONE);
    assert_true(self_of(fixture)->reset_needed);
}

static void test_flash_protect_counts_in_sectors_where_there_are_no_blocks(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.block_sectors = 0;
    start(fixture, 3, 5, true);
    op_driver_expect(driver, "flash protect 0 3 5 on");
    op_driver_answer_text(driver, "set protection for sectors 3 through 5 on flash bank 0\n");
    op_driver_run(driver);
    fixture->flash.protected_blocks = 0x38;
    assert_int_equal(flash_answer_geometry(&fixture->flash, driver), OP_DONE);
    assert_false(self_of(fixture)->reset_needed);
}

static void test_flash_protect_refuses_to_cut_blocks(void **state)
{
    static const struct {
        size_t first;
        size_t last;
        size_t wide_first;
        size_t wide_last;
    } cases[] = {{0, 0, 0, 3}, {1, 3, 0, 3}, {3, 4, 0, 7}, {4, 10, 4, 11}, {5, 5, 4, 7}, {15, 15, 12, 15}};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start(fixture, cases[i].first, cases[i].last, true);
        op_driver_expect_failed(driver, ERR_INVALID_RANGE, "cut a protection block");
        op_driver_assert_integer(driver, "bank", 0);
        op_driver_assert_integer(driver, "first", cases[i].wide_first);
        op_driver_assert_integer(driver, "last", cases[i].wide_last);
    }
}

/* A geometry whose rows are written out: the sectors are 8 of 1 KiB. */
static void answer_blocks(struct fixture *fixture, const char *blocks)
{
    struct strbuf text = STRBUF_INIT;
    fixture->flash.sector_count = 8;
    strbuf_append_byte(&text, '{');
    flash_append_list(&fixture->flash, &text);
    strbuf_append_text(&text, "} {");
    flash_append_sectors(&fixture->flash, &text);
    strbuf_append_text(&text, "} {");
    flash_append_header(&fixture->flash, &text);
    strbuf_append_text(&text, blocks);
    strbuf_append_text(&text, "}");
    op_driver_answer(&fixture->driver, 0, text.data, text.length, "");
    strbuf_fini(&text);
}

static void start_blocks(struct fixture *fixture, size_t first, size_t last, const char *blocks)
{
    op_driver_start(&fixture->driver, flash_protect_new(0, first, last, true));
    op_driver_run(&fixture->driver);
    answer_blocks(fixture, blocks);
}

/* Where borders of sectors and blocks do not meet, the range grows until both agree. */
static void test_flash_protect_with_blocks_that_cut_sectors(void **state)
{
    static const char blocks[] = "\t#  0: 0x00000000 (0x600 1kB) not protected\n"
                                 "\t#  1: 0x00000600 (0xa00 2kB) not protected\n"
                                 "\t#  2: 0x00001000 (0x1000 4kB) not protected\n";
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_blocks(fixture, 0, 0, blocks);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "cut a protection block");
    op_driver_assert_integer(driver, "first", 0);
    op_driver_assert_integer(driver, "last", 3);
    start_blocks(fixture, 0, 3, blocks);
    op_driver_expect(driver, "flash protect 0 0 1 on");
}

static void test_flash_protect_with_blocks_finer_than_sectors(void **state)
{
    struct fixture *fixture = *state;
    start_blocks(fixture, 1, 1,
                 "\t#  0: 0x00000000 (0x400 1kB) not protected\n\t#  1: 0x00000400 (0x200 0kB) protected\n"
                 "\t#  2: 0x00000600 (0x200 0kB) not protected\n\t#  3: 0x00000800 (0x1800 6kB) protected\n");
    op_driver_expect(&fixture->driver, "flash protect 0 1 2 on");
}

static void test_flash_protect_where_no_block_is_over_a_sector(void **state)
{
    struct fixture *fixture = *state;
    start_blocks(fixture, 0, 7, "\t#  0: 0x00000000 (0x1000 4kB) not protected\n");
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR, "no protection blocks, or impossible ones");
    start_blocks(fixture, 0, 7, "");
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR, "no protection blocks, or impossible ones");
    op_driver_assert_text(&fixture->driver, "reason", "driver");
}

static void test_flash_protect_of_sectors_that_are_not_there(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 12, 16, true);
    op_driver_expect_failed(&fixture->driver, ERR_INVALID_RANGE, "sector 16 of flash bank 0 does not exist");
    op_driver_assert_integer(&fixture->driver, "last", 15);
    op_driver_start(&fixture->driver, flash_protect_new(2, 0, 0, true));
    op_driver_expect_failed(&fixture->driver, ERR_NOT_FOUND, "there is no flash bank 2");
}

static void test_flash_protect_where_the_driver_knows_none(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0, 3, true);
    op_driver_run(&fixture->driver);
    op_driver_answer_error(&fixture->driver, -908, "", "Flash protection is not supported.\n");
    op_driver_expect_failed(&fixture->driver, ERR_UNSUPPORTED, "Flash protection is not supported.");
    op_driver_assert_openocd(&fixture->driver, -908, "Flash protection is not supported.");
}

static void test_flash_protect_that_fails(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 4, 7, true);
    op_driver_run(driver);
    op_driver_answer_error(driver, -304, "",
                           "Target not halted\nfailed setting protection for blocks 1 to 1\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "protecting failed at 0x08001000");
    op_driver_assert_text(driver, "target", "cpu");
    start(fixture, 4, 7, false);
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "cannot\nfailed setting protection for blocks 1 to 1\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "lifting the protection failed");
    start(fixture, 4, 7, true);
    op_driver_run(driver);
    op_driver_answer_text(driver, "set protection for blocks 4 through 7 on flash bank 0\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "protecting failed");
}

/* Nothing is claimed where nothing reads back. */
static void test_flash_protect_where_nothing_reads_back(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    struct strbuf text = STRBUF_INIT;
    start(fixture, 4, 7, true);
    op_driver_run(driver);
    op_driver_answer_text(driver, "set protection for blocks 1 through 1 on flash bank 0\n");
    op_driver_run(driver);
    flash_append_geometry(&fixture->flash, &text);
    op_driver_answer(driver, 0, text.data, text.length, "Flash protection check is not implemented.\n");
    strbuf_fini(&text);
    op_driver_expect_done(driver);
    assert_false(self_of(fixture)->reset_needed);
    assert_int_equal(flash_sector_protection(&self_of(fixture)->geometry, 4), OCD_PROTECTION_UNKNOWN);
}

static void test_flash_protect_that_cannot_be_read_back(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 4, 7, true);
    op_driver_run(driver);
    op_driver_answer_text(driver, "set protection for blocks 1 through 1 on flash bank 0\n");
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "Cannot read flash size\nauto_probe failed\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "was changed, but cannot be read back");
    op_driver_assert_text(driver, "reason", "driver");
}

#define WITH_PROTECT(test) cmocka_unit_test_setup_teardown(test, protect_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROTECT(test_flash_protect_counts_in_blocks_and_reads_back),
        WITH_PROTECT(test_flash_protect_that_does_not_read_back_needs_a_reset),
        WITH_PROTECT(test_flash_protect_counts_in_sectors_where_there_are_no_blocks),
        WITH_PROTECT(test_flash_protect_refuses_to_cut_blocks),
        WITH_PROTECT(test_flash_protect_with_blocks_that_cut_sectors),
        WITH_PROTECT(test_flash_protect_with_blocks_finer_than_sectors),
        WITH_PROTECT(test_flash_protect_where_no_block_is_over_a_sector),
        WITH_PROTECT(test_flash_protect_of_sectors_that_are_not_there),
        WITH_PROTECT(test_flash_protect_where_the_driver_knows_none),
        WITH_PROTECT(test_flash_protect_that_fails),
        WITH_PROTECT(test_flash_protect_where_nothing_reads_back),
        WITH_PROTECT(test_flash_protect_that_cannot_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
