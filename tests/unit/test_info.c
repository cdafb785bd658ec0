/* openocd/info: what the survey script says of targets and banks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/info.h"

static int info_setup(void **state)
{
    static struct ocd_info info;
    memset(&info, 0, sizeof info);
    *state = &info;
    return 0;
}

static int info_teardown(void **state)
{
    ocd_info_fini(*state);
    return 0;
}

static void must_read(struct ocd_info *info, const char *text)
{
    struct err err;
    err_reset(&err);
    if (!ocd_info_read_survey(info, text, strlen(text), &err)) {
        fail_msg("refused: %s", err.message);
    }
}

static void must_refuse(struct ocd_info *info, const char *text)
{
    struct err err;
    err_reset(&err);
    if (ocd_info_read_survey(info, text, strlen(text), &err)) {
        fail_msg("believed: %s", text);
    }
    assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
    assert_true(err.message[0] != '\0');
}

static const char two_targets[] =
    "dsp.cpu {{main.cpu cortex_m little running 32} {dsp.cpu xtensa big {examine deferred} {}}} "
    "{{name main.flash driver stm32f1x base 134217728 size 131072 bus_width 0 chip_width 0 target main.cpu} "
    "{name second driver virtual base 0 size 0 bus_width 1 chip_width 1 target main.cpu}}";

static void test_info_reads_targets_and_banks(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, two_targets);
    assert_int_equal(info->target_count, 2);
    assert_int_equal(info->current_target, 1);
    assert_string_equal(info->targets[0].name, "main.cpu");
    assert_string_equal(info->targets[0].type, "cortex_m");
    assert_string_equal(info->targets[0].state, "running");
    assert_string_equal(info->targets[0].gdb_port, "");
    assert_false(info->targets[0].big_endian);
    assert_int_equal(info->targets[0].address_bits, 32);
    assert_int_equal(info->targets[0].takes_width64, OCD_UNKNOWN);
    assert_string_equal(info->targets[1].state, "examine deferred");
    assert_true(info->targets[1].big_endian);
    assert_int_equal(info->bank_count, 2);
    assert_string_equal(info->banks[0].name, "main.flash");
    assert_int_equal(info->banks[1].index, 1);
}

static void test_info_of_a_board_without_anything(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, "{} {} {}");
    assert_int_equal(info->target_count, 0);
    assert_int_equal(info->bank_count, 0);
    assert_null(ocd_info_find_target(info, ""));
    assert_null(ocd_info_find_target(info, "cpu"));
}

static void test_info_finds_targets_by_name(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, two_targets);
    assert_ptr_equal(ocd_info_find_target(info, ""), &info->targets[1]);
    assert_ptr_equal(ocd_info_find_target(info, "main.cpu"), &info->targets[0]);
    assert_ptr_equal(ocd_info_find_target(info, "dsp.cpu"), &info->targets[1]);
    assert_null(ocd_info_find_target(info, "dsp"));
    assert_null(ocd_info_find_target(info, "DSP.CPU"));
    must_read(info, "other {{main.cpu cortex_m little running 32}} {}"); /* current is none of them */
    assert_null(ocd_info_find_target(info, ""));
    assert_non_null(ocd_info_find_target(info, "main.cpu"));
}

/* The program counter tells how wide addresses are; where there is none yet, the type does. */
static void test_info_learns_the_width_of_addresses(void **state)
{
    static const struct {
        const char *type;
        const char *pc_bits;
        unsigned bits;
    } cases[] = {
        {"cortex_m", "32", 32}, {"cortex_m", "{}", 32},    {"aarch64", "64", 64},     {"aarch64", "{}", 64},
        {"aarch64", "32", 32},  {"riscv", "32", 32},       {"riscv", "64", 64},       {"riscv", "{}", 64},
        {"mips_m4k", "{}", 32}, {"mips_mips64", "{}", 64}, {"mips_mips64", "64", 64}, {"mem_ap", "{}", 32},
        {"x", "junk", 32},      {"quark_x10xx", "32", 32},
    };
    struct ocd_info *info = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "t {{t %s little running %s}} {}", cases[i].type, cases[i].pc_bits);
        must_read(info, text);
        assert_int_equal(info->targets[0].address_bits, cases[i].bits);
        assert_true(ocd_target_last_address(&info->targets[0]) ==
                    (cases[i].bits == 64 ? UINT64_MAX : UINT32_MAX));
    }
}

/* What a target taught by itself is kept as long as it is the same target. */
static void test_info_keeps_what_was_learned(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, two_targets);
    info->targets[0].takes_width64 = OCD_NO;
    info->targets[1].takes_width64 = OCD_YES;
    must_read(info, "main.cpu {{dsp.cpu cortex_m little running 32} {main.cpu cortex_m little halted 32} "
                    "{new.cpu cortex_m little running 32}} {}");
    assert_string_equal(info->targets[1].name, "main.cpu");
    assert_int_equal(info->targets[1].takes_width64, OCD_NO);
    assert_string_equal(info->targets[1].state, "halted");
    assert_int_equal(info->targets[0].takes_width64, OCD_UNKNOWN); /* another type: another target */
    assert_int_equal(info->targets[2].takes_width64, OCD_UNKNOWN);
    assert_int_equal(info->current_target, 1);
}

static void test_info_reads_quoted_names(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, "{a b} {{{a b} cortex_m little running 32} {{[x]$y\\} c} t big running {}}} {}");
    assert_string_equal(info->targets[0].name, "a b");
    assert_string_equal(info->targets[1].name, "[x]$y\\} c");
    assert_int_equal(info->current_target, 0);
}

