/* ops/flash_write: what is sent in which order, and what is in the flash then. */
#include "op_flash_write.h"
#include "openocd/envelope.h"

static void test_flash_write_sends_one_step_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    memset(fixture->flash.bytes, 0x11, 2048);
    fixture->options.has_address = true;
    fixture->options.address = FLASH_BASE + 0x3fe;
    fixture->options.reset = FLASH_RESET_RUN;
    start_image(fixture, "\"$[\\", 4); /* two bytes in each of the first two sectors */
    op_driver_expect(driver, "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]");
    assert_true(driver->command.repeatable);
    flash_answer(&fixture->flash, driver);
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_true(driver->command.repeatable);
    flash_answer(&fixture->flash, driver);
    expect_read(fixture, "0x0 0x3fe");
    flash_answer(&fixture->flash, driver);
    expect_read(fixture, "0x402 0x3fe");
    flash_answer(&fixture->flash, driver);
    op_driver_expect(driver, "flash erase_sector 0 0 0"); /* the first piece is one sector */
    assert_true(driver->command.changes && driver->op->critical);
    assert_int_equal(driver->command.limit_ms, 300000);
    flash_answer(&fixture->flash, driver);
    assert_true(driver->op->critical);
    run_to(fixture, "program");
    assert_true(driver->command.changes && driver->op->critical);
    assert_int_equal(driver->command.bytes, 1024);
    assert_int_equal(driver->command.limit_ms, 300000);
    flash_answer(&fixture->flash, driver);
    assert_false(driver->op->critical);
    op_driver_expect(driver, "flash erase_sector 0 1 1");
    flash_answer(&fixture->flash, driver);
    run_to(fixture, "program");
    flash_answer(&fixture->flash, driver);
    expect_read(fixture, "0x3fe 0x4");
    flash_answer(&fixture->flash, driver);
    op_driver_expect(driver, "reset run");
    assert_true(driver->command.changes && !driver->op->critical);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
    assert_memory_equal(fixture->flash.bytes + 0x3fe, "\"$[\\", 4);
    for (size_t i = 0; i < 2048; i++) {
        assert_true(fixture->flash.bytes[i] == 0x11 || (i >= 0x3fe && i < 0x402));
    }
    const struct flash_write *self = (const struct flash_write *)driver->op;
    assert_int_equal(self->sectors_erased, 2);
    assert_int_equal(self->image_size, 4);
}

static void test_flash_write_programs_through_a_file(void **state)
{
    static const char body[] = "set f [open $p wb]; $f puts -nonewline \"a\\\"b\\$\\[\\\\\\x00\\x1a\"; $f "
                               "close; flash write_bank 0 $p 0x10";
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    fixture->options.verify = false;
    fixture->options.has_address = true;
    fixture->options.address = FLASH_BASE + 0x10;
    start_image(fixture, "a\"b$[\\\0\x1a", 8);
    run_to(fixture, "program");
    expect_with_file(fixture, body, sizeof body - 1);
    flash_answer(&fixture->flash, &fixture->driver);
    op_driver_expect_done(&fixture->driver);
    assert_memory_equal(fixture->flash.bytes + 0x10, "a\"b$[\\\0\x1a", 8);
}

static void test_flash_write_without_erasing_touches_the_image_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    start_at(fixture, 0x3f0, 0x420); /* the end of one sector, a whole one, the beginning of a third */
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.command.bytes, 0x10); /* to the sector's end */
    assert_true(fixture->driver.op->critical);
    flash_answer(&fixture->flash, &fixture->driver);
    assert_false(fixture->driver.op->critical);
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.command.bytes, 0x400);
    run_well(fixture);
    assert_int_equal(fixture->flash.erases, 0);
    assert_int_equal(fixture->flash.programs, 3);
    assert_int_equal(fixture->flash.bytes[0x3ef], 0xff);
    assert_int_equal(fixture->flash.bytes[0x3f0], 0x5a);
    assert_int_equal(fixture->flash.bytes[0x80f], 0x5a);
    assert_int_equal(fixture->flash.bytes[0x810], 0xff);
}

