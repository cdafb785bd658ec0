/* ops/breakpoint_ops and ops/target_step. */
#include "op_driver.h"

#include "ops/breakpoint_ops.h"
#include "ops/target_step.h"

#define ON "apply {{t s} {eval $s}} \"cpu\" "
#define LIST ON "\"set x \\[bp]; set y \\[wp]; set z \\\"\\$x\\\\n\\$y\\\"\""
#define HARDWARE "Breakpoint(IVA): 0x08000010, 0x2, 0\n"
#define SOFTWARE "IVA breakpoint: 0x20000010, 0x2, 0x00\n"
#define WATCH "address: 0x20000010, len: 0x00000004, r/w/a: 1, value: 0x00000000, mask: 0xffffffff\n"

static size_t count(const struct op_driver *driver)
{
    return ((const struct breakpoint_op *)driver->op)->count;
}

static void add(struct op_driver *driver, enum ocd_breakpoint_kind kind, uint64_t address, uint64_t length)
{
    struct ocd_breakpoint wanted = {.kind = kind, .address = address, .length = length};
    op_driver_start(driver, breakpoint_add_new(NULL, &wanted, false));
    assert_true(driver->op->class->changes);
}

static void test_breakpoint_list(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, breakpoint_list_new(NULL));
    op_driver_expect(driver, LIST);
    assert_true(driver->command.repeatable);
    assert_int_equal(op_driver_answer_text(driver, HARDWARE SOFTWARE "\n" WATCH), OP_DONE);
    assert_int_equal(count(driver), 3);
    op_driver_start(driver, breakpoint_list_new(NULL));
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, "nonsense");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "list of breakpoints cannot be read");
}

/* The script around the list has variables of its own, which the list must leave alone. */
static void test_breakpoint_list_of_another_target(void **state)
{
    struct op_driver *driver = *state;
    driver->info.targets[1] =
        (struct ocd_target){.name = "dsp", .type = "cortex_m", .state = "halted", .address_bits = 32};
    driver->info.target_count = 2;
    op_driver_start(driver, breakpoint_list_new("dsp"));
    op_driver_expect(
        driver, "apply {{t b s} {targets $t; set c [catch $s r]; targets $b; return -code $c $r}} \"dsp\" "
                "\"cpu\" \"set x \\[bp]; set y \\[wp]; set z \\\"\\$x\\\\n\\$y\\\"\"");
    op_driver_answer_text(driver, HARDWARE);
    op_driver_expect_done(driver);
}

static void test_breakpoint_add_sets_and_looks(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_HARDWARE, 0x08000010, 0);
    op_driver_expect(driver, ON "\"bp 0x8000010 2 hw\"");
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    op_driver_answer_text(driver, "breakpoint set at 0x08000010\n");
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, HARDWARE "\n");
    op_driver_expect_done(driver);
    assert_int_equal(count(driver), 1);
}

static void test_breakpoint_add_of_each_kind(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_SOFTWARE, 0x20000010, 4);
    op_driver_expect(driver, ON "\"bp 0x20000010 4\"");
    add(driver, OCD_WATCHPOINT_READ, 0x20000010, 0);
    op_driver_expect(driver, ON "\"wp 0x20000010 4 r\"");
    add(driver, OCD_WATCHPOINT_ACCESS, 0x20000010, 8);
    op_driver_expect(driver, ON "\"wp 0x20000010 8 a\"");
    struct ocd_breakpoint wanted = {
        .kind = OCD_WATCHPOINT_WRITE, .address = 0x20000010, .value = 5, .mask = 0xf0};
    op_driver_start(driver, breakpoint_add_new(NULL, &wanted, true));
    op_driver_expect(driver, ON "\"wp 0x20000010 4 w 0x5 0xf0\"");
}

static void test_breakpoint_default_length_goes_by_the_type(void **state)
{
    struct op_driver *driver = *state;
    snprintf(op_driver_target(driver)->type, OCD_NAME_SIZE, "riscv");
    add(driver, OCD_BREAKPOINT_HARDWARE, 0x80000000, 0);
    op_driver_expect(driver, ON "\"bp 0x80000000 4 hw\"");
}

static void test_breakpoint_add_that_is_refused(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_HARDWARE, 0x08000010, 2);
    op_driver_expect(driver, ON "\"bp 0x8000010 2 hw\"");
    op_driver_answer_error(
        driver, -308, "",
        "[cpu] Can not find free FPB Comparator!\ncan't add breakpoint: resource not available\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR,
                            "cannot set a hardware breakpoint at 0x08000010: [cpu] Can not find free");
    op_driver_assert_address(driver, "address", 0x08000010);
    add(driver, OCD_WATCHPOINT_READ, 0x20000010, 4);
    op_driver_expect(driver, ON "\"wp 0x20000010 4 r\"");
    op_driver_answer_error(driver, -304, "", "target cpu is not halted (add watchpoint)\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "is not halted");
}

