/* ops/range_read up to the end of a flash bank, whose size is not known before it was probed. */
#include "op_flash.h"
#include "op_range.h"

/* A sink that is told how much will come. */
struct sized_sink {
    struct sink sink; /* first: sink_take() and the others take it */
    uint64_t size;
    size_t calls;
    bool fails;
};

static bool sized_sink_sized(void *context, uint64_t size, struct err *err)
{
    struct sized_sink *self = context;
    assert_int_equal(self->sink.pieces, 0);
    self->size = size;
    self->calls++;
    return !self->fails || err_set(err, ERR_LIMIT_EXCEEDED, "too many bytes");
}

static const struct range_consumer sized_consumer = {
    .take = sink_take, .finish = sink_finish, .free = sink_free, .sized = sized_sink_sized};

struct rest {
    struct op_driver driver;
    struct made_up_flash flash; /* eight sectors of 1 KiB */
    struct sized_sink sink;
};

static int rest_setup(void **state)
{
    struct rest *rest = xcalloc(1, sizeof *rest);
    op_driver_init(&rest->driver);
    flash_init(&rest->flash, 8, 1024);
    for (size_t i = 0; i < flash_size(&rest->flash); i++) {
        rest->flash.bytes[i] = (uint8_t)(i * 7);
    }
    rest->driver.info.banks[0].size = 0;
    *state = rest;
    return 0;
}

static int rest_teardown(void **state)
{
    struct rest *rest = *state;
    op_driver_fini(&rest->driver);
    strbuf_fini(&rest->sink.sink.bytes);
    free(rest);
    return 0;
}

static void start(struct rest *rest, unsigned bank, uint64_t offset)
{
    struct range_read_source source = {.address = offset, .to_end = true, .from_flash = true, .bank = bank};
    op_driver_start(&rest->driver, range_read_new(&source, "read", &sized_consumer, &rest->sink));
}

/* Answers what reads with so many bytes from where the sink is; the verdict. */
static enum op_verdict answer_read(struct rest *rest, uint64_t offset)
{
    struct op_driver *driver = &rest->driver;
    assert_int_equal(op_driver_run(driver), OP_SEND);
    return op_driver_answer(driver, 0, rest->flash.bytes + offset + rest->sink.sink.next_offset,
                            driver->command.bytes, "");
}

static void test_range_read_to_the_end_probes_first(void **state)
{
    static const uint64_t offsets[] = {0, 1, 0x1000, 0x1fff};
    struct rest *rest = *state;
    struct op_driver *driver = &rest->driver;
    for (size_t i = 0; i < 4; i++) {
        uint64_t size = 0x2000 - offsets[i];
        memset(&rest->sink.sink, 0, sizeof rest->sink.sink);
        start(rest, 0, offsets[i]);
        assert_int_equal(driver->op->progress.total, 0);
        op_driver_expect(driver, "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]");
        assert_true(driver->command.repeatable);
        assert_int_equal(driver->command.bytes, 0);
        assert_int_equal(flash_answer_geometry(&rest->flash, driver), OP_GO);
        assert_int_equal(rest->sink.calls, i + 1);
        assert_int_equal(rest->sink.size, size);
        assert_int_equal(driver->op->progress.total, size);
        assert_int_equal(driver->info.banks[0].size, 0x2000);
        enum op_verdict verdict;
        while ((verdict = answer_read(rest, offsets[i])) == OP_GO) {
            assert_int_equal(rest->sink.sink.finished, 0);
        }
        assert_int_equal(verdict, OP_DONE);
        assert_int_equal(rest->sink.sink.finished, 1);
        assert_int_equal(rest->sink.sink.bytes.length, size);
        assert_memory_equal(rest->sink.sink.bytes.data, rest->flash.bytes + offsets[i], size);
        strbuf_fini(&rest->sink.sink.bytes);
    }
}

static void test_range_read_to_the_end_begins_within_the_bank(void **state)
{
    static const uint64_t offsets[] = {0x2000, 0x2001, UINT64_MAX};
    struct rest *rest = *state;
    struct op_driver *driver = &rest->driver;
    for (size_t i = 0; i < 3; i++) {
        start(rest, 0, offsets[i]);
        op_driver_run(driver);
        flash_answer_geometry(&rest->flash, driver);
        op_driver_expect_failed(driver, ERR_INVALID_RANGE, "offset: flash bank 0 ends at 0x2000");
        op_driver_assert_integer(driver, "bank", 0);
        op_driver_assert_integer(driver, "size", 0x2000);
    }
    assert_int_equal(rest->sink.calls, 0);
}

static void test_range_read_to_the_end_needs_the_bank(void **state)
{
    struct rest *rest = *state;
    struct op_driver *driver = &rest->driver;
    start(rest, 1, 0);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1: the board has 1");
}

static void test_range_read_to_the_end_hands_on_openocds_words(void **state)
{
    struct rest *rest = *state;
    struct op_driver *driver = &rest->driver;
    start(rest, 0, 0);
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "Cannot read STM32 ID\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "cannot look at flash bank 0: Cannot read STM32 ID");
    op_driver_assert_openocd(driver, -4, "Cannot read STM32 ID");
    start(rest, 0, 0);
    op_driver_run(driver);
    op_driver_answer_text(driver, "{what");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot be read");
    assert_int_equal(rest->sink.calls, 0);
}

/* Where there is no room for so much nothing is read. */
static void test_range_read_to_the_end_asks_the_consumer(void **state)
{
    struct rest *rest = *state;
    struct op_driver *driver = &rest->driver;
    rest->sink.fails = true;
    start(rest, 0, 0);
    op_driver_run(driver);
    flash_answer_geometry(&rest->flash, driver);
    op_driver_expect_failed(driver, ERR_LIMIT_EXCEEDED, "too many bytes");
    assert_int_equal(rest->sink.sink.pieces, 0);
}

#define WITH_REST(test) cmocka_unit_test_setup_teardown(test, rest_setup, rest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_REST(test_range_read_to_the_end_probes_first),
        WITH_REST(test_range_read_to_the_end_begins_within_the_bank),
        WITH_REST(test_range_read_to_the_end_needs_the_bank),
        WITH_REST(test_range_read_to_the_end_hands_on_openocds_words),
        WITH_REST(test_range_read_to_the_end_asks_the_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
