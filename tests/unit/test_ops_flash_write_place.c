/* ops/flash_write: in which banks an image goes, and lifting their protection. */
#include "op_flash_write.h"

/* Where. */

static void test_flash_write_finds_the_bank_of_an_address(void **state)
{
    static const struct {
        uint64_t address;
        int bank; /* -1: none */
    } cases[] = {
        {0x08000000, 0}, {0x08001fff, 0},  {0x08002000, -1}, {0x07ffffff, -1},
        {0x1000, 1},     {0x0fffffff, -1}, {0x10000000, 2},  {0x1fffffff, 2}, /* not probed: any size */
        {0, -1},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    add_bank(fixture, 0x1000, 8);
    add_bank(fixture, 0x10000000, 8)->no_size = true;
    fixture->options.has_address = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        take_banks(fixture);
        start_bin(fixture, cases[i].address, "x", 1);
        op_driver_run(driver);
        assert_memory_equal(strbuf_text(&driver->command.script), "apply {{} {set i 0; ", 20);
        assert_true(driver->command.repeatable);
        answer(fixture);
        if (cases[i].bank < 0) {
            op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "1 bytes of the image at 0x");
            op_driver_assert_address(driver, "address", cases[i].address);
            op_driver_assert_integer(driver, "size", 1);
        } else {
            char script[100];
            snprintf(script, sizeof script,
                     "flash probe %d; list [flash list] [flash info %d sectors] [flash info %d]",
                     cases[i].bank, cases[i].bank, cases[i].bank);
            op_driver_expect(driver, script);
        }
    }
}

static void test_flash_write_that_cannot_list_the_banks(void **state)
{
    struct fixture *fixture = *state;
    fixture->driver.info.banks[0].size = 0;
    start_at(fixture, 0, 1);
    op_driver_run(&fixture->driver);
    op_driver_answer_error(&fixture->driver, 1, "invalid command name \"flash\"", "");
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR,
                            "cannot list the flash banks: invalid command");
    op_driver_assert_text(&fixture->driver, "flash_state", "unchanged");
    start_at(fixture, 0, 1);
    op_driver_run(&fixture->driver);
    op_driver_answer_text(&fixture->driver, "{name");
    op_driver_expect_failed(&fixture->driver, ERR_OPENOCD_ERROR, "");
}

static void test_flash_write_without_an_address_begins_with_bank_0(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0, 8);
    start_bin(fixture, 0, "x", 1);
    run_well(fixture);
    assert_int_equal(fixture->flash.bytes[0], 'x');
    assert_int_equal(fixture->flash.next->bytes[0], 0xff);
}

static void test_flash_write_needs_a_bank(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    driver->info.bank_count = 0;
    start_bin(fixture, 0, "x", 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "the board has no flash bank");
    start_at(fixture, 0, 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "the board has no flash bank");
    fixture->options.has_bank = true;
    start_bin(fixture, 0, "x", 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 0");
    fixture->options.bank = 1;
    take_banks(fixture);
    start_bin(fixture, 0, "x", 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1: the board has 1");
    op_driver_assert_text(driver, "parameter", "bank");
}

static void test_flash_write_fits_exactly_or_not_at_all(void **state)
{
    static const struct {
        uint64_t offset;
        size_t size;
        bool good;
    } cases[] = {
        {0, 8192, true}, {8191, 1, true}, {0, 8193, false}, {8191, 2, false}, {1, 8192, false},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_at(fixture, cases[i].offset, cases[i].size);
        if (cases[i].good) {
            run_well(fixture);
            assert_int_equal(fixture->flash.bytes[cases[i].offset + cases[i].size - 1], 0x5a);
            continue;
        }
        op_driver_expect_failed(&fixture->driver, ERR_IMAGE_INVALID, "lie in no flash bank of the board");
        op_driver_assert_address(&fixture->driver, "address",
                                 FLASH_BASE + 8192); /* the first that does not */
        op_driver_assert_integer(&fixture->driver, "size", cases[i].offset + cases[i].size - 8192);
    }
}

/* Its probe failed at first; the second one tells that it ends before the image does. */
static void test_flash_write_behind_the_end_of_a_bank_just_probed(void **state)
{
    static const struct {
        uint64_t offset;
        size_t size;
    } cases[] = {{8192, 1}, {8191, 2}, {0, 8193}, {100000, 5}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture->flash.no_size = true;
        fixture->driver.info.banks[0].size = 0;
        start_at(fixture, cases[i].offset, cases[i].size);
        op_driver_run(&fixture->driver);
        answer(fixture);
        op_driver_run(&fixture->driver);
        answer(fixture);
        op_driver_expect_failed(&fixture->driver, ERR_IMAGE_INVALID, "do not fit into flash bank 0");
        op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + cases[i].offset);
        op_driver_assert_integer(&fixture->driver, "size", cases[i].size);
    }
}

static void test_flash_write_of_a_bank_that_moves_is_refused(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 1);
    op_driver_run(&fixture->driver);
    fixture->flash.base = 0;
    answer(fixture);
    expect_flash_error(fixture, "flash bank 0 was at 0x08000000 and is at 0x00000000 now", "driver",
                       "unchanged");
}

