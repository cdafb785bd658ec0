/* ops/flash_write, comparing: only what differs is programmed, and finding that costs few commands. */
#include "op_flash_write.h"

#define SECTORS 64u
#define SECTOR 1024u
#define SIZE (SECTORS * SECTOR)

struct compare {
    struct fixture *fixture;
    uint8_t image[SIZE];
};

static int compare_setup(void **state)
{
    struct compare *compare = xcalloc(1, sizeof *compare);
    compare->fixture = fixture_new();
    use_sectors(compare->fixture, SECTORS, SECTOR);
    fill_random(compare->image, SIZE, 1);
    memcpy(compare->fixture->flash.bytes, compare->image, SIZE);
    compare->fixture->options.compare = true;
    *state = compare;
    return 0;
}

static int compare_teardown(void **state)
{
    struct compare *compare = *state;
    fixture_free(compare->fixture);
    free(compare);
    return 0;
}

#define WITH_COMPARE(test) cmocka_unit_test_setup_teardown(test, compare_setup, compare_teardown)

/* Programs the image, when the flash is as the test left it; just the sectors that differ must be erased. */
static void run_changed(struct compare *compare, const struct test_segment *segments, size_t count)
{
    struct made_up_flash *flash = &compare->fixture->flash;
    uint8_t *wanted = xmalloc(SIZE);
    bool differs[SECTORS];
    uint64_t unchanged = 0;
    memcpy(wanted, flash->bytes, SIZE);
    for (size_t i = 0; i < count; i++) {
        memcpy(wanted + (segments[i].address - FLASH_BASE), segments[i].bytes, segments[i].size);
        unchanged += segments[i].size;
    }
    for (size_t i = 0; i < SECTORS; i++) {
        differs[i] = memcmp(wanted + i * SECTOR, flash->bytes + i * SECTOR, SECTOR) != 0;
        for (size_t k = 0; differs[i] && k < count; k++) {
            uint64_t begin = segments[k].address - FLASH_BASE;
            uint64_t end = begin + segments[k].size;
            begin = begin > i * SECTOR ? begin : i * SECTOR;
            end = end < (i + 1) * SECTOR ? end : (i + 1) * SECTOR;
            unchanged -= end > begin ? end - begin : 0;
        }
    }
    flash_count_anew(flash);
    start_segments(compare->fixture, segments, count);
    run_well(compare->fixture);
    for (size_t i = 0; i < SECTORS; i++) {
        assert_int_equal(flash->sector_erases[i], differs[i] ? 1 : 0);
    }
    assert_memory_equal(flash->bytes, wanted, SIZE);
    assert_int_equal(write_of(compare->fixture)->bytes_unchanged, unchanged);
    assert_int_equal(compare->fixture->driver.keeper.count, 0);
    free(wanted);
}

static void run_whole(struct compare *compare)
{
    struct test_segment segment = {FLASH_BASE, compare->image, SIZE};
    run_changed(compare, &segment, 1);
}

static void test_flash_compare_of_the_same_image_takes_one_checksum(void **state)
{
    struct compare *compare = *state;
    run_whole(compare);
    assert_int_equal(compare->fixture->flash.checksums, 1);
    assert_int_equal(compare->fixture->flash.samples + compare->fixture->flash.reads, 0);
    assert_int_equal(write_of(compare->fixture)->programmed, 0);
    assert_false(write_of(compare->fixture)->touched);
}

