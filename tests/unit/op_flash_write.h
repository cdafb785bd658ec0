/* What the tests of operations on flash share. */
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

static inline struct fixture *fixture_new(void)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    op_driver_init(&fixture->driver);
    flash_init(&fixture->flash, 8, 1024);
    fixture->flash.block_sectors = 4;
    fixture->options = (struct flash_write_options){.erase = true, .verify = true};
    return fixture;
}

static inline void fixture_free(struct fixture *fixture)
{
    for (struct made_up_flash *bank = fixture->flash.next; bank != NULL;) {
        struct made_up_flash *next = bank->next;
        free(bank);
        bank = next;
    }
    op_driver_fini(&fixture->driver);
    free(fixture);
}

static inline int fixture_setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* The board's survey, after its flash was changed. */
static inline void take_banks(struct fixture *fixture)
{
    struct ocd_info *info = &fixture->driver.info;
    size_t count = 0;
    for (const struct made_up_flash *bank = &fixture->flash; bank != NULL; bank = bank->next) {
        info->banks = xrealloc(info->banks, (count + 1) * sizeof *info->banks);
        struct ocd_bank *taken = &info->banks[count];
        *taken = (struct ocd_bank){.index = (unsigned)count, .name = "main", .driver = "stm32f1x"};
        taken->base = bank->base;
        taken->size = bank->no_size ? 0 : flash_size(bank);
        snprintf(taken->target, sizeof taken->target, "%s", bank->target);
        count++;
    }
    info->bank_count = count;
}

/* A flash of other sectors in bank 0. */
static inline void use_sectors(struct fixture *fixture, size_t count, uint64_t size)
{
    flash_init(&fixture->flash, count, size);
    take_banks(fixture);
}

/* One more bank, of sectors of 1 KiB. */
static inline struct made_up_flash *add_bank(struct fixture *fixture, uint64_t base, size_t sectors)
{
    struct made_up_flash *bank = xcalloc(1, sizeof *bank);
    struct made_up_flash *last = &fixture->flash;
    while (last->next != NULL) {
        last = last->next;
    }
    flash_init(bank, sectors, 1024);
    bank->base = base;
    last->next = bank;
    take_banks(fixture);
    return bank;
}

static inline uint64_t bank_offset(const struct fixture *fixture, uint64_t offset)
{
    return fixture->flash.base + offset;
}

struct test_segment {
    uint64_t address;
    const void *bytes;
    size_t size;
};

static inline struct image make_image(enum image_format format, const struct test_segment *segments,
                                      size_t count)
{
    struct image image = {.format = format, .segment_count = count};
    image.segments = xcalloc(count, sizeof *image.segments);
    for (size_t i = 0; i < count; i++) {
        image.size += segments[i].size;
    }
    image.storage = xmalloc(image.size);
    uint8_t *at = image.storage;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, segments[i].bytes, segments[i].size);
        image.segments[i] =
            (struct image_segment){.address = segments[i].address, .bytes = at, .size = segments[i].size};
        at += segments[i].size;
    }
    return image;
}

static inline void start_segments(struct fixture *fixture, const struct test_segment *segments, size_t count)
{
    struct image image = make_image(IMAGE_IHEX, segments, count);
    op_driver_start(&fixture->driver, flash_write_new(&fixture->options, &image));
}

/* A bin image, wherever the options say. */
static inline void start_bin(struct fixture *fixture, uint64_t address, const void *bytes, size_t size)
{
    struct test_segment segment = {address, bytes, size};
    struct image image = make_image(IMAGE_BIN, &segment, 1);
    op_driver_start(&fixture->driver, flash_write_new(&fixture->options, &image));
}

static inline void start_image(struct fixture *fixture, uint64_t offset, const void *bytes, size_t size)
{
    fixture->options.has_address = true;
    start_bin(fixture, bank_offset(fixture, offset), bytes, size);
}

/* An image of `size` bytes of 0x5a at an offset in bank 0. */
static inline void start_at(struct fixture *fixture, uint64_t offset, size_t size)
{
    uint8_t *bytes = xmalloc(size);
    memset(bytes, 0x5a, size);
    start_image(fixture, offset, bytes, size);
    free(bytes);
}

static inline const struct flash_write *write_of(const struct fixture *fixture)
{
    return (const struct flash_write *)fixture->driver.op;
}

static inline const char *step_name(const struct fixture *fixture)
{
    const struct op *op = fixture->driver.op;
    return op->class->steps[op->step].name;
}

static inline bool is_step(const struct fixture *fixture, const char *step)
{
    return strcmp(step_name(fixture), step) == 0;
}

static inline void answer(struct fixture *fixture)
{
    flash_answer(&fixture->flash, &fixture->driver);
}

/* Lets everything go well until a command of this step is to be sent. */
static inline void run_to(struct fixture *fixture, const char *step)
{
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        if (is_step(fixture, step)) {
            return;
        }
        answer(fixture);
    }
    fail_msg("there was no step %s: %s", step, fixture->driver.err.message);
}

/* Lets everything go well to the end. */
static inline void run_well(struct fixture *fixture)
{
    while (op_driver_run(&fixture->driver) == OP_SEND) {
        answer(fixture);
    }
    if (fixture->driver.verdict != OP_DONE) {
        fail_msg("failed: %s", fixture->driver.err.message);
    }
    assert_false(fixture->driver.op->critical);
}

static inline void expect_read(struct fixture *fixture, const char *range)
{
    char script[160];
    snprintf(script, sizeof script, "flash read_bank 0 $p %s", range);
    op_driver_expect_get(&fixture->driver, script);
    assert_true(fixture->driver.command.repeatable);
    assert_false(fixture->driver.command.changes);
}

static inline void expect_flash_error(struct fixture *fixture, const char *words, const char *reason,
                                      const char *flash_state)
{
    op_driver_expect_failed(&fixture->driver, ERR_FLASH_ERROR, words);
    op_driver_assert_text(&fixture->driver, "reason", reason);
    op_driver_assert_text(&fixture->driver, "flash_state", flash_state);
}

/* Random bytes, the same in every run. */
static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline void fill_random(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(next_random(&seed) >> 8);
    }
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
