/* ops/flash_write: what is sent in which order, and what is in the flash then. */
#include "op_flash_write.h"

static const char probe_script[] = "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]";

static void test_flash_write_sends_one_step_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    memset(fixture->flash.bytes, 0x11, 2048);
    fixture->options.reset = FLASH_RESET_RUN;
    start_image(fixture, 0x3fe, "\"$[\\", 4); /* two bytes in each of the first two sectors */
    op_driver_expect(driver, probe_script);
    assert_true(driver->command.repeatable);
    answer(fixture);
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_true(driver->command.repeatable);
    answer(fixture);
    op_driver_expect(driver, "list [\"cpu\" cget -work-area-size]");
    assert_true(driver->command.repeatable);
    answer(fixture);
    for (unsigned sector = 0; sector < 2; sector++) { /* the first pieces are one sector each */
        uint8_t content[1024];
        char script[80];
        expect_read(fixture, sector == 0 ? "0x0 0x3fe" : "0x402 0x3fe");
        assert_false(driver->op->critical);
        answer(fixture);
        memset(content, 0x11, sizeof content);
        memcpy(sector == 0 ? content + 0x3fe : content, sector == 0 ? "\"$" : "[\\", 2);
        snprintf(script, sizeof script, "flash erase_sector 0 %u %u", sector, sector);
        op_driver_expect(driver, script);
        assert_true(driver->command.changes && driver->op->critical);
        assert_int_equal(driver->command.limit_ms, 300000);
        answer(fixture);
        snprintf(script, sizeof script, "flash write_bank 0 $p 0x%x", sector * 1024);
        op_driver_expect_put(driver, script, content, 1024);
        assert_true(driver->command.changes && driver->op->critical);
        assert_int_equal(driver->command.bytes, 1024);
        assert_int_equal(driver->command.limit_ms, 300000);
        answer(fixture);
        snprintf(script, sizeof script, "verify_image_checksum $p 0x%x bin", FLASH_BASE + sector * 1024);
        op_driver_expect_put(driver, script, content, 1024);
        assert_true(driver->command.repeatable && driver->op->critical);
        assert_int_equal(driver->keeper.count, 1);
        answer(fixture);
    }
    op_driver_expect_put(driver, "verify_image_checksum $p 0x80003fe bin", "\"$[\\", 4);
    assert_string_equal(driver->command.current_target, "cpu");
    assert_false(driver->op->critical);
    assert_int_equal(driver->keeper.count, 0);
    answer(fixture);
    op_driver_expect(driver, "reset run");
    assert_true(driver->command.changes && !driver->op->critical);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
    assert_memory_equal(fixture->flash.bytes + 0x3fe, "\"$[\\", 4);
    for (size_t i = 0; i < 2048; i++) {
        assert_true(fixture->flash.bytes[i] == 0x11 || (i >= 0x3fe && i < 0x402));
    }
    assert_int_equal(write_of(fixture)->sectors_erased, 2);
    assert_int_equal(write_of(fixture)->image_size, 4);
    assert_int_equal(write_of(fixture)->bytes_unchanged, 0);
    assert_int_equal(write_of(fixture)->bytes_repaired, 0);
}

static void test_flash_write_programs_through_a_file(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    fixture->options.verify = false;
    start_image(fixture, 0x10, "a\"b$[\\\0\x1a", 8);
    run_to(fixture, "program");
    op_driver_expect_put(&fixture->driver, "flash write_bank 0 $p 0x10", "a\"b$[\\\0\x1a", 8);
    answer(fixture);
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
    answer(fixture);
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.command.bytes, 0x400);
    run_well(fixture);
    assert_int_equal(fixture->flash.erases, 0);
    assert_int_equal(fixture->flash.programs, 3);
    assert_int_equal(fixture->flash.bytes[0x3ef], 0xff);
    assert_int_equal(fixture->flash.bytes[0x3f0], 0x5a);
    assert_int_equal(fixture->flash.bytes[0x80f], 0x5a);
    assert_int_equal(fixture->flash.bytes[0x810], 0xff);
    assert_int_equal(fixture->driver.keeper.saves + fixture->driver.keeper.forgets, 0);
    assert_int_equal(write_of(fixture)->programmed, 0x420);
}

