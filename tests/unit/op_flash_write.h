/* What the tests of flash_write share. */
#ifndef OCDMUX_TESTS_OP_FLASH_WRITE_H
#define OCDMUX_TESTS_OP_FLASH_WRITE_H

#include "op_flash.h"

#include "ops/flash_write.h"

/* A bank of 8 KiB in sectors of 1 KiB and protection blocks of 4 KiB, as on a small STM32F1. */
struct fixture {
    struct op_driver driver;
    struct made_up_flash flash;
    struct flash_write_options options; /* erase and verify, nothing else */
};

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    op_driver_init(&fixture->driver);
    flash_init(&fixture->flash, 8, 1024);
    fixture->flash.block_sectors = 4;
    fixture->options = (struct flash_write_options){.erase = true, .verify = true};
    *state = fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    op_driver_fini(&fixture->driver);
    free(fixture);
    return 0;
}

static inline void start_image(struct fixture *fixture, const void *image, size_t size)
{
    uint8_t *copy = xmalloc(size);
    memcpy(copy, image, size);
    op_driver_start(&fixture->driver, flash_write_new(&fixture->options, copy, size));
}

/* An image of `size` bytes of 0x5a at an offset in the bank. */
static inline void start_at(struct fixture *fixture, uint64_t offset, size_t size)
{
    uint8_t *image = xmalloc(size);
    memset(image, 0x5a, size);
    fixture->options.has_address = true;
    fixture->options.address = FLASH_BASE + offset;
    op_driver_start(&fixture->driver, flash_write_new(&fixture->options, image, size));
}

static inline const char *step_name(const struct fixture *fixture)
{
    const struct op *op = fixture->driver.op;
    return op->class->steps[op->step].name;
}

/* Lets everything go well until a command of this step is to be sent. */
static inline void run_to(struct fixture *fixture, const char *step)
{
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        if (strcmp(step_name(fixture), step) == 0) {
            return;
        }
        flash_answer(&fixture->flash, &fixture->driver);
    }
    fail_msg("there was no step %s: %s", step, fixture->driver.err.message);
}

/* Lets everything go well to the end. */
static inline void run_well(struct fixture *fixture)
{
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        flash_answer(&fixture->flash, &fixture->driver);
    }
    if (fixture->driver.verdict != OP_DONE) {
        fail_msg("failed: %s", fixture->driver.err.message);
    }
    assert_false(fixture->driver.op->critical);
}

/* The next command is this script around a temporary file. */
static inline void expect_with_file(struct fixture *fixture, const char *body, size_t length)
{
    struct strbuf script = STRBUF_INIT;
    op_driver_with_file(&script, body, length);
    op_driver_expect(&fixture->driver, strbuf_text(&script));
    strbuf_fini(&script);
}

static inline void expect_read(struct fixture *fixture, const char *range)
{
    char body[160];
    int length =
        snprintf(body, sizeof body,
                 "flash read_bank 0 $p %s; set f [open $p rb]; set d [$f read]; $f close; set d", range);
    expect_with_file(fixture, body, (size_t)length);
    assert_true(fixture->driver.command.repeatable);
    assert_false(fixture->driver.command.changes);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
