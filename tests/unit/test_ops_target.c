/* ops/target_ops: looking at targets, halting, resuming and resetting them, raw Tcl. */
#include "op_driver.h"

#include "ops/target_ops.h"

/* A second target, which is not current, with a name that must not get out of its quotes. */
static void add_hostile(struct op_driver *driver)
{
    driver->info.targets[1] = (struct ocd_target){
        .name = "b\"[exit]$x\\", .type = "cortex_m", .state = "running", .address_bits = 32};
    driver->info.target_count = 2;
}

#define HOSTILE "b\"[exit]$x\\"
#define HOSTILE_QUOTED "\"b\\\"\\[exit]\\$x\\\\\""
#define KNOW_PC "if {\\[\\$t curstate] eq {halted}} {catch {reg pc}}; "
#define ON_OTHER                                                                                       \
    "apply {{t b s} {targets $t; set c [catch $s r]; targets $b; return -code $c $r}} " HOSTILE_QUOTED \
    " \"cpu\" "

static const char survey_text[] = "cpu {{cpu cortex_m little halted 32} {dsp xtensa big running {}}} {}";

static void expect_survey(struct op_driver *driver)
{
    struct strbuf script = STRBUF_INIT;
    ocd_info_survey_script(&script);
    op_driver_expect(driver, strbuf_text(&script));
    assert_true(driver->command.repeatable);
    assert_false(driver->command.changes);
    strbuf_fini(&script);
}

/* Survey and state. */

static void test_survey_brings_the_targets_up_to_date(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, survey_new(NULL));
    expect_survey(driver);
    assert_int_equal(op_driver_answer_text(driver, survey_text), OP_DONE);
    assert_int_equal(driver->info.target_count, 2);
    assert_string_equal(driver->info.targets[1].name, "dsp");
    assert_false(driver->op->class->changes);
    assert_false(driver->op->class->needs_target);
}

static void test_survey_of_one_target_needs_it(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, survey_new("cpu"));
    assert_true(driver->op->class->needs_target);
    expect_survey(driver);
    assert_int_equal(op_driver_answer_text(driver, survey_text), OP_DONE);
}

static void test_survey_that_fails_changes_nothing(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, survey_new(NULL));
    expect_survey(driver);
    op_driver_answer_error(driver, 1, "invalid command name \"target\"", "");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot list the targets: invalid command name");
    op_driver_start(driver, survey_new(NULL));
    expect_survey(driver);
    op_driver_answer_text(driver, "cpu {{cpu cortex_m");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "list of targets cannot be read");
    assert_int_equal(driver->info.target_count, 1);
}

/* Halt. */

static void test_halt_asks_once_and_looks_until_it_is_so(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, halt_new(NULL, 5000));
    assert_true(driver->op->class->changes);
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\"");
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    assert_int_equal(op_driver_answer_text(driver, ""), OP_GO);
    for (int i = 0; i < 3; i++) {
        op_driver_expect(driver, "\"cpu\" curstate");
        assert_true(driver->command.repeatable);
        assert_false(driver->command.changes);
        assert_int_equal(op_driver_answer_text(driver, "running"), OP_WAIT);
        assert_string_equal(op_driver_target(driver)->state, "running");
    }
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_int_equal(op_driver_answer_text(driver, "halted"), OP_DONE);
    assert_string_equal(op_driver_target(driver)->state, "halted");
}

/* OpenOCD 0.12 answers "halt" well while it believes the target to be in reset, and does not halt it. */
static void test_halt_asks_again_behind_a_reset(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, halt_new(NULL, 5000));
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_int_equal(op_driver_answer_text(driver, "reset"), OP_WAIT);
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_int_equal(op_driver_answer_text(driver, "running"), OP_WAIT);
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"halt 0\"\n\"cpu\" curstate");
    assert_true(driver->command.changes);
    assert_false(driver->command.repeatable);
    assert_int_equal(op_driver_answer_text(driver, "running"), OP_WAIT);
    op_driver_expect(driver, "\"cpu\" curstate");
    assert_int_equal(op_driver_answer_text(driver, "halted"), OP_DONE);
}

