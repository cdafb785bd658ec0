/* ops/flash_write: refusals, lies and failures, and what the error says of the flash then. */
#include "op_flash_write.h"

static void assert_place(const struct fixture *fixture, uint64_t offset)
{
    op_driver_assert_integer(&fixture->driver, "bank", 0);
    op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + offset);
}

/* The survey: everything is checked before anything is touched. */

static void test_flash_write_of_a_protected_sector_is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.protected_blocks = 2; /* sectors 4 to 7 */
    fixture->options.prepare = PREPARE_RESET_INIT;
    start_at(fixture, 0xfff, 2); /* sectors 3 and 4 */
    op_driver_run(&fixture->driver);
    answer(fixture);
    expect_flash_error(fixture, "sector 4 of flash bank 0, at 0x08001000, is protected", "protected",
                       "unchanged");
    assert_place(fixture, 0x1000);
    op_driver_assert_integer(&fixture->driver, "sector", 4);
    start_at(fixture, 0xc00, 0x400); /* beside it */
    run_well(fixture);
}

/* Many chips take their protection in with a reset. */
static void test_flash_write_looks_at_the_protection_behind_its_reset(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.prepare = PREPARE_RESET_INIT;
    start_at(fixture, 0x1000, 2);
    run_to(fixture, "look");
    fixture->flash.protected_blocks = 2;
    answer(fixture);
    run_to(fixture, "info");
    answer(fixture);
    expect_flash_error(fixture, "sector 4 of flash bank 0, at 0x08001000, is protected", "protected",
                       "unchanged");
    assert_int_equal(fixture->flash.erases, 0);
}

/* Such drivers fill the rows with a guess. */
static void test_flash_write_where_openocd_cannot_look_at_the_protection(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf text = STRBUF_INIT;
    fixture->flash.protected_blocks = 3;
    start_at(fixture, 0, 4);
    op_driver_run(&fixture->driver);
    flash_append_geometry(&fixture->flash, &text);
    op_driver_answer(&fixture->driver, 0, text.data, text.length,
                     "Info : protection check is not implemented for this driver\n");
    strbuf_fini(&text);
    run_well(fixture);
    assert_int_equal(fixture->flash.bytes[3], 0x5a);
}

static void test_flash_write_that_cannot_look_leaves_the_flash_alone(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 4);
    op_driver_run(&fixture->driver);
    op_driver_answer_error(&fixture->driver, -4, "", "auto_probe failed\n");
    expect_flash_error(fixture, "cannot look at flash bank 0: auto_probe failed", "driver", "unchanged");
    op_driver_assert_openocd(&fixture->driver, -4, "auto_probe failed");
    start_at(fixture, 0, 4);
    op_driver_run(&fixture->driver);
    op_driver_answer_text(&fixture->driver, "");
    op_driver_expect_failed(&fixture->driver, ERR_OPENOCD_ERROR, "cannot be read");
}

struct row {
    uint64_t offset;
    uint64_t size;
};

/* Answers the survey with a bank of 8 KiB that has these sectors. */
static void answer_rows(struct fixture *fixture, const struct row *rows, size_t count)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf table = STRBUF_INIT;
    flash_append_header(&fixture->flash, &table);
    for (size_t i = 0; i < count; i++) {
        flash_append_row(&table, i, rows[i].offset, rows[i].size, "not protected");
    }
    strbuf_append_byte(&text, '{');
    flash_append_list(&fixture->flash, &text);
    strbuf_appendf(&text, "} {%s} {%s}", strbuf_text(&table), strbuf_text(&table));
    op_driver_answer(&fixture->driver, 0, text.data, text.length, "");
    strbuf_fini(&table);
    strbuf_fini(&text);
}

/* The image goes to the first 4 KiB of a bank of 8 KiB. */
static void test_flash_write_believes_no_impossible_sectors(void **state)
{
    static const struct {
        struct row rows[3];
        size_t count;
    } lies[] = {
        {.count = 0},
        {{{0, 0x800}}, 1},                             /* too few */
        {{{0x400, 0x1000}}, 1},                        /* not from the beginning */
        {{{0, 0x800}, {0xc00, 0x800}}, 2},             /* a gap */
        {{{0, 0x800}, {0x400, 0x1000}}, 2},            /* one over the other */
        {{{0x800, 0x800}, {0, 0x800}}, 2},             /* the wrong way round */
        {{{0, 0x800}, {0x800, 0}, {0x800, 0x800}}, 3}, /* an empty one */
        {{{0, 0x800}, {0x800, 0x8000}}, 2},            /* beyond the bank */
        {{{0, 0x1000000000000}}, 1},                   /* far beyond */
        {{{0, 0x800}, {0x800, UINT64_MAX}}, 2},        /* round the end */
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start_at(fixture, 0, 4096);
        op_driver_run(&fixture->driver);
        answer_rows(fixture, lies[i].rows, lies[i].count);
        expect_flash_error(fixture, "has no sectors, or impossible ones", "driver", "unchanged");
    }
}