static void test_breakpoint_add_is_believed_when_it_is_listed(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_HARDWARE, 0x20000010, 2);
    op_driver_expect(driver, ON "\"bp 0x20000010 2 hw\"");
    op_driver_answer_text(driver, "breakpoint set at 0x20000010\n");
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, SOFTWARE WATCH);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "does not list it");
}

static void test_breakpoint_add_of_which_openocd_complains(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_HARDWARE, 0x20000010, 2);
    op_driver_expect(driver, ON "\"bp 0x20000010 2 hw\"");
    op_driver_answer_error(driver, 0, "breakpoint set at 0x20000010\n",
                           "JTAG-DP STICKY ERROR\nFailed to write memory\n");
    op_driver_expect_failed(
        driver, ERR_TARGET_ERROR,
        "OpenOCD complained as it set the hardware breakpoint at 0x20000010, which it may list all the same: "
        "JTAG-DP STICKY ERROR");
    op_driver_assert_address(driver, "address", 0x20000010);
}

/* OpenOCD would crash, or wrap. */
static void test_breakpoint_add_is_checked_first(void **state)
{
    struct op_driver *driver = *state;
    add(driver, OCD_BREAKPOINT_HARDWARE, 0xffffffff, 2);
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "");
    static const char *const types[] = {"testee", "mem_ap"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(op_driver_target(driver)->type, OCD_NAME_SIZE, "%s", types[i]);
        add(driver, OCD_WATCHPOINT_READ, 0x10, 4);
        op_driver_expect_failed(driver, ERR_TARGET_ERROR, types[i]);
    }
}

static void start_remove(struct op_driver *driver, uint64_t address, const enum ocd_breakpoint_kind *kind,
                         const char *listed)
{
    op_driver_start(driver, breakpoint_remove_new(NULL, address, kind));
    assert_true(driver->op->class->changes);
    op_driver_expect(driver, LIST);
    assert_false(driver->command.changes);
    op_driver_answer_text(driver, listed);
}

static void test_breakpoint_remove_looks_before_and_behind(void **state)
{
    struct op_driver *driver = *state;
    start_remove(driver, 0x08000010, NULL, HARDWARE SOFTWARE);
    op_driver_expect(driver, ON "\"rbp 0x8000010; \"");
    assert_true(driver->command.changes);
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, SOFTWARE);
    op_driver_expect_done(driver);
    assert_int_equal(count(driver), 1);
}

static void test_breakpoint_remove_of_data_needs_a_halted_target(void **state)
{
    struct op_driver *driver = *state;
    static const enum ocd_breakpoint_kind kind = OCD_WATCHPOINT_WRITE;
#define HALTED "if {\\[\\$t curstate] ne {halted}} {error \\\"\\$t is not halted\\\"}; "
    start_remove(driver, 0x20000010, NULL, SOFTWARE WATCH);
    op_driver_expect(driver, ON "\"" HALTED "rwp 0x20000010; rbp 0x20000010; \"");
    start_remove(driver, 0x20000010, &kind, SOFTWARE WATCH);
    op_driver_expect(driver, ON "\"" HALTED "rwp 0x20000010; \"");
    op_driver_answer_error(driver, 1, "cpu is not halted", "");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cannot remove the breakpoint at 0x20000010");
}

static void test_breakpoint_remove_of_what_is_not_there(void **state)
{
    struct op_driver *driver = *state;
    static const enum ocd_breakpoint_kind kind = OCD_WATCHPOINT_READ;
    start_remove(driver, 0x99, NULL, HARDWARE SOFTWARE WATCH);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "cpu has no breakpoint at 0x00000099");
    op_driver_assert_text(driver, "parameter", "address");
    start_remove(driver, 0x20000010, &kind, SOFTWARE WATCH);
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "cpu has no read breakpoint at 0x20000010");
}

/* Code 0, and the instruction could not be put back; or it is still there. */
static void test_breakpoint_remove_is_not_believed(void **state)
{
    struct op_driver *driver = *state;
    start_remove(driver, 0x20000010, NULL, SOFTWARE);
    op_driver_expect(driver, ON "\"rbp 0x20000010; \"");
    op_driver_answer(driver, 0, "", 0, "Failed to write memory at 0x20000010\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "OpenOCD complained as it removed the breakpoint");
    op_driver_assert_openocd(driver, 0, "Failed to write memory at 0x20000010");
    start_remove(driver, 0x20000010, NULL, SOFTWARE);
    op_driver_expect(driver, ON "\"rbp 0x20000010; \"");
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, LIST);
    op_driver_answer_text(driver, SOFTWARE);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "still lists the breakpoint");
}

/* Steps. */