static void test_flash_write_goes_to_an_offset_of_a_bank(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0x10000000, 4);
    fixture->options.has_bank = true;
    fixture->options.bank = 1;
    fixture->options.offset = 0x3ff;
    start_bin(fixture, 0x1234, "xyz", 3);
    run_well(fixture);
    assert_memory_equal(fixture->flash.next->bytes + 0x3ff, "xyz", 3);
    assert_int_equal(fixture->flash.next->sector_erases[0], 1);
    assert_int_equal(fixture->flash.next->sector_erases[1], 1);
}

static void test_flash_write_to_an_offset_beyond_the_bank(void **state)
{
    static const uint64_t offsets[] = {8190, 8192, 1ull << 32, UINT64_MAX - 1, UINT64_MAX};
    struct fixture *fixture = *state;
    fixture->options.has_bank = true;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        fixture->options.offset = offsets[i];
        start_bin(fixture, 0, "xyz", 3);
        op_driver_expect_failed(&fixture->driver, ERR_INVALID_RANGE, "offset: 3 bytes at offset 0x");
        op_driver_assert_integer(&fixture->driver, "bank", 0);
        op_driver_assert_integer(&fixture->driver, "size", 3);
    }
}

static void test_flash_write_for_one_target_sees_its_banks_alone(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    add_bank(fixture, FLASH_BASE + 8192, 4)->target = "dsp";
    take_banks(fixture);
    start_at(fixture, 8190, 4);
    snprintf(driver->op->target, sizeof driver->op->target, "cpu");
    op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "2 bytes of the image at 0x08002000");
    fixture->options.has_bank = true;
    fixture->options.bank = 1;
    start_bin(fixture, 0, "x", 1);
    snprintf(driver->op->target, sizeof driver->op->target, "cpu");
    op_driver_expect_failed(driver, ERR_INVALID_PARAMS, "target: flash bank 1 belongs to dsp");
}

/* A segment over the border of two banks, one that fills a sector, and two in one sector. */
static void test_flash_write_of_segments_in_several_banks(void **state)
{
    struct fixture *fixture = *state;
    struct made_up_flash *behind = add_bank(fixture, FLASH_BASE + 8192, 4);
    struct made_up_flash *far = add_bank(fixture, 0x20000000, 2);
    uint8_t bytes[3000];
    fill_random(bytes, sizeof bytes, 9);
    memset(fixture->flash.bytes, 0x11, 8192);
    memset(behind->bytes, 0x22, 4096);
    memset(far->bytes, 0x33, 2048);
    const struct test_segment segments[] = {
        {FLASH_BASE + 0x400, bytes, 0x400},   {FLASH_BASE + 8192 - 1500, bytes, 3000},
        {FLASH_BASE + 8192 + 3000, bytes, 7}, {FLASH_BASE + 8192 + 3010, bytes, 7},
        {0x20000000 + 5, bytes, 9},
    };
    start_segments(fixture, segments, sizeof segments / sizeof segments[0]);
    op_driver_run(&fixture->driver);
    for (unsigned i = 0; i < 3; i++) { /* all are looked at before anything else */
        assert_true(is_step(fixture, "info"));
        answer(fixture);
        op_driver_run(&fixture->driver);
    }
    run_well(fixture);
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        for (size_t k = 0; k < segments[i].size; k++) {
            const struct made_up_flash *bank = flash_at(&fixture->flash, segments[i].address + k, 1);
            assert_int_equal(bank->bytes[segments[i].address + k - bank->base], bytes[k]);
        }
    }
    assert_int_equal(fixture->flash.bytes[0x3ff], 0x11);
    assert_int_equal(fixture->flash.bytes[8192 - 1501], 0x11);
    assert_int_equal(behind->bytes[1500], 0x22);
    assert_int_equal(behind->bytes[3007], 0x22);
    assert_int_equal(behind->bytes[3017], 0x22);
    assert_int_equal(far->bytes[4], 0x33);
    assert_int_equal(far->bytes[14], 0x33);
    assert_int_equal(write_of(fixture)->sectors_erased, 1 + 2 + 2 + 1 + 1);
    assert_int_equal(write_of(fixture)->image_size, 0x400 + 3000 + 7 + 7 + 9);
}

