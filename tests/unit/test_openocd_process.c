/* board/openocd_process: shell scripts that behave as OpenOCD does, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "board/openocd_process.h"
#include "net_wait.h"

static struct loop *loop;
static struct openocd_process *process;
static unsigned port;
static unsigned listenings;
static char reason[OPENOCD_PROCESS_WHY_SIZE];
static uint64_t retry;

static void on_listening(void *context, unsigned number)
{
    (void)context;
    port = number;
    listenings++;
}

static void on_gone(void *context, const char *text, uint64_t retry_ms)
{
    (void)context;
    snprintf(reason, sizeof reason, "%s", text);
    retry = retry_ms;
}

static const struct openocd_process_handler handler = {.listening = on_listening, .gone = on_gone};

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    loop = loop_new();
    process = NULL;
    port = 0;
    listenings = 0;
    reason[0] = '\0';
    retry = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    openocd_process_free(process);
    loop_free(loop);
    return 0;
}

static void start(char *script, char *before, uint32_t start_limit_ms)
{
    static char shell[] = "/bin/sh";
    static char option[] = "-c";
    static char *spawn[4];
    static char *before_start[4];
    spawn[0] = before_start[0] = shell;
    spawn[1] = before_start[1] = option;
    spawn[2] = script;
    before_start[2] = before;
    struct openocd_process_options options = {.name = "b",
                                              .spawn = spawn,
                                              .before_start = before != NULL ? before_start : NULL,
                                              .start_limit_ms = start_limit_ms,
                                              .stop_limit_ms = 20,
                                              .before_start_limit_ms = 50};
    process = openocd_process_new(loop, &options, &handler, NULL);
}

static struct openocd_process_view look(void)
{
    struct openocd_process_view view;
    openocd_process_look(process, &view);
    return view;
}

static bool has_listened(void *context)
{
    return listenings >= *(unsigned *)context;
}

static bool is_told(void *context)
{
    return strstr(reason, context) != NULL;
}

static bool is_in_state(void *context)
{
    return look().state == *(enum respawn_state *)context;
}

static void wait_told(char *words)
{
    if (!net_wait_until(loop, is_told, words)) {
        fail_msg("not told: %s, but: %s", words, reason);
    }
}

static void wait_state(enum respawn_state state)
{
    assert_true(net_wait_until(loop, is_in_state, &state));
}

#define LISTENS "echo 'Info : Listening on port 4711 for tcl connections' >&2; "

static void test_process_listens_runs_and_stops(void **state)
{
    static char script[] = LISTENS "exec sleep 600";
    unsigned once = 1;
    (void)state;
    start(script, NULL, 60000);
    assert_int_equal(look().state, RESPAWN_WAITING);
    assert_true(net_wait_until(loop, has_listened, &once));
    assert_int_equal(port, 4711);
    assert_int_equal(look().state, RESPAWN_STARTING);
    openocd_process_up(process);
    struct openocd_process_view view = look();
    assert_int_equal(view.state, RESPAWN_RUNNING);
    assert_true(view.pid > 0);
    assert_int_equal(view.restarts, 0);
    assert_int_equal(view.line_count, 1);
    assert_string_equal(view.lines[0], "Info : Listening on port 4711 for tcl connections");
    assert_string_equal(view.ended, "");
    assert_false(openocd_process_stop(process));
    assert_false(openocd_process_stop(process));
    wait_state(RESPAWN_STOPPED);
    assert_true(openocd_process_stop(process));
    assert_int_equal(look().pid, 0);
    assert_int_equal(look().problem, OCD_PROBLEM_NONE);
    net_wait_idle(loop);
    assert_string_equal(reason, "");
}

static void test_process_that_ends_says_why_and_comes_again(void **state)
{
    static char script[] = LISTENS "echo 'Error: couldn'\"'\"'t bind tcl to socket on port 1: in use' >&2; "
                                   "echo 'Error: no device found' >&2; exit 1";
    unsigned twice = 2;
    (void)state;
    start(script, NULL, 60000);
    wait_told("a port that OpenOCD needs is in use: couldn't bind tcl to socket on port 1: in use (exit "
              "status 1)");
    assert_in_range(retry, 1, 500);
    struct openocd_process_view view = look();
    assert_int_equal(view.state, RESPAWN_WAITING);
    assert_int_equal(view.problem, OCD_PROBLEM_PORT_IN_USE);
    assert_false(view.ended_by_signal);
    assert_int_equal(view.end_number, 1);
    assert_string_not_equal(view.ended, "");
    assert_true(net_wait_until(loop, has_listened, &twice));
    assert_int_equal(look().restarts, 1);
}

static void test_process_that_is_killed_is_no_complaint(void **state)
{
    static char script[] = "echo 'Error: no device found'; echo 'Info : the last one'; kill -9 $$";
    (void)state;
    start(script, NULL, 60000);
    wait_told("OpenOCD ended: no device found (signal 9 (Killed))");
    assert_int_equal(look().problem, OCD_PROBLEM_ENDED);
    assert_true(look().ended_by_signal);
}

static void test_process_that_ran_is_known_by_its_last_words(void **state)
{
    static char script[] =
        LISTENS "sleep 0.1; echo 'invalid command name \"x\"'; echo 'Error: no device found'; "
                "echo shutdown command invoked; exit 0";
    unsigned once = 1;
    (void)state;
    start(script, NULL, 60000);
    assert_true(net_wait_until(loop, has_listened, &once));
    openocd_process_up(process);
    wait_told("OpenOCD ended: shutdown command invoked (exit status 0)");
}

static void test_process_that_does_not_get_ready_is_ended(void **state)
{
    static char script[] = "trap '' TERM; while :; do sleep 0.01; done";
    (void)state;
    start(script, NULL, 100);
    wait_told("OpenOCD does not answer: nothing within 100 ms");
    wait_told("(signal 9 (Killed))");
    assert_int_equal(look().problem, OCD_PROBLEM_NO_ANSWER);
}

static void test_process_that_has_to_end_is_ended(void **state)
{
    static char script[] = LISTENS "exec sleep 600";
    unsigned once = 1;
    (void)state;
    start(script, NULL, 60000);
    assert_true(net_wait_until(loop, has_listened, &once));
    openocd_process_up(process);
    openocd_process_fail(process, OCD_PROBLEM_WRONG_BOARD, "it is green");
    openocd_process_fail(process, OCD_PROBLEM_NO_ANSWER, "later");
    assert_int_equal(look().state, RESPAWN_ENDING);
    wait_told("refused: it is green (signal 15 (Terminated))");
    assert_int_equal(look().problem, OCD_PROBLEM_WRONG_BOARD);
}

static void test_process_whose_probe_goes_is_ended(void **state)
{
    static char script[] = LISTENS "while [ ! -e \"$OCDMUX_TEST_FILE\" ]; do sleep 0.01; done; "
                                   "echo \"Error: Error on socket 'remote_bitbang_putc': errno==32\"; "
                                   "exec sleep 600";
    char path[] = "/tmp/ocdmux-test-XXXXXX";
    unsigned once = 1;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    setenv("OCDMUX_TEST_FILE", path, 1);
    start(script, NULL, 60000);
    assert_true(net_wait_until(loop, has_listened, &once));
    openocd_process_up(process);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    wait_told("OpenOCD finds no debug probe: Error on socket 'remote_bitbang_putc': errno==32 (signal 15");
    unlink(path);
}

static void test_process_prepares_and_tells_when_that_fails(void **state)
{
    static char script[] = LISTENS "exec sleep 600";
    static char before[] = "echo no power; exit 4";
    unsigned once = 1;
    (void)state;
    start(script, before, 60000);
    assert_true(net_wait_until(loop, has_listened, &once));
    assert_int_equal(look().problem, OCD_PROBLEM_BEFORE_START);
    assert_string_equal(look().why, "before_start failed: no power (exit status 4)");
    assert_string_equal(look().lines[0], "no power");
    openocd_process_up(process);
    assert_int_equal(look().problem, OCD_PROBLEM_NONE);
}

static void test_process_preparation_has_a_limit(void **state)
{
    static char script[] = LISTENS "exec sleep 600";
    static char before[] = "exec sleep 600";
    unsigned once = 1;
    (void)state;
    start(script, before, 60000);
    wait_state(RESPAWN_PREPARING);
    assert_true(net_wait_until(loop, has_listened, &once));
    assert_string_equal(look().why,
                        "before_start failed: it did not end within 50 ms (signal 15 (Terminated))");
}

static void test_process_stops_while_it_prepares(void **state)
{
    static char script[] = LISTENS "exec sleep 600";
    static char before[] = "exec sleep 600";
    (void)state;
    start(script, before, 60000);
    wait_state(RESPAWN_PREPARING);
    assert_false(openocd_process_stop(process));
    wait_state(RESPAWN_STOPPED);
    assert_int_equal(listenings, 0);
}

static void test_process_lines_are_bounded_and_harmless(void **state)
{
    static char script[] =
        "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); done; echo; echo '   '; "
        "printf '\\tred \\033[31m \\377\\n'; head -c 5000 /dev/zero | tr '\\0' '\\1'; echo; "
        "exit 2";
    (void)state;
    start(script, NULL, 60000);
    wait_told("OpenOCD ended: ");
    struct openocd_process_view view = look();
    assert_int_equal(view.line_count, OPENOCD_PROCESS_LINES);
    assert_string_equal(view.lines[0], "line 12");
    assert_string_equal(view.lines[OPENOCD_PROCESS_LINES - 2], " red \\x1b[31m \\xff");
    const char *last = view.lines[OPENOCD_PROCESS_LINES - 1];
    assert_int_equal(strspn(last, "\\x01"), strlen(last));
    assert_in_range(strlen(last), OPENOCD_PROCESS_LINE_SIZE / 2, OPENOCD_PROCESS_LINE_SIZE - 1);
}

static void test_process_without_words_is_tried_all_the_same(void **state)
{
    static char script[] = "exec sleep 600";
    unsigned once = 1;
    (void)state;
    start(script, NULL, 60000);
    assert_true(net_wait_until(loop, has_listened, &once));
    assert_int_equal(port, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_process_listens_runs_and_stops),
        CASE(test_process_that_ends_says_why_and_comes_again),
        CASE(test_process_that_is_killed_is_no_complaint),
        CASE(test_process_that_ran_is_known_by_its_last_words),
        CASE(test_process_that_does_not_get_ready_is_ended),
        CASE(test_process_that_has_to_end_is_ended),
        CASE(test_process_whose_probe_goes_is_ended),
        CASE(test_process_prepares_and_tells_when_that_fails),
        CASE(test_process_preparation_has_a_limit),
        CASE(test_process_stops_while_it_prepares),
        CASE(test_process_lines_are_bounded_and_harmless),
        CASE(test_process_without_words_is_tried_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
