/* shell/expr, arith, lexer and value: what expressions come to, and what they touch on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shell/expr.h"
#include "shell/show.h"
#include "shell_access.h"

/* Four words, and a string at 0x20000020. */
static void fill(struct access *target)
{
    static const uint8_t words[] = {0x78, 0x56, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff,
                                    0x20, 0x00, 0x00, 0x20, 0x00, 0x00, 0xc0, 0x3f};
    memcpy(target->memory, words, sizeof(words));
    memcpy(target->memory + 0x20, "text", 5);
}

static void assert_shown(struct access *target, const char *text, const char *shown)
{
    struct err err;
    struct value value;
    struct strbuf out = STRBUF_INIT;
    if (!expr_compute(&target->access, text, &value, &err) ||
        !show_value(&target->access, &value, '\0', &out, &err)) {
        print_error("%s: %s\n", text, err.message);
        fail();
    }
    assert_string_equal(strbuf_text(&out), shown);
    strbuf_fini(&out);
}

static void assert_refused(struct access *target, const char *text, const char *message)
{
    struct err err;
    struct value value = {.address = 4711};
    if (expr_compute(&target->access, text, &value, &err) && value_fetch(&target->access, &value, &err)) {
        print_error("%s was not refused\n", text);
        fail();
    }
    if (strstr(err.message, message) == NULL) {
        print_error("%s: %s\n", text, err.message);
        fail();
    }
}

struct row {
    const char *text;
    const char *shown;
};

static void assert_rows(struct access *target, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_shown(target, rows[i].text, rows[i].shown);
    }
}

#define ASSERT_ROWS(target, rows) assert_rows(target, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_numbers_have_the_types_that_c_gives_them(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"2147483647", "2147483647"},
        {"2147483648 - 2147483649", "-1"},
        {"0xffffffff + 1", "0"},
        {"0xffffffffll + 1", "4294967296"},
        {"5u - 6", "4294967295"},
        {"-1 < 1u", "0"},
        {"-1 < 1", "1"},
        {"9223372036854775808", "9223372036854775808"},
        {"010 + 0x10 + 0b11", "27"},
        {"1.5f + 1", "2.5"},
        {"'a' + 1", "98"},
        {"'\\n'", "10 '\\n'"},
        {"(char)200", "200 '\\310'"},
        {"(signed char)200", "-56 '\\310'"},
        {"(uint8_t)300", "44"},
        {"sizeof(long) + sizeof(long long *)", "8"},
    };
    struct access target;
    access_init(&target);
    ASSERT_ROWS(&target, rows);
    access_fini(&target);
}

static void test_words_of_64_bits_change_longs_and_pointers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"sizeof(long) + sizeof(char *)", "16"},
        {"2147483648", "2147483648"},
        {"(int *)0x123456789abc", "(int *) 0x123456789abc"},
        {"(long)1 << 40", "1099511627776"},
    };
    struct access target;
    access_init(&target);
    target.machine.word_size = 8;
    ASSERT_ROWS(&target, rows);
    access_fini(&target);
}

static void test_memory_is_read_in_the_order_of_the_target(void **state)
{
    (void)state;
    struct access target;
    access_init(&target);
    fill(&target);
    assert_shown(&target, "*(short *)0x20000000", "22136");
    assert_shown(&target, "*(float *)0x2000000c", "1.5");
    assert_shown(&target, "**(char **)0x20000008", "116 't'");
    assert_shown(&target, "*(char **)0x20000008", "0x20000020 \"text\"");
    assert_shown(&target, "{int[2]}0x20000000", "{305419896, -1}");
    assert_shown(&target, "((char *)0x20000020)[1]", "101 'e'");
    target.machine.big_endian = true;
    assert_shown(&target, "*(short *)0x20000000", "30806");
    assert_shown(&target, "{unsigned short[2]}0x20000000", "{30806, 13330}");
    access_fini(&target);
}