static void test_flash_write_holds_no_sector_of_any_size(void **state)
{
    struct fixture *fixture = *state;
    for (int erase = 0; erase < 2; erase++) {
        fixture->options.erase = erase == 1;
        use_sectors(fixture, 1, FLASH_PLAN_MOST_SECTOR + 4096u);
        start_at(fixture, 0x1000, 4);
        op_driver_run(&fixture->driver);
        flash_answer_geometry(&fixture->flash, &fixture->driver);
        op_driver_expect_failed(&fixture->driver, ERR_LIMIT_EXCEEDED, "more than 16777216 bytes");
        op_driver_assert_text(&fixture->driver, "limit", "sector_bytes");
        op_driver_assert_integer(&fixture->driver, "maximum", FLASH_PLAN_MOST_SECTOR);
        use_sectors(fixture, 1, FLASH_PLAN_MOST_SECTOR);
        start_at(fixture, 0x1000, 4);
        op_driver_run(&fixture->driver);
        assert_int_equal(flash_answer_geometry(&fixture->flash, &fixture->driver), OP_GO);
    }
}

/* Keeping. */

static void test_flash_write_that_cannot_keep_erases_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0x10, 0x3f0);
    run_to(fixture, "keep");
    op_driver_answer(driver, 0, "123456789012345", 15, ""); /* one too few */
    expect_flash_error(fixture, "cannot read what must be kept at 0x08000000: OpenOCD gave 15 bytes",
                       "driver", "unchanged");
    assert_place(fixture, 0);
    assert_false(driver->err.has_openocd); /* bytes of flash are no words */
    start_at(fixture, 0, 0x3f0);
    run_to(fixture, "keep");
    op_driver_answer(driver, 0, "12345678901234567", 17, ""); /* one too many */
    expect_flash_error(fixture, "cannot read what must be kept at 0x080003f0: OpenOCD gave 17", "driver",
                       "unchanged");
    start_at(fixture, 0x10, 4);
    run_to(fixture, "keep");
    op_driver_answer_error(driver, -1202, "", "couldn't open file\n");
    expect_flash_error(fixture, "couldn't open file", "driver", "unchanged");
    op_driver_assert_openocd(driver, -1202, "couldn't open file");
    assert_int_equal(fixture->flash.erases, 0);
    assert_int_equal(driver->keeper.saves, 0);
}

/* Erasing. */

static void test_flash_write_believes_erasing_only_of_the_right_sectors(void **state)
{
    static const char *const lies[] = {
        "",
        "erased sectors 0 through 1 on flash bank 0 in 0.1s\n",
        "erased sectors 1 through 1 on flash bank 0 in 0.1s\n",
        "erased sectors 0 through 0 on flash bank 0\n",
        "erased address 0x08000000 (length 1024) in 0.1s (10.0 KiB/s)\n",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start_at(fixture, 0, 1024);
        run_to(fixture, "erase");
        op_driver_answer_text(&fixture->driver, lies[i]);
        expect_flash_error(fixture, "erasing failed at 0x08000000", "driver", "partial");
        assert_place(fixture, 0);
    }
}

static void test_flash_write_hands_on_why_erasing_failed(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 1024);
    run_to(fixture, "erase");
    op_driver_answer_error(&fixture->driver, -4, "",
                           "stm32x device protected\nfailed erasing sectors 0 to 0\n");
    expect_flash_error(fixture, "erasing failed at 0x08000000: stm32x device protected", "protected",
                       "partial");
    op_driver_assert_openocd(&fixture->driver, -4, "stm32x device protected\nfailed erasing sectors 0 to 0");
    start_at(fixture, 0, 1024);
    run_to(fixture, "erase");
    op_driver_answer_error(&fixture->driver, -304, "", "Target not halted\nfailed erasing sectors 0 to 0\n");
    op_driver_expect_failed(&fixture->driver, ERR_TARGET_NOT_HALTED, "Target not halted");
    op_driver_assert_text(&fixture->driver, "flash_state", "partial");
    assert_int_equal(fixture->flash.erases, 0);
}

