/* base/log: what reaches standard error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static FILE *captured;
static int real_stderr;
static char text[16384];

static int begin_capture(void **state)
{
    (void)state;
    captured = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    return captured != NULL && dup2(fileno(captured), STDERR_FILENO) >= 0 ? 0 : -1;
}

static const char *end_capture(void)
{
    dup2(real_stderr, STDERR_FILENO);
    rewind(captured);
    size_t length = fread(text, 1, sizeof text - 1, captured);
    text[length] = '\0';
    return text;
}

static int close_capture(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    fclose(captured);
    return 0;
}

static void test_log_line_has_time_level_and_text(void **state)
{
    (void)state;
    log_warn("board %s: %d", "lab1", 7);
    const char *line = end_capture();
    assert_int_equal(strlen(line), strlen("2026-01-31T12:34:56.789Z warn board lab1: 7\n"));
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 24, " warn board lab1: 7\n");
}

static void test_log_drops_lines_above_the_level(void **state)
{
    (void)state;
    log_debug("hidden at first");
    log_info("shown at first");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("hidden later");
    log_error("shown later");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown at last");
    const char *lines = end_capture();
    assert_null(strstr(lines, "hidden"));
    assert_non_null(strstr(lines, " info shown at first\n"));
    assert_non_null(strstr(lines, " error shown later\n"));
    assert_non_null(strstr(lines, " debug shown at last\n"));
}

static void test_log_escapes_what_could_forge_a_line(void **state)
{
    (void)state;
    log_info("a\nb\rc\x1b[1md\x7f\te");
    assert_string_equal(end_capture() + 24, " info a\\x0ab\\x0dc\\x1b[1md\\x7f\\x09e\n");
}

static void test_log_keeps_utf8_and_escapes_the_rest(void **state)
{
    (void)state;
    /* U+00E4, U+20AC, U+1F400 stay; a lone byte, a cut sequence, an overlong form, and the control U+0085 do
     * not. */
    log_info("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x80 \xff \xe2\x82 \xc0\x8a \xc2\x85");
    assert_string_equal(end_capture() + 24, " info \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x80 "
                                            "\\xff \\xe2\\x82 \\xc0\\x8a \\xc2\\x85\n");
}

static void test_log_writes_long_lines_and_keeps_errno(void **state)
{
    (void)state;
    char words[9001];
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    errno = ENOENT;
    log_error("%s", words);
    assert_int_equal(errno, ENOENT);
    const char *line = end_capture();
    assert_int_equal(strlen(line), 24 + strlen(" error ") + 9000 + 1);
}

static void test_log_level_words(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_WARN;
    assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
    assert_true(log_level_parse("warn", &level) && level == LOG_LEVEL_WARN);
    assert_true(log_level_parse("info", &level) && level == LOG_LEVEL_INFO);
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("Info", &level));
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("debugging", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

static char sunk[3][128];
static size_t sunk_count;

static void sink(void *context, enum log_level level, const char *time, const char *line)
{
    assert_ptr_equal(context, sunk);
    assert_int_equal(strlen(time), strlen("2026-01-31T12:34:56.789Z"));
    assert_true(sunk_count < 3);
    snprintf(sunk[sunk_count++], sizeof sunk[0], "%s %s", log_level_name(level), line);
}

/* Also of what is not shown; never of debugging. */
static void test_log_gives_its_lines_to_a_sink(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    log_set_sink(sink, sunk);
    log_info("said\n%d", 1);
    log_debug("of no interest");
    log_error("shown");
    log_set_sink(NULL, NULL);
    log_warn("nobody hears");
    const char *shown = end_capture();
    assert_int_equal(sunk_count, 2);
    assert_string_equal(sunk[0], "info said\\x0a1");
    assert_string_equal(sunk[1], "error shown");
    assert_non_null(strstr(shown, " error shown\n"));
    assert_null(strstr(shown, "said"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_line_has_time_level_and_text, begin_capture, close_capture),
        cmocka_unit_test_setup_teardown(test_log_drops_lines_above_the_level, begin_capture, close_capture),
        cmocka_unit_test_setup_teardown(test_log_escapes_what_could_forge_a_line, begin_capture,
                                        close_capture),
        cmocka_unit_test_setup_teardown(test_log_keeps_utf8_and_escapes_the_rest, begin_capture,
                                        close_capture),
        cmocka_unit_test_setup_teardown(test_log_writes_long_lines_and_keeps_errno, begin_capture,
                                        close_capture),
        cmocka_unit_test_setup_teardown(test_log_gives_its_lines_to_a_sink, begin_capture, close_capture),
        cmocka_unit_test(test_log_level_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