static void test_flash_write_without_erasing_or_verifying_asks_for_no_work_area(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    fixture->options.verify = false;
    start_at(fixture, 0, 16);
    run_to(fixture, "look");
    answer(fixture);
    assert_int_equal(op_driver_run(&fixture->driver), OP_SEND);
    assert_true(is_step(fixture, "program"));
    answer(fixture);
    op_driver_expect_done(&fixture->driver);
}

static void test_flash_write_without_verifying_reads_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.verify = false;
    start_at(fixture, 0, 1024);
    run_to(fixture, "program");
    answer(fixture);
    op_driver_expect_done(&fixture->driver);
    assert_int_equal(fixture->flash.checksums + fixture->flash.reads, 0);
}

static void test_flash_write_keeps_nothing_of_sectors_that_the_image_fills(void **state)
{
    struct fixture *fixture = *state;
    start_at(fixture, 1024, 2048);
    run_to(fixture, "room");
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 1 1");
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.saves, 0);
}

static void test_flash_write_without_a_work_area_reads_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.no_work_area = true;
    start_at(fixture, 0x100, 1024);
    run_to(fixture, "check");
    expect_read(fixture, "0x0 0x100");
    assert_true(fixture->driver.op->critical);
    run_to(fixture, "verify");
    expect_read(fixture, "0x100 0x400");
    assert_int_equal(fixture->driver.command.bytes, 0x400);
    run_well(fixture);
}

/* Pieces. */

static void test_flash_write_pieces_follow_the_budget_in_whole_sectors(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    start_at(fixture, 0, 8192);
    run_to(fixture, "erase");
    assert_int_equal(driver->op->budget, 1); /* one sector at the least, to see how fast it is */
    op_driver_expect(driver, "flash erase_sector 0 0 0");
    answer(fixture);
    run_to(fixture, "program");
    answer(fixture);
    driver->op->budget = 3071; /* not quite three */
    op_driver_expect(driver, "flash erase_sector 0 1 2");
    answer(fixture);
    run_to(fixture, "program");
    assert_int_equal(driver->command.bytes, 2048);
    answer(fixture);
    driver->op->budget = 3072;
    op_driver_expect(driver, "flash erase_sector 0 3 5");
    answer(fixture);
    run_to(fixture, "program");
    answer(fixture);
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
    run_to(fixture, "erase");
    fixture->driver.op->budget = 1u << 20;
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.command.bytes, 1024);
    run_well(fixture); /* the made-up flash refuses to program what is not erased */
}