#define KNOW_PC "if {\\[\\$t curstate] eq {halted}} {catch {reg pc}}; "
#define BEHIND "; set p {}; catch {set p \\[lindex \\[\\$t get_reg pc] 1]}; list \\[\\$t curstate] \\$p\""

static const struct step_op *stepped(const struct op_driver *driver)
{
    return (const struct step_op *)driver->op;
}

static void test_step_says_where_it_stands(void **state)
{
    struct op_driver *driver = *state;
    uint64_t address = 0x08000040;
    op_driver_start(driver, step_new(NULL, &address, 2));
    assert_true(driver->op->class->changes);
    op_driver_expect(driver, ON "\"" KNOW_PC "step 0x8000040" BEHIND);
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    assert_int_equal(op_driver_answer_text(driver, "halted 0x08000042"), OP_GO);
    op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
    assert_int_equal(op_driver_answer_text(driver, "halted 0x08000044"), OP_DONE);
    assert_int_equal(stepped(driver)->done, 2);
    assert_string_equal(strbuf_text(&stepped(driver)->pc), "0x08000044");
}

static void test_step_ends_where_the_target_is_not_halted(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, step_new(NULL, NULL, 5));
    op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
    assert_int_equal(op_driver_answer_text(driver, "running 0x08000042"), OP_DONE);
    assert_int_equal(stepped(driver)->done, 1);
    assert_int_equal(stepped(driver)->pc.length, 0);
    assert_string_equal(op_driver_target(driver)->state, "running");
}

static void test_step_without_a_program_counter(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, step_new(NULL, NULL, 1));
    op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
    assert_int_equal(op_driver_answer_text(driver, "halted {}"), OP_DONE);
    assert_int_equal(stepped(driver)->pc.length, 0);
}

/* The second step is on its way then. */
static void make_one_of_three(struct op_driver *driver)
{
    op_driver_start(driver, step_new(NULL, NULL, 3));
    op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
    op_driver_answer_text(driver, "halted 0x08000042");
    op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
}

static void test_step_that_fails_says_how_many_were_made(void **state)
{
    struct op_driver *driver = *state;
    make_one_of_three(driver);
    op_driver_answer_error(driver, -4, "", "JTAG-DP STICKY ERROR\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot step cpu: JTAG-DP STICKY ERROR");
    op_driver_assert_integer(driver, "done", 1);
    op_driver_assert_integer(driver, "total", 3);
}

static void test_step_of_a_target_that_halts_no_more_says_how_many_were_made(void **state)
{
    struct op_driver *driver = *state;
    make_one_of_three(driver);
    op_driver_answer_error(driver, -304, "", "[cpu] target not halted\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "target not halted");
    op_driver_assert_integer(driver, "done", 1);
}

static void test_step_refuses_what_it_cannot_read(void **state)
{
    struct op_driver *driver = *state;
    static const char *const answers[] = {"",   "halted", "halted zz", "halted 0x100000000", "hal;ted 0x0",
                                          "{ha"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        op_driver_start(driver, step_new(NULL, NULL, 1));
        op_driver_expect(driver, ON "\"" KNOW_PC "step" BEHIND);
        op_driver_answer_text(driver, answers[i]);
        op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot be read");
    }
}

static void test_step_is_checked_first(void **state)
{
    struct op_driver *driver = *state;
    uint64_t address = 0x100000000;
    op_driver_start(driver, step_new(NULL, &address, 1));
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "");
    snprintf(op_driver_target(driver)->type, OCD_NAME_SIZE, "testee");
    op_driver_start(driver, step_new(NULL, NULL, 1));
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "testee");
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, op_driver_setup, op_driver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_breakpoint_list),
        TEST(test_breakpoint_list_of_another_target),
        TEST(test_breakpoint_add_sets_and_looks),
        TEST(test_breakpoint_add_of_each_kind),
        TEST(test_breakpoint_default_length_goes_by_the_type),
        TEST(test_breakpoint_add_that_is_refused),
        TEST(test_breakpoint_add_is_believed_when_it_is_listed),
        TEST(test_breakpoint_add_of_which_openocd_complains),
        TEST(test_breakpoint_add_is_checked_first),
        TEST(test_breakpoint_remove_looks_before_and_behind),
        TEST(test_breakpoint_remove_of_data_needs_a_halted_target),
        TEST(test_breakpoint_remove_of_what_is_not_there),
        TEST(test_breakpoint_remove_is_not_believed),
        TEST(test_step_says_where_it_stands),
        TEST(test_step_ends_where_the_target_is_not_halted),
        TEST(test_step_without_a_program_counter),
        TEST(test_step_that_fails_says_how_many_were_made),
        TEST(test_step_of_a_target_that_halts_no_more_says_how_many_were_made),
        TEST(test_step_refuses_what_it_cannot_read),
        TEST(test_step_is_checked_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
