/* net/line_cutter: every cut of a stream gives the same lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/line_cutter.h"

/* Lines as "[text]", lines that are too long as "!". */
static struct strbuf seen;

static int set_up(void **state)
{
    (void)state;
    strbuf_init(&seen);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    strbuf_fini(&seen);
    return 0;
}

static void feed(struct line_cutter *cutter, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t taken = 0;
        enum line_cutter_result result = line_cutter_take(cutter, bytes, length, &taken);
        assert_in_range(taken, 1, length);
        bytes += taken;
        length -= taken;
        switch (result) {
        case LINE_CUTTER_MORE:
            assert_int_equal(length, 0);
            break;
        case LINE_CUTTER_LINE:
            assert_int_equal(cutter->line.data[cutter->line.length], 0);
            strbuf_append_byte(&seen, '[');
            strbuf_append(&seen, cutter->line.data, cutter->line.length);
            strbuf_append_byte(&seen, ']');
            line_cutter_drop(cutter);
            break;
        case LINE_CUTTER_TOO_LONG:
            strbuf_append_byte(&seen, '!');
            break;
        }
    }
}

static void assert_cuts(size_t max_line, const char *bytes, size_t length, const char *expected,
                        size_t expected_length)
{
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second++) {
            struct line_cutter cutter;
            line_cutter_init(&cutter, max_line);
            strbuf_clear(&seen);
            feed(&cutter, bytes, first);
            feed(&cutter, bytes + first, second - first);
            feed(&cutter, bytes + second, length - second);
            assert_int_equal(seen.length, expected_length);
            assert_memory_equal(strbuf_text(&seen), expected, expected_length);
            line_cutter_fini(&cutter);
        }
    }
}

#define ASSERT_CUTS(max_line, bytes, expected) \
    assert_cuts(max_line, bytes, sizeof bytes - 1, expected, sizeof expected - 1)

static void test_net_line_cutter_cuts_lines(void **state)
{
    (void)state;
    ASSERT_CUTS(100, "one\ntwo\r\n\n\r\nthree\nnot yet", "[one][two][][][three]");
    ASSERT_CUTS(100, "a\rb\r\r\n\rc\n", "[a\rb\r][\rc]");
    ASSERT_CUTS(100, "a\0b\n\0\n", "[a\0b][\0]");
    ASSERT_CUTS(100, "", "");
}

static void test_net_line_cutter_keeps_the_limit(void **state)
{
    (void)state;
    ASSERT_CUTS(4, "1234\n12345\n1234\r\n1234\r", "[1234]![1234]");
    ASSERT_CUTS(4, "1234\r5\nabc\n", "![abc]");
    ASSERT_CUTS(4, "1234\r\r\nabc\n", "![abc]");
    ASSERT_CUTS(4, "123456789\r\nabc\n123456789", "![abc]!");
    ASSERT_CUTS(4, "12345\n12345\n\n", "!![]");
    ASSERT_CUTS(0, "\n\r\na\n\n", "[][]![]");
}

static void test_net_line_cutter_reports_a_long_line_at_once_and_holds_nothing(void **state)
{
    (void)state;
    struct line_cutter cutter;
    line_cutter_init(&cutter, 10);
    feed(&cutter, "0123456789", 10);
    assert_string_equal(strbuf_text(&seen), "");
    feed(&cutter, "\r", 1);
    assert_string_equal(strbuf_text(&seen), "");
    feed(&cutter, "x", 1);
    assert_string_equal(strbuf_text(&seen), "!");
    for (int i = 0; i < 1000; i++) {
        feed(&cutter, "more of it", 10);
        assert_null(cutter.line.data);
    }
    feed(&cutter, "\nnext\n", 6);
    assert_string_equal(strbuf_text(&seen), "![next]");
    line_cutter_fini(&cutter);
}

static void test_net_line_cutter_gives_back_the_memory_of_a_long_line(void **state)
{
    (void)state;
    static char piece[1000];
    memset(piece, 'x', sizeof piece);
    struct line_cutter cutter;
    line_cutter_init(&cutter, 1000000);
    for (int i = 0; i < 1000; i++) {
        feed(&cutter, piece, sizeof piece);
    }
    assert_true(cutter.line.capacity > 1000000);
    feed(&cutter, "\n", 1);
    assert_int_equal(seen.length, 1000002);
    assert_true(cutter.line.capacity <= 1024); /* there may be ten thousand connections */
    line_cutter_fini(&cutter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_net_line_cutter_cuts_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_line_cutter_keeps_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_line_cutter_reports_a_long_line_at_once_and_holds_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_line_cutter_gives_back_the_memory_of_a_long_line, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
