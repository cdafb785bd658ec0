/* openocd/target_text: lists of registers, breakpoints and watchpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/target_text.h"

/* As 0.12.0 printed it. */
static const char registers_text[] = "===== arm v7m registers\n"
                                     "(0) r0 (/32): 0x00000000\n"
                                     "(15) pc (/32): 0x1ffff200 (dirty)\n"
                                     "(20) primask (/1)\n"
                                     "(33) q0 (/128): 0x00000000000000000000000000000000\n"
                                     "===== Cortex-M DWT registers\n"
                                     "(41) dwt_ctrl (/32)\n";

static void test_registers_are_read_with_their_groups(void **state)
{
    (void)state;
    struct ocd_register *registers = NULL;
    size_t count = 0;
    struct err err;
    assert_true(ocd_parse_registers(registers_text, strlen(registers_text), &registers, &count, &err));
    assert_int_equal(count, 5);
    assert_string_equal(registers[1].name, "pc");
    assert_int_equal(registers[1].bits, 32);
    assert_string_equal(registers[1].group, "arm v7m registers");
    assert_int_equal(registers[2].bits, 1);
    assert_int_equal(registers[3].bits, 128);
    assert_string_equal(registers[4].name, "dwt_ctrl");
    assert_string_equal(registers[4].group, "Cortex-M DWT registers");
    free(registers);
}

static void test_registers_may_be_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n\n", "===== empty\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ocd_register *registers = NULL;
        size_t count = 1;
        struct err err;
        assert_true(ocd_parse_registers(texts[i], strlen(texts[i]), &registers, &count, &err));
        assert_int_equal(count, 0);
        free(registers);
    }
}

static void test_registers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "target not examined yet\n",
        "(0) r0 (/32",
        "(0) r0 (/0)",
        "(0) r0 (/4097)",
        "(x) r0 (/32)",
        "(0) (/32)",
        "(0) r0 (/99999999999999999999999)",
        "(0) r 0 (/32)",
        "(0) r0 (/32) more",
        "0) r0 (/32)",
        "(0)r0 (/32)",
        "(0) r\x01 (/32)",
        "(0) r0 (/32)\n\x1a",
        "(0) r2345678901234567890123456789012345678901234567890123456789012345 (/32)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ocd_register *registers = NULL;
        size_t count = 77;
        struct err err;
        if (ocd_parse_registers(texts[i], strlen(texts[i]), &registers, &count, &err)) {
            fail_msg("%s taken", texts[i]);
        }
        assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
        assert_null(registers);
        assert_int_equal(count, 77);
    }
}

static void test_registers_are_bounded(void **state)
{
    (void)state;
    struct strbuf text = STRBUF_INIT;
    struct ocd_register *registers = NULL;
    size_t count = 0;
    struct err err;
    for (unsigned i = 0; i < OCD_REGISTERS_MAX; i++) {
        strbuf_appendf(&text, "(%u) r%u (/64)\n", i, i);
    }
    assert_true(ocd_parse_registers(text.data, text.length, &registers, &count, &err));
    assert_int_equal(count, OCD_REGISTERS_MAX);
    assert_string_equal(registers[OCD_REGISTERS_MAX - 1].name, "r16383");
    free(registers);
    strbuf_append_text(&text, "(16384) r16384 (/64)\n");
    assert_false(ocd_parse_registers(text.data, text.length, &registers, &count, &err));
    strbuf_fini(&text);
}

static void value_is(const char *text, unsigned bits, const char *expected)
{
    struct strbuf value = STRBUF_INIT;
    strbuf_append_text(&value, "before");
    bool ok = ocd_register_value(text, strlen(text), bits, &value);
    assert_int_equal(ok, expected != NULL);
    assert_string_equal(strbuf_text(&value), expected != NULL ? expected : "before");
    strbuf_fini(&value);
}

static void test_values_have_the_width_of_their_register(void **state)
{
    (void)state;
    value_is("0x7", 32, "0x00000007");
    value_is("0x000000000000000000007", 32, "0x00000007");
    value_is("0xFFFFFFFF", 32, "0xffffffff");
    value_is("0x1", 1, "0x01");
    value_is("0x0", 1, "0x00");
    value_is("0x7", 3, "0x07");
    value_is("0x1ff", 9, "0x01ff");
    value_is("0x112233445566778899aabbccddeeff00", 128, "0x112233445566778899aabbccddeeff00");
    value_is("0x12233445566778899aabbccddeeff00", 121, "0x012233445566778899aabbccddeeff00");
}

static void test_values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    value_is("0x2", 1, NULL);
    value_is("0x8", 3, NULL);
    value_is("0x200", 9, NULL);
    value_is("0x100000000", 32, NULL);
    value_is("0x1112233445566778899aabbccddeeff00", 128, NULL);
    value_is("0x12233445566778899aabbccddeeff00", 120, NULL);
    value_is("", 32, NULL);
    value_is("0x", 32, NULL);
    value_is("7", 32, NULL);
    value_is("0xg", 32, NULL);
    value_is("0x1 ", 32, NULL);
    value_is("0X1", 32, NULL);
}

