/* ops/flash_write: what stands beside the image in sectors that are erased is never lost. */
#include "op_flash_write.h"

#include "ops/flash_erase.h"

/* A record of a sector of bank 0 as an earlier try would have left it. */
static void leave_record(struct fixture *fixture, uint64_t sector_offset, uint64_t sector_size,
                         struct keeper_range *ranges, size_t count)
{
    struct ocd_bank bank = {.base = fixture->flash.base};
    struct keeper_record record = {
        .sector_offset = sector_offset, .sector_size = sector_size, .ranges = ranges, .range_count = count};
    struct err err;
    assert_true(fake_keeper_save(&fixture->driver.keeper, &bank, &record, &err));
    fixture->driver.keeper.saves = 0;
}

static void leave_bytes(struct fixture *fixture, uint64_t sector_offset, uint64_t offset, const char *bytes)
{
    struct keeper_range range = {offset, strlen(bytes), (const uint8_t *)bytes};
    leave_record(fixture, sector_offset, 1024, &range, 1);
}

static void assert_record(struct fixture *fixture, uint64_t sector_offset, const struct keeper_range *ranges,
                          size_t count)
{
    const struct keeper_record *record =
        fake_keeper_look(&fixture->driver.keeper, fixture->flash.base, sector_offset);
    assert_non_null(record);
    assert_int_equal(record->sector_size, 1024);
    assert_int_equal(record->range_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(record->ranges[i].offset, ranges[i].offset);
        assert_int_equal(record->ranges[i].size, ranges[i].size);
        assert_memory_equal(record->ranges[i].bytes, ranges[i].bytes, ranges[i].size);
    }
}

static void test_flash_write_keeps_just_the_gaps_until_they_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct fake_keeper *keeper = &fixture->driver.keeper;
    uint8_t before[8192];
    fill_random(before, sizeof before, 4);
    memcpy(fixture->flash.bytes, before, sizeof before);
    const struct test_segment segments[] = {
        {FLASH_BASE + 0x410, "0123456789", 10}, {FLASH_BASE + 0x41c, "ab", 2}, {FLASH_BASE + 0x7f0, "c", 1}};
    start_segments(fixture, segments, 3);
    run_to(fixture, "keep");
    expect_read(fixture, "0x400 0x400"); /* in one go */
    answer(fixture);
    assert_int_equal(keeper->saves, 0);
    assert_false(fixture->driver.op->critical);
    op_driver_send_once(&fixture->driver);
    assert_int_equal(fixture->driver.verdict, OP_GO);
    assert_int_equal(keeper->saves, 1);
    assert_true(fixture->driver.op->critical); /* nobody may cancel between the record and the erase */
    run_to(fixture, "erase");
    const struct keeper_range gaps[] = {{0x400, 0x10, before + 0x400},
                                        {0x41a, 2, before + 0x41a},
                                        {0x41e, 0x3d2, before + 0x41e},
                                        {0x7f1, 0xf, before + 0x7f1}};
    assert_record(fixture, 0x400, gaps, 4);
    assert_int_equal(keeper->saves, 1);
    answer(fixture);
    run_to(fixture, "program");
    assert_int_equal(keeper->count, 1);
    answer(fixture);
    run_to(fixture, "check");
    assert_int_equal(keeper->count, 1);
    assert_int_equal(keeper->forgets, 0);
    answer(fixture);
    run_well(fixture);
    assert_int_equal(keeper->count, 0);
    assert_int_equal(keeper->saves, 1);
    assert_int_equal(write_of(fixture)->bytes_repaired, 0);
    memcpy(before + 0x410, "0123456789", 10);
    memcpy(before + 0x41c, "ab", 2);
    before[0x7f0] = 'c';
    assert_memory_equal(fixture->flash.bytes, before, sizeof before);
}

static void test_flash_write_keeps_all_sectors_of_a_piece_before_it_erases(void **state)
{
    struct fixture *fixture = *state;
    uint8_t before[8192];
    fill_random(before, sizeof before, 5);
    memcpy(fixture->flash.bytes, before, sizeof before);
    start_at(fixture, 0x3f0, 0x820); /* parts of sectors 0 and 3... */
    run_to(fixture, "room");
    answer(fixture);
    fixture->driver.op->budget = 1u << 20;
    expect_read(fixture, "0x0 0x3f0");
    answer(fixture);
    expect_read(fixture, "0xc10 0x3f0");
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 0 3");
    assert_int_equal(fixture->driver.keeper.count, 2);
    assert_record(fixture, 0, &(struct keeper_range){0, 0x3f0, before}, 1);
    assert_record(fixture, 0xc00, &(struct keeper_range){0xc10, 0x3f0, before + 0xc10}, 1);
    run_to(fixture, "check");
    answer(fixture);
    run_to(fixture, "check");
    assert_int_equal(fixture->driver.keeper.count, 2); /* both go when all is checked */
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.count, 0);
    memset(before + 0x3f0, 0x5a, 0x820);
    assert_memory_equal(fixture->flash.bytes, before, sizeof before);
}

