/* ops/flash_write: refusals, lies and failures, and what the error says of the flash then. */
#include "op_flash_write.h"

static void expect_flash_error(struct fixture *fixture, const char *words, const char *reason,
                               const char *flash_state)
{
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR, words);
    op_driver_assert_text(&fixture->driver, "reason", reason);
    op_driver_assert_text(&fixture->driver, "flash_state", flash_state);
}

/* The survey: everything is checked before anything is touched. */

static void test_flash_write_of_a_protected_sector_is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.protected_blocks = 2; /* sectors 4 to 7 */
    start_at(fixture, 0xfff, 2);         /* sectors 3 and 4 */
    op_driver_run(&fixture->driver);
    flash_answer(&fixture->flash, &fixture->driver);
    expect_flash_error(fixture, "sector 4 of flash bank 0, at 0x08001000, is protected", "protected",
                       "unchanged");
    op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + 0x1000);
    start_at(fixture, 0xc00, 0x400); /* beside it */
    run_well(fixture);
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

static void test_flash_write_keeps_no_more_than_fits(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.sectors[0] = 1u << 30;
    fixture->flash.sector_count = 1;
    fixture->flash.block_sectors = 0;
    start_at(fixture, 0x1000, 4);
    op_driver_run(&fixture->driver);
    flash_answer_geometry(&fixture->flash, &fixture->driver);
    op_driver_expect_failed(&fixture->driver, ERR_LIMIT_EXCEEDED, "would have to be kept");
    op_driver_assert_text(&fixture->driver, "limit", "kept_bytes");
    fixture->options.erase = false; /* nothing is kept then */
    start_at(fixture, 0x1000, 4);
    op_driver_run(&fixture->driver);
    assert_int_equal(flash_answer_geometry(&fixture->flash, &fixture->driver), OP_GO);
}

/* Keeping. */

static void test_flash_write_that_cannot_keep_erases_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0x10, 4);
    run_to(fixture, "keep head");
    op_driver_answer(driver, 0, "123456789012345", 15, ""); /* one too few */
    expect_flash_error(fixture, "cannot read what must be kept at 0x08000000: OpenOCD gave 15 bytes",
                       "driver", "unchanged");
    assert_false(driver->err.has_openocd); /* bytes of flash are no words */
    start_at(fixture, 0x10, 4);
    run_to(fixture, "keep tail");
    op_driver_answer_text(driver, "");
    expect_flash_error(fixture, "cannot read what must be kept at 0x08000014", "driver", "unchanged");
    start_at(fixture, 0x10, 4);
    run_to(fixture, "keep tail");
    op_driver_answer_error(driver, -1202, "", "couldn't open file\n");
    expect_flash_error(fixture, "couldn't open file", "driver", "unchanged");
    op_driver_assert_openocd(driver, -1202, "couldn't open file");
    assert_int_equal(fixture->flash.erases, 0);
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
        op_driver_assert_address(&fixture->driver, "address", FLASH_BASE);
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
        op_driver_assert_text(&fixture->driver, "phase", "erase");
        op_driver_assert_integer(&fixture->driver, "done", 1);
    }
}

static void test_flash_write_hands_on_why_programming_failed(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 2048);
    run_to(fixture, "program");
    flash_answer(&fixture->flash, &fixture->driver);
    run_to(fixture, "program");
    op_driver_answer_error(&fixture->driver, -902, "",
                           "stm32x device not erased\nerror writing to flash at address 0x08000000 at "
                           "offset 0x00000400\n");
    expect_flash_error(fixture, "programming failed at 0x08000400: stm32x device not erased", "not_erased",
                       "partial");
    op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + 0x400);
}

/* Verifying. */

static void answer_verify(struct fixture *fixture, size_t size, size_t wrong)
{
    uint8_t *bytes = xmalloc(size);
    memset(bytes, 0x5a, size);
    if (wrong < size) {
        bytes[wrong] = 0x5b;
    }
    op_driver_answer(&fixture->driver, 0, bytes, size, "");
    free(bytes);
}

static void test_flash_write_finds_the_first_byte_that_differs(void **state)
{
    /* In pieces of 1024 bytes, from 0x210 on. */
    static const size_t places[] = {0, 1, 512, 1023, 1024, 1500, 1999};
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        start_at(fixture, 0x210, 2000);
        run_to(fixture, "verify");
        assert_int_equal(driver->op->budget, 1024);
        if (places[i] >= 1024) {
            answer_verify(fixture, 1024, 1024);
            run_to(fixture, "verify");
            answer_verify(fixture, 976, places[i] - 1024);
        } else {
            answer_verify(fixture, 1024, places[i]);
        }
        op_driver_expect_failed(driver, ERR_VERIFY_MISMATCH, "reads 0x5b instead of 0x5a");
        op_driver_assert_address(driver, "address", FLASH_BASE + 0x210 + places[i]);
        op_driver_assert_integer(driver, "expected", 0x5a);
        op_driver_assert_integer(driver, "found", 0x5b);
        op_driver_assert_text(driver, "flash_state", "partial");
        op_driver_assert_text(driver, "phase", "verify");
        op_driver_assert_integer(driver, "done", places[i] < 1024 ? 0 : 1024);
        assert_false(driver->op->critical);
    }
}

static void test_flash_write_believes_no_verifying_of_another_size(void **state)
{
    static const size_t sizes[] = {0, 99, 101};
    struct fixture *fixture = *state;
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
        {"look", "unchanged"},  {"keep head", "unchanged"}, {"erase", "partial"}, /* it was sent */
        {"program", "partial"}, {"verify", "partial"},      {"reset", NULL},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_of_a_protected_sector_is_refused_at_once),
        WITH_FIXTURE(test_flash_write_that_cannot_look_leaves_the_flash_alone),
        WITH_FIXTURE(test_flash_write_believes_no_impossible_sectors),
        WITH_FIXTURE(test_flash_write_keeps_no_more_than_fits),
        WITH_FIXTURE(test_flash_write_that_cannot_keep_erases_nothing),
        WITH_FIXTURE(test_flash_write_believes_erasing_only_of_the_right_sectors),
        WITH_FIXTURE(test_flash_write_hands_on_why_erasing_failed),
        WITH_FIXTURE(test_flash_write_believes_programming_only_of_every_byte),
        WITH_FIXTURE(test_flash_write_hands_on_why_programming_failed),
        WITH_FIXTURE(test_flash_write_finds_the_first_byte_that_differs),
        WITH_FIXTURE(test_flash_write_believes_no_verifying_of_another_size),
        WITH_FIXTURE(test_flash_write_that_cannot_reset_says_that_the_image_is_there),
        WITH_FIXTURE(test_flash_write_describes_the_flash_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