static void test_what_is_left_out_touches_nothing(void **state)
{
    (void)state;
    struct access target;
    access_init(&target);
    assert_shown(&target, "0 && *(int *)0", "0");
    assert_shown(&target, "1 || ($r0 = 1 / 0)", "1");
    assert_shown(&target, "1 ? 2 : *(int *)0x20000000", "2");
    assert_shown(&target, "0 ? ($r0 = 5) : 3", "3");
    assert_shown(&target, "sizeof(*(short *)0)", "2");
    assert_shown(&target, "&*(int *)0x20000004", "(int *) 0x20000004");
    assert_int_equal(target.reads, 0);
    assert_int_equal(target.writes, 0);
    assert_int_equal(target.r0, 42);
    access_fini(&target);
}

/* A register of a device may change when it is read. */
static void test_assignment_does_not_read_what_it_writes(void **state)
{
    (void)state;
    struct access target;
    access_init(&target);
    assert_shown(&target, "*(int *)0x20000000 = 0x01020304", "16909060");
    assert_int_equal(target.reads, 0);
    assert_int_equal(target.memory[0], 4);
    assert_shown(&target, "*(char *)0x20000001 = 300", "44 ','");
    assert_int_equal(target.memory[1], 44);
    assert_int_equal(target.memory[2], 2);
    assert_shown(&target, "*(float *)0x20000004 = 1", "1");
    assert_int_equal(target.memory[7], 0x3f);
    assert_int_equal(target.reads, 0);
    assert_shown(&target, "$pc = 0x20000001", "(void (*)()) 0x20000001");
    assert_shown(&target, "$r0 += $r0", "84");
    assert_int_equal(target.r0, 84);
    access_fini(&target);
}

static void test_shifts_beyond_the_type_are_warned_of(void **state)
{
    (void)state;
    struct access target;
    access_init(&target);
    assert_shown(&target, "1 << 32", "0");
    assert_string_equal(target.warning, "left shift count >= width of type");
    assert_shown(&target, "-1 >> 40", "-1");
    assert_string_equal(target.warning, "right shift count >= width of type");
    assert_shown(&target, "1 << -1", "0");
    assert_string_equal(target.warning, "left shift count is negative");
    access_fini(&target);
}

static void test_ends_of_numbers_are_kept(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"(long long)1 << 63", "-9223372036854775808"},
        {"((long long)1 << 63) / -1", "-9223372036854775808"},
        {"((long long)1 << 63) % -1", "0"},
        {"-((long long)1 << 63)", "-9223372036854775808"},
        {"(long long)1e300", "-1"},
        {"(unsigned long long)1e300", "18446744073709551615"},
        {"(int)(0.0 / 0)", "0"},
        {"0.0 / 0 == 0.0 / 0", "0"},
    };
    struct access target;
    access_init(&target);
    ASSERT_ROWS(&target, rows);
    access_fini(&target);
}

static void test_variables_and_numbered_values(void **state)
{
    (void)state;
    struct access target;
    struct err err;
    struct value value;
    access_init(&target);
    assert_shown(&target, "$", "void");
    assert_shown(&target, "$new", "void");
    assert_shown(&target, "$a = $b = 7", "7");
    assert_shown(&target, "$a * $b", "49");
    for (int i = 1; i <= 3; i++) {
        value = value_make(&target.access, type_of(TYPE_INT), (uint64_t)i * 10);
        assert_int_equal(vars_record(&target.vars, &value), i);
    }
    assert_shown(&target, "$1 + $2 + $$ + $", "80");
    assert_shown(&target, "$$2", "10");
    assert_shown(&target, "$$9", "10");
    assert_refused(&target, "$4", "History has not yet reached $4.");
    assert_refused(&target, "$1 = 5", "not an lvalue");
    assert_false(vars_read(&target.vars, "1x", &value, &err));
    access_fini(&target);
}