/* The flash holds what the earlier try left of it; what the record does not hold comes from there. */
static void test_flash_write_takes_back_what_an_earlier_try_left(void **state)
{
    struct fixture *fixture = *state;
    memset(fixture->flash.bytes, 0xee, 8192);
    memset(fixture->flash.bytes + 1024, 0xff, 512);
    leave_bytes(fixture, 1024, 1024 + 8, "kept");
    leave_bytes(fixture, 4096, 4096, "elsewhere");
    start_at(fixture, 1024 + 10, 1);
    run_to(fixture, "erase");
    const struct keeper_record *record = fake_keeper_look(&fixture->driver.keeper, FLASH_BASE, 1024);
    assert_int_equal(record->range_count, 1); /* of what is kept now, and what was kept before */
    assert_int_equal(record->ranges[0].size, 1024);
    assert_memory_equal(record->ranges[0].bytes + 8, "kept", 4);
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes + 1024 + 8, "keZt", 4); /* the image wins */
    assert_int_equal(fixture->flash.bytes[1024 + 7], 0xff);
    assert_int_equal(fixture->flash.bytes[1024 + 12], 0xff);
    assert_int_equal(fixture->flash.bytes[1024 + 512], 0xee);
    assert_int_equal(write_of(fixture)->bytes_repaired, 3);
    assert_int_equal(fixture->driver.keeper.count, 1); /* that of the sector elsewhere */
    assert_non_null(fake_keeper_look(&fixture->driver.keeper, FLASH_BASE, 4096));
}

static void test_flash_write_takes_back_several_ranges(void **state)
{
    struct fixture *fixture = *state;
    struct keeper_range ranges[] = {
        {0, 4, (const uint8_t *)"abcd"}, {100, 2, (const uint8_t *)"ef"}, {1020, 4, (const uint8_t *)"ghij"}};
    leave_record(fixture, 0, 1024, ranges, 3);
    start_at(fixture, 2, 100); /* over the end of one and half of another */
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes, "abZZ", 4);
    assert_memory_equal(fixture->flash.bytes + 100, "ZZ\xff", 3);
    assert_memory_equal(fixture->flash.bytes + 1020, "ghij", 4);
    assert_int_equal(write_of(fixture)->bytes_repaired, 2 + 4);
}

static void test_flash_write_of_the_same_image_still_repairs(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.compare = true;
    memset(fixture->flash.bytes, 0x5a, 2048);
    leave_bytes(fixture, 1024, 2040, "kept");
    start_at(fixture, 0, 2000);
    run_to(fixture, "erase");
    op_driver_expect(&fixture->driver, "flash erase_sector 0 1 1");
    run_well(fixture);
    assert_int_equal(fixture->flash.erases, 1);
    assert_memory_equal(fixture->flash.bytes + 2039, "\x5akept\x5a", 6);
    assert_int_equal(write_of(fixture)->bytes_repaired, 4);
    assert_int_equal(write_of(fixture)->bytes_unchanged, 1024);
    start_at(fixture, 0, 2000); /* now there is nothing to do */
    run_well(fixture);
    assert_int_equal(fixture->flash.erases, 1);
}

static void test_flash_write_over_all_of_a_sector_drops_its_record(void **state)
{
    struct fixture *fixture = *state;
    leave_bytes(fixture, 1024, 1024, "kept");
    leave_bytes(fixture, 2048, 2048, "beside");
    start_at(fixture, 1024, 1024);
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.saves, 0);
    assert_int_equal(fixture->driver.keeper.count, 1);
    assert_null(fake_keeper_look(&fixture->driver.keeper, FLASH_BASE, 1024));
    assert_int_equal(fixture->flash.bytes[1024], 0x5a);
    assert_int_equal(write_of(fixture)->bytes_repaired, 0);
}

static void test_flash_write_without_erasing_leaves_records_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.erase = false;
    fixture->driver.keeper.finds_that_work = 0;
    leave_bytes(fixture, 0, 0, "kept");
    start_at(fixture, 0x10, 16);
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.count, 1);
    assert_int_equal(fixture->driver.keeper.finds + fixture->driver.keeper.forgets, 0);
}

static void expect_stage_error(struct fixture *fixture, const char *words, const char *flash_state)
{
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        answer(fixture);
    }
    op_driver_expect_failed(&fixture->driver, ERR_STAGE_ERROR, words);
    op_driver_assert_text(&fixture->driver, "flash_state", flash_state);
}