static void test_flash_compare_sends_exactly_this(void **state)
{
    struct compare *compare = *state;
    struct op_driver *driver = &compare->fixture->driver;
    use_sectors(compare->fixture, 4, SECTOR);
    memcpy(compare->fixture->flash.bytes, compare->image, 4 * SECTOR);
    memset(compare->fixture->flash.bytes + 2 * SECTOR, 0, SECTOR);
    start_image(compare->fixture, 0, compare->image, 4 * SECTOR);
    run_to(compare->fixture, "compare");
    assert_int_equal(driver->op->budget, 65536);
    op_driver_expect_put(driver, "verify_image_checksum $p 0x8000000 bin", compare->image, 4 * SECTOR);
    assert_string_equal(driver->command.current_target, "cpu");
    assert_true(driver->command.repeatable);
    assert_false(driver->op->critical);
    assert_int_equal(driver->command.bytes, 4 * SECTOR);
    answer(compare->fixture);
    op_driver_expect(driver, "list [\"cpu\" read_memory 0x8000200 32 4] [\"cpu\" read_memory 0x8000600 32 4] "
                             "[\"cpu\" read_memory 0x8000a00 32 4] [\"cpu\" read_memory 0x8000e00 32 4]");
    assert_true(driver->command.repeatable);
    answer(compare->fixture);
    op_driver_expect_put(driver, "verify_image_checksum $p 0x8000000 bin", compare->image, 2 * SECTOR);
    assert_int_equal(driver->command.bytes, 0); /* too short to learn from */
    answer(compare->fixture);
    op_driver_expect_put(driver, "verify_image_checksum $p 0x8000c00 bin", compare->image + 3 * SECTOR,
                         SECTOR);
    answer(compare->fixture);
    op_driver_expect(driver, "flash erase_sector 0 2 2");
    answer(compare->fixture);
    run_to(compare->fixture, "verify");
    op_driver_expect_put(driver, "verify_image_checksum $p 0x8000800 bin", compare->image + 2 * SECTOR,
                         SECTOR);
    run_well(compare->fixture);
}

static void test_flash_compare_finds_the_sector_that_differs(void **state)
{
    struct compare *compare = *state;
    for (size_t i = 0; i < SECTORS; i++) {
        memset(compare->fixture->flash.bytes + i * SECTOR, 0x33, SECTOR);
        run_whole(compare);
        /* One of the whole, one sample, what is before and behind, one to verify. */
        assert_in_range(compare->fixture->flash.checksums, 3, 4);
        assert_int_equal(compare->fixture->flash.samples, 1);
        assert_int_equal(compare->fixture->flash.reads, 0);
    }
}

/* No sample shows it: the halves are compared. */
static void test_flash_compare_finds_the_byte_that_differs(void **state)
{
    static const size_t places[] = {0, 511, 528, 1023};
    struct compare *compare = *state;
    for (size_t i = 0; i < SECTORS; i++) {
        compare->fixture->flash.bytes[i * SECTOR + places[i % 4]] ^= 1;
        run_whole(compare);
        /* The whole, six halves at the most, what was left of each, and one to verify. */
        assert_in_range(compare->fixture->flash.checksums, 2, 15);
        assert_int_equal(compare->fixture->flash.samples, 1);
    }
}

static void test_flash_compare_of_scattered_sectors(void **state)
{
    struct compare *compare = *state;
    uint32_t seed = 3;
    for (size_t count = 2; count < SECTORS; count += 3) {
        for (size_t i = 0; i < count; i++) {
            size_t sector = next_random(&seed) % SECTORS;
            size_t place = next_random(&seed) % 2 == 0 ? 512 : next_random(&seed) % SECTOR;
            compare->fixture->flash.bytes[sector * SECTOR + place] ^= (uint8_t)(1u << count % 8);
        }
        run_whole(compare);
    }
}

static void test_flash_compare_where_all_differs_takes_one_checksum_and_one_sample(void **state)
{
    struct compare *compare = *state;
    memset(compare->fixture->flash.bytes, 0, SIZE);
    compare->fixture->options.verify = false;
    run_whole(compare);
    assert_int_equal(compare->fixture->flash.checksums, 1);
    assert_int_equal(compare->fixture->flash.samples, 1);
}

