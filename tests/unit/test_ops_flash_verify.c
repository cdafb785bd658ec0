/* ops/flash_verify: reads only, and counts what differs. */
#include "op_flash_write.h"

#include "ops/flash_verify.h"

struct verify {
    struct fixture *fixture;
    struct flash_verify_options options;
    uint8_t image[8192];
};

static int verify_setup(void **state)
{
    struct verify *verify = xcalloc(1, sizeof *verify);
    verify->fixture = fixture_new();
    fill_random(verify->image, sizeof verify->image, 2);
    memcpy(verify->fixture->flash.bytes, verify->image, sizeof verify->image);
    *state = verify;
    return 0;
}

static int verify_teardown(void **state)
{
    struct verify *verify = *state;
    fixture_free(verify->fixture);
    free(verify);
    return 0;
}

static struct op_driver *driver_of(struct verify *verify)
{
    return &verify->fixture->driver;
}

static const struct flash_verify *op_of(struct verify *verify)
{
    return (const struct flash_verify *)driver_of(verify)->op;
}

static void start_parts(struct verify *verify, const struct test_segment *segments, size_t count)
{
    struct image image = make_image(count == 1 ? IMAGE_BIN : IMAGE_IHEX, segments, count);
    op_driver_start(driver_of(verify), flash_verify_new(&verify->options, &image));
}

static void start_range(struct verify *verify, uint64_t offset, size_t size)
{
    struct test_segment segment = {FLASH_BASE + offset, verify->image + offset, size};
    start_parts(verify, &segment, 1);
}

static void test_flash_verify_reads_the_image_in_pieces(void **state)
{
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    start_range(verify, 0x10, 4000);
    assert_string_equal(driver->op->progress.phase, "verify");
    assert_int_equal(driver->op->progress.total, 4000);
    op_driver_expect_get(driver, "flash read_bank 0 $p 0x10 0x400");
    assert_true(driver->command.repeatable && !driver->command.changes);
    assert_int_equal(driver->command.bytes, 1024);
    answer(verify->fixture);
    assert_int_equal(driver->op->progress.done, 1024);
    driver->op->budget = 2000;
    op_driver_expect_get(driver, "flash read_bank 0 $p 0x410 0x7d0");
    answer(verify->fixture);
    driver->op->budget = 1u << 30;
    op_driver_expect_get(driver, "flash read_bank 0 $p 0xbe0 0x3d0");
    answer(verify->fixture);
    op_driver_expect_done(driver);
    assert_int_equal(driver->op->progress.done, 4000);
    assert_int_equal(op_of(verify)->difference_count, 0);
    assert_int_equal(op_of(verify)->image_size, 4000);
    assert_false(driver->op->class->changes);
    assert_int_equal(driver->keeper.finds, 0);
}

static void test_flash_verify_never_asks_for_more_than_a_file_takes(void **state)
{
    struct verify *verify = *state;
    uint8_t *image = xcalloc(1, FLASH_BYTES_MAX);
    struct test_segment segment = {FLASH_BASE, image, FLASH_BYTES_MAX};
    use_sectors(verify->fixture, 1, FLASH_BYTES_MAX);
    memset(verify->fixture->flash.bytes, 0, FLASH_BYTES_MAX);
    start_parts(verify, &segment, 1);
    driver_of(verify)->op->budget = 1u << 30;
    run_well(verify->fixture); /* the driver looks */
    assert_int_equal(verify->fixture->flash.reads, FLASH_BYTES_MAX / OP_FILE_MOST_BYTES);
    free(image);
}

static void test_flash_verify_finds_every_byte_that_differs(void **state)
{
    static const size_t places[] = {0, 1, 1023, 1024, 4095, 8191};
    struct verify *verify = *state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t *byte = &verify->fixture->flash.bytes[places[i]];
        *byte ^= 0x40;
        start_range(verify, 0, 8192);
        run_well(verify->fixture);
        const struct flash_verify *self = op_of(verify);
        assert_int_equal(self->difference_count, 1);
        assert_int_equal(self->differences[0].address, FLASH_BASE + places[i]);
        assert_int_equal(self->differences[0].offset, places[i]);
        assert_int_equal(self->differences[0].expected, verify->image[places[i]]);
        assert_int_equal(self->differences[0].found, *byte);
        *byte ^= 0x40;
    }
    verify->fixture->flash.bytes[0x0f] ^= 1; /* beside the image */
    verify->fixture->flash.bytes[0x20] ^= 1;
    start_range(verify, 0x10, 0x10);
    run_well(verify->fixture);
    assert_int_equal(op_of(verify)->difference_count, 0);
}