static void test_flash_write_that_cannot_save_erases_nothing_more(void **state)
{
    struct fixture *fixture = *state;
    memset(fixture->flash.bytes, 0x11, 8192);
    fixture->driver.keeper.saves_that_work = 0;
    start_at(fixture, 0x10, 4);
    expect_stage_error(fixture, "the disk is full", "unchanged");
    assert_int_equal(fixture->flash.erases, 0);
    assert_false(fixture->driver.op->critical);
    fixture->driver.keeper.saves = 0;
    fixture->driver.keeper.saves_that_work = 1;
    start_at(fixture, 0x10, 0x800); /* sectors 0 to 2: the last one cannot be kept */
    expect_stage_error(fixture, "the disk is full", "partial");
    assert_int_equal(fixture->flash.sector_erases[0], 1);
    assert_int_equal(fixture->flash.sector_erases[1], 1);
    assert_int_equal(fixture->flash.sector_erases[2], 0);
    assert_int_equal(fixture->flash.bytes[0x800], 0x11);
    assert_int_equal(fixture->flash.bytes[0xf], 0x11);
}

/* It would put back what is out of date one day. */
static void test_flash_write_leaves_no_record_of_what_it_did_not_erase(void **state)
{
    struct fixture *fixture = *state;
    struct fake_keeper *keeper = &fixture->driver.keeper;
    for (int way = 0; way < 3; way++) {
        start_at(fixture, 0x3f0, 0x820); /* parts of sectors 0 and 3 */
        run_to(fixture, "room");
        answer(fixture);
        fixture->driver.op->budget = 1u << 20;
        run_to(fixture, "keep");
        answer(fixture);
        run_to(fixture, "keep");
        assert_int_equal(keeper->count, 0); /* whoever cancels now leaves nothing behind */
        if (way == 1) {
            op_driver_answer_error(&fixture->driver, -4, "", "Failed to read memory\n");
            expect_flash_error(fixture, "cannot read what must be kept at 0x08000c10", "driver", "unchanged");
        } else if (way == 2) {
            keeper->saves = 0;
            keeper->saves_that_work = 1;
            expect_stage_error(fixture, "the disk is full", "unchanged");
        }
        assert_int_equal(keeper->count, 0);
    }
    keeper->saves_that_work = SIZE_MAX;
    leave_bytes(fixture, 0, 0x100, "kept"); /* but that of an earlier try stays */
    start_at(fixture, 0x3f0, 0x820);
    run_to(fixture, "room");
    answer(fixture);
    fixture->driver.op->budget = 1u << 20;
    keeper->saves_that_work = 1;
    expect_stage_error(fixture, "the disk is full", "unchanged");
    assert_int_equal(keeper->count, 1);
    const struct keeper_record *record = fake_keeper_look(keeper, FLASH_BASE, 0);
    assert_non_null(record);
    assert_memory_equal(record->ranges[0].bytes + (0x100 - record->ranges[0].offset), "kept", 4);
    assert_int_equal(fixture->flash.erases, 0);
}

static void test_flash_write_that_cannot_read_a_record_erases_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.compare = true;
    for (size_t works = 0; works < 5; works++) { /* three sectors are looked for, and two again */
        fixture->driver.keeper.finds = 0;
        fixture->driver.keeper.finds_that_work = works;
        memset(fixture->flash.bytes, 0x11, 8192);
        flash_count_anew(&fixture->flash);
        start_at(fixture, 0x10, 0x800);
        expect_stage_error(fixture, "the record cannot be read", works == 4 ? "partial" : "unchanged");
        assert_int_equal(fixture->flash.sector_erases[2], 0);
        assert_int_equal(fixture->flash.erases, works == 4 ? 2 : 0);
    }
}

/* The bank has other sectors than when the record was made. */
static void test_flash_write_refuses_a_record_of_a_sector_of_another_size(void **state)
{
    static const uint64_t sizes[] = {512, 2048, 8192};
    struct fixture *fixture = *state;
    uint8_t bytes[8192] = {0};
    for (size_t i = 0; i < 3; i++) {
        struct keeper_range range = {0, sizes[i], bytes};
        leave_record(fixture, 0, sizes[i], &range, 1);
        start_at(fixture, 0x10, 4);
        expect_stage_error(fixture, "what the sector at 0x08000000 held was kept when it had", "unchanged");
        assert_int_equal(fixture->flash.erases, 0);
        assert_int_equal(fixture->driver.keeper.count, 1);
    }
    start_at(fixture, 0x400, 4); /* the next one has nothing to do with it */
    run_well(fixture);
}