/* In pieces, in which nothing joins. */
static void test_flash_compare_goes_by_its_budget(void **state)
{
    static const uint64_t budgets[] = {1, 1000, 1024, 1025, 5000, 8192, 65535};
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        uint64_t done = 0;
        fixture->flash.bytes[20 * SECTOR + 700] ^= 1;
        flash_count_anew(&fixture->flash);
        start_image(fixture, 0x10, compare->image + 0x10, SIZE - 0x20);
        while (op_driver_run(&fixture->driver) == OP_SEND && !is_step(fixture, "erase")) {
            if (is_step(fixture, "compare")) {
                fixture->driver.op->budget = budgets[i];
                op_driver_send_once(&fixture->driver);
                assert_true(fixture->driver.command.file_size <= budgets[i]);
                assert_true(fixture->driver.op->progress.done >= done);
                done = fixture->driver.op->progress.done;
            }
            answer(fixture);
        }
        assert_string_equal(fixture->driver.op->progress.phase, "compare");
        assert_int_equal(fixture->driver.op->progress.done, SIZE - 0x20);
        assert_int_equal(fixture->driver.op->progress.total, SIZE - 0x20);
        op_driver_expect(&fixture->driver, "flash erase_sector 0 20 20");
        run_well(fixture);
        assert_memory_equal(fixture->flash.bytes, compare->image, SIZE);
    }
}

static void test_flash_compare_of_sectors_that_the_image_touches_in_part(void **state)
{
    static const uint64_t places[] = {0x10, 0x3ff, 0x400, 0x2000, 0x230e, 0x230f};
    struct compare *compare = *state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct test_segment segment = {FLASH_BASE + 0x10, compare->image + 0x10, 0x2300};
        compare->fixture->flash.bytes[places[i]] ^= 0x80;
        compare->fixture->flash.bytes[0xf] ^= 0x80; /* beside the image: none of its business */
        compare->fixture->flash.bytes[0x2310] ^= 0x80;
        run_changed(compare, &segment, 1);
    }
}

static void test_flash_compare_of_an_image_with_holes(void **state)
{
    struct compare *compare = *state;
    const struct test_segment segments[] = {
        {FLASH_BASE + 0x20, compare->image + 0x20, 0x10},
        {FLASH_BASE + 0x40, compare->image + 0x40, 0x100}, /* the same sector */
        {FLASH_BASE + 0x1ff0, compare->image + 0x1ff0, 0x20},
        {FLASH_BASE + 0x2020, compare->image + 0x2020, 1},
        {FLASH_BASE + 0x4000, compare->image + 0x4000, 0x3000},
        {FLASH_BASE + 0xffff, compare->image + 0xffff, 1},
    };
    static const uint64_t places[] = {0x20,   0x40,   0x30,   0x1fff, 0x2020,
                                      0x2021, 0x3fff, 0x4000, 0x6fff, 0xffff};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        compare->fixture->flash.bytes[places[i]] ^= 1;
        run_changed(compare, segments, sizeof segments / sizeof segments[0]);
    }
    compare->fixture->flash.bytes[0x20] ^= 1; /* both ranges of one sector */
    compare->fixture->flash.bytes[0x40] ^= 1;
    run_changed(compare, segments, sizeof segments / sizeof segments[0]);
    compare->fixture->flash.no_work_area = true;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        compare->fixture->flash.bytes[places[i]] ^= 1;
        run_changed(compare, segments, sizeof segments / sizeof segments[0]);
    }
}

static void test_flash_compare_without_a_work_area_reads(void **state)
{
    struct compare *compare = *state;
    compare->fixture->flash.no_work_area = true;
    run_whole(compare);
    assert_int_equal(compare->fixture->flash.read_bytes, SIZE);
    for (size_t i = 0; i < SECTORS; i += 9) {
        compare->fixture->flash.bytes[i * SECTOR + 5 * i] ^= 4;
        run_whole(compare);
        assert_int_equal(compare->fixture->flash.read_bytes, SIZE + SECTOR);
    }
    assert_int_equal(compare->fixture->flash.checksums + compare->fixture->flash.samples, 0);
}

/* Whatever it was in the middle of. */
static void test_flash_compare_reads_once_the_checksum_fails(void **state)
{
    struct compare *compare = *state;
    for (size_t works = 0; works < 12; works++) {
        compare->fixture->flash.checksums_that_work = works;
        compare->fixture->flash.bytes[9 * SECTOR + 1] ^= 4;
        compare->fixture->flash.bytes[40 * SECTOR + 512] ^= 4;
        compare->fixture->flash.bytes[63 * SECTOR + 1023] ^= 4;
        run_whole(compare);
        assert_true(compare->fixture->flash.checksums <= works + 1);
        assert_true(compare->fixture->flash.reads > 0);
    }
}

