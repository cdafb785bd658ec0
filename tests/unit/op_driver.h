/*
 * A runner for one operation without link and clock: asks for the next command, lets the test look at it,
 * hands in what OpenOCD is to have answered, and follows the verdicts. Every `send` that wants a command sent
 * is called twice, to see that it does not advance the operation.
 */
#ifndef OCDMUX_TESTS_OP_DRIVER_H
#define OCDMUX_TESTS_OP_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "op_keeper.h"

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/op.h"

#define OP_DRIVER_TARGETS 4
#define OP_DRIVER_BANKS 4
/* No operation may go on for so many steps without sending anything. */
#define OP_DRIVER_STEPS 64

struct op_driver {
    struct ocd_info info;
    struct op *op;
    struct op_context context;
    struct op_command command; /* the last one that was to be sent */
    struct fake_keeper keeper; /* outlives the operations */
    struct err err;
    uint64_t now_us;
    enum op_verdict verdict; /* the last one */
};

/* A 32-bit little-endian target "cpu", which is current, a bank "main", and a directory for files. */
static inline void op_driver_init(struct op_driver *driver)
{
    memset(driver, 0, sizeof *driver);
    driver->now_us = 1000000;
    fake_keeper_init(&driver->keeper);
    driver->info.targets = xcalloc(OP_DRIVER_TARGETS, sizeof *driver->info.targets);
    driver->info.target_count = 1;
    driver->info.targets[0] =
        (struct ocd_target){.name = "cpu", .type = "cortex_m", .state = "halted", .address_bits = 32};
    driver->info.banks = xcalloc(OP_DRIVER_BANKS, sizeof *driver->info.banks);
    driver->info.bank_count = 1;
    driver->info.banks[0] = (struct ocd_bank){
        .name = "main", .driver = "stm32f1x", .target = "cpu", .base = 0x08000000, .size = 0x2000};
    driver->info.files = OCD_FILES_LINK;
    snprintf(driver->info.stage_template, sizeof driver->info.stage_template, "/dev/shm/ocdmux-XXXXXX");
    strbuf_init(&driver->command.script);
}

static inline struct ocd_target *op_driver_target(struct op_driver *driver)
{
    return &driver->info.targets[0];
}

static inline void op_driver_fini(struct op_driver *driver)
{
    if (driver->op != NULL) {
        op_free(driver->op);
    }
    strbuf_fini(&driver->command.script);
    ocd_info_fini(&driver->info);
    fake_keeper_fini(&driver->keeper);
}

/* For tests whose state is the driver alone. */
static inline int op_driver_setup(void **state)
{
    struct op_driver *driver = xcalloc(1, sizeof *driver);
    op_driver_init(driver);
    *state = driver;
    return 0;
}

static inline int op_driver_teardown(void **state)
{
    struct op_driver *driver = *state;
    op_driver_fini(driver);
    free(driver);
    return 0;
}

/* Another operation; the one before is freed. */
static inline void op_driver_start(struct op_driver *driver, struct op *take_op)
{
    if (driver->op != NULL) {
        op_free(driver->op);
    }
    driver->op = take_op;
    driver->verdict = OP_GO;
    err_reset(&driver->err);
}

static inline void op_driver_set_context(struct op_driver *driver)
{
    driver->context = (struct op_context){
        .info = &driver->info,
        .target = ocd_info_find_target(&driver->info, driver->op->target),
        .budget = driver->op->budget,
        .now_us = driver->now_us,
        .keeper = &driver->keeper.keeper,
    };
    if (driver->op->class->needs_target) {
        assert_non_null(driver->context.target);
    }
}

static inline enum op_verdict op_driver_call_send(struct op_driver *driver, struct op_command *command)
{
    op_driver_set_context(driver);
    memset(command, 0, sizeof *command);
    strbuf_init(&command->script);
    err_reset(&driver->err);
    return driver->op->class->steps[driver->op->step].send(driver->op, &driver->context, command,
                                                           &driver->err);
}

static inline void op_driver_assert_same_command(const struct op_command *a, const struct op_command *b)
{
    assert_int_equal(a->script.length, b->script.length);
    assert_memory_equal(strbuf_text(&a->script), strbuf_text(&b->script), a->script.length);
    assert_int_equal(a->file, b->file);
    assert_int_equal(a->file_size, b->file_size);
    assert_ptr_equal(a->file_bytes, b->file_bytes);
    assert_true(a->current_target == b->current_target || strcmp(a->current_target, b->current_target) == 0);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->changes, b->changes);
    assert_int_equal(a->repeatable, b->repeatable);
    assert_int_equal(a->limit_ms, b->limit_ms);
    assert_int_equal(a->words, b->words);
    assert_int_equal(a->ends, b->ends);
    assert_int_equal(a->shareable, b->shareable);
}

/* One call of `send`; the command is kept where there is one. */
static inline void op_driver_send_once(struct op_driver *driver)
{
    struct op_command again;
    unsigned step = driver->op->step;
    strbuf_fini(&driver->command.script);
    driver->verdict = op_driver_call_send(driver, &driver->command);
    if (driver->verdict != OP_SEND) {
        assert_int_equal(driver->command.script.length, 0);
        return;
    }
    assert_true(driver->command.script.length > 0);
    assert_int_equal(driver->op->step, step);
    assert_int_equal(op_driver_call_send(driver, &again), OP_SEND);
    op_driver_assert_same_command(&driver->command, &again);
    strbuf_fini(&again.script);
    assert_true(driver->command.file_size <= OP_FILE_MOST_BYTES);
    assert_true((driver->command.file == OP_FILE_PUT) == (driver->command.file_bytes != NULL));
    /* What is sent twice must not change the board. */
    assert_false(driver->command.changes && driver->command.repeatable);
    /* What is done once for several is a read that may be made twice; what travels with others is short. */
    assert_true(driver->command.repeatable || !driver->command.shareable);
    assert_true(driver->command.words <= OP_WORDS_MOST);
    assert_true(driver->command.words == 0 || driver->command.file == OP_FILE_NONE);
}