/* Each may be of another kind. */
static void test_flash_write_sees_in_each_bank_what_erased_bytes_read(void **state)
{
    struct fixture *fixture = *state;
    uint8_t image[4096];
    add_bank(fixture, FLASH_BASE + 8192, 8)->erased_value = 0;
    memset(image, 0xff, sizeof image);
    start_image(fixture, 8192 - 2048, image, sizeof image);
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes + 8192 - 2048, image, 2048);
    assert_memory_equal(fixture->flash.next->bytes, image, 2048);
    assert_int_equal(fixture->flash.programmed_bytes, 2048);
}

static void test_flash_write_of_a_segment_in_no_bank_touches_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct test_segment segments[] = {{FLASH_BASE, "abc", 3}, {0x20000000, "defg", 4}};
    start_segments(fixture, segments, 2);
    op_driver_expect_failed(&fixture->driver, ERR_IMAGE_INVALID,
                            "4 bytes of the image at 0x20000000 lie in no");
    op_driver_assert_address(&fixture->driver, "address", 0x20000000);
    op_driver_assert_integer(&fixture->driver, "size", 4);
    assert_null(err_find_detail(&fixture->driver.err, "flash_state"));
}

/* Protection. */

static void test_flash_write_lifts_protection_where_the_image_goes(void **state)
{
    struct fixture *fixture = *state;
    use_sectors(fixture, 8, 1024);
    fixture->flash.protected_blocks = 0xff;
    fixture->options.unlock = true;
    start_at(fixture, 0x7ff, 0x402); /* sectors 1 to 3 */
    run_to(fixture, "look");
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash protect 0 1 3 off");
    assert_true(fixture->driver.command.changes);
    assert_int_equal(fixture->driver.command.limit_ms, 300000);
    answer(fixture);
    run_well(fixture);
    assert_int_equal(fixture->flash.protected_blocks, 0xf1);
    assert_int_equal(fixture->flash.bytes[0x7ff], 0x5a);
}

static void test_flash_write_lifts_the_protection_of_blocks_and_banks(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, FLASH_BASE + 8192, 8)->protected_blocks = 0x02;
    struct made_up_flash *last = add_bank(fixture, FLASH_BASE + 16384, 8);
    last->protected_blocks = 0x81;
    fixture->flash.protected_blocks = 2;
    fixture->options.unlock = true;
    start_at(fixture, 8190, 8196);
    run_to(fixture, "unlock");
    for (unsigned bank = 0; bank < 3; bank++) {
        static const char *const commands[] = {"flash protect 0 1 1 off", "flash protect 1 1 1 off",
                                               "flash protect 2 0 0 off"};
        op_driver_expect(&fixture->driver, commands[bank]);
        answer(fixture);
        for (unsigned i = 0; i < 3; i++) { /* all are looked at again */
            op_driver_run(&fixture->driver);
            assert_true(is_step(fixture, "info"));
            answer(fixture);
        }
    }
    run_well(fixture);
    assert_int_equal(last->protected_blocks, 0x80);
}

static void test_flash_write_resets_again_where_that_lifts_the_protection(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.unlock = UNLOCKS_WITH_A_RESET;
    fixture->flash.protected_blocks = 1;
    fixture->options.unlock = true;
    fixture->options.prepare = PREPARE_RESET_INIT;
    start_at(fixture, 0, 4);
    op_driver_run(driver);
    answer(fixture);
    op_driver_expect(driver, "reset init");
    answer(fixture);
    op_driver_expect(driver, "\"cpu\" curstate");
    answer(fixture);
    run_to(fixture, "info"); /* the reset may have brought another protection into force */
    answer(fixture);
    op_driver_expect(driver, "flash protect 0 0 0 off");
    answer(fixture);
    run_to(fixture, "info");
    answer(fixture);
    op_driver_expect(driver, "reset init");
    answer(fixture);
    op_driver_expect(driver, "\"cpu\" curstate");
    answer(fixture);
    run_to(fixture, "info");
    answer(fixture);
    run_well(fixture);
    assert_int_equal(fixture->flash.bytes[0], 0x5a);
}

/* Two runs of blocks, on a chip that would forget the first change over the second: a reset takes in each. */
static void test_flash_write_lifts_run_by_run(void **state)
{
    struct fixture *fixture = *state;
    use_sectors(fixture, 8, 1024);
    fixture->flash.protected_blocks = 0x2a; /* 1, 3, 5 */
    fixture->flash.unlock = UNLOCKS_WITH_A_RESET;
    fixture->options.unlock = true;
    fixture->options.prepare = PREPARE_RESET_INIT;
    start_at(fixture, 1024, 3072);
    for (unsigned block = 1; block <= 3; block += 2) {
        char command[64];
        snprintf(command, sizeof command, "flash protect 0 %u %u off", block, block);
        run_to(fixture, "unlock");
        op_driver_expect(&fixture->driver, command);
        answer(fixture);
        run_to(fixture, "prepare");
        answer(fixture);
    }
    run_well(fixture);
    assert_int_equal(fixture->flash.protected_blocks, 0x20);
    assert_int_equal(fixture->flash.bytes[4095], 0x5a);
}