/* Programming. */

static void test_flash_write_believes_programming_only_of_every_byte(void **state)
{
    static const char *const lies[] = {
        "", /* as of an offset at the bank's end, or an empty file */
        "wrote 1023 bytes from file f to flash bank 0 at offset 0x00000000 in 0.1s (1.0 KiB/s)\n",
        "wrote 1025 bytes from file f to flash bank 0 at offset 0x00000000 in 0.1s (1.0 KiB/s)\n",
        "wrote 0 bytes from file f in 0.1s (0.0 KiB/s)\n",
        "wrote many bytes\n",
        "read 1024 bytes from file f and flash bank 0 at offset 0x00000000 in 0.1s (1.0 KiB/s)\n",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start_at(fixture, 0, 2048);
        run_to(fixture, "program");
        op_driver_answer_text(&fixture->driver, lies[i]);
        expect_flash_error(fixture, "programming failed at 0x08000000", "driver", "partial");
        assert_place(fixture, 0);
        op_driver_assert_text(&fixture->driver, "phase", "erase");
        op_driver_assert_integer(&fixture->driver, "done", 1);
    }
}

static void test_flash_write_hands_on_why_programming_failed(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 2048);
    run_to(fixture, "program");
    answer(fixture);
    run_to(fixture, "program");
    op_driver_answer_error(&fixture->driver, -902, "",
                           "stm32x device not erased\nerror writing to flash at address 0x08000000 at "
                           "offset 0x00000400\n");
    expect_flash_error(fixture, "programming failed at 0x08000400: stm32x device not erased", "not_erased",
                       "partial");
    assert_place(fixture, 0x400);
}

static void test_flash_write_without_erasing_of_what_is_not_erased(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    fixture->flash.bytes[0x20] = 0;
    start_at(fixture, 0x10, 0x20);
    run_to(fixture, "program");
    answer(fixture);
    expect_flash_error(fixture, "programming failed at 0x08000010: stm32x device not erased", "not_erased",
                       "partial");
}

/* Checking what was put back. */

static void test_flash_write_that_cannot_put_back_keeps_the_record(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    memset(fixture->flash.bytes, 0x21, 8192);
    start_at(fixture, 0, 0x100);
    run_to(fixture, "check");
    fixture->flash.bytes[0x345] = 0x23; /* a bad cell */
    answer(fixture);
    expect_read(fixture, "0x100 0x300");
    answer(fixture);
    op_driver_expect_failed(driver, ERR_VERIFY_MISMATCH, "0x08000345 reads 0x23 instead of 0x21");
    op_driver_assert_address(driver, "address", FLASH_BASE + 0x345);
    op_driver_assert_text(driver, "flash_state", "partial");
    assert_int_equal(driver->keeper.count, 1);
    start_at(fixture, 0, 0x100);
    run_to(fixture, "check");
    op_driver_answer_error(driver, -4, "", "checksum mismatch\n");
    expect_read(fixture, "0x100 0x300");
    op_driver_answer_text(driver, "!");
    expect_flash_error(fixture, "cannot read back what was kept at 0x08000100: OpenOCD gave 1 bytes",
                       "driver", "partial");
    assert_place(fixture, 0x100);
    assert_int_equal(driver->keeper.count, 1);
}

/* Verifying. */

static void answer_verify(struct fixture *fixture, size_t size, size_t wrong)
{
    uint8_t *bytes = xmalloc(size + 1);
    memset(bytes, 0x5a, size);
    if (wrong < size) {
        bytes[wrong] = 0x5b;
    }
    op_driver_answer(&fixture->driver, 0, bytes, size, "");
    free(bytes);
}

