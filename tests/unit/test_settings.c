/* settings: the text of the user's configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "settings.h"

static void take(void *arg, const struct setting *setting, const char *value)
{
    strbuf_appendf(arg, "%s=%s;", setting->variable, value);
}

static void assert_read(const char *text, const char *expected)
{
    struct strbuf taken = STRBUF_INIT;
    struct err err;
    assert_true(settings_read(text, strlen(text), take, &taken, &err));
    assert_string_equal(strbuf_text(&taken), expected);
    strbuf_fini(&taken);
}

static void test_settings_are_read_in_the_order_of_lines(void **state)
{
    (void)state;
    assert_read("", "");
    assert_read("\n\n# server = x\n", "");
    assert_read("server = tcp:a:1", "OCDMUX_SERVER=tcp:a:1;");
    assert_read("  board\t=\tone two \r\ntoken=a=b\nboard = 2\n",
                "OCDMUX_BOARD=one two;OCDMUX_TOKEN=a=b;OCDMUX_BOARD=2;");
    assert_read("token-file = /a b\nca=c\ncert=d\nkey=e\ntimeout=5\ncolor=never\ntarget=t",
                "OCDMUX_TOKEN_FILE=/a b;OCDMUX_CA=c;OCDMUX_CERT=d;OCDMUX_KEY=e;OCDMUX_TIMEOUT=5;OCDMUX_COLOR="
                "never;OCDMUX_TARGET=t;");
}

static void test_faults_name_their_line(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"board\n", "1: this is not KEY = VALUE"},
        {"#\nboard = a\nBoard = b\n", "3: there is no key 'Board'"},
        {"\nboard = \n", "2: board has no value"},
        {"= a", "1: there is no key ''"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct strbuf taken = STRBUF_INIT;
        struct err err;
        assert_false(settings_read(rows[i][0], strlen(rows[i][0]), take, &taken, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_string_equal(err.message, rows[i][1]);
        strbuf_fini(&taken);
    }
}

static void test_nul_bytes_are_refused(void **state)
{
    (void)state;
    struct strbuf taken = STRBUF_INIT;
    struct err err;
    assert_false(settings_read("board = a\0b", 11, take, &taken, &err));
    assert_int_equal(taken.length, 0);
    strbuf_fini(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_are_read_in_the_order_of_lines),
        cmocka_unit_test(test_faults_name_their_line),
        cmocka_unit_test(test_nul_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