static void test_flash_write_tells_where_protection_stays(void **state)
{
    static const struct {
        enum made_up_unlock unlock;
        enum prepare_mode prepare;
        const char *words;
    } cases[] = {
        {UNLOCKS_WITH_A_RESET, PREPARE_NONE,
         "the protection was lifted, but only a reset makes that take effect"},
        {UNLOCKS_WITH_A_RESET, PREPARE_HALT, "only a reset makes that take effect: sector 1"},
        {UNLOCKS_NEVER, PREPARE_RESET_HALT, "not even a reset makes that take effect: sector 1"},
        {UNLOCKS_NEVER, PREPARE_NONE, "the protection was lifted, but"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        use_sectors(fixture, 8, 1024);
        fixture->flash.protected_blocks = 2;
        fixture->flash.unlock = cases[i].unlock;
        fixture->options.unlock = true;
        fixture->options.prepare = cases[i].prepare;
        start_at(fixture, 1024, 4);
        while (op_driver_run(&fixture->driver) == OP_SEND) {
            answer(fixture);
        }
        expect_flash_error(fixture, cases[i].words, "protected", "unchanged");
        op_driver_assert_integer(&fixture->driver, "sector", 1);
        assert_int_equal(fixture->flash.erases, 0);
    }
}

static void test_flash_write_that_cannot_lift_the_protection(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.protected_blocks = 1;
    fixture->options.unlock = true;
    start_at(fixture, 0, 4);
    run_to(fixture, "unlock");
    op_driver_answer_error(&fixture->driver, -4, "", "no such option bytes\n");
    expect_flash_error(fixture, "cannot lift the protection of flash bank 0: no such option bytes",
                       "protected", "unchanged");
    start_at(fixture, 0, 4);
    run_to(fixture, "unlock");
    op_driver_answer_error(&fixture->driver, -304, "", "Target not halted\n");
    op_driver_expect_failed(&fixture->driver, ERR_TARGET_NOT_HALTED, "Target not halted");
}

/* There is nothing to lift. */
static void test_flash_write_with_unlock_where_nothing_is_protected(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.unlock = true;
    fixture->flash.protected_blocks = 2;
    start_at(fixture, 0, 4);
    run_to(fixture, "look");
    answer(fixture);
    op_driver_run(&fixture->driver);
    assert_true(is_step(fixture, "room"));
    run_well(fixture);
    assert_int_equal(fixture->flash.protected_blocks, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_finds_the_bank_of_an_address),
        WITH_FIXTURE(test_flash_write_that_cannot_list_the_banks),
        WITH_FIXTURE(test_flash_write_without_an_address_begins_with_bank_0),
        WITH_FIXTURE(test_flash_write_needs_a_bank),
        WITH_FIXTURE(test_flash_write_fits_exactly_or_not_at_all),
        WITH_FIXTURE(test_flash_write_behind_the_end_of_a_bank_just_probed),
        WITH_FIXTURE(test_flash_write_of_a_bank_that_moves_is_refused),
        WITH_FIXTURE(test_flash_write_goes_to_an_offset_of_a_bank),
        WITH_FIXTURE(test_flash_write_to_an_offset_beyond_the_bank),
        WITH_FIXTURE(test_flash_write_for_one_target_sees_its_banks_alone),
        WITH_FIXTURE(test_flash_write_of_segments_in_several_banks),
        WITH_FIXTURE(test_flash_write_sees_in_each_bank_what_erased_bytes_read),
        WITH_FIXTURE(test_flash_write_of_a_segment_in_no_bank_touches_nothing),
        WITH_FIXTURE(test_flash_write_lifts_protection_where_the_image_goes),
        WITH_FIXTURE(test_flash_write_lifts_the_protection_of_blocks_and_banks),
        WITH_FIXTURE(test_flash_write_resets_again_where_that_lifts_the_protection),
        WITH_FIXTURE(test_flash_write_lifts_run_by_run),
        WITH_FIXTURE(test_flash_write_tells_where_protection_stays),
        WITH_FIXTURE(test_flash_write_that_cannot_lift_the_protection),
        WITH_FIXTURE(test_flash_write_with_unlock_where_nothing_is_protected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
