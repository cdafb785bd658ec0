/* ops/flash_erase. */
#include "op_flash_write.h"

#include "ops/flash_erase.h"

/* Up to the first command that erases, or the end. */
static enum op_verdict survey(struct fixture *fixture)
{
    struct op_driver *driver = &fixture->driver;
    op_driver_expect(driver, "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]");
    assert_true(driver->command.repeatable);
    if (flash_answer_geometry(&fixture->flash, driver) == OP_FAILED) {
        return OP_FAILED;
    }
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_true(driver->command.repeatable);
    op_driver_answer_text(driver, "halted");
    return op_driver_run(driver);
}

static void start(struct fixture *fixture, size_t first, size_t last)
{
    op_driver_start(&fixture->driver, flash_erase_new(0, first, last));
}

static void test_flash_erase_begins_with_one_sector_and_goes_by_budgets(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 1, 6);
    assert_int_equal(survey(fixture), OP_SEND);
    assert_int_equal(driver->op->command_ms, 500);
    op_driver_expect(driver, "flash erase_sector 0 1 1");
    assert_int_equal(driver->command.bytes, 1024);
    assert_true(driver->command.changes);
    assert_true(driver->command.limit_ms > 60000);
    flash_answer(&fixture->flash, driver);
    assert_false(driver->op->critical);
    assert_string_equal(driver->op->progress.phase, "erase");
    assert_int_equal(driver->op->progress.done, 1);
    assert_int_equal(driver->op->progress.total, 6);
    assert_string_equal(driver->op->progress.unit, "sectors");
    driver->op->budget = 3 * 1024 + 1023;
    op_driver_expect(driver, "flash erase_sector 0 2 4");
    assert_int_equal(driver->command.bytes, 3072);
    flash_answer(&fixture->flash, driver);
    driver->op->budget = 1u << 20;
    op_driver_expect(driver, "flash erase_sector 0 5 6");
    flash_answer(&fixture->flash, driver);
    op_driver_expect_done(driver);
    assert_int_equal(((struct flash_erase *)driver->op)->erased, 6);
}

static void test_flash_erase_touches_only_its_sectors(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    memset(fixture->flash.bytes, 0x5a, sizeof fixture->flash.bytes);
    fixture->flash.sectors[3] = 4096;
    start(fixture, 2, 3);
    survey(fixture);
    while (op_driver_run(driver) == OP_SEND) {
        flash_answer(&fixture->flash, driver);
    }
    assert_int_equal(driver->verdict, OP_DONE);
    for (size_t i = 0; i < flash_size(&fixture->flash); i++) {
        bool inside = i >= 2048 && i < 2048 + 1024 + 4096;
        assert_int_equal(fixture->flash.bytes[i], inside ? 0xff : 0x5a);
    }
}

static void test_flash_erase_of_a_whole_bank_is_one_command_where_the_driver_has_one(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    op_driver_start(driver, flash_erase_all_new(0));
    survey(fixture);
    op_driver_expect(driver, "flash erase_sector 0 0 7");
    assert_int_equal(driver->command.bytes, 8192);
    flash_answer(&fixture->flash, driver);
    op_driver_expect_done(driver);
    assert_int_equal(((struct flash_erase *)driver->op)->erased, 8);
    start(fixture, 0, 7);
    survey(fixture);
    op_driver_expect(driver, "flash erase_sector 0 0 7");
    start(fixture, 0, 6);
    survey(fixture);
    op_driver_expect(driver, "flash erase_sector 0 0 0");
}

static void test_flash_erase_of_a_whole_bank_goes_in_pieces_else(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    struct strbuf text = STRBUF_INIT;
    size_t commands = 0;
    op_driver_start(driver, flash_erase_all_new(0));
    op_driver_run(driver);
    flash_append_geometry(&fixture->flash, &text);
    char *name = strstr(text.data, "driver stm32f1x");
    assert_non_null(name);
    memcpy(name, "driver stm32f2x", 15);
    op_driver_answer(driver, 0, text.data, text.length, "");
    strbuf_fini(&text);
    op_driver_run(driver);
    op_driver_answer_text(driver, "halted");
    while (op_driver_run(driver) == OP_SEND) {
        flash_answer(&fixture->flash, driver);
        commands++;
        driver->op->budget = 2048;
    }
    assert_int_equal(driver->verdict, OP_DONE);
    assert_int_equal(commands, 5); /* one sector, two, two, two, one */
    assert_int_equal(((struct flash_erase *)driver->op)->erased, 8);
}

static void test_flash_erase_of_sectors_that_are_not_there(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t first = 7; first <= 8; first++) {
        start(fixture, first, 8);
        assert_int_equal(survey(fixture), OP_FAILED);
        op_driver_expect_failed(driver, ERR_INVALID_RANGE, "sector 8 of flash bank 0 does not exist");
        op_driver_assert_integer(driver, "last", 7);
        op_driver_assert_integer(driver, "bank", 0);
        assert_null(err_find_detail(&driver->err, "flash_state"));
    }
    op_driver_start(driver, flash_erase_new(1, 0, 0));
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1");
    assert_int_equal(fixture->flash.erases, 0);
}

static void test_flash_erase_of_a_protected_sector(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.protected_blocks = 2;
    start(fixture, 3, 4);
    assert_int_equal(survey(fixture), OP_FAILED);
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "sector 4 of flash bank 0, at 0x08001000, is protected");
    op_driver_assert_text(driver, "reason", "protected");
    op_driver_assert_integer(driver, "sector", 4);
    op_driver_assert_address(driver, "address", 0x08001000);
    op_driver_assert_text(driver, "flash_state", "unchanged");
    op_driver_start(driver, flash_erase_all_new(0));
    assert_int_equal(survey(fixture), OP_FAILED);
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "is protected");
    start(fixture, 0, 3);
    assert_int_equal(survey(fixture), OP_SEND);
}