static void test_halt_of_another_target_puts_the_current_one_back(void **state)
{
    struct op_driver *driver = *state;
    add_hostile(driver);
    op_driver_start(driver, halt_new(HOSTILE, 5000));
    op_driver_expect(driver, ON_OTHER "\"halt 0\"");
    op_driver_answer_text(driver, "");
    op_driver_expect(driver, HOSTILE_QUOTED " curstate");
    assert_int_equal(op_driver_answer_text(driver, "halted"), OP_DONE);
    assert_string_equal(driver->info.targets[1].state, "halted");
}

/* Where OpenOCD has no current target, the one that was meant stays so. */
static void test_halt_without_a_current_target(void **state)
{
    struct op_driver *driver = *state;
    driver->info.current_target = 1;
    op_driver_start(driver, halt_new("cpu", 5000));
    op_driver_expect(driver,
                     "apply {{t b s} {targets $t; set c [catch $s r]; targets $b; return -code $c $r}} "
                     "\"cpu\" \"cpu\" \"halt 0\"");
}

static void test_halt_that_never_comes(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, halt_new(NULL, 300));
    op_driver_run(driver);
    uint64_t since = driver->now_us;
    op_driver_answer_text(driver, "");
    do {
        op_driver_expect(driver, "\"cpu\" curstate");
    } while (op_driver_answer_text(driver, "running") == OP_WAIT);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cpu did not halt within 300 ms: it is running");
    assert_in_range(driver->now_us - since, 300000, 330000);
}

/* Of a target that does not answer 0.12 says so, and calls it a success. */
static void test_halt_of_which_openocd_complains(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, halt_new(NULL, 20));
    op_driver_run(driver);
    op_driver_answer_error(driver, 0, "", "Invalid ACK (7) in DAP response\n");
    do {
        op_driver_expect(driver, "\"cpu\" curstate");
    } while (op_driver_answer_text(driver, "unknown") == OP_WAIT);
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cpu did not halt within 20 ms: it is unknown");
    op_driver_assert_openocd(driver, 0, "Invalid ACK (7) in DAP response");
}

static void test_halt_that_openocd_refuses(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, halt_new(NULL, 300));
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "JTAG-DP STICKY ERROR\n");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot halt cpu: JTAG-DP STICKY ERROR");
    op_driver_assert_openocd(driver, -4, "JTAG-DP STICKY ERROR");
    op_driver_start(driver, halt_new(NULL, 300));
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "invalid command name \"cpu\"", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "cannot see the state of cpu: invalid command name");
}

/* A state seen before must not stand in for one that cannot be read. */
static void test_halt_believes_no_impossible_state(void **state)
{
    struct op_driver *driver = *state;
    char endless[OCD_NAME_SIZE + 1];
    memset(endless, 'h', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    const struct {
        const char *text;
        size_t length;
    } lies[] = {{"", 0}, {endless, OCD_NAME_SIZE}, {"halted\0x", 8}};
    for (size_t i = 0; i < 3; i++) {
        op_driver_start(driver, halt_new(NULL, 300));
        op_driver_run(driver);
        op_driver_answer_text(driver, "");
        op_driver_run(driver);
        op_driver_answer(driver, 0, lies[i].text, lies[i].length, "");
        op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "state of cpu cannot be read");
        assert_string_equal(op_driver_target(driver)->state, "halted");
    }
}

/* Resume. */