/* Wherever it is cut off, the record is there; the next try, with another image, has it all back. */
static void test_flash_write_cut_off_behind_the_erase_is_made_good(void **state)
{
    static const char *const steps[] = {"program", "check"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        memset(fixture->flash.bytes, 0x11, 8192);
        start_at(fixture, 0x100, 0x10);
        run_to(fixture, steps[i]);
        memset(fixture->flash.bytes, 0, 1024); /* and the chip is in any state */
        start_at(fixture, 0x108, 0x10);
        run_well(fixture);
        for (size_t k = 0; k < 8192; k++) {
            bool undone = k >= 0x100 && k < 0x108; /* of the first image, which nobody kept */
            assert_int_equal(fixture->flash.bytes[k], undone ? 0 : k >= 0x108 && k < 0x118 ? 0x5a : 0x11);
        }
        assert_int_equal(write_of(fixture)->bytes_repaired, 1024 - 0x18);
    }
}

/* Some chips cannot be read where programming was cut off. */
static void test_flash_write_reads_nothing_that_an_earlier_try_kept(void **state)
{
    struct fixture *fixture = *state;
    memset(fixture->flash.bytes, 0x11, 8192);
    start_at(fixture, 0x100, 0x400); /* parts of sectors 0 and 1 */
    run_to(fixture, "room");
    answer(fixture);
    fixture->driver.op->budget = 1u << 20;
    run_to(fixture, "program");
    assert_int_equal(fixture->driver.keeper.count, 2);
    memset(fixture->flash.bytes, 0x22, 2048);
    flash_count_anew(&fixture->flash);
    start_at(fixture, 0x100, 0x400);
    run_to(fixture, "room");
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 0 0");
    assert_true(fixture->driver.op->critical);
    answer(fixture);
    run_to(fixture, "check");
    answer(fixture);
    op_driver_expect(&fixture->driver, "flash erase_sector 0 1 1");
    run_well(fixture);
    assert_int_equal(fixture->flash.reads, 0);
    assert_int_equal(write_of(fixture)->bytes_repaired, 0x400);
    for (size_t i = 0; i < 8192; i++) {
        assert_int_equal(fixture->flash.bytes[i], i >= 0x100 && i < 0x500 ? 0x5a : 0x11);
    }
    assert_int_equal(fixture->driver.keeper.count, 0);
    leave_bytes(fixture, 0, 0, "kept"); /* its record cannot be read a second time */
    fixture->driver.keeper.finds = 0;
    fixture->driver.keeper.finds_that_work = 1;
    start_at(fixture, 0x100, 0x100);
    expect_stage_error(fixture, "the record cannot be read", "unchanged");
    assert_int_equal(fixture->driver.keeper.count, 1);
}

static void test_flash_erase_drops_the_records_of_its_sectors(void **state)
{
    struct fixture *fixture = *state;
    leave_bytes(fixture, 0, 0, "a");
    leave_bytes(fixture, 1024, 1024, "b");
    leave_bytes(fixture, 2048, 2048, "c");
    leave_bytes(fixture, 3072, 3072, "d");
    op_driver_start(&fixture->driver, flash_erase_new(0, 1, 2));
    run_to(fixture, "erase");
    op_driver_answer_text(&fixture->driver, ""); /* nobody knows what was erased */
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR, "");
    assert_int_equal(fixture->driver.keeper.count, 4);
    op_driver_start(&fixture->driver, flash_erase_new(0, 1, 2));
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.count, 2);
    assert_non_null(fake_keeper_look(&fixture->driver.keeper, FLASH_BASE, 0));
    assert_non_null(fake_keeper_look(&fixture->driver.keeper, FLASH_BASE, 3072));
    op_driver_start(&fixture->driver, flash_erase_all_new(0));
    run_well(fixture);
    assert_int_equal(fixture->driver.keeper.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_write_keeps_just_the_gaps_until_they_are_checked),
        WITH_FIXTURE(test_flash_write_keeps_all_sectors_of_a_piece_before_it_erases),
        WITH_FIXTURE(test_flash_write_takes_back_what_an_earlier_try_left),
        WITH_FIXTURE(test_flash_write_takes_back_several_ranges),
        WITH_FIXTURE(test_flash_write_of_the_same_image_still_repairs),
        WITH_FIXTURE(test_flash_write_over_all_of_a_sector_drops_its_record),
        WITH_FIXTURE(test_flash_write_without_erasing_leaves_records_alone),
        WITH_FIXTURE(test_flash_write_that_cannot_save_erases_nothing_more),
        WITH_FIXTURE(test_flash_write_leaves_no_record_of_what_it_did_not_erase),
        WITH_FIXTURE(test_flash_write_that_cannot_read_a_record_erases_nothing),
        WITH_FIXTURE(test_flash_write_refuses_a_record_of_a_sector_of_another_size),
        WITH_FIXTURE(test_flash_write_cut_off_behind_the_erase_is_made_good),
        WITH_FIXTURE(test_flash_write_reads_nothing_that_an_earlier_try_kept),
        WITH_FIXTURE(test_flash_erase_drops_the_records_of_its_sectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