/* What 0.12.0 printed for `bp` and `wp`; the context lines are from its source. */
static const char points_0_12[] = "Breakpoint(IVA): 0x08000010, 0x2, 0\n"
                                  "IVA breakpoint: 0x20000011, 0x2, 0x00\n"
                                  "Context breakpoint: 0x00000005, 0x4, 1\n"
                                  "Hybrid breakpoint(IVA): 0xffffffc0080d6a70, 0x4, 2\n"
                                  "\t|--->linked with ContextID: 0x00000005\n"
                                  "\n"
                                  "address: 0x20000100, len: 0x00000004, r/w/a: 0, value: 0x00000000, mask: "
                                  "0xffffffff\n"
                                  "address: 0x20000120, len: 0x00000008, r/w/a: 1, value: 0x00000005, mask: "
                                  "0x000000ff\n"
                                  "address: 0x20000130, len: 0x00000001, r/w/a: 2, value: 0x00000000, mask: "
                                  "0xffffffff\n";
static const char points_newer[] = "Hardware breakpoint(IVA): addr=0x08000010, len=0x2, num=0\n"
                                   "Software breakpoint(IVA): addr=0x20000011, len=0x2, orig_instr=0x00bf\n"
                                   "Context breakpoint: asid=0x00000005, len=0x4, num=1\n"
                                   "Hybrid breakpoint(IVA): addr=0xffffffc0080d6a70, len=0x4, num=2\n"
                                   "\t|--->linked with ContextID: 0x00000005\n"
                                   "address: 0x20000100, len: 0x00000004, r/w/a: r, value: 0x00000000, mask: "
                                   "0xffffffff\n"
                                   "address: 0x20000120, len: 0x00000008, r/w/a: w, value: 0x00000005, mask: "
                                   "0x000000ff\n"
                                   "address: 0x20000130, len: 0x00000001, r/w/a: a, value: 0x00000000, mask: "
                                   "0xffffffffffffffff";

static void expect_points(const char *text, uint64_t last_mask)
{
    const struct ocd_breakpoint expected[] = {
        {OCD_BREAKPOINT_HARDWARE, 0x08000010, 2, 0, 0},
        {OCD_BREAKPOINT_SOFTWARE, 0x20000011, 2, 0, 0},
        {OCD_BREAKPOINT_HARDWARE, 0xffffffc0080d6a70, 4, 0, 0},
        {OCD_WATCHPOINT_READ, 0x20000100, 4, 0, 0xffffffff},
        {OCD_WATCHPOINT_WRITE, 0x20000120, 8, 5, 0xff},
        {OCD_WATCHPOINT_ACCESS, 0x20000130, 1, 0, last_mask},
    };
    struct ocd_breakpoint *points = NULL;
    size_t count = 0;
    struct err err;
    assert_true(ocd_parse_breakpoints(text, strlen(text), &points, &count, &err));
    assert_int_equal(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(points[i].kind, expected[i].kind);
        assert_true(points[i].address == expected[i].address && points[i].length == expected[i].length);
        assert_true(points[i].value == expected[i].value && points[i].mask == expected[i].mask);
    }
    free(points);
}

static void test_breakpoints_are_read_in_either_wording(void **state)
{
    (void)state;
    expect_points(points_0_12, 0xffffffff);
    expect_points(points_newer, UINT64_MAX);
}

static void test_breakpoints_may_be_none(void **state)
{
    (void)state;
    struct ocd_breakpoint *points = NULL;
    size_t count = 1;
    struct err err;
    assert_true(ocd_parse_breakpoints("\n", 1, &points, &count, &err));
    assert_int_equal(count, 0);
    assert_null(points);
}

static void test_breakpoints_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "target not examined yet",
        "Breakpoint(IVA): 8, 0x2, 0",
        "Breakpoint(IVA): 0x8 0x2, 0",
        "Breakpoint(IVA): 0x8, 2, 0",
        "IVA breakpoint: ",
        "Breakpoint(IVA): 0x11112222333344445, 0x2, 0",
        "address: 0x20000100, len: 0x00000004",
        "address: 0x1, len: 0x4, r/w/a: 3, value: 0x0, mask: 0x0",
        "address: 0x1, len: 0x4, r/w/a: 0, value: 0x0, mask: 0x0 and more",
        "breakpoint set at 0x08000010",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ocd_breakpoint *points = NULL;
        size_t count = 77;
        struct err err;
        if (ocd_parse_breakpoints(texts[i], strlen(texts[i]), &points, &count, &err)) {
            fail_msg("%s taken", texts[i]);
        }
        assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
        assert_true(err.has_openocd);
        assert_null(points);
        assert_int_equal(count, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_are_read_with_their_groups),
        cmocka_unit_test(test_registers_may_be_none),
        cmocka_unit_test(test_registers_that_are_none_are_refused),
        cmocka_unit_test(test_registers_are_bounded),
        cmocka_unit_test(test_values_have_the_width_of_their_register),
        cmocka_unit_test(test_values_that_do_not_fit_are_refused),
        cmocka_unit_test(test_breakpoints_are_read_in_either_wording),
        cmocka_unit_test(test_breakpoints_may_be_none),
        cmocka_unit_test(test_breakpoints_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