static void test_flash_verify_lists_the_first_and_counts_the_rest(void **state)
{
    struct verify *verify = *state;
    for (size_t i = 0; i < 4096; i++) {
        verify->fixture->flash.bytes[2 * i] ^= 0xff;
    }
    start_range(verify, 0, 8192);
    run_well(verify->fixture);
    const struct flash_verify *self = op_of(verify);
    assert_int_equal(self->difference_count, 4096);
    for (size_t i = 0; i < FLASH_VERIFY_FIRST_DIFFERENCES; i++) {
        assert_int_equal(self->differences[i].offset, 2 * i);
        assert_int_equal(self->differences[i].expected ^ self->differences[i].found, 0xff);
    }
}

static void test_flash_verify_of_segments_in_several_banks(void **state)
{
    struct verify *verify = *state;
    struct made_up_flash *behind = add_bank(verify->fixture, FLASH_BASE + 8192, 4);
    const struct test_segment segments[] = {{FLASH_BASE + 0x20, verify->image + 0x20, 5},
                                            {FLASH_BASE + 0x1ffe, "ab", 2},
                                            {FLASH_BASE + 0x2000, "cd", 2}};
    memcpy(verify->fixture->flash.bytes + 0x1ffe, "aX", 2);
    memcpy(behind->bytes, "Yd", 2);
    start_parts(verify, segments, 3);
    op_driver_expect_get(driver_of(verify), "flash read_bank 0 $p 0x20 0x5");
    answer(verify->fixture);
    op_driver_expect_get(driver_of(verify), "flash read_bank 0 $p 0x1ffe 0x2");
    answer(verify->fixture);
    op_driver_expect_get(driver_of(verify), "flash read_bank 1 $p 0x0 0x2");
    answer(verify->fixture);
    op_driver_expect_done(driver_of(verify));
    const struct flash_verify *self = op_of(verify);
    assert_int_equal(self->difference_count, 2);
    assert_int_equal(self->differences[0].address, FLASH_BASE + 0x1fff);
    assert_int_equal(self->differences[0].offset, 0x1fff);
    assert_int_equal(self->differences[1].address, FLASH_BASE + 0x2000);
    assert_int_equal(self->differences[1].offset, 0);
    assert_int_equal(self->differences[1].expected, 'c');
    assert_int_equal(self->differences[1].found, 'Y');
}

static void test_flash_verify_asks_for_banks_whose_size_is_not_known(void **state)
{
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    driver->info.banks[0].size = 0;
    start_range(verify, 0, 4);
    op_driver_run(driver);
    assert_memory_equal(strbuf_text(&driver->command.script), "apply {{} {set i 0; ", 20);
    answer(verify->fixture);
    op_driver_expect_get(driver, "flash read_bank 0 $p 0x0 0x4");
    driver->info.banks[0].size = 0;
    start_range(verify, 0, 4);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "invalid command name \"flash\"", "");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "cannot list the flash banks: invalid command name");
    start_range(verify, 0, 4);
    op_driver_run(driver);
    op_driver_answer_text(driver, "{name");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "");
}

static void test_flash_verify_from_an_offset_of_a_bank(void **state)
{
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    add_bank(verify->fixture, 0x10000000, 4);
    memcpy(verify->fixture->flash.next->bytes + 100, verify->image, 50);
    verify->options = (struct flash_verify_options){.has_bank = true, .bank = 1, .offset = 100};
    start_range(verify, 0, 50);
    op_driver_expect_get(driver, "flash read_bank 1 $p 0x64 0x32");
    answer(verify->fixture);
    op_driver_expect_done(driver);
    assert_int_equal(op_of(verify)->difference_count, 0);
    verify->options.offset = 101;
    start_range(verify, 0, 50);
    run_well(verify->fixture);
    assert_true(op_of(verify)->difference_count > 40);
    assert_int_equal(op_of(verify)->differences[0].address, 0x10000000 + 101);
}