static void test_flash_write_without_verifying_reads_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.verify = false;
    start_at(fixture, 0, 1024);
    run_to(fixture, "program");
    flash_answer(&fixture->flash, &fixture->driver);
    op_driver_expect_done(&fixture->driver);
}

static void test_flash_write_keeps_nothing_of_sectors_that_the_image_fills(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 1024, 2048);
    run_to(fixture, "look");
    flash_answer(&fixture->flash, &fixture->driver);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 1 1");
}

static void test_flash_write_pieces_follow_the_budget_in_whole_sectors(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0, 8192);
    assert_int_equal(driver->op->budget, 1); /* one sector at the least, to see how fast it is */
    run_to(fixture, "erase");
    op_driver_expect(driver, "flash erase_sector 0 0 0");
    flash_answer(&fixture->flash, driver);
    run_to(fixture, "program");
    flash_answer(&fixture->flash, driver);
    driver->op->budget = 3071; /* not quite three */
    op_driver_expect(driver, "flash erase_sector 0 1 2");
    flash_answer(&fixture->flash, driver);
    run_to(fixture, "program");
    assert_int_equal(driver->command.bytes, 2048);
    flash_answer(&fixture->flash, driver);
    driver->op->budget = 3072;
    op_driver_expect(driver, "flash erase_sector 0 3 5");
    flash_answer(&fixture->flash, driver);
    run_to(fixture, "program");
    flash_answer(&fixture->flash, driver);
    driver->op->budget = 1u << 20;
    op_driver_expect(driver, "flash erase_sector 0 6 7");
    run_well(fixture);
    assert_int_equal(fixture->flash.erases, 4);
}

/* Programming teaches a budget in the middle of nothing: what is programmed is what was erased. */
static void test_flash_write_programs_no_more_than_was_erased(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 0, 4096);
    run_to(fixture, "program");
    fixture->driver.op->budget = 1u << 20;
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.command.bytes, 1024);
    run_well(fixture); /* the made-up flash refuses to program what is not erased */
}

