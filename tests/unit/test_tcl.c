/* Quoting for Tcl and reading Tcl lists. That OpenOCD's Jim agrees is shown in tests/openocd_text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/tcl.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_bytes(const struct strbuf *got, const char *expected, size_t length)
{
    assert_int_equal(got->length, length);
    assert_memory_equal(strbuf_text(got), expected, length);
}

/* The quoting rule, said a second time: what one byte becomes. Returns its length. */
static size_t quoted_byte(unsigned byte, char text[4])
{
    text[0] = '\\';
    switch (byte) {
    case '\\':
    case '"':
    case '[':
    case '$':
        text[1] = (char)byte;
        return 2;
    case 0:
        memcpy(text + 1, "x00", 3);
        return 4;
    case 0x1a:
        memcpy(text + 1, "x1a", 3);
        return 4;
    default:
        text[0] = (char)byte;
        return 1;
    }
}

static void test_tcl_quote_is_exact_for_all_pairs(void **state)
{
    (void)state;
    struct strbuf quoted = STRBUF_INIT;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const char bytes[2] = {(char)first, (char)second};
            char expected[10] = "\"";
            size_t length = 1;
            length += quoted_byte(first, expected + length);
            length += quoted_byte(second, expected + length);
            expected[length++] = '"';
            strbuf_clear(&quoted);
            tcl_quote(&quoted, bytes, sizeof(bytes));
            assert_bytes(&quoted, expected, length);
        }
    }
    strbuf_fini(&quoted);
}

static void test_tcl_quote_reads_back_from_a_list(void **state)
{
    (void)state;
    struct strbuf quoted = STRBUF_INIT;
    struct strbuf element = STRBUF_INIT;
    for (unsigned pair = 0; pair < 65536; pair++) {
        const char bytes[2] = {(char)(pair >> 8), (char)pair};
        struct tcl_list list;
        strbuf_clear(&quoted);
        tcl_quote(&quoted, bytes, sizeof(bytes));
        tcl_list_init(&list, quoted.data, quoted.length);
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_ELEMENT);
        assert_bytes(&element, bytes, sizeof(bytes));
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_END);
    }
    strbuf_fini(&quoted);
    strbuf_fini(&element);
}

static void test_tcl_quote_appends(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "puts ");
    tcl_quote(&out, NULL, 0);
    strbuf_append_byte(&out, ' ');
    tcl_quote_text(&out, "C:\\a b\\[c] $d {\"e\";\n}");
    assert_string_equal(strbuf_text(&out), "puts \"\" \"C:\\\\a b\\\\\\[c] \\$d {\\\"e\\\";\n}\"");
    strbuf_fini(&out);
}

struct list_case {
    const char *text;
    size_t length; /* 0: up to the NUL */
    const char *elements[8];
};

static void check_list(const struct list_case *row)
{
    struct tcl_list list;
    struct strbuf element = STRBUF_INIT;
    tcl_list_init(&list, row->text, row->length > 0 ? row->length : strlen(row->text));
    for (size_t i = 0; row->elements[i] != NULL; i++) {
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_ELEMENT);
        assert_string_equal(strbuf_text(&element), row->elements[i]);
    }
    assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_END);
    assert_int_equal(element.length, 0);
    assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_END);
    strbuf_fini(&element);
}

static void test_tcl_list_elements(void **state)
{
    (void)state;
    static const struct list_case rows[] = {
        {"", 0, {NULL}},
        {" \t\n\v\f\r ", 0, {NULL}},
        {"a", 0, {"a"}},
        {"  a\tb\nc \r\n d", 0, {"a", "b", "c", "d"}},
        {"{}", 0, {""}},
        {"\"\"", 0, {""}},
        {"{} {} a", 0, {"", "", "a"}},
        {"{a b} c", 0, {"a b", "c"}},
        {"{a {b c} d} e", 0, {"a {b c} d", "e"}},
        {"{a\\}b}", 0, {"a\\}b"}},
        {"{a\\{b}", 0, {"a\\{b"}},
        {"{\\\\}", 0, {"\\\\"}},
        {"{a\\\n  b}", 0, {"a\\\n  b"}},
        {"\"a b\" c", 0, {"a b", "c"}},
        {"\"a\\\"b\"", 0, {"a\"b"}},
        {"\"{a\"", 0, {"{a"}},
        {"a{b}c d\"e", 0, {"a{b}c", "d\"e"}},
        {"a}b }", 0, {"a}b", "}"}},
        {"$a [b] ;c #d", 0, {"$a", "[b]", ";c", "#d"}},
        {"\\{ \\} \\\" \\  x", 0, {"{", "}", "\"", " ", "x"}},
        {"\\a\\b\\f\\n\\r\\t\\v", 0, {"\a\b\f\n\r\t\v"}},
        {"\\x41 \\x4g \\xg \\x414", 0, {"A", "\004g", "xg", "A4"}},
        {"\\101 \\60 \\7z \\1014 \\501", 0, {"A", "0", "\007z", "A4", "A"}},
        {"\\u41 \\u00e9 \\u20AC \\U1F600 \\u zz",
         0,
         {"A", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "u", "zz"}},
        {"\\ud800 \\U110000", 0, {"\xef\xbf\xbd", "\xef\xbf\xbd"}},
        {"a\\\n  b c", 0, {"a b", "c"}},
        {"\"a\\\n\tb\"", 0, {"a b"}},
        {"a\\", 0, {"a\\"}},
        {"\\q\\]\\$", 0, {"q]$"}},
        /* The length counts, not a NUL behind it. */
        {"a {b", 1, {"a"}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check_list(&rows[i]);
    }
}

static void test_tcl_list_as_jim_prints_it(void **state)
{
    (void)state;
    /* OpenOCD 0.12: list a {b c} \{ "" {a<newline>b} "a\"b" "c\\" {#x} */
    const struct list_case row = {
        "a {b c} \\{ {} {a\nb} {a\"b} c\\\\ #x", 0, {"a", "b c", "{", "", "a\nb", "a\"b", "c\\", "#x"}};
    struct tcl_list list;
    struct strbuf element = STRBUF_INIT;
    tcl_list_init(&list, row.text, strlen(row.text));
    for (size_t i = 0; i < COUNT(row.elements); i++) {
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_ELEMENT);
        assert_string_equal(strbuf_text(&element), row.elements[i]);
    }
    assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_END);
    strbuf_fini(&element);
}