static void test_flash_verify_refuses_what_is_in_no_bank(void **state)
{
    static const uint64_t offsets[] = {8192, 8191, UINT64_MAX, UINT64_MAX - 1};
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    struct test_segment segment = {FLASH_BASE + 8191, "ab", 2};
    start_parts(verify, &segment, 1);
    op_driver_expect_failed(driver, ERR_IMAGE_INVALID,
                            "1 bytes of the image at 0x08002000 lie in no flash bank");
    verify->options.has_bank = true;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        verify->options.offset = offsets[i];
        start_parts(verify, &segment, 1);
        op_driver_expect_failed(driver, ERR_INVALID_RANGE, "offset: 2 bytes at offset 0x");
        op_driver_assert_integer(driver, "bank", 0);
        op_driver_assert_integer(driver, "size", 2);
    }
    verify->options.bank = 1;
    start_parts(verify, &segment, 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1");
    driver->info.bank_count = 0;
    verify->options.has_bank = false;
    start_parts(verify, &segment, 1);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "the board has no flash bank");
}

/* OpenOCD knows the bank's size better: it probes it. */
static void test_flash_verify_beyond_a_bank_of_unknown_size(void **state)
{
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    verify->options = (struct flash_verify_options){.has_bank = true, .offset = 9000};
    verify->fixture->flash.no_size = true;
    driver->info.banks[0].size = 0;
    start_range(verify, 0, 50);
    op_driver_run(driver);
    answer(verify->fixture);
    op_driver_expect_get(driver, "flash read_bank 0 $p 0x2328 0x32");
    op_driver_answer_error(driver, -4, "", "Offset 0x00002328 is out of range of the flash bank\n");
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "offset: 50 bytes at offset 0x2328 reach beyond");
}

static void test_flash_verify_that_cannot_read_tells_where(void **state)
{
    struct verify *verify = *state;
    struct op_driver *driver = driver_of(verify);
    start_range(verify, 0x10, 3000);
    op_driver_run(driver);
    answer(verify->fixture);
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "Failed to read memory\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR,
                            "cannot read the flash at 0x08000410: Failed to read memory");
    op_driver_assert_text(driver, "reason", "driver");
    op_driver_assert_integer(driver, "bank", 0);
    op_driver_assert_address(driver, "address", FLASH_BASE + 0x410);
    op_driver_assert_integer(driver, "done", 1024);
    op_driver_assert_integer(driver, "total", 3000);
    assert_null(err_find_detail(&driver->err, "flash_state")); /* nobody changes it */
    static const size_t sizes[] = {0, 1023, 1025};
    for (size_t i = 0; i < 3; i++) {
        start_range(verify, 0, 3000);
        op_driver_run(driver);
        op_driver_answer(driver, 0, verify->image, sizes[i], "");
        op_driver_expect_failed(driver, ERR_FLASH_ERROR, "bytes instead of 1024");
        assert_false(driver->err.has_openocd);
    }
}

static void test_flash_verify_may_be_consistent(void **state)
{
    struct verify *verify = *state;
    for (int consistent = 0; consistent < 2; consistent++) {
        verify->options.consistent = consistent == 1;
        start_range(verify, 0, 4);
        assert_int_equal(driver_of(verify)->op->consistent, consistent);
        run_well(verify->fixture);
    }
}

#define WITH_VERIFY(test) cmocka_unit_test_setup_teardown(test, verify_setup, verify_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_VERIFY(test_flash_verify_reads_the_image_in_pieces),
        WITH_VERIFY(test_flash_verify_never_asks_for_more_than_a_file_takes),
        WITH_VERIFY(test_flash_verify_finds_every_byte_that_differs),
        WITH_VERIFY(test_flash_verify_lists_the_first_and_counts_the_rest),
        WITH_VERIFY(test_flash_verify_of_segments_in_several_banks),
        WITH_VERIFY(test_flash_verify_asks_for_banks_whose_size_is_not_known),
        WITH_VERIFY(test_flash_verify_from_an_offset_of_a_bank),
        WITH_VERIFY(test_flash_verify_refuses_what_is_in_no_bank),
        WITH_VERIFY(test_flash_verify_beyond_a_bank_of_unknown_size),
        WITH_VERIFY(test_flash_verify_that_cannot_read_tells_where),
        WITH_VERIFY(test_flash_verify_may_be_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