static void test_flash_write_reports_its_phases(void **state)
{
    static const struct {
        const char *phase;
        uint64_t done;
        uint64_t total;
        const char *unit;
    } seen[] = {
        {"erase", 1, 2, "sectors"},   {"program", 1024, 2048, "bytes"}, {"erase", 2, 2, "sectors"},
        {"verify", 0, 2048, "bytes"}, {"verify", 1024, 2048, "bytes"},  {"verify", 2048, 2048, "bytes"},
        {"reset", 1, 1, "resets"},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    size_t count = 0;
    fixture->options.reset = FLASH_RESET_HALT;
    start_at(fixture, 0, 2048);
    run_to(fixture, "erase");
    while (op_driver_run(driver) == OP_SEND) {
        flash_answer(&fixture->flash, driver);
        assert_true(count < sizeof seen / sizeof seen[0]);
        assert_string_equal(driver->op->progress.phase, seen[count].phase);
        assert_int_equal(driver->op->progress.done, seen[count].done);
        assert_int_equal(driver->op->progress.total, seen[count].total);
        assert_string_equal(driver->op->progress.unit, seen[count].unit);
        count++;
    }
    assert_int_equal(count, sizeof seen / sizeof seen[0]);
}

/* Preparing, and looking whether the target is halted. */

static void test_flash_write_prepares_as_asked(void **state)
{
    static const struct {
        enum flash_prepare prepare;
        const char *script;
    } cases[] = {
        {FLASH_PREPARE_HALT, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\""},
        {FLASH_PREPARE_RESET_HALT, "reset halt"},
        {FLASH_PREPARE_RESET_INIT, "reset init"},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    for (size_t i = 0; i < 3; i++) {
        fixture->options.prepare = cases[i].prepare;
        start_at(fixture, 0, 4);
        run_to(fixture, "prepare");
        op_driver_expect(driver, cases[i].script);
        assert_true(driver->command.changes);
        assert_false(driver->command.repeatable);
        op_driver_answer_text(driver, "");
        op_driver_expect(driver, "\"cpu\" curstate");
        assert_int_equal(op_driver_answer_text(driver, "running"), OP_WAIT); /* not yet */
        op_driver_expect(driver, "\"cpu\" curstate");
        assert_int_equal(op_driver_answer_text(driver, "halted"), OP_GO);
        run_well(fixture);
    }
}

static void test_flash_write_that_cannot_prepare_leaves_the_flash_alone(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->options.prepare = FLASH_PREPARE_RESET_INIT;
    start_at(fixture, 0, 4);
    run_to(fixture, "prepare");
    op_driver_answer_error(driver, -4, "", "no reset line\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot prepare cpu: no reset line");
    assert_false(((const struct flash_write *)driver->op)->touched);
}

static void test_flash_write_needs_a_halted_target(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0, 4);
    run_to(fixture, "look");
    op_driver_answer_text(driver, "running");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cpu is running: writing flash needs it halted");
    op_driver_assert_text(driver, "target", "cpu");
    op_driver_assert_text(driver, "state", "running");
    op_driver_assert_text(driver, "flash_state", "unchanged");
    start_at(fixture, 0, 4);
    run_to(fixture, "look");
    op_driver_answer_error(driver, 1, "invalid command name \"cpu\"", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot see the state of cpu: invalid command name");
}

static void test_flash_write_waits_five_seconds_for_the_halt(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    size_t looks = 0;
    fixture->options.prepare = FLASH_PREPARE_HALT;
    start_at(fixture, 0, 4);
    run_to(fixture, "look");
    uint64_t since = driver->now_us;
    do {
        looks++;
    } while (op_driver_answer_text(driver, "running") == OP_WAIT && op_driver_run(driver) == OP_SEND);
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cpu is running");
    assert_in_range(driver->now_us - since, 5000000, 5100000);
    assert_true(looks > 100);
    op_driver_assert_text(driver, "flash_state", "unchanged");
}

static void test_flash_write_quotes_hostile_names(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    snprintf(op_driver_target(driver)->name, OCD_NAME_SIZE, "a]b\"c;d$e[exit]\\");
    fixture->options.prepare = FLASH_PREPARE_HALT;
    start_at(fixture, 0, 4);
    op_driver_run(driver);
    struct strbuf text = STRBUF_INIT;
    struct strbuf sectors = STRBUF_INIT;
    flash_append_sectors(&fixture->flash, &sectors);
    strbuf_appendf(&text,
                   "{{name n\\ \\[exit\\] driver d base %u size 8192 bus_width 0 chip_width 0 target "
                   "a\\]b\\\"c\\;d\\$e\\[exit\\]\\\\}} {%s} {%s}",
                   FLASH_BASE, strbuf_text(&sectors), strbuf_text(&sectors));
    op_driver_answer(driver, 0, text.data, text.length, "");
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"a]b\\\"c;d\\$e\\[exit]\\\\\" \"halt 0\"");
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, "\"a]b\\\"c;d\\$e\\[exit]\\\\\" curstate");
    strbuf_fini(&text);
    strbuf_fini(&sectors);
}

/* Which bank, and where in it. */

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
    driver->info.banks[1] = driver->info.banks[0];
    driver->info.banks[1].base = 0x1000;
    driver->info.banks[2] = driver->info.banks[0];
    driver->info.banks[2].base = 0x10000000;
    driver->info.banks[2].size = 0;
    driver->info.bank_count = 3;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture->options.has_address = true;
        fixture->options.address = cases[i].address;
        start_image(fixture, "x", 1);
        if (cases[i].bank < 0) {
            op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "is in no flash bank");
            op_driver_assert_address(driver, "address", cases[i].address);
        } else {
            char script[100];
            snprintf(script, sizeof script,
                     "flash probe %d; list [flash list] [flash info %d sectors] [flash info %d]",
                     cases[i].bank, cases[i].bank, cases[i].bank);
            op_driver_expect(driver, script);
        }
    }
}