static void test_tcl_list_holds_any_byte(void **state)
{
    (void)state;
    static const char text[] = "a\0b {\0} \"\0\xff\" \\\0 \\x00";
    static const struct {
        const char *bytes;
        size_t length;
    } elements[] = {{"a\0b", 3}, {"\0", 1}, {"\0\xff", 2}, {"\0", 1}, {"\0", 1}};
    struct tcl_list list;
    struct strbuf element = STRBUF_INIT;
    tcl_list_init(&list, text, sizeof(text) - 1);
    for (size_t i = 0; i < COUNT(elements); i++) {
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_ELEMENT);
        assert_bytes(&element, elements[i].bytes, elements[i].length);
    }
    assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_END);
    strbuf_fini(&element);
}

static void test_tcl_list_broken_stays_broken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{",     "{a",   "{a\\}",  "{{a}",     "{a\\",   "\"",       "\"a",    "\"a\\\"",
        "\"a\\", "{a}b", "{a}{b}", "{a}\"b\"", "\"a\"b", "\"a\"{b}", "\"\"\"", "{}x",
    };
    struct strbuf text = STRBUF_INIT;
    struct strbuf element = STRBUF_INIT;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct tcl_list list;
        strbuf_clear(&text);
        strbuf_appendf(&text, "fine %s", texts[i]);
        tcl_list_init(&list, text.data, text.length);
        assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_ELEMENT);
        assert_string_equal(strbuf_text(&element), "fine");
        for (int again = 0; again < 3; again++) {
            assert_int_equal(tcl_list_next(&list, &element), TCL_LIST_BROKEN);
            assert_int_equal(element.length, 0);
        }
    }
    strbuf_fini(&text);
    strbuf_fini(&element);
}

static bool get(const char *text, const char *key, struct strbuf *value)
{
    return tcl_dict_get(text, strlen(text), key, value);
}

static void test_tcl_dict_get(void **state)
{
    (void)state;
    static const char bank[] =
        "name {vb flash} driver stm32f1x base 134217728 size 16384 bus_width 0 chip_width 0 "
        "target vb.cpu";
    struct strbuf value = STRBUF_INIT;
    assert_true(get(bank, "name", &value));
    assert_string_equal(strbuf_text(&value), "vb flash");
    assert_true(get(bank, "target", &value));
    assert_string_equal(strbuf_text(&value), "vb.cpu");
    assert_true(get("a {} b 2", "a", &value));
    assert_int_equal(value.length, 0);
    /* The last of two wins, as in Tcl; a value is no key. */
    assert_true(get("a 1 b 2 a 3", "a", &value));
    assert_string_equal(strbuf_text(&value), "3");
    assert_true(get("b a a 4", "a", &value));
    assert_string_equal(strbuf_text(&value), "4");
    assert_true(get("{} 5", "", &value));
    assert_string_equal(strbuf_text(&value), "5");
    strbuf_fini(&value);
}

static void test_tcl_dict_get_refuses_and_keeps_the_value(void **state)
{
    (void)state;
    struct strbuf value = STRBUF_INIT;
    strbuf_append_text(&value, "kept");
    assert_false(get("", "a", &value));
    assert_false(get("b a", "a", &value));
    assert_false(get("ab 1", "a", &value));
    assert_false(get("a 1 b", "a", &value));
    assert_false(get("a 1 b 2 {c", "a", &value));
    assert_false(get("a {1", "a", &value));
    assert_false(get("a 1 b {2}3", "a", &value));
    assert_string_equal(strbuf_text(&value), "kept");
    strbuf_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcl_quote_is_exact_for_all_pairs),
        cmocka_unit_test(test_tcl_quote_reads_back_from_a_list),
        cmocka_unit_test(test_tcl_quote_appends),
        cmocka_unit_test(test_tcl_list_elements),
        cmocka_unit_test(test_tcl_list_as_jim_prints_it),
        cmocka_unit_test(test_tcl_list_holds_any_byte),
        cmocka_unit_test(test_tcl_list_broken_stays_broken),
        cmocka_unit_test(test_tcl_dict_get),
        cmocka_unit_test(test_tcl_dict_get_refuses_and_keeps_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