/* Cancel and deadlines wait from the first erase to the end of the check, and at no other time. */
static void test_flash_write_is_critical_while_a_piece_is_open(void **state)
{
    static const char *const open[] = {"erase", "blank", "program", "check"};
    static const char *const shut[] = {"info",   "prepare", "look",   "room",  "compare",
                                       "sample", "keep",    "verify", "reset", "unlock"};
    struct fixture *fixture = *state;
    size_t seen = 0;
    fixture->options.prepare = PREPARE_RESET_INIT;
    fixture->options.reset = FLASH_RESET_RUN;
    fixture->options.compare = true;
    fixture->options.unlock = true;
    fixture->flash.protected_blocks = 1;
    start_at(fixture, 0x10, 4096);
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        bool is_open = false;
        bool is_shut = false;
        for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
            is_open = is_open || is_step(fixture, open[i]);
        }
        for (size_t i = 0; i < sizeof shut / sizeof shut[0]; i++) {
            is_shut = is_shut || is_step(fixture, shut[i]);
        }
        assert_true(is_open != is_shut);
        assert_int_equal(fixture->driver.op->critical, is_open);
        seen += is_open ? 1 : 0;
        answer(fixture);
    }
    op_driver_expect_done(&fixture->driver);
    assert_true(seen >= 12);
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
        {"verify", 0, 2048, "bytes"}, {"reset", 0, 1, "resets"},        {"reset", 1, 1, "resets"},
    };
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    size_t count = 0;
    fixture->options.reset = FLASH_RESET_HALT;
    start_at(fixture, 0, 2048);
    run_to(fixture, "erase");
    while (op_driver_run(driver) == OP_SEND) {
        answer(fixture);
        op_driver_run(driver); /* `send` may tell more */
        if (driver->op->progress.phase == NULL || count == sizeof seen / sizeof seen[0]) {
            fail_msg("after %zu: unexpected progress", count);
        }
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
        enum prepare_mode prepare;
        const char *script;
    } cases[] = {
        {PREPARE_HALT, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\""},
        {PREPARE_RESET_HALT, "reset halt"},
        {PREPARE_RESET_INIT, "reset init"},
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

static void test_flash_write_halts_every_target_of_its_banks(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    add_bank(fixture, FLASH_BASE + 8192, 4)->target = "dsp";
    take_banks(fixture);
    driver->info.targets[1] = driver->info.targets[0];
    snprintf(driver->info.targets[1].name, OCD_NAME_SIZE, "dsp");
    driver->info.target_count = 2;
    fixture->options.prepare = PREPARE_HALT;
    start_at(fixture, 8190, 4);
    run_to(fixture, "prepare");
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\"");
    answer(fixture);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_true(is_step(fixture, "prepare"));
    assert_non_null(strstr(strbuf_text(&driver->command.script), "\"dsp\" \"cpu\" \"halt 0\""));
    answer(fixture);
    op_driver_expect(driver, "\"cpu\" curstate");
    answer(fixture);
    op_driver_expect(driver, "\"dsp\" curstate");
    answer(fixture);
    op_driver_expect(driver, "list [\"cpu\" cget -work-area-size] [\"dsp\" cget -work-area-size]");
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes + 8190, "ZZ", 2);
    assert_memory_equal(fixture->flash.next->bytes, "ZZ", 2);
}

static void test_flash_write_that_cannot_prepare_leaves_the_flash_alone(void **state)
{
    struct fixture *fixture = *state;
    struct op_driver *driver = &fixture->driver;
    fixture->options.prepare = PREPARE_RESET_INIT;
    start_at(fixture, 0, 4);
    run_to(fixture, "prepare");
    op_driver_answer_error(driver, -4, "", "no reset line\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot prepare cpu: no reset line");
    assert_false(write_of(fixture)->touched);
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
    fixture->options.prepare = PREPARE_HALT;
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
    fixture->options.prepare = PREPARE_HALT;
    fixture->options.compare = true;
    start_at(fixture, 0, 3000);
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
    op_driver_answer_text(driver, "halted");
    op_driver_expect(driver, "list [\"a]b\\\"c;d\\$e\\[exit]\\\\\" cget -work-area-size]");
    op_driver_answer_text(driver, "4096");
    op_driver_run(driver);
    assert_string_equal(driver->command.current_target, "a]b\"c;d$e[exit]\\");
    op_driver_answer_error(driver, -4, "", "checksum mismatch\n");
    op_driver_run(driver);
    assert_true(is_step(fixture, "sample"));
    const char *quoted = "list [\"a]b\\\"c;d\\$e\\[exit]\\\\\" read_memory 0x8000200 32 4] [\"a]b";
    assert_memory_equal(strbuf_text(&driver->command.script), quoted, strlen(quoted));
    strbuf_fini(&text);
    strbuf_fini(&sectors);
}

