/* ops/memory_load. */
#include "op_driver.h"

#include "ops/memory_load.h"

/* Segments out of one storage of 64 bytes: 0x00, 0x01, ... */
static struct image make_image(size_t count, const uint64_t *addresses, const uint64_t *sizes)
{
    struct image image = {.format = IMAGE_ELF, .segment_count = count};
    uint64_t at = 0;
    image.storage = xmalloc(64);
    for (size_t i = 0; i < 64; i++) {
        image.storage[i] = (uint8_t)i;
    }
    image.segments = xcalloc(count, sizeof *image.segments);
    for (size_t i = 0; i < count; i++) {
        image.segments[i] =
            (struct image_segment){.address = addresses[i], .bytes = image.storage + at, .size = sizes[i]};
        at += sizes[i];
        image.size += sizes[i];
    }
    assert_true(at <= 64);
    return image;
}

static void start(struct op_driver *driver, size_t count, const uint64_t *addresses, const uint64_t *sizes,
                  bool verify, enum prepare_mode prepare)
{
    struct image image = make_image(count, addresses, sizes);
    op_driver_start(driver, memory_load_new(NULL, &image, verify, prepare));
    assert_null(image.storage);
}

static void start_one(struct op_driver *driver, uint64_t address, uint64_t size, bool verify,
                      enum prepare_mode prepare)
{
    start(driver, 1, &address, &size, verify, prepare);
}

static void test_memory_load_writes_and_reads_back_every_segment(void **state)
{
    static const uint64_t addresses[] = {0x20000000, 0x20000102};
    static const uint64_t sizes[] = {8, 3};
    struct op_driver *driver = *state;
    start(driver, 2, addresses, sizes, true, PREPARE_NONE);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000000 32 {0x3020100 0x7060504}");
    assert_true(driver->command.changes);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_GO);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000102 16 {0x908}");
    assert_string_equal(driver->op->progress.phase, "write");
    assert_int_equal(driver->op->progress.done, 8);
    assert_int_equal(driver->op->progress.total, 11);
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000104 8 {0xa}");
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 32 2");
    assert_true(driver->command.repeatable);
    assert_string_equal(driver->op->progress.phase, "verify");
    op_driver_answer_text(driver, "0x03020100 0x07060504");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000102 16 1");
    op_driver_answer_text(driver, "0x0908");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000104 8 1");
    assert_int_equal(op_driver_answer_text(driver, "0x0a"), OP_DONE);
    assert_int_equal(driver->op->progress.done, 11);
    assert_int_equal(((struct memory_load *)driver->op)->written, 11);
    assert_true(driver->op->class->changes && driver->op->class->long_running);
}

static void test_memory_load_without_verify(void **state)
{
    struct op_driver *driver = *state;
    start_one(driver, 0x20000000, 4, false, PREPARE_NONE);
    op_driver_run(driver);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_DONE);
}

static void test_memory_load_tells_the_first_difference(void **state)
{
    struct op_driver *driver = *state;
    start_one(driver, 0x20000001, 8, true, PREPARE_NONE);
    for (int i = 0; i < 4; i++) { /* 8, 16, 32 and 8 bits */
        op_driver_run(driver);
        op_driver_answer_text(driver, "");
    }
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000001 8 1");
    op_driver_answer_text(driver, "0x0");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000002 16 1");
    op_driver_answer_text(driver, "0xff01");
    op_driver_expect_failed(driver, ERR_VERIFY_MISMATCH, "0x20000003 reads 0xff instead of 0x02");
    op_driver_assert_address(driver, "address", 0x20000003);
    op_driver_assert_integer(driver, "expected", 2);
    op_driver_assert_integer(driver, "found", 0xff);
    op_driver_assert_text(driver, "phase", "verify");
    op_driver_assert_integer(driver, "done", 1);
}

static void test_memory_load_refuses_what_lies_in_flash(void **state)
{
    /* The bank is from 0x08000000 to before 0x08002000. */
    static const struct {
        uint64_t address;
        uint64_t size;
        bool inside;
    } cases[] = {
        {0x07fffffc, 4, false}, {0x07fffffc, 5, true},  {0x08000000, 1, true},
        {0x08001fff, 1, true},  {0x08002000, 4, false}, {0x08001ff0, 64, true},
    };
    struct op_driver *driver = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_one(driver, cases[i].address, cases[i].size, true, PREPARE_RESET_HALT);
        if (!cases[i].inside) {
            op_driver_expect(driver, "reset halt");
            continue;
        }
        op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "lies in flash bank 0 (main)");
        op_driver_assert_address(driver, "address", cases[i].address);
        op_driver_assert_integer(driver, "size", cases[i].size);
    }
}

/* Nothing is written where only a later segment is wrong. */
static void test_memory_load_checks_every_segment_first(void **state)
{
    static const uint64_t addresses[] = {0x20000000, 0x08000000};
    static const uint64_t beyond[] = {0x20000000, 0xfffffffe};
    static const uint64_t sizes[] = {8, 3};
    struct op_driver *driver = *state;
    start(driver, 2, addresses, sizes, true, PREPARE_HALT);
    op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "0x08000000");
    start(driver, 2, beyond, sizes, true, PREPARE_HALT);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond 0xffffffff");
    op_driver_assert_address(driver, "address", 0xfffffffe);
    start_one(driver, UINT64_MAX, 1, true, PREPARE_HALT);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond 0xffffffff");
}