static void test_resume_from_where_it_stands_or_an_address(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, resume_new(NULL, false, 0));
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"" KNOW_PC "resume; \\$t curstate\"");
    assert_true(driver->command.changes);
    assert_int_equal(op_driver_answer_text(driver, "running"), OP_DONE);
    assert_string_equal(op_driver_target(driver)->state, "running");
    op_driver_start(driver, resume_new(NULL, true, 0x100000000));
    op_driver_expect_failed(driver, ERR_INVALID_RANGE, "reach beyond");
    op_driver_target(driver)->address_bits = 64;
    op_driver_start(driver, resume_new(NULL, true, 0xffffffff80000000));
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"" KNOW_PC
                             "resume 0xffffffff80000000; \\$t curstate\"");
    op_driver_answer_text(driver, "");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "state of cpu cannot be read");
    add_hostile(driver);
    op_driver_start(driver, resume_new(HOSTILE, true, 0));
    op_driver_expect(driver, ON_OTHER "\"" KNOW_PC "resume 0x0; \\$t curstate\"");
}

static void test_resume_of_a_running_target_says_so(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, resume_new(NULL, false, 0));
    op_driver_run(driver);
    op_driver_answer_error(driver, -304, "", "not halted\n");
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "cannot resume cpu: not halted");
}

static void test_resume_of_a_testee_would_crash_openocd(void **state)
{
    struct op_driver *driver = *state;
    snprintf(op_driver_target(driver)->type, OCD_NAME_SIZE, "testee");
    op_driver_start(driver, resume_new(NULL, false, 0));
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "testee");
}

/* Reset. */

static void test_reset_is_followed_by_a_look_at_all_targets(void **state)
{
    static const struct {
        enum reset_mode mode;
        const char *script;
    } cases[] = {{RESET_RUN, "reset run"}, {RESET_HALT, "reset halt"}, {RESET_INIT, "reset init"}};
    struct op_driver *driver = *state;
    for (size_t i = 0; i < 3; i++) {
        op_driver_start(driver, reset_new(cases[i].mode));
        op_driver_expect(driver, cases[i].script);
        assert_true(driver->command.changes);
        assert_int_equal(driver->command.limit_ms, 120000);
        assert_int_equal(op_driver_answer_text(driver, ""), OP_GO);
        expect_survey(driver);
        assert_int_equal(op_driver_answer_text(driver, survey_text), OP_DONE);
        assert_int_equal(driver->info.target_count, 2);
    }
}

static void test_reset_waits_a_moment_for_targets_to_leave_it(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, reset_new(RESET_RUN));
    op_driver_run(driver);
    uint64_t since = driver->now_us;
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    assert_int_equal(op_driver_answer_text(driver, "cpu {{cpu cortex_m little reset 32}} {}"), OP_WAIT);
    op_driver_run(driver);
    assert_int_equal(op_driver_answer_text(driver, "cpu {{cpu cortex_m little running 32}} {}"), OP_DONE);
    /* One that is held in reset stays there, and that is an answer too. */
    op_driver_start(driver, reset_new(RESET_RUN));
    op_driver_run(driver);
    since = driver->now_us;
    op_driver_answer_text(driver, "");
    do {
        op_driver_run(driver);
    } while (op_driver_answer_text(driver, "cpu {{cpu cortex_m little reset 32}} {}") == OP_WAIT);
    assert_int_equal(driver->verdict, OP_DONE);
    assert_in_range(driver->now_us - since, 1000000, 1100000);
}

static void test_reset_that_fails(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, reset_new(RESET_INIT));
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "TARGET: cpu - Not halted\n");
    /* Its words name the state, so programs can tell. */
    op_driver_expect_failed(driver, ERR_TARGET_NOT_HALTED, "the reset failed: TARGET: cpu - Not halted");
    op_driver_start(driver, reset_new(RESET_RUN));
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "");
    op_driver_expect_failed(driver, ERR_TARGET_ERROR, "the reset failed");
    op_driver_start(driver, reset_new(RESET_RUN));
    op_driver_run(driver);
    op_driver_answer_text(driver, "");
    op_driver_run(driver);
    op_driver_answer_error(driver, 1, "x", "");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "cannot list the targets: x");
}

static void test_reset_mode_words(void **state)
{
    (void)state;
    assert_string_equal(reset_mode_word(RESET_RUN), "run");
    assert_string_equal(reset_mode_word(RESET_HALT), "halt");
    assert_string_equal(reset_mode_word(RESET_INIT), "init");
}