static void test_flash_write_without_an_address_begins_with_bank_0(void **state)
{
    struct fixture *fixture = *state;
    start_image(fixture, "x", 1);
    run_well(fixture);
    assert_int_equal(fixture->flash.bytes[0], 'x');
}

static void test_flash_write_needs_a_bank_and_a_directory(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    driver->info.bank_count = 0;
    start_image(fixture, "x", 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "the board has no flash bank");
    driver->info.bank_count = 1;
    driver->info.stage_template[0] = '\0';
    start_image(fixture, "x", 1);
    op_driver_expect_failed(driver, ERR_STAGE_ERROR, "no directory");
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
        } else {
            op_driver_run(&fixture->driver);
            flash_answer(&fixture->flash, &fixture->driver);
            op_driver_expect_failed(&fixture->driver, ERR_IMAGE_INVALID, "do not fit into flash bank 0");
            op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + cases[i].offset);
        }
    }
}

/* The list said that the bank has no end; its probe tells that it ends before the image begins. */
static void test_flash_write_behind_the_end_of_a_bank_just_probed(void **state)
{
    struct fixture *fixture = *state;
    fixture->driver.info.banks[0].size = 0;
    start_at(fixture, 8192, 1);
    op_driver_run(&fixture->driver);
    flash_answer(&fixture->flash, &fixture->driver);
    op_driver_expect_failed(&fixture->driver, ERR_IMAGE_INVALID, "do not fit into flash bank 0");
}

/* Large sectors. */

static void expect_large_program(struct fixture *fixture, uint64_t *offset)
{
    struct op_driver *driver = &fixture->driver;
    struct strbuf command = STRBUF_INIT;
    char said[100];
    run_to(fixture, "program");
    assert_true(driver->op->critical);
    assert_true(envelope_encode(&command, "0123456789abcdef0123456789abcdef", driver->command.script.data,
                                driver->command.script.length));
    strbuf_fini(&command);
    snprintf(said, sizeof said, "wrote %" PRIu64 " bytes from file f to flash bank 0 at offset 0x0 in 1.0s",
             driver->command.bytes);
    *offset += driver->command.bytes;
    op_driver_answer_text(driver, said);
}

/* Whatever the bytes: each of these takes eight on the link. */
static void test_flash_write_of_a_large_sector_takes_commands_that_openocd_takes(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    const size_t size = 2u << 20;
    char *image = xmalloc(size);
    memset(image, '"', size);
    fixture->flash.sectors[0] = size;
    fixture->flash.sector_count = 1;
    fixture->flash.block_sectors = 0;
    fixture->options.verify = false;
    start_image(fixture, image, size);
    run_to(fixture, "erase");
    op_driver_answer_text(driver, "erased sectors 0 through 0 on flash bank 0 in 1.000000s\n");
    uint64_t programmed = 0;
    while (programmed < size) {
        expect_large_program(fixture, &programmed);
        assert_int_equal(programmed % 4096, 0);
        assert_int_equal(driver->op->critical, programmed < size);
    }
    assert_int_equal(programmed, size);
    op_driver_expect_done(driver);
    free(image);
}

static void test_flash_write_of_many_sectors_takes_commands_that_openocd_takes(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = 2u << 20;
    char *image = xcalloc(1, size); /* NULs take seven bytes each */
    fixture->flash.sectors[0] = size / 2;
    fixture->flash.sectors[1] = size / 2;
    fixture->flash.sector_count = 2;
    fixture->flash.block_sectors = 0;
    fixture->options.verify = false;
    fixture->options.erase = false;
    fixture->options.has_address = true;
    fixture->options.address = FLASH_BASE + 100;
    start_image(fixture, image, size - 100);
    fixture->driver.op->budget = 1u << 20;
    uint64_t programmed = 0;
    while (programmed < size - 100) {
        expect_large_program(fixture, &programmed);
        fixture->driver.op->budget = 1u << 20;
        assert_int_equal((programmed + 100) % 4096, 0);
    }
    op_driver_expect_done(&fixture->driver);
    free(image);
}

