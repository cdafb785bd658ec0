/* ops/register_ops: names and values checked against OpenOCD's list, and no values of a target that runs. */
#include "op_driver.h"

#include "ops/register_ops.h"

#define LIST "apply {{t s} {eval $s}} \"cpu\" \"reg\""
#define LISTED                                                                                               \
    "===== core\n(0) r0 (/32): 0x00000000\n(1) pc (/32): 0x00000000\n(2) primask (/1): 0x00\n===== vector\n" \
    "(3) q0 (/128)\n"
/* NAMES as they stand in the script, quoted twice. */
#define READ(NAMES)                                                                                      \
    "apply {{t s} {eval $s}} \"cpu\" \"set u \\[\\$t curstate]; set v {}; if {\\$u eq {halted}} {set n " \
    "\\[list " NAMES                                                                                     \
    "]; foreach i \\$n {reg \\$i}; set v \\[\\$t get_reg \\$n]}; list \\$u \\$v \\[\\$t curstate]\""
#define WRITE(NAMES, VALUES)                                                                                \
    "apply {{t n d} {set s [$t curstate]; set v {}; if {$s eq {halted}} {$t set_reg $d; set v [$t get_reg " \
    "$n]}; list $s $v [$t curstate]}} \"cpu\" [list " NAMES "] [list " VALUES "]"

static const struct register_op *result(const struct op_driver *driver)
{
    return (const struct register_op *)driver->op;
}

static void expect_entry(const struct op_driver *driver, size_t index, const char *name, unsigned bits,
                         const char *value)
{
    const struct register_entry *entry = &result(driver)->entries[index];
    assert_string_equal(entry->name, name);
    assert_int_equal(entry->bits, bits);
    assert_string_equal(strbuf_text(&entry->value), value);
}

static void start_read(struct op_driver *driver, const char *const *names, size_t count)
{
    op_driver_start(driver, register_read_new(NULL, names, count));
    assert_false(driver->op->class->changes);
    op_driver_expect(driver, LIST);
    assert_true(driver->command.repeatable);
    assert_false(driver->command.changes);
    op_driver_answer_text(driver, LISTED);
}

static void start_write(struct op_driver *driver, const char *name, const char *value)
{
    op_driver_start(driver, register_write_new(NULL, &name, &value, 1));
    assert_true(driver->op->class->changes);
    op_driver_expect(driver, LIST);
    assert_false(driver->command.changes);
    op_driver_answer_text(driver, LISTED);
}

static void test_list_ends_with_what_is_known(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, register_list_new(NULL));
    op_driver_expect(driver, LIST);
    assert_int_equal(op_driver_answer_text(driver, LISTED), OP_DONE);
    assert_int_equal(result(driver)->known_count, 4);
    assert_string_equal(result(driver)->known[3].group, "vector");
}

static void test_list_that_fails(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, register_list_new(NULL));
    op_driver_expect(driver, LIST);
    op_driver_answer_error(driver, -4, "", "Target not examined yet\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR,
                            "cannot list the registers of cpu: Target not examined");
    op_driver_start(driver, register_list_new(NULL));
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, "nonsense");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "list of registers cannot be read");
}

static void test_read_gives_values_in_order(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"q0", "r0"};
    start_read(driver, names, 2);
    op_driver_expect(driver, READ("\\\"q0\\\" \\\"r0\\\""));
    assert_true(driver->command.repeatable);
    op_driver_answer_text(driver, "halted {r0 0x12345678 q0 0x112233445566778899aabbccddeeff00} halted");
    op_driver_expect_done(driver);
    expect_entry(driver, 0, "q0", 128, "0x112233445566778899aabbccddeeff00");
    expect_entry(driver, 1, "r0", 32, "0x12345678");
}

static void test_read_without_names_takes_the_first_group(void **state)
{
    struct op_driver *driver = *state;
    start_read(driver, NULL, 0);
    op_driver_expect(driver, READ("\\\"r0\\\" \\\"pc\\\" \\\"primask\\\""));
    op_driver_answer_text(driver, "halted {r0 0x00000000 pc 0x08000040 primask 0x01} halted");
    op_driver_expect_done(driver);
    assert_int_equal(result(driver)->count, 3);
    expect_entry(driver, 2, "primask", 1, "0x01");
}

/* One group of 100, of which the 33rd is the program counter, or none is. */
static size_t core_of(struct op_driver *driver, bool with_pc)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "===== all\n");
    for (unsigned i = 0; i < 100; i++) {
        strbuf_appendf(&text, i == 32 && with_pc ? "(%u) pc (/64)\n" : "(%u) x (/64)\n", i);
    }
    op_driver_start(driver, register_read_new(NULL, NULL, 0));
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, strbuf_text(&text));
    strbuf_fini(&text);
    return result(driver)->count;
}

static void test_read_without_names_stops_at_the_program_counter(void **state)
{
    struct op_driver *driver = *state;
    assert_int_equal(core_of(driver, true), 33);
    assert_int_equal(core_of(driver, false), 64);
}