/* What it says of another number of bytes is no answer. */
static void test_flash_compare_believes_no_checksum_of_another_size(void **state)
{
    static const char *const lies[] = {"", "verified 65535 bytes in 1.0s\n", "verified 65537 bytes in 1.0s\n",
                                       "verified bytes\n", "wrote 65536 bytes in 1.0s\n"};
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        flash_count_anew(&fixture->flash);
        fixture->flash.bytes[100] ^= 1;
        start_image(fixture, 0, compare->image, SIZE);
        run_to(fixture, "compare");
        op_driver_answer_text(&fixture->driver, lies[i]);
        run_well(fixture);
        assert_memory_equal(fixture->flash.bytes, compare->image, SIZE);
        assert_int_equal(fixture->flash.checksums, 0);
    }
}

/* It ends well: what is read back has the last word. */
static void test_flash_compare_with_a_checksum_that_lies(void **state)
{
    struct compare *compare = *state;
    compare->fixture->flash.checksum_lies = true;
    start_image(compare->fixture, 0, compare->image, SIZE);
    run_well(compare->fixture);
    assert_memory_equal(compare->fixture->flash.bytes, compare->image, SIZE);
    start_image(compare->fixture, 0x10, compare->image + 0x10, SIZE - 0x20);
    run_well(compare->fixture);
    assert_memory_equal(compare->fixture->flash.bytes, compare->image, SIZE);
    assert_true(compare->fixture->flash.reads > 0);
}

static void test_flash_compare_with_samples_that_cannot_be_read(void **state)
{
    static const char *const answers[] = {"",
                                          "{",
                                          "{0x1 0x2 0x3 0x4}",
                                          "{0x1 0x2 0x3} {0x1 0x2 0x3}",
                                          "a b c d e f",
                                          "{0x1 0x2 0x3 0x100000000}"};
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fixture->flash.bytes[33 * SECTOR + 3] ^= 1;
        fixture->flash.sample_answer = answers[i];
        start_image(fixture, 0, compare->image, SIZE);
        run_well(fixture);
        assert_memory_equal(fixture->flash.bytes, compare->image, SIZE);
        assert_int_equal(fixture->flash.sector_erases[33], i + 1);
    }
    fixture->flash.bytes[33 * SECTOR + 3] ^= 1;
    start_image(fixture, 0, compare->image, SIZE);
    run_to(fixture, "sample");
    op_driver_answer_error(&fixture->driver, 1, "invalid command name \"read_memory\"", "");
    run_well(fixture);
    assert_memory_equal(fixture->flash.bytes, compare->image, SIZE);
}

/* The words of a target of the other byte order. */
static void test_flash_compare_samples_in_the_byte_order_of_the_target(void **state)
{
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    const uint8_t *word = compare->image + 512;
    char sample[200];
    op_driver_target(&fixture->driver)->big_endian = true;
    memset(fixture->flash.bytes + SECTOR, 0, SECTOR);
    start_image(fixture, 0, compare->image, 2 * SECTOR);
    run_to(fixture, "sample");
    int length = snprintf(sample, sizeof sample, "{");
    for (size_t i = 0; i < 4; i++) {
        length += snprintf(sample + length, sizeof sample - (size_t)length, "0x%02x%02x%02x%02x ",
                           word[4 * i], word[4 * i + 1], word[4 * i + 2], word[4 * i + 3]);
    }
    snprintf(sample + length, sizeof sample - (size_t)length, "} {0 0 0 0}");
    op_driver_answer_text(&fixture->driver, sample);
    run_to(fixture, "compare"); /* of the first sector alone */
    assert_int_equal(fixture->driver.command.file_size, SECTOR);
    assert_memory_equal(fixture->driver.command.file_bytes, compare->image, SECTOR);
    run_well(fixture);
    assert_int_equal(fixture->flash.sector_erases[0], 0);
    assert_int_equal(fixture->flash.sector_erases[1], 1);
}