/* Goes on to the next command, or the end. */
static inline enum op_verdict op_driver_run(struct op_driver *driver)
{
    for (int i = 0; i < OP_DRIVER_STEPS; i++) {
        if (driver->verdict == OP_WAIT) {
            assert_true(driver->op->wait_ms > 0 && driver->op->wait_ms <= 1000);
            driver->now_us += driver->op->wait_ms * 1000ull;
        } else if (driver->verdict != OP_GO) {
            return driver->verdict;
        }
        op_driver_send_once(driver);
    }
    fail_msg("the operation goes round in step %s", driver->op->class->steps[driver->op->step].name);
    return OP_FAILED;
}

/* The next command must be exactly this. */
static inline void op_driver_expect(struct op_driver *driver, const char *script)
{
    assert_int_equal(op_driver_run(driver), OP_SEND);
    assert_string_equal(strbuf_text(&driver->command.script), script);
}

/* OpenOCD's answer to the last command; the verdict. Bytes are handed over as the decoder does, with a NUL
 * behind them. */
static inline enum op_verdict op_driver_answer(struct op_driver *driver, long code, const void *result,
                                               size_t length, const char *log)
{
    assert_int_equal(driver->verdict, OP_SEND);
    char *copy = xstrndup("", 0);
    copy = xrealloc(copy, length + 1);
    memcpy(copy, result, length);
    copy[length] = '\0';
    struct ocd_reply reply = {.code = code,
                              .result = copy,
                              .result_length = length,
                              .log = log,
                              .log_length = strlen(log),
                              .options = "",
                              .options_length = 0};
    op_driver_set_context(driver);
    err_reset(&driver->err);
    driver->verdict =
        driver->op->class->steps[driver->op->step].reply(driver->op, &driver->context, &reply, &driver->err);
    assert_int_not_equal(driver->verdict, OP_SEND);
    assert_true(!driver->command.ends || driver->verdict == OP_DONE || driver->verdict == OP_FAILED);
    free(copy);
    return driver->verdict;
}

static inline enum op_verdict op_driver_answer_text(struct op_driver *driver, const char *result)
{
    return op_driver_answer(driver, 0, result, strlen(result), "");
}

static inline enum op_verdict op_driver_answer_error(struct op_driver *driver, long code, const char *result,
                                                     const char *log)
{
    return op_driver_answer(driver, code, result, strlen(result), log);
}

/* The operation goes on to its end without a further command, and ends well. */
static inline void op_driver_expect_done(struct op_driver *driver)
{
    assert_int_equal(op_driver_run(driver), OP_DONE);
    assert_false(driver->op->critical);
}

/* It ends with an error of this kind, which says `words` somewhere; details as the runner adds them. */
static inline void op_driver_expect_failed(struct op_driver *driver, enum err_kind kind, const char *words)
{
    assert_int_equal(op_driver_run(driver), OP_FAILED);
    assert_int_equal(driver->err.kind, kind);
    if (strstr(driver->err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", driver->err.message, words);
    }
    if (driver->op->class->describe != NULL) {
        driver->op->class->describe(driver->op, &driver->err);
    }
}

static inline const struct err_detail *op_driver_detail(const struct op_driver *driver, const char *name,
                                                        enum err_detail_type type)
{
    const struct err_detail *detail = err_find_detail(&driver->err, name);
    if (detail == NULL) {
        fail_msg("the error has no detail %s", name);
        abort();
    }
    assert_int_equal(detail->type, type);
    return detail;
}

static inline void op_driver_assert_integer(const struct op_driver *driver, const char *name, uint64_t value)
{
    assert_int_equal(op_driver_detail(driver, name, ERR_DETAIL_INTEGER)->number, value);
}

static inline void op_driver_assert_address(const struct op_driver *driver, const char *name, uint64_t value)
{
    assert_int_equal(op_driver_detail(driver, name, ERR_DETAIL_ADDRESS)->number, value);
}

static inline void op_driver_assert_text(const struct op_driver *driver, const char *name, const char *value)
{
    assert_string_equal(op_driver_detail(driver, name, ERR_DETAIL_TEXT)->text, value);
}

static inline void op_driver_assert_openocd(const struct op_driver *driver, long code, const char *text)
{
    assert_true(driver->err.has_openocd);
    assert_int_equal(driver->err.openocd_code, code);
    assert_int_equal(driver->err.openocd_length, strlen(text));
    assert_memory_equal(driver->err.openocd_text, text, strlen(text));
}

/* The next command must be exactly this, and what its file holds becomes the reply. */
static inline void op_driver_expect_get(struct op_driver *driver, const char *script)
{
    op_driver_expect(driver, script);
    assert_int_equal(driver->command.file, OP_FILE_GET);
}

/* The same with these bytes in its file. */
static inline void op_driver_expect_put(struct op_driver *driver, const char *script, const void *bytes,
                                        size_t size)
{
    op_driver_expect(driver, script);
    assert_int_equal(driver->command.file, OP_FILE_PUT);
    assert_int_equal(driver->command.file_size, size);
    assert_memory_equal(driver->command.file_bytes, bytes, size);
}

#endif