/* OpenOCD up to 0.11 does not say whose the bank is: then nobody is asked for a state or a work area. */
static void test_flash_write_of_a_bank_of_an_unknown_target(void **state)
{
    struct fixture *fixture = *state;
    fixture->flash.target = "{}";
    start_at(fixture, 0, 4);
    op_driver_expect(&fixture->driver, probe_script);
    answer(fixture);
    op_driver_expect(&fixture->driver, "list [\"\" cget -work-area-size]");
    op_driver_answer_error(&fixture->driver, 1, "invalid command name \"\"", "");
    run_well(fixture);
    assert_int_equal(fixture->flash.checksums, 0);
    assert_int_equal(fixture->flash.bytes[0], 0x5a);
}

static void test_flash_write_needs_a_directory_for_files(void **state)
{
    struct fixture *fixture = *state;
    fixture->driver.info.files = OCD_FILES_NONE;
    start_at(fixture, 0, 1);
    op_driver_expect_failed(&fixture->driver, ERR_STAGE_ERROR, "no directory");
    op_driver_assert_text(&fixture->driver, "flash_state", "unchanged");
}

/* Large sectors. */

static void run_large(struct fixture *fixture, size_t skip)
{
    struct op_driver *driver = &fixture->driver;
    uint64_t programmed = skip;
    while (op_driver_run(driver) == OP_SEND) {
        if (is_step(fixture, "program")) {
            assert_true(driver->op->critical);
            programmed += driver->command.file_size;
            assert_int_equal(programmed % 4096, 0); /* ends where every write unit does */
        }
        answer(fixture);
        driver->op->budget = 1u << 20;
    }
    op_driver_expect_done(driver);
    assert_int_equal(programmed, FLASH_BYTES_MAX);
    assert_int_equal(fixture->flash.longest_program, OP_FILE_MOST_BYTES);
}

static void test_flash_write_of_a_large_sector_takes_files_of_their_most_bytes(void **state)
{
    struct fixture *fixture = *state;
    use_sectors(fixture, 1, FLASH_BYTES_MAX);
    start_at(fixture, 0, FLASH_BYTES_MAX);
    run_large(fixture, 0);
    assert_int_equal(fixture->flash.programs, FLASH_BYTES_MAX / OP_FILE_MOST_BYTES);
}

static void test_flash_write_without_erasing_cuts_where_write_units_end(void **state)
{
    struct fixture *fixture = *state;
    use_sectors(fixture, 2, FLASH_BYTES_MAX / 2);
    fixture->options.erase = false;
    start_at(fixture, 100, FLASH_BYTES_MAX - 100);
    run_large(fixture, 100);
}

static void test_flash_write_keeps_large_gaps_in_several_reads(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *before = xmalloc(FLASH_BYTES_MAX);
    use_sectors(fixture, 1, FLASH_BYTES_MAX);
    fill_random(before, FLASH_BYTES_MAX, 7);
    memcpy(fixture->flash.bytes, before, FLASH_BYTES_MAX);
    memset(before + FLASH_BYTES_MAX / 2, 0x5a, 100);
    start_at(fixture, FLASH_BYTES_MAX / 2, 100);
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes, before, FLASH_BYTES_MAX);
    free(before);
}

/* Blank stretches. */

static void test_flash_write_skips_what_is_blank_anyway(void **state)
{
    struct fixture *fixture = *state;
    uint8_t image[8192];
    memset(image, 0xff, sizeof image);
    image[100] = 1;
    image[5000] = 2;
    use_sectors(fixture, 2, 4096);
    memset(fixture->flash.bytes, 0, 8192);
    start_image(fixture, 0, image, sizeof image);
    run_to(fixture, "blank");
    expect_read(fixture, "0x100 0x10");
    assert_true(fixture->driver.op->critical);
    answer(fixture);
    op_driver_expect_put(&fixture->driver, "flash write_bank 0 $p 0x0", image, 256);
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 1 1");
    answer(fixture);
    op_driver_expect_put(&fixture->driver, "flash write_bank 0 $p 0x1000", image + 4096, 1024);
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes, image, sizeof image);
    assert_int_equal(write_of(fixture)->programmed, 8192);
    assert_int_equal(fixture->flash.programmed_bytes, 1280);
}