static void test_info_refuses_broken_text_and_keeps_what_it_knew(void **state)
{
    static const char *const lies[] = {
        "",
        "cpu",
        "cpu {{cpu cortex_m little running 32}}", /* no banks */
        "cpu {{cpu cortex_m little running}} {}", /* a target too short */
        "cpu {{cpu cortex_m little}} {}",
        "cpu cpu {}",                                        /* a name is no target */
        "cpu {{cpu cortex_m little running 32} {}} {}",      /* an empty one */
        "cpu {{cpu cortex_m little running 32} {",           /* no end */
        "cpu {{cpu cortex_m little running 32}} {{name f}}", /* a bank too short */
        "cpu {{cpu cortex_m little running 32}} {junk}",
        "cpu {{cpu cortex_m {a very long byte order} running 32}} {}",
        "invalid command name \"target\"",
    };
    struct ocd_info *info = *state;
    must_read(info, two_targets);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        must_refuse(info, lies[i]);
        assert_int_equal(info->target_count, 2);
        assert_int_equal(info->current_target, 1);
        assert_int_equal(info->bank_count, 2);
    }
}

static void test_info_refuses_names_that_do_not_fit(void **state)
{
    struct ocd_info *info = *state;
    char name[OCD_NAME_SIZE + 1];
    char text[400];
    for (size_t length = OCD_NAME_SIZE - 2; length <= OCD_NAME_SIZE; length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        snprintf(text, sizeof text, "x {{%s cortex_m little running 32}} {}", name);
        if (length < OCD_NAME_SIZE) {
            must_read(info, text);
            assert_string_equal(info->targets[0].name, name);
        } else {
            must_refuse(info, text);
        }
    }
}

static void test_info_takes_256_targets_and_no_more(void **state)
{
    struct ocd_info *info = *state;
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "t0 {");
    for (int i = 0; i < 256; i++) {
        strbuf_appendf(&text, "{t%d cortex_m little running 32} ", i);
    }
    strbuf_append_text(&text, "} {}");
    must_read(info, strbuf_text(&text));
    assert_int_equal(info->target_count, 256);
    strbuf_clear(&text);
    strbuf_append_text(&text, "t0 {");
    for (int i = 0; i < 257; i++) {
        strbuf_appendf(&text, "{t%d cortex_m little running 32} ", i);
    }
    strbuf_append_text(&text, "} {}");
    must_refuse(info, strbuf_text(&text));
    assert_int_equal(info->target_count, 256);
    strbuf_fini(&text);
}

/* The script is text of ours alone: nothing that a board says is in it. */
static void test_info_gdb_ports_are_as_openocd_says(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, "a {{a cortex_m little halted 32 3333} {b cortex_m little halted 32 disabled} "
                    "{c cortex_m little halted 32 {}}} {}");
    assert_string_equal(info->targets[0].gdb_port, "3333");
    assert_string_equal(info->targets[1].gdb_port, "disabled");
    assert_string_equal(info->targets[2].gdb_port, "");
}

static void test_info_survey_script_is_always_the_same(void **state)
{
    struct strbuf first = STRBUF_INIT;
    struct strbuf second = STRBUF_INIT;
    struct ocd_info *info = *state;
    ocd_info_survey_script(&first);
    must_read(info, two_targets);
    ocd_info_survey_script(&second);
    assert_string_equal(strbuf_text(&first), strbuf_text(&second));
    assert_null(strchr(strbuf_text(&first), '\x1a'));
    strbuf_fini(&first);
    strbuf_fini(&second);
}

static void test_info_fini_can_be_called_twice(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, two_targets);
    ocd_info_fini(info);
    assert_int_equal(info->target_count, 0);
    ocd_info_fini(info);
}

#define WITH_INFO(test) cmocka_unit_test_setup_teardown(test, info_setup, info_teardown)

static void test_info_knows_which_target_is_missing(void **state)
{
    struct ocd_info *info = *state;
    must_read(info, "a {{a cortex_m little unknown 32 {} 1}} {}");
    assert_ptr_equal(ocd_info_missing_target(info), &info->targets[0]);
    must_read(info, "a {{a cortex_m little unknown 32 {} 0} {b cortex_m little unknown {} 4711 1}} {}");
    assert_ptr_equal(ocd_info_missing_target(info), &info->targets[1]);
    must_read(info, "a {{a cortex_m little reset 32 {} 1}} {}");
    assert_ptr_equal(ocd_info_missing_target(info), &info->targets[0]);
    static const char *const found[] = {"a {{a cortex_m little reset 32 {} 0}} {}",
                                        "a {{a cortex_m little unknown 32 {} 0}} {}",
                                        "a {{a cortex_m little {examine deferred} 32 {} 1}} {}",
                                        "a {{a cortex_m little running 32 {} 1}} {}",
                                        "a {{a cortex_m little unknown 32}} {}",
                                        "{} {} {}"};
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        must_read(info, found[i]);
        assert_null(ocd_info_missing_target(info));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_info_knows_which_target_is_missing, info_setup, info_teardown),
        WITH_INFO(test_info_reads_targets_and_banks),
        WITH_INFO(test_info_of_a_board_without_anything),
        WITH_INFO(test_info_finds_targets_by_name),
        WITH_INFO(test_info_learns_the_width_of_addresses),
        WITH_INFO(test_info_keeps_what_was_learned),
        WITH_INFO(test_info_reads_quoted_names),
        WITH_INFO(test_info_refuses_broken_text_and_keeps_what_it_knew),
        WITH_INFO(test_info_refuses_names_that_do_not_fit),
        WITH_INFO(test_info_takes_256_targets_and_no_more),
        WITH_INFO(test_info_gdb_ports_are_as_openocd_says),
        WITH_INFO(test_info_survey_script_is_always_the_same),
        WITH_INFO(test_info_fini_can_be_called_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