/* Any image, anywhere, sectors of any sizes, any budget: the image is there, and everything else is as it
 * was. */
static void test_flash_write_of_anything_is_exact(void **state)
{
    struct fixture *fixture = *state;
    struct made_up_flash *flash = &fixture->flash;
    static uint8_t wanted[FLASH_BYTES_MAX];
    uint32_t seed = 5;
    for (int round = 0; round < 400; round++) {
        flash_init(flash, 1 + (seed >> 9) % 10, 0);
        for (size_t i = 0; i < flash->sector_count; i++) {
            seed = seed * 1664525u + 1013904223u;
            flash->sectors[i] = 1024u << (seed >> 20) % 3;
        }
        for (size_t i = 0; i < sizeof wanted; i++) {
            seed = seed * 1664525u + 1013904223u;
            wanted[i] = (uint8_t)(seed >> 24);
        }
        fixture->options.erase = round % 4 != 0;
        if (fixture->options.erase) {
            memcpy(flash->bytes, wanted, sizeof wanted);
        } else {
            memset(wanted, 0xff, sizeof wanted);
        }
        uint64_t offset = (seed >> 3) % flash_size(flash);
        size_t size = 1 + (size_t)(seed / 7 % (flash_size(flash) - offset));
        uint8_t *image = xmalloc(size);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1664525u + 1013904223u;
            image[i] = (uint8_t)(seed >> 24);
            wanted[offset + i] = image[i];
        }
        fixture->options.has_address = true;
        fixture->options.address = FLASH_BASE + offset;
        fixture->driver.info.banks[0].size = 0;
        start_image(fixture, image, size);
        while (op_driver_run(&fixture->driver) == OP_SEND) {
            flash_answer(flash, &fixture->driver);
            fixture->driver.op->budget = 1 + (seed >> 8) % 9000;
            seed = seed * 1664525u + 1013904223u;
        }
        op_driver_expect_done(&fixture->driver);
        assert_memory_equal(flash->bytes, wanted, flash_size(flash));
        free(image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_sends_one_step_after_the_other),
        WITH_FIXTURE(test_flash_write_programs_through_a_file),
        WITH_FIXTURE(test_flash_write_without_erasing_touches_the_image_alone),
        WITH_FIXTURE(test_flash_write_without_verifying_reads_nothing_back),
        WITH_FIXTURE(test_flash_write_keeps_nothing_of_sectors_that_the_image_fills),
        WITH_FIXTURE(test_flash_write_pieces_follow_the_budget_in_whole_sectors),
        WITH_FIXTURE(test_flash_write_programs_no_more_than_was_erased),
        WITH_FIXTURE(test_flash_write_reports_its_phases),
        WITH_FIXTURE(test_flash_write_prepares_as_asked),
        WITH_FIXTURE(test_flash_write_that_cannot_prepare_leaves_the_flash_alone),
        WITH_FIXTURE(test_flash_write_needs_a_halted_target),
        WITH_FIXTURE(test_flash_write_waits_five_seconds_for_the_halt),
        WITH_FIXTURE(test_flash_write_quotes_hostile_names),
        WITH_FIXTURE(test_flash_write_finds_the_bank_of_an_address),
        WITH_FIXTURE(test_flash_write_without_an_address_begins_with_bank_0),
        WITH_FIXTURE(test_flash_write_needs_a_bank_and_a_directory),
        WITH_FIXTURE(test_flash_write_fits_exactly_or_not_at_all),
        WITH_FIXTURE(test_flash_write_behind_the_end_of_a_bank_just_probed),
        WITH_FIXTURE(test_flash_write_of_a_large_sector_takes_commands_that_openocd_takes),
        WITH_FIXTURE(test_flash_write_of_many_sectors_takes_commands_that_openocd_takes),
        WITH_FIXTURE(test_flash_write_of_anything_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