static void test_memory_load_asks_for_the_size_of_unprobed_banks(void **state)
{
    struct op_driver *driver = *state;
    driver->info.banks[0].size = 0;
    start_one(driver, 0x08000000, 4, true, PREPARE_NONE);
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_non_null(strstr(strbuf_text(&driver->command.script), "flash probe $i"));
    assert_true(driver->command.repeatable);
    op_driver_answer_text(driver, "{name main driver d base 134217728 size 8192 bus_width 0 chip_width 0 "
                                  "target cpu}");
    op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "lies in flash bank 0");
    /* One that cannot be probed now is asked for once. */
    driver->info.banks[0].size = 0;
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_text(driver,
                          "{name main driver d base 134217728 size 0 bus_width 0 chip_width 0 target cpu}");
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000000 32 {0x3020100}");
}

static void test_memory_load_that_cannot_list_the_banks(void **state)
{
    struct op_driver *driver = *state;
    driver->info.banks[0].size = 0;
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "no", "");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot list the flash banks");
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_text(driver, "{");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "no Tcl list");
}

/* What belongs to another target is in that one's address space. */
static void test_memory_load_minds_only_its_targets_banks(void **state)
{
    struct op_driver *driver = *state;
    snprintf(driver->info.banks[0].target, OCD_NAME_SIZE, "other");
    start_one(driver, 0x08000000, 4, true, PREPARE_NONE);
    op_driver_expect(driver, "\"cpu\" write_memory 0x8000000 32 {0x3020100}");
    driver->info.banks[0].target[0] = '\0';
    start_one(driver, 0x08000000, 4, true, PREPARE_NONE);
    op_driver_expect_failed(driver, ERR_IMAGE_INVALID, "lies in flash bank 0");
}

static void test_memory_load_prepares_as_asked(void **state)
{
    static const struct {
        enum prepare_mode mode;
        const char *script;
    } cases[] = {
        {PREPARE_HALT, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\""},
        {PREPARE_RESET_HALT, "reset halt"},
        {PREPARE_RESET_INIT, "reset init"},
    };
    struct op_driver *driver = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_one(driver, 0x20000000, 4, false, cases[i].mode);
        op_driver_expect(driver, cases[i].script);
        assert_true(driver->command.changes);
        op_driver_answer_text(driver, "");
        op_driver_expect(driver, "\"cpu\" curstate");
        assert_int_equal(op_driver_answer_text(driver, "running"), OP_WAIT);
        op_driver_expect(driver, "\"cpu\" curstate");
        op_driver_answer_text(driver, "halted");
        op_driver_expect(driver, "\"cpu\" write_memory 0x20000000 32 {0x3020100}");
    }
}

static void test_memory_load_of_a_target_that_does_not_halt(void **state)
{
    struct op_driver *driver = *state;
    start_one(driver, 0x20000000, 4, false, PREPARE_HALT);
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_text(driver, "running");
    driver->now_us += 5000000;
    op_driver_run(driver);
    op_driver_answer_text(driver, "running");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cpu is running: it did not halt");
    op_driver_assert_text(driver, "state", "running");
    start_one(driver, 0x20000000, 4, false, PREPARE_RESET_INIT);
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "no reset line\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot prepare cpu: no reset line");
}

static void test_memory_load_that_cannot_be_written(void **state)
{
    struct op_driver *driver = *state;
    start_one(driver, 0x30000000, 4, true, PREPARE_NONE);
    for (unsigned width = 32; width >= 8; width /= 2) {
        op_driver_run(driver);
        op_driver_answer_error(driver, 1, "write_memory: failed to write memory", "");
    }
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot write 4 bytes at 0x30000000");
    op_driver_assert_integer(driver, "done", 0);
    op_driver_assert_integer(driver, "total", 4);
    op_driver_assert_text(driver, "phase", "write");
}

/* Reading falls back to narrower accesses, too, and what they give is compared all the same. */
static void test_memory_load_reads_back_narrower_where_it_must(void **state)
{
    struct op_driver *driver = *state;
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 16 2");
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    op_driver_expect(driver, "\"cpu\" read_memory 0x20000000 8 4");
    assert_int_equal(op_driver_answer_text(driver, "0x0 0x1 0x2 0x3"), OP_DONE);
    start_one(driver, 0x20000000, 1, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "read_memory: failed to read memory", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot read back 1 bytes at 0x20000000");
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_text(driver, "0x3020100 0x1");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "reading back at 0x20000000");
}

static void test_memory_load_on_a_big_endian_target(void **state)
{
    struct op_driver *driver = *state;
    op_driver_target(driver)->big_endian = true;
    start_one(driver, 0x20000000, 4, true, PREPARE_NONE);
    op_driver_expect(driver, "\"cpu\" write_memory 0x20000000 32 {0x10203}");
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    assert_int_equal(op_driver_answer_text(driver, "0x00010203"), OP_DONE);
}

#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, op_driver_setup, op_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DRIVER(test_memory_load_writes_and_reads_back_every_segment),
        WITH_DRIVER(test_memory_load_without_verify),
        WITH_DRIVER(test_memory_load_tells_the_first_difference),
        WITH_DRIVER(test_memory_load_refuses_what_lies_in_flash),
        WITH_DRIVER(test_memory_load_checks_every_segment_first),
        WITH_DRIVER(test_memory_load_asks_for_the_size_of_unprobed_banks),
        WITH_DRIVER(test_memory_load_that_cannot_list_the_banks),
        WITH_DRIVER(test_memory_load_minds_only_its_targets_banks),
        WITH_DRIVER(test_memory_load_prepares_as_asked),
        WITH_DRIVER(test_memory_load_of_a_target_that_does_not_halt),
        WITH_DRIVER(test_memory_load_that_cannot_be_written),
        WITH_DRIVER(test_memory_load_reads_back_narrower_where_it_must),
        WITH_DRIVER(test_memory_load_on_a_big_endian_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
