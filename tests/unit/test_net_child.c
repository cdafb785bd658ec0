/* net/child: real processes of /bin/sh, in the loop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "net/child.h"
#include "net_wait.h"

struct watch {
    struct child *child;
    struct strbuf lines; /* each ends in "|" */
    size_t longest;
    struct child_end end;
    unsigned ends;
    bool free_at_line;
};

static struct loop *loop;
static struct watch watch;

static void on_line(void *context, const char *text, size_t length)
{
    struct watch *self = context;
    assert_int_equal(self->ends, 0);
    strbuf_append(&self->lines, text, length);
    strbuf_append_byte(&self->lines, '|');
    self->longest = length > self->longest ? length : self->longest;
    if (self->free_at_line) {
        child_free(self->child);
        self->child = NULL;
    }
}

static void on_ended(void *context, const struct child_end *end)
{
    struct watch *self = context;
    self->end = *end;
    self->ends++;
}

static const struct child_handler handler = {.line = on_line, .ended = on_ended};

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    memset(&watch, 0, sizeof watch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    child_free(watch.child);
    strbuf_fini(&watch.lines);
    loop_free(loop);
    return 0;
}

static void start(const char *const words[])
{
    struct err err;
    char *argv[8] = {NULL};
    for (size_t i = 0; words[i] != NULL; i++) {
        argv[i] = (char *)(uintptr_t)words[i];
    }
    err_reset(&err);
    assert_true(child_start(&watch.child, loop, argv, &handler, &watch, &err));
}

static void start_shell(const char *line)
{
    const char *const words[] = {"/bin/sh", "-c", line, NULL};
    start(words);
}

static bool has_ended(void *context)
{
    (void)context;
    return watch.ends > 0;
}

static bool has_lines(void *context)
{
    return strstr(strbuf_text(&watch.lines), context) != NULL;
}

/* Or is about to be, once whoever it belongs to by now has waited for it. */
static bool is_gone(void *context)
{
    char path[64];
    char state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)*(const pid_t *)context);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        bool read = fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
        fclose(file);
        return read && (state == 'Z' || state == 'X');
    }
    return true;
}

static void test_child_gives_lines_and_its_status(void **state)
{
    char text[CHILD_END_TEXT_SIZE];
    (void)state;
    start_shell("echo one; echo two >&2; printf '\\r\\nthree\\r\\n\\nrest'; exit 3");
    assert_true(child_pid(watch.child) > 0);
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_string_equal(strbuf_text(&watch.lines), "one|two||three||rest|");
    assert_false(watch.end.by_signal);
    assert_int_equal(watch.end.number, 3);
    child_end_text(&watch.end, text);
    assert_string_equal(text, "exit status 3");
    net_wait_idle(loop);
    assert_int_equal(watch.ends, 1);
}

static void test_child_tells_the_signal_that_ended_it(void **state)
{
    char text[CHILD_END_TEXT_SIZE];
    (void)state;
    start_shell("kill -9 $$");
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_true(watch.end.by_signal);
    assert_int_equal(watch.end.number, SIGKILL);
    child_end_text(&watch.end, text);
    assert_string_equal(text, "signal 9 (Killed)");
}

static void test_child_that_cannot_run_says_why(void **state)
{
    const char *const words[] = {"/nowhere/openocd", "-f", "x", NULL};
    (void)state;
    start(words);
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_string_equal(strbuf_text(&watch.lines), "cannot run /nowhere/openocd: No such file or directory|");
    assert_false(watch.end.by_signal);
    assert_int_equal(watch.end.number, CHILD_EXIT_NOT_RUN);
}

static void test_child_long_lines_are_cut_and_much_output_is_taken(void **state)
{
    (void)state;
    start_shell("head -c 300000 /dev/zero | tr '\\0' x; echo; i=0; while [ $i -lt 5000 ]; do echo line; "
                "i=$((i+1)); done; echo end");
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_int_equal(watch.longest, CHILD_MOST_LINE);
    assert_int_equal(watch.lines.length, CHILD_MOST_LINE + 1 + 5000 * 5 + 4);
    assert_string_equal(watch.lines.data + watch.lines.length - 9, "line|end|");
}