static void test_read_knows_no_such_register(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"r0", "\"[exit]$x"};
    start_read(driver, names, 2);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "cpu has no register \"\"[exit]$x\"");
    op_driver_assert_text(driver, "parameter", "names");
    op_driver_assert_text(driver, "name", "\"[exit]$x");
}

static void test_read_of_a_target_that_runs(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"pc"};
    static const char *const answers[] = {"running {} running", "halted {pc 0x08000040} running"};
    for (size_t i = 0; i < 2; i++) {
        start_read(driver, names, 1);
        op_driver_expect(driver, READ("\\\"pc\\\""));
        op_driver_answer_text(driver, answers[i]);
        op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cpu is running");
        op_driver_assert_text(driver, "state", "running");
        op_driver_assert_text(driver, "target", "cpu");
    }
}

static void test_read_refuses_what_it_cannot_read(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"pc"};
    static const char *const answers[] = {
        "",
        "halted",
        "halted {}",
        "halted {} halted",
        "halted {r0 0x1} halted",
        "halted {pc} halted",
        "halted {pc zz} halted",
        "halted {pc 0x100000000} halted",
        "halted {pc 0x1",
        "halted {pc 0x} halted",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        start_read(driver, names, 1);
        op_driver_expect(driver, READ("\\\"pc\\\""));
        op_driver_answer_text(driver, answers[i]);
        op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot be read");
        op_driver_assert_openocd(driver, 0, answers[i]);
    }
}

static void test_read_that_fails_gives_openocds_words(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"pc"};
    start_read(driver, names, 1);
    op_driver_expect(driver, READ("\\\"pc\\\""));
    op_driver_answer_error(driver, 1, "failed to read register 'pc'", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR,
                            "cannot read registers of cpu: failed to read register");
    op_driver_assert_openocd(driver, 1, "failed to read register 'pc'");
}

static void test_write_reads_back(void **state)
{
    struct op_driver *driver = *state;
    static const char *const names[] = {"r0", "primask"};
    static const char *const values[] = {"0x2A", "0x1"};
    op_driver_start(driver, register_write_new(NULL, names, values, 2));
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, LISTED);
    op_driver_expect(driver, WRITE("\"r0\" \"primask\"", "\"r0\" 0x0000002a \"primask\" 0x01"));
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    op_driver_answer_text(driver, "halted {r0 0x0000002a primask 0x00} halted");
    op_driver_expect_done(driver);
    expect_entry(driver, 0, "r0", 32, "0x0000002a");
    expect_entry(driver, 1, "primask", 1, "0x00");
}

static void test_write_checks_every_value_first(void **state)
{
    struct op_driver *driver = *state;
    static const char *const wrong[][2] = {{"r0", "0x100000000"},
                                           {"primask", "0x2"},
                                           {"q0", "0x100000000000000000000000000000000"},
                                           {"r0", "zz"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        start_write(driver, wrong[i][0], wrong[i][1]);
        op_driver_expect_failed(driver, ERR_INVALID_PARAMS, "does not fit");
        op_driver_assert_text(driver, "parameter", "values");
    }
}

static void test_write_of_a_target_that_runs(void **state)
{
    struct op_driver *driver = *state;
    start_write(driver, "r0", "0x1");
    op_driver_expect(driver, WRITE("\"r0\"", "\"r0\" 0x00000001"));
    op_driver_answer_text(driver, "running {} running");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "can only be accessed while it is halted");
    assert_null(strstr(driver->err.message, "were written"));
    start_write(driver, "r0", "0x1");
    op_driver_expect(driver, WRITE("\"r0\"", "\"r0\" 0x00000001"));
    op_driver_answer_text(driver, "halted {r0 0x00000001} running");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "they were written just before");
}

static void test_write_that_fails_gives_openocds_words(void **state)
{
    struct op_driver *driver = *state;
    start_write(driver, "r0", "0x1");
    op_driver_expect(driver, WRITE("\"r0\"", "\"r0\" 0x00000001"));
    op_driver_answer_error(driver, 1, "failed to set '0x1' to register 'r0'", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot write registers of cpu: failed to set");
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, op_driver_setup, op_driver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_list_ends_with_what_is_known),
        TEST(test_list_that_fails),
        TEST(test_read_gives_values_in_order),
        TEST(test_read_without_names_takes_the_first_group),
        TEST(test_read_without_names_stops_at_the_program_counter),
        TEST(test_read_knows_no_such_register),
        TEST(test_read_of_a_target_that_runs),
        TEST(test_read_refuses_what_it_cannot_read),
        TEST(test_read_that_fails_gives_openocds_words),
        TEST(test_write_reads_back),
        TEST(test_write_checks_every_value_first),
        TEST(test_write_of_a_target_that_runs),
        TEST(test_write_that_fails_gives_openocds_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