/* What a driver without a protection check puts into its rows is no reason to refuse. */
static void test_flash_erase_where_openocd_cannot_look_at_the_protection(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    struct strbuf text = STRBUF_INIT;
    fixture->flash.protected_blocks = 3;
    start(fixture, 0, 1);
    op_driver_run(driver);
    flash_append_geometry(&fixture->flash, &text);
    op_driver_answer(driver, 0, text.data, text.length, "Flash protection check is not implemented.\n");
    strbuf_fini(&text);
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_int_equal(flash_sector_protection(&((struct flash_erase *)driver->op)->geometry, 0),
                     OCD_PROTECTION_UNKNOWN);
}

static void test_flash_erase_needs_a_halted_target(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 0, 1);
    op_driver_run(driver);
    flash_answer_geometry(&fixture->flash, driver);
    op_driver_run(driver);
    op_driver_answer_text(driver, "running");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cpu is running: erasing flash needs it halted");
    op_driver_assert_text(driver, "state", "running");
    op_driver_assert_text(driver, "flash_state", "unchanged");
}

static void test_flash_erase_that_fails_half_way(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 1, 6);
    survey(fixture);
    flash_answer(&fixture->flash, driver);
    driver->op->budget = 2048;
    op_driver_expect(driver, "flash erase_sector 0 2 3");
    op_driver_answer_error(driver, -902, "", "timed out waiting for flash\nfailed erasing sectors 2 to 3\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR,
                            "erasing sectors 2 to 3 of flash bank 0 failed at 0x08000800: timed out");
    op_driver_assert_text(driver, "reason", "driver");
    op_driver_assert_integer(driver, "sector", 2);
    op_driver_assert_address(driver, "address", 0x08000800);
    op_driver_assert_text(driver, "flash_state", "partial");
    op_driver_assert_text(driver, "phase", "erase");
    op_driver_assert_integer(driver, "done", 1);
    op_driver_assert_integer(driver, "total", 6);
    op_driver_assert_openocd(driver, -902, "timed out waiting for flash\nfailed erasing sectors 2 to 3");
}

static void test_flash_erase_that_openocd_refuses(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start(fixture, 0, 0);
    survey(fixture);
    op_driver_answer_error(driver, -909, "", "stm32x device protected\nfailed erasing sectors 0 to 0\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "stm32x device protected");
    op_driver_assert_text(driver, "reason", "protected");
    start(fixture, 0, 0);
    survey(fixture);
    op_driver_answer_error(driver, -304, "", "Target not halted\nfailed erasing sectors 0 to 0\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "Target not halted");
    op_driver_assert_text(driver, "flash_state", "partial");
}

/* Success is believed only for the sectors that were asked for. */
static void test_flash_erase_believes_no_other_answer(void **state)
{
    static const char *const answers[] = {
        "",
        "erased sectors 0 through 0 on flash bank 0 in 0.1s\n",
        "erased sectors 2 through 3 on flash bank 0 in 0.1s\n",
        "erased address 0x08000800 (length 1024) in 0.1s (10.000 KiB/s)\n",
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        start(fixture, 2, 5);
        survey(fixture);
        op_driver_answer_text(driver, answers[i]);
        op_driver_expect_failed(driver, ERR_FLASH_ERROR, "erasing sectors 2 to 2 of flash bank 0 failed");
        op_driver_assert_text(driver, "flash_state", "partial");
        op_driver_assert_integer(driver, "done", 0);
    }
}

static void test_flash_erase_of_a_bank_without_sectors(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.sector_count = 0;
    op_driver_start(driver, flash_erase_all_new(0));
    op_driver_run(driver);
    flash_answer_geometry(&fixture->flash, driver);
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "flash bank 0 has no sectors");
    op_driver_assert_text(driver, "reason", "driver");
}

/* Up to OpenOCD 0.11 a bank does not say whose it is. */
static void test_flash_erase_of_a_bank_of_an_unknown_target(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    struct strbuf text = STRBUF_INIT;
    start(fixture, 0, 0);
    op_driver_run(driver);
    strbuf_append_text(&text, "{{name stm32f1x base 134217728 size 8192 bus_width 0 chip_width 0}} {");
    flash_append_sectors(&fixture->flash, &text);
    strbuf_append_text(&text, "} {");
    flash_append_blocks(&fixture->flash, &text);
    strbuf_append_text(&text, "}");
    op_driver_answer(driver, 0, text.data, text.length, "");
    strbuf_fini(&text);
    op_driver_expect(driver, "flash erase_sector 0 0 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_erase_begins_with_one_sector_and_goes_by_budgets),
        WITH_FIXTURE(test_flash_erase_touches_only_its_sectors),
        WITH_FIXTURE(test_flash_erase_of_a_whole_bank_is_one_command_where_the_driver_has_one),
        WITH_FIXTURE(test_flash_erase_of_a_whole_bank_goes_in_pieces_else),
        WITH_FIXTURE(test_flash_erase_of_sectors_that_are_not_there),
        WITH_FIXTURE(test_flash_erase_of_a_protected_sector),
        WITH_FIXTURE(test_flash_erase_where_openocd_cannot_look_at_the_protection),
        WITH_FIXTURE(test_flash_erase_needs_a_halted_target),
        WITH_FIXTURE(test_flash_erase_that_fails_half_way),
        WITH_FIXTURE(test_flash_erase_that_openocd_refuses),
        WITH_FIXTURE(test_flash_erase_believes_no_other_answer),
        WITH_FIXTURE(test_flash_erase_of_a_bank_without_sectors),
        WITH_FIXTURE(test_flash_erase_of_a_bank_of_an_unknown_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