static void test_child_has_no_input_and_no_descriptor_of_ours(void **state)
{
    char number[16];
    int leaked = dup(STDERR_FILENO);
    (void)state;
    assert_true(leaked > 2);
    snprintf(number, sizeof number, "%d", leaked);
    setenv("OCDMUX_TEST_LEAKED", number, 1);
    start_shell(
        "cat; for f in 0 1 2 $OCDMUX_TEST_LEAKED; do [ -e /proc/$$/fd/$f ] && echo $f; done; echo end");
    assert_true(net_wait_until(loop, has_ended, NULL));
    close(leaked);
    assert_string_equal(strbuf_text(&watch.lines), "0|1|2|end|");
}

static void test_child_stop_is_polite_first(void **state)
{
    (void)state;
    start_shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    assert_true(net_wait_until(loop, has_lines, "ready"));
    child_stop(watch.child, 60000);
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_non_null(strstr(strbuf_text(&watch.lines), "|bye|")); /* shells say what they killed, too */
    assert_false(watch.end.by_signal);
}

static void test_child_stop_kills_what_does_not_listen(void **state)
{
    (void)state;
    start_shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    assert_true(net_wait_until(loop, has_lines, "ready"));
    child_stop(watch.child, 20);
    child_stop(watch.child, 600000); /* the earlier limit counts */
    assert_true(net_wait_until(loop, has_ended, NULL));
    assert_true(watch.end.by_signal);
    assert_int_equal(watch.end.number, SIGKILL);
}

/* Its process id is behind "pid " in the lines. */
static pid_t pid_in_lines(void)
{
    const char *found = strstr(strbuf_text(&watch.lines), "pid ");
    assert_non_null(found);
    return (pid_t)strtol(found + 4, NULL, 10);
}

static void test_child_takes_its_group_along(void **state)
{
    (void)state;
    start_shell("sleep 600 & echo pid $!; exit 0");
    assert_true(net_wait_until(loop, has_ended, NULL)); /* although the pipe is still open in there */
    pid_t left = pid_in_lines();
    assert_true(net_wait_until(loop, is_gone, &left));
}

static void test_child_free_kills_it(void **state)
{
    (void)state;
    start_shell("echo pid $$; exec sleep 600");
    assert_true(net_wait_until(loop, has_lines, "pid"));
    pid_t pid = child_pid(watch.child);
    assert_int_equal(pid, pid_in_lines());
    child_free(watch.child);
    watch.child = NULL;
    assert_true(is_gone(&pid));
    net_wait_idle(loop);
    assert_int_equal(watch.ends, 0);
}

static void test_child_may_be_freed_at_a_line(void **state)
{
    (void)state;
    watch.free_at_line = true;
    start_shell("echo one; echo two; exec sleep 600");
    assert_true(net_wait_until(loop, has_lines, "one"));
    net_wait_idle(loop);
    assert_string_equal(strbuf_text(&watch.lines), "one|");
    assert_int_equal(watch.ends, 0);
}

static void on_other_line(void *context, const char *text, size_t length)
{
    (void)length;
    snprintf(context, 32, "%s", text);
}

static void on_other_ended(void *context, const struct child_end *end)
{
    (void)context;
    (void)end;
}

static bool is_filled(void *context)
{
    return ((const char *)context)[0] != '\0';
}

/* A parent that is killed, as a daemon may be; this process stands in for init. */
static void test_child_does_not_outlive_its_parent(void **state)
{
    int ends[2];
    char text[32] = "";
    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        static const struct child_handler other = {.line = on_other_line, .ended = on_other_ended};
        char shell[] = "/bin/sh";
        char option[] = "-c";
        char line[] = "echo $$; exec sleep 600";
        char *argv[] = {shell, option, line, NULL};
        struct loop *own = loop_new();
        struct child *child = NULL;
        struct err err;
        bool ok = child_start(&child, own, argv, &other, text, &err) &&
                  net_wait_until(own, is_filled, text) &&
                  write(ends[1], text, sizeof text) == (ssize_t)sizeof text;
        kill(getpid(), ok ? SIGKILL : SIGABRT);
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], text, sizeof text), sizeof text);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    pid_t child = (pid_t)strtol(text, NULL, 10);
    assert_int_equal(waitpid(child, &status, 0), child); /* 600 s if it were not so */
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_child_gives_lines_and_its_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_tells_the_signal_that_ended_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_that_cannot_run_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_long_lines_are_cut_and_much_output_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_child_has_no_input_and_no_descriptor_of_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_stop_is_polite_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_stop_kills_what_does_not_listen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_takes_its_group_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_free_kills_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_child_may_be_freed_at_a_line, set_up, tear_down),
        cmocka_unit_test(test_child_does_not_outlive_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