static void test_flash_write_finds_the_first_byte_that_differs(void **state)
{
    /* In pieces of 1024 bytes at the most, that begin with sectors: from 0x210 on. */
    static const size_t places[] = {0, 1, 495, 496, 1023, 1024, 1519, 1520, 1999};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->flash.no_work_area = true;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t done = 0;
        start_at(fixture, 0x210, 2000);
        run_to(fixture, "verify");
        assert_int_equal(driver->op->budget, 1024);
        while (places[i] >= done + driver->command.bytes) {
            done += driver->command.bytes;
            answer(fixture);
            run_to(fixture, "verify");
        }
        answer_verify(fixture, driver->command.bytes, places[i] - done);
        op_driver_expect_failed(driver, ERR_VERIFY_MISMATCH, "reads 0x5b instead of 0x5a");
        op_driver_assert_address(driver, "address", FLASH_BASE + 0x210 + places[i]);
        op_driver_assert_integer(driver, "expected", 0x5a);
        op_driver_assert_integer(driver, "found", 0x5b);
        op_driver_assert_text(driver, "flash_state", "partial");
        op_driver_assert_text(driver, "phase", "verify");
        op_driver_assert_integer(driver, "done", done);
        assert_false(driver->op->critical);
    }
}

/* The checksum tells that something is wrong, reading tells what. */
static void test_flash_write_reads_what_the_checksum_finds(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0, 4096);
    run_to(fixture, "verify");
    op_driver_expect_put(driver, "verify_image_checksum $p 0x8000000 bin", fixture->flash.bytes, 4096);
    fixture->flash.bytes[3000] = 0;
    answer(fixture);
    assert_int_equal(driver->op->budget, 1024);
    expect_read(fixture, "0x0 0x400");
    answer(fixture);
    expect_read(fixture, "0x400 0x400");
    answer(fixture);
    expect_read(fixture, "0x800 0x400");
    answer(fixture);
    op_driver_expect_failed(driver, ERR_VERIFY_MISMATCH, "0x08000bb8 reads 0x00 instead of 0x5a");
    op_driver_assert_integer(driver, "done", 2048);
    op_driver_assert_integer(driver, "total", 4096);
}

static void test_flash_write_believes_no_verifying_of_another_size(void **state)
{
    static const size_t sizes[] = {0, 99, 101};
    struct fixture *fixture = *state;
    fixture->flash.no_work_area = true;
    for (size_t i = 0; i < 3; i++) {
        start_at(fixture, 0, 100);
        run_to(fixture, "verify");
        answer_verify(fixture, sizes[i], 1000);
        expect_flash_error(fixture, "cannot read back what was programmed at 0x08000000: OpenOCD gave",
                           "driver", "partial");
    }
    start_at(fixture, 0, 100);
    run_to(fixture, "verify");
    op_driver_answer_error(&fixture->driver, -4, "", "Failed to read memory\n");
    expect_flash_error(fixture, "cannot read back what was programmed at 0x08000000: Failed to read memory",
                       "driver", "partial");
}

/* Resetting, when all is done. */

static void test_flash_write_that_cannot_reset_says_that_the_image_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->options.reset = FLASH_RESET_RUN;
    for (int verify = 0; verify < 2; verify++) {
        fixture->options.verify = verify == 1;
        start_at(fixture, 0, 4);
        run_to(fixture, "reset");
        op_driver_answer_error(driver, -4, "", "no reset line\n");
        op_driver_expect_failed(driver, ERR_TARGET_ERROR,
                                "the image is programmed, but the reset failed: no reset line");
        assert_null(err_find_detail(&driver->err, "flash_state"));
        op_driver_assert_text(driver, "phase", "reset");
    }
}

/* What the runner asks for at an early end: cancel, a deadline, a lost link. */
static void test_flash_write_describes_the_flash_at_any_time(void **state)
{
    static const enum err_kind kinds[] = {ERR_CANCELLED, ERR_TIMEOUT, ERR_OUTCOME_UNKNOWN,
                                          ERR_OPENOCD_UNAVAILABLE};
    static const struct {
        const char *step;
        const char *flash_state; /* NULL: nothing is said */
    } cases[] = {
        {"look", "unchanged"},  {"room", "unchanged"},
        {"keep", "unchanged"},  {"erase", "partial"}, /* was sent */
        {"program", "partial"}, {"check", "partial"},
        {"verify", "partial"},  {"reset", NULL},
    };
    struct fixture *fixture = *state;
    fixture->options.reset = FLASH_RESET_HALT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            start_at(fixture, 0x100, 0x100);
            run_to(fixture, cases[i].step);
            err_set(&fixture->driver.err, kinds[k], "the end");
            fixture->driver.op->class->describe(fixture->driver.op, &fixture->driver.err);
            if (cases[i].flash_state != NULL) {
                op_driver_assert_text(&fixture->driver, "flash_state", cases[i].flash_state);
            } else {
                assert_null(err_find_detail(&fixture->driver.err, "flash_state"));
            }
        }
    }
}