static void test_flash_compare_that_cannot_read_leaves_the_flash_alone(void **state)
{
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    fixture->flash.no_work_area = true;
    fixture->flash.bytes[0] ^= 1;
    start_image(fixture, 0, compare->image, SIZE);
    run_to(fixture, "compare");
    op_driver_answer_text(&fixture->driver, "abc");
    expect_flash_error(fixture, "cannot compare at 0x08000000: OpenOCD gave 3 bytes instead of 1024",
                       "driver", "unchanged");
    assert_false(fixture->driver.err.has_openocd);
    start_image(fixture, 0, compare->image, SIZE);
    run_to(fixture, "compare");
    answer(fixture);
    run_to(fixture, "compare");
    op_driver_answer_error(&fixture->driver, -4, "", "Failed to read memory\n");
    expect_flash_error(fixture, "cannot compare at 0x08000400: Failed to read memory", "driver", "unchanged");
    op_driver_assert_integer(&fixture->driver, "bank", 0);
    op_driver_assert_address(&fixture->driver, "address", FLASH_BASE + 0x400);
    assert_int_equal(fixture->flash.erases, 0);
}

/* More than one command's worth of samples. */
static void test_flash_compare_samples_many_sectors_in_turns(void **state)
{
    enum { COUNT = 600, SMALL = 64 };
    struct compare *compare = *state;
    struct fixture *fixture = compare->fixture;
    struct op_driver *driver = &fixture->driver;
    struct strbuf rows = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    use_sectors(fixture, 1, COUNT * SMALL);
    memcpy(fixture->flash.bytes, compare->image, COUNT * SMALL);
    flash_append_header(&fixture->flash, &rows);
    for (size_t i = 0; i < COUNT; i++) {
        flash_append_row(&rows, i, i * SMALL, SMALL, "not protected");
    }
    strbuf_append_byte(&text, '{');
    flash_append_list(&fixture->flash, &text);
    strbuf_appendf(&text, "} {%s} {%s}", strbuf_text(&rows), strbuf_text(&rows));
    fixture->flash.bytes[599 * SMALL + 40] ^= 1;
    fixture->flash.bytes[255 * SMALL + 32] ^= 1;
    fixture->flash.bytes[256 * SMALL + 35] ^= 1;
    start_image(fixture, 0, compare->image, COUNT * SMALL);
    op_driver_run(driver);
    op_driver_answer(driver, 0, text.data, text.length, "");
    run_to(fixture, "erase");
    assert_int_equal(fixture->flash.samples, 3);
    const struct flash_plan_bank *bank = &write_of(fixture)->plan.banks[0];
    for (size_t i = 0; i < COUNT; i++) {
        bool changed = i == 599 || i == 255 || i == 256;
        assert_int_equal(bank->sectors[i].state, changed ? FLASH_SECTOR_CHANGED : FLASH_SECTOR_SAME);
    }
    assert_int_equal(fixture->flash.checksums, 3);
    strbuf_fini(&rows);
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_COMPARE(test_flash_compare_of_the_same_image_takes_one_checksum),
        WITH_COMPARE(test_flash_compare_sends_exactly_this),
        WITH_COMPARE(test_flash_compare_finds_the_sector_that_differs),
        WITH_COMPARE(test_flash_compare_finds_the_byte_that_differs),
        WITH_COMPARE(test_flash_compare_of_scattered_sectors),
        WITH_COMPARE(test_flash_compare_where_all_differs_takes_one_checksum_and_one_sample),
        WITH_COMPARE(test_flash_compare_goes_by_its_budget),
        WITH_COMPARE(test_flash_compare_of_sectors_that_the_image_touches_in_part),
        WITH_COMPARE(test_flash_compare_of_an_image_with_holes),
        WITH_COMPARE(test_flash_compare_without_a_work_area_reads),
        WITH_COMPARE(test_flash_compare_reads_once_the_checksum_fails),
        WITH_COMPARE(test_flash_compare_believes_no_checksum_of_another_size),
        WITH_COMPARE(test_flash_compare_with_a_checksum_that_lies),
        WITH_COMPARE(test_flash_compare_with_samples_that_cannot_be_read),
        WITH_COMPARE(test_flash_compare_samples_in_the_byte_order_of_the_target),
        WITH_COMPARE(test_flash_compare_that_cannot_read_leaves_the_flash_alone),
        WITH_COMPARE(test_flash_compare_samples_many_sectors_in_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