/* Raw Tcl. */

static void start_raw(struct op_driver *driver, const char *target, const char *command)
{
    struct strbuf script = STRBUF_INIT;
    strbuf_append_text(&script, command);
    op_driver_start(driver, raw_new(target, &script));
    assert_int_equal(script.length, 0); /* taken over */
}

static void test_raw_command_goes_out_as_it_is(void **state)
{
    static const char command[] = "set a {x}; puts \"[exit] $b\" \x1a\n";
    struct op_driver *driver = *state;
    start_raw(driver, NULL, command);
    op_driver_expect(driver, command);
    assert_true(driver->command.changes);
    assert_true(driver->op->class->relearn);
    assert_int_equal(op_driver_answer(driver, 0, "a\0b\x1a", 4, "log\n"), OP_DONE);
    const struct raw_op *raw = (const struct raw_op *)driver->op;
    assert_int_equal(raw->code, 0);
    assert_int_equal(raw->text.length, 4);
    assert_memory_equal(raw->text.data, "a\0b\x1a", 4);
    assert_string_equal(strbuf_text(&raw->log), "log\n");
}

static void test_raw_command_that_fails_is_a_result_too(void **state)
{
    static const long codes[] = {1, -4, 2, 5, -304};
    struct op_driver *driver = *state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        start_raw(driver, NULL, "x");
        op_driver_run(driver);
        assert_int_equal(op_driver_answer_error(driver, codes[i], "oh", "dear"), OP_DONE);
        const struct raw_op *raw = (const struct raw_op *)driver->op;
        assert_int_equal(raw->code, codes[i]);
        assert_string_equal(strbuf_text(&raw->text), "oh");
        assert_string_equal(strbuf_text(&raw->log), "dear");
    }
}

static void test_raw_command_on_a_target(void **state)
{
    struct op_driver *driver = *state;
    add_hostile(driver);
    start_raw(driver, "cpu", "mdw 0; set x $y");
    op_driver_expect(driver, "apply {{t s} {eval $s}} \"cpu\" \"mdw 0; set x \\$y\"");
    start_raw(driver, HOSTILE, "mdw 0; set x $y");
    op_driver_expect(driver, ON_OTHER "\"mdw 0; set x \\$y\"");
}

#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, op_driver_setup, op_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DRIVER(test_survey_brings_the_targets_up_to_date),
        WITH_DRIVER(test_survey_of_one_target_needs_it),
        WITH_DRIVER(test_survey_that_fails_changes_nothing),
        WITH_DRIVER(test_halt_asks_once_and_looks_until_it_is_so),
        WITH_DRIVER(test_halt_asks_again_behind_a_reset),
        WITH_DRIVER(test_halt_of_another_target_puts_the_current_one_back),
        WITH_DRIVER(test_halt_without_a_current_target),
        WITH_DRIVER(test_halt_that_never_comes),
        WITH_DRIVER(test_halt_of_which_openocd_complains),
        WITH_DRIVER(test_halt_that_openocd_refuses),
        WITH_DRIVER(test_halt_believes_no_impossible_state),
        WITH_DRIVER(test_resume_from_where_it_stands_or_an_address),
        WITH_DRIVER(test_resume_of_a_running_target_says_so),
        WITH_DRIVER(test_resume_of_a_testee_would_crash_openocd),
        WITH_DRIVER(test_reset_is_followed_by_a_look_at_all_targets),
        WITH_DRIVER(test_reset_waits_a_moment_for_targets_to_leave_it),
        WITH_DRIVER(test_reset_that_fails),
        cmocka_unit_test(test_reset_mode_words),
        WITH_DRIVER(test_raw_command_goes_out_as_it_is),
        WITH_DRIVER(test_raw_command_that_fails_is_a_result_too),
        WITH_DRIVER(test_raw_command_on_a_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