/* Whichever command fails, nothing is sent behind it, and before the first erase the flash is as it was. */
static void test_flash_write_ends_with_any_command_that_fails(void **state)
{
    static const char *const harmless[] = {"room", "compare", "sample", "blank", "check"};
    struct fixture *fixture = *state;
    size_t failed = 0;
    bool ended = false;
    fixture->options.prepare = PREPARE_HALT;
    fixture->options.compare = true;
    fixture->options.reset = FLASH_RESET_RUN;
    for (size_t which = 0; !ended; which++) {
        bool touched = false;
        use_sectors(fixture, 8, 1024);
        memset(fixture->flash.bytes, 0x77, 8192);
        start_at(fixture, 0x200, 4096);
        ended = true;
        for (size_t i = 0; op_driver_run(&fixture->driver) == OP_SEND; i++) {
            touched = touched || is_step(fixture, "erase");
            bool goes_on = is_step(fixture, "verify") && fixture->driver.command.file == OP_FILE_PUT;
            for (size_t k = 0; k < sizeof harmless / sizeof harmless[0]; k++) {
                goes_on = goes_on || is_step(fixture, harmless[k]);
            }
            if (i == which && !goes_on) {
                bool reset = is_step(fixture, "reset");
                op_driver_answer_error(&fixture->driver, -4, "", "something is broken\n");
                op_driver_run(&fixture->driver);
                assert_int_equal(fixture->driver.verdict, OP_FAILED);
                assert_non_null(strstr(fixture->driver.err.message, "something is broken"));
                fixture->driver.op->class->describe(fixture->driver.op, &fixture->driver.err);
                if (fixture->driver.err.kind == ERR_FLASH_ERROR) {
                    op_driver_assert_text(&fixture->driver, "flash_state", touched ? "partial" : "unchanged");
                }
                assert_int_equal(write_of(fixture)->touched, touched);
                assert_int_equal(write_of(fixture)->complete, reset);
                failed++;
                ended = false;
                break;
            }
            if (i == which) {
                op_driver_answer_error(&fixture->driver, -4, "", "something is broken\n");
                ended = false;
            } else {
                answer(fixture);
            }
        }
        if (fixture->driver.verdict == OP_DONE) {
            for (size_t i = 0; i < 8192; i++) {
                assert_int_equal(fixture->flash.bytes[i], i >= 0x200 && i < 0x1200 ? 0x5a : 0x77);
            }
        }
        fake_keeper_fini(&fixture->driver.keeper);
    }
    assert_true(failed > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_of_a_protected_sector_is_refused_at_once),
        WITH_FIXTURE(test_flash_write_looks_at_the_protection_behind_its_reset),
        WITH_FIXTURE(test_flash_write_where_openocd_cannot_look_at_the_protection),
        WITH_FIXTURE(test_flash_write_that_cannot_look_leaves_the_flash_alone),
        WITH_FIXTURE(test_flash_write_believes_no_impossible_sectors),
        WITH_FIXTURE(test_flash_write_holds_no_sector_of_any_size),
        WITH_FIXTURE(test_flash_write_that_cannot_keep_erases_nothing),
        WITH_FIXTURE(test_flash_write_believes_erasing_only_of_the_right_sectors),
        WITH_FIXTURE(test_flash_write_hands_on_why_erasing_failed),
        WITH_FIXTURE(test_flash_write_believes_programming_only_of_every_byte),
        WITH_FIXTURE(test_flash_write_hands_on_why_programming_failed),
        WITH_FIXTURE(test_flash_write_without_erasing_of_what_is_not_erased),
        WITH_FIXTURE(test_flash_write_that_cannot_put_back_keeps_the_record),
        WITH_FIXTURE(test_flash_write_finds_the_first_byte_that_differs),
        WITH_FIXTURE(test_flash_write_reads_what_the_checksum_finds),
        WITH_FIXTURE(test_flash_write_believes_no_verifying_of_another_size),
        WITH_FIXTURE(test_flash_write_that_cannot_reset_says_that_the_image_is_there),
        WITH_FIXTURE(test_flash_write_describes_the_flash_at_any_time),
        WITH_FIXTURE(test_flash_write_ends_with_any_command_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