static void test_flash_write_of_nothing_but_blank_sends_no_program(void **state)
{
    struct fixture *fixture = *state;
    uint8_t image[2048];
    memset(image, 0xff, sizeof image);
    memset(fixture->flash.bytes, 0, sizeof image);
    start_image(fixture, 0, image, sizeof image);
    run_well(fixture);
    assert_int_equal(fixture->flash.programs, 0);
    assert_int_equal(fixture->flash.erases, 2);
    assert_memory_equal(fixture->flash.bytes, image, sizeof image);
}

static void test_flash_write_programs_0xff_where_erased_bytes_read_0(void **state)
{
    struct fixture *fixture = *state;
    uint8_t image[2048];
    memset(image, 0xff, sizeof image);
    image[0] = 1;
    fixture->flash.erased_value = 0;
    start_image(fixture, 0, image, sizeof image);
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes, image, sizeof image);
    assert_int_equal(fixture->flash.programmed_bytes, sizeof image);
}

/* Whoever cannot look programs everything. */
static void test_flash_write_that_cannot_see_blank_bytes_programs_them(void **state)
{
    struct fixture *fixture = *state;
    uint8_t image[1024];
    memset(image, 0xff, sizeof image);
    start_image(fixture, 0, image, sizeof image);
    run_to(fixture, "blank");
    op_driver_answer_error(&fixture->driver, -4, "", "cannot read\n");
    run_well(fixture);
    assert_int_equal(fixture->flash.programmed_bytes, sizeof image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_sends_one_step_after_the_other),
        WITH_FIXTURE(test_flash_write_programs_through_a_file),
        WITH_FIXTURE(test_flash_write_without_erasing_touches_the_image_alone),
        WITH_FIXTURE(test_flash_write_without_erasing_or_verifying_asks_for_no_work_area),
        WITH_FIXTURE(test_flash_write_without_verifying_reads_nothing_back),
        WITH_FIXTURE(test_flash_write_keeps_nothing_of_sectors_that_the_image_fills),
        WITH_FIXTURE(test_flash_write_without_a_work_area_reads_back),
        WITH_FIXTURE(test_flash_write_pieces_follow_the_budget_in_whole_sectors),
        WITH_FIXTURE(test_flash_write_programs_no_more_than_was_erased),
        WITH_FIXTURE(test_flash_write_is_critical_while_a_piece_is_open),
        WITH_FIXTURE(test_flash_write_reports_its_phases),
        WITH_FIXTURE(test_flash_write_prepares_as_asked),
        WITH_FIXTURE(test_flash_write_halts_every_target_of_its_banks),
        WITH_FIXTURE(test_flash_write_that_cannot_prepare_leaves_the_flash_alone),
        WITH_FIXTURE(test_flash_write_needs_a_halted_target),
        WITH_FIXTURE(test_flash_write_waits_five_seconds_for_the_halt),
        WITH_FIXTURE(test_flash_write_quotes_hostile_names),
        WITH_FIXTURE(test_flash_write_of_a_bank_of_an_unknown_target),
        WITH_FIXTURE(test_flash_write_needs_a_directory_for_files),
        WITH_FIXTURE(test_flash_write_of_a_large_sector_takes_files_of_their_most_bytes),
        WITH_FIXTURE(test_flash_write_without_erasing_cuts_where_write_units_end),
        WITH_FIXTURE(test_flash_write_keeps_large_gaps_in_several_reads),
        WITH_FIXTURE(test_flash_write_skips_what_is_blank_anyway),
        WITH_FIXTURE(test_flash_write_of_nothing_but_blank_sends_no_program),
        WITH_FIXTURE(test_flash_write_programs_0xff_where_erased_bytes_read_0),
        WITH_FIXTURE(test_flash_write_that_cannot_see_blank_bytes_programs_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