static void test_bad_expressions_are_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", "A syntax error in expression, near `'."},
        {"5 5", "near `5'."},
        {"(5", "near `'."},
        {"5 +", "near `'."},
        {"09", "Invalid number \"09\"."},
        {"0x", "Invalid number \"0x\"."},
        {"1.5x", "Invalid number \"1.5x\"."},
        {"99999999999999999999", "Numeric constant too large."},
        {"'ab'", "Invalid character constant."},
        {"'a", "Unmatched single quote."},
        {"\"a", "Unterminated string in expression."},
        {"'\\q'", "there is no such escape as `\\q"},
        {"'\\x100'", "there is no such escape"},
        {"name", "No symbol \"name\""},
        {"int", "Attempt to use a type name as an expression"},
        {"(unsigned float)5", "A syntax error"},
        {"(long long long)5", "A syntax error"},
        {"1 / 0", "Division by zero"},
        {"5 = 6", "Left operand of assignment is not an lvalue."},
        {"&5", "not located in memory"},
        {"*(void *)5", "Attempt to dereference a generic pointer."},
        {"*1.5", "Attempt to take contents of a non-pointer value."},
        {"5[3]", "cannot subscript something of type `int'"},
        {"5 @ 2", "Only values in memory can be extended with '@'."},
        {"*(int *)0x20000000 @ 0", "Invalid number 0 of repetitions."},
        {"{char[65537]}0x20000000", "more than max-value-size"},
        {"(int[2])5", "Invalid cast."},
        {"~1.5", "not an integer"},
        {"1.5 % 2", "Integer-only operation"},
        {"$pc & 1", "not a number or boolean"},
        {"(int *)1 - (char *)1", "First argument of `-' is a pointer"},
        {"\"text\"", "strings are for find only"},
        {"*(int *)0x30000000", "cannot read at 0x30000000"},
        {"1 # 2", "Invalid character '#'"},
    };
    struct access target;
    access_init(&target);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_refused(&target, rows[i].text, rows[i].shown);
    }
    access_fini(&target);
}

static void test_depth_and_length_have_limits(void **state)
{
    (void)state;
    struct access target;
    char text[EXPR_MAX_LENGTH + 2];
    access_init(&target);
    memset(text, '(', sizeof(text));
    text[1000] = '\0';
    assert_refused(&target, text, "too deep");
    memset(text, '-', 1000);
    for (size_t i = 1; i < 1000; i += 2) {
        text[i] = ' ';
    }
    assert_refused(&target, text, "too deep");
    memset(text, '1', sizeof(text));
    text[EXPR_MAX_LENGTH + 1] = '\0';
    assert_refused(&target, text, "too long");
    assert_shown(&target, "((((((((((1))))))))))", "1");
    access_fini(&target);
}

static void test_parts_end_at_commas(void **state)
{
    (void)state;
    struct access target;
    struct err err;
    struct value value;
    struct expr_end end;
    access_init(&target);
    assert_true(expr_compute_part(&target.access, "$x = (1, 2) , 3", &value, &end, &err));
    assert_string_equal(end.rest, ", 3");
    assert_true(end.is_assignment);
    assert_int_equal(value.bits, 2);
    assert_true(expr_compute_part(&target.access, "$x == 2", &value, &end, &err));
    assert_string_equal(end.rest, "");
    assert_false(end.is_assignment);
    access_fini(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_have_the_types_that_c_gives_them),
        cmocka_unit_test(test_words_of_64_bits_change_longs_and_pointers),
        cmocka_unit_test(test_memory_is_read_in_the_order_of_the_target),
        cmocka_unit_test(test_what_is_left_out_touches_nothing),
        cmocka_unit_test(test_assignment_does_not_read_what_it_writes),
        cmocka_unit_test(test_shifts_beyond_the_type_are_warned_of),
        cmocka_unit_test(test_ends_of_numbers_are_kept),
        cmocka_unit_test(test_variables_and_numbered_values),
        cmocka_unit_test(test_bad_expressions_are_refused),
        cmocka_unit_test(test_depth_and_length_have_limits),
        cmocka_unit_test(test_parts_end_at_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
