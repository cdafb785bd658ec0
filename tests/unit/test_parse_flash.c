/* `flash list` and `flash info`, in the very texts that OpenOCD prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/parse.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* OpenOCD 0.12.0 with the faux driver and with stm32f1x on the virtual board, 16 KiB. */
static const char faux_info[] = "#0 : faux at 0x08000000, size 0x00100000, buswidth 0, chipwidth 0\n"
                                "\t#  0: 0x00000000 (0x10000 64kB) not protected\n"
                                "\t#  1: 0x00010000 (0x10000 64kB) not protected\n"
                                "\t#  2: 0x00020000 (0x10000 64kB) not protected\n"
                                "\t#  3: 0x00030000 (0x10000 64kB) not protected\n"
                                "\t#  4: 0x00040000 (0x10000 64kB) not protected\n"
                                "\t#  5: 0x00050000 (0x10000 64kB) not protected\n"
                                "\t#  6: 0x00060000 (0x10000 64kB) not protected\n"
                                "\t#  7: 0x00070000 (0x10000 64kB) not protected\n"
                                "\t#  8: 0x00080000 (0x10000 64kB) not protected\n"
                                "\t#  9: 0x00090000 (0x10000 64kB) not protected\n"
                                "\t# 10: 0x000a0000 (0x10000 64kB) not protected\n"
                                "\t# 11: 0x000b0000 (0x10000 64kB) not protected\n"
                                "\t# 12: 0x000c0000 (0x10000 64kB) not protected\n"
                                "\t# 13: 0x000d0000 (0x10000 64kB) not protected\n"
                                "\t# 14: 0x000e0000 (0x10000 64kB) not protected\n"
                                "\t# 15: 0x000f0000 (0x10000 64kB) not protected\n"
                                "faux flash driver\n";
static const char blocks_info[] = "#0 : stm32f1x at 0x08000000, size 0x00004000, buswidth 0, chipwidth 0\n"
                                  "\t#  0: 0x00000000 (0x1000 4kB) protected\n"
                                  "\t#  1: 0x00001000 (0x1000 4kB) protected\n"
                                  "\t#  2: 0x00002000 (0x1000 4kB) not protected\n"
                                  "\t#  3: 0x00003000 (0x1000 4kB) not protected\n"
                                  "STM32F10x (Medium Density) - Rev: Y\n";
static const char sectors_info[] = "#0 : stm32f1x at 0x08000000, size 0x00004000, buswidth 0, chipwidth 0\n"
                                   "\t#  0: 0x00000000 (0x400 1kB) \n"
                                   "\t#  1: 0x00000400 (0x400 1kB) \n"
                                   "\t#  2: 0x00000800 (0x400 1kB) \n"
                                   "\t#  3: 0x00000c00 (0x400 1kB) \n"
                                   "\t#  4: 0x00001000 (0x400 1kB) \n"
                                   "\t#  5: 0x00001400 (0x400 1kB) \n"
                                   "\t#  6: 0x00001800 (0x400 1kB) \n"
                                   "\t#  7: 0x00001c00 (0x400 1kB) \n"
                                   "\t#  8: 0x00002000 (0x400 1kB) \n"
                                   "\t#  9: 0x00002400 (0x400 1kB) \n"
                                   "\t# 10: 0x00002800 (0x400 1kB) \n"
                                   "\t# 11: 0x00002c00 (0x400 1kB) \n"
                                   "\t# 12: 0x00003000 (0x400 1kB) \n"
                                   "\t# 13: 0x00003400 (0x400 1kB) \n"
                                   "\t# 14: 0x00003800 (0x400 1kB) \n"
                                   "\t# 15: 0x00003c00 (0x400 1kB) \n"
                                   "STM32F10x (Medium Density) - Rev: Y\n";
#define HEADER "#0 : faux at 0x08000000, size 0x00100000, buswidth 0, chipwidth 0\n"

static void list_must_parse(const char *text, struct ocd_bank **banks, size_t *count)
{
    struct err err;
    err_reset(&err);
    bool good = ocd_parse_flash_list(text, strlen(text), banks, count, &err);
    assert_string_equal(err.message, "");
    assert_true(good);
}

static void check_bank(const struct ocd_bank *bank, const struct ocd_bank *expected)
{
    assert_int_equal(bank->index, expected->index);
    assert_string_equal(bank->name, expected->name);
    assert_string_equal(bank->driver, expected->driver);
    assert_string_equal(bank->target, expected->target);
    assert_true(bank->base == expected->base);
    assert_true(bank->size == expected->size);
    assert_int_equal(bank->bus_width, expected->bus_width);
    assert_int_equal(bank->chip_width, expected->chip_width);
}

static void test_parse_flash_list_of_each_version(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct ocd_bank bank;
    } rows[] = {
        {"{name f0 driver faux base 134217728 size 1048576 bus_width 0 chip_width 0 target t.cpu}",
         {0, "f0", "faux", "t.cpu", 0x08000000, 0x100000, 0, 0}},
        {"{name vb.flash driver stm32f1x base 134217728 size 0 bus_width 0 chip_width 0 target vb.cpu}",
         {0, "vb.flash", "stm32f1x", "vb.cpu", 0x08000000, 0, 0, 0}},
        /* 0.11 and older */
        {"{name stm32f1x base 134217728 size 65536 bus_width 2 chip_width 4}",
         {0, "stm32f1x", "stm32f1x", "", 0x08000000, 0x10000, 2, 4}},
        /* newer, the last newline gone */
        {"{\n    name       {vb flash}\n    driver     stm32f1x\n    base       0x08000000\n    size       "
         "0x10000\n"
         "    bus_width  0\n    chip_width 0\n    target     vb.cpu\n}",
         {0, "vb flash", "stm32f1x", "vb.cpu", 0x08000000, 0x10000, 0, 0}},
        {"{\n    name       {}\n    driver     cfi\n    base       0xffffffff80000000\n    size       0x0\n"
         "    bus_width  4\n    chip_width 2\n    target     a\n}\n",
         {0, "", "cfi", "a", 0xffffffff80000000, 0, 4, 2}},
        /* 0.12 prints a base from 2^63 on as Jim's signed number. */
        {"{name n driver d base -2147483648 size 16 bus_width 0 chip_width 0 target t}",
         {0, "n", "d", "t", 0xffffffff80000000, 16, 0, 0}},
        {"{name n driver d base -9223372036854775808 size 16 bus_width 0 chip_width 0 target t}",
         {0, "n", "d", "t", 0x8000000000000000, 16, 0, 0}},
        /* names that Tcl has to quote; keys of a later version */
        {"{target \\{t driver d name {a b} new {x y} base 1 size 2 bus_width 3 chip_width 4}",
         {0, "a b", "d", "{t", 1, 2, 3, 4}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ocd_bank *banks;
        size_t count;
        list_must_parse(rows[i].text, &banks, &count);
        assert_int_equal(count, 1);
        check_bank(&banks[0], &rows[i].bank);
        free(banks);
    }
}

static void test_parse_flash_list_of_several_banks(void **state)
{
    (void)state;
    struct ocd_bank *banks;
    size_t count;
    list_must_parse(
        "{name a driver x base 0 size 1 bus_width 0 chip_width 0 target t} "
        "{name b driver y base 4294967296 size 4294967295 bus_width 0 chip_width 0 target t}\n"
        "{\n name {c}\n driver z\n base 0x100000000\n size 0x2\n bus_width 1\n chip_width 1\n target u\n}",
        &banks, &count);
    static const struct ocd_bank expected[] = {{0, "a", "x", "t", 0, 1, 0, 0},
                                               {1, "b", "y", "t", 0x100000000, 0xffffffff, 0, 0},
                                               {2, "c", "z", "u", 0x100000000, 2, 1, 1}};
    assert_int_equal(count, COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        check_bank(&banks[i], &expected[i]);
    }
    free(banks);
    list_must_parse("", &banks, &count);
    assert_null(banks);
    assert_int_equal(count, 0);
}

static void append_bank(struct strbuf *text, const char *name)
{
    strbuf_appendf(text, "{name %s driver d base 0 size 0 bus_width 0 chip_width 0 target t} ", name);
}

static void refuse_list(const char *text)
{
    struct ocd_bank *banks = (struct ocd_bank *)(uintptr_t)8;
    size_t count = 77;
    struct err err;
    assert_false(ocd_parse_flash_list(text, strlen(text), &banks, &count, &err));
    assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
    assert_true(strlen(err.message) > 0);
    assert_true(err.has_openocd);
    assert_true(banks == (struct ocd_bank *)(uintptr_t)8);
    assert_int_equal(count, 77);
}

static void test_parse_flash_list_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{",
        "a",
        "a b",
        "{}",
        "{name a driver d base 0 size 0 bus_width 0 chip_width 0 target t} {",
        "{name a driver d base 0 size 0 bus_width 0 chip_width 0 target t} x",
        "{name a driver d base 0 size 0 bus_width 0 chip_width 0 target}",
        "{driver d base 0 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 0 size 0 chip_width 0 target t}",
        "{name a driver d base 0 size 0 bus_width 0 target t}",
        "{name a driver d base x size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base {} size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 0x size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 1k size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base { 1} size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base +1 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base - size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base -0x1 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 99999999999999999999 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 9223372036854775808 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base -9223372036854775809 size 0 bus_width 0 chip_width 0 target t}",
        "{name a driver d base 0 size 0 bus_width 4294967296 chip_width 0 target t}",
        "{name a driver d base 0 size 0 bus_width 0 chip_width -1 target t}",
        "{name a\\x00b driver d base 0 size 0 bus_width 0 chip_width 0 target t}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        refuse_list(texts[i]);
    }
}

static void test_parse_flash_list_minds_its_limits(void **state)
{
    (void)state;
    struct strbuf text = STRBUF_INIT;
    struct ocd_bank *banks;
    size_t count;
    char name[OCD_NAME_SIZE + 1];
    memset(name, 'n', sizeof(name));
    name[OCD_NAME_SIZE - 1] = '\0';
    append_bank(&text, name);
    list_must_parse(text.data, &banks, &count);
    assert_string_equal(banks[0].name, name);
    free(banks);
    name[OCD_NAME_SIZE - 1] = 'n';
    name[OCD_NAME_SIZE] = '\0';
    strbuf_clear(&text);
    append_bank(&text, name);
    refuse_list(text.data);
    strbuf_clear(&text);
    for (unsigned i = 0; i < OCD_BANKS_MAX; i++) {
        append_bank(&text, "n");
    }
    list_must_parse(text.data, &banks, &count);
    assert_int_equal(count, OCD_BANKS_MAX);
    assert_int_equal(banks[OCD_BANKS_MAX - 1].index, OCD_BANKS_MAX - 1);
    free(banks);
    append_bank(&text, "n");
    refuse_list(text.data);
    strbuf_fini(&text);
}

static void info_must_parse(const char *text, struct ocd_flash_info *info)
{
    struct err err;
    err_reset(&err);
    bool good = ocd_parse_flash_info(text, strlen(text), info, &err);
    assert_string_equal(err.message, "");
    assert_true(good);
}

static void check_block(const struct ocd_block *block, uint64_t offset, uint64_t size,
                        enum ocd_protection protection)
{
    assert_true(block->offset == offset);
    assert_true(block->size == size);
    assert_int_equal(block->protection, protection);
}

static void test_parse_flash_info_as_0_12_prints_it(void **state)
{
    (void)state;
    struct ocd_flash_info info;
    info_must_parse(faux_info, &info);
    assert_int_equal(info.count, 16);
    for (size_t i = 0; i < info.count; i++) {
        check_block(&info.blocks[i], i * 0x10000, 0x10000, OCD_PROTECTION_OFF);
    }
    assert_string_equal(strbuf_text(&info.description), "faux flash driver");
    ocd_flash_info_fini(&info);
    ocd_flash_info_fini(&info);
    info_must_parse(blocks_info, &info);
    assert_int_equal(info.count, 4);
    for (size_t i = 0; i < info.count; i++) {
        check_block(&info.blocks[i], i * 0x1000, 0x1000, i < 2 ? OCD_PROTECTION_ON : OCD_PROTECTION_OFF);
    }
    assert_string_equal(strbuf_text(&info.description), "STM32F10x (Medium Density) - Rev: Y");
    ocd_flash_info_fini(&info);
    info_must_parse(sectors_info, &info);
    assert_int_equal(info.count, 16);
    for (size_t i = 0; i < info.count; i++) {
        check_block(&info.blocks[i], i * 0x400, 0x400, OCD_PROTECTION_UNKNOWN);
    }
    assert_string_equal(strbuf_text(&info.description), "STM32F10x (Medium Density) - Rev: Y");
    ocd_flash_info_fini(&info);
}

static void test_parse_flash_info_in_other_shapes(void **state)
{
    (void)state;
    struct ocd_flash_info info;
    /* No rows, no text. */
    info_must_parse("#12 : a b at 0x800000000, size 0x00000000, buswidth 4, chipwidth 2", &info);
    assert_int_equal(info.count, 0);
    assert_null(info.blocks);
    assert_string_equal(strbuf_text(&info.description), "");
    ocd_flash_info_fini(&info);
    /* Not multiples of a KiB, sizes that differ, an unknown state; a row as the very end, as newer versions
     * leave it. */
    info_must_parse(HEADER "\t#  0: 0x00000000 (0x200 0kB) protection state unknown\n"
                           "\t#  1: 0x00000200 (0xffffffff 4194303kB) protected\n"
                           "\t#  2: 0x100000000 (0x600 1kB) ",
                    &info);
    assert_int_equal(info.count, 3);
    check_block(&info.blocks[0], 0, 0x200, OCD_PROTECTION_UNKNOWN);
    check_block(&info.blocks[1], 0x200, 0xffffffff, OCD_PROTECTION_ON);
    check_block(&info.blocks[2], 0x100000000, 0x600, OCD_PROTECTION_UNKNOWN);
    ocd_flash_info_fini(&info);
    /* The driver may say what it likes. */
    info_must_parse(HEADER "\t#  0: 0x00000000 (0x400 1kB) not protected\n"
                           "\n  lines:\n\t#  1: not a row\n\t#  1: 0x00000400 (0x400 1kB) protected\n\n",
                    &info);
    assert_int_equal(info.count, 1);
    assert_string_equal(strbuf_text(&info.description),
                        "lines:\n\t#  1: not a row\n\t#  1: 0x00000400 (0x400 1kB) protected");
    ocd_flash_info_fini(&info);
}

static void test_parse_flash_info_of_many_rows(void **state)
{
    (void)state;
    struct strbuf text = STRBUF_INIT;
    struct ocd_flash_info info;
    strbuf_append_text(&text, HEADER);
    for (unsigned i = 0; i < 20000; i++) {
        strbuf_appendf(&text, "\t#%3i: 0x%8.8x (0x%x %ukB) %s\n", i, i * 0x800, 0x800, 2, "not protected");
    }
    info_must_parse(text.data, &info);
    assert_int_equal(info.count, 20000);
    check_block(&info.blocks[19999], 19999 * 0x800, 0x800, OCD_PROTECTION_OFF);
    ocd_flash_info_fini(&info);
    strbuf_fini(&text);
}

static void test_parse_flash_info_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "\n" HEADER,
        "flash bank 9 does not exist\n",
        "#x : faux at 0x08000000, size 0x00100000, buswidth 0, chipwidth 0\n",
        "#0 : faux at 08000000, size 0x00100000, buswidth 0, chipwidth 0\n",
        "#0 : faux at 0x08000000, size 100, buswidth 0, chipwidth 0\n",
        "#0 : faux at 0x08000000, size 0x00100000, buswidth 0, chipwidth 0 \n",
        "#0 : faux at 0x08000000, size 0x00100000, buswidth 0\n",
        "#0 : vb.flash (stm32f1x) at 0x08000000, size\n",
        HEADER "\t#  1: 0x00000000 (0x400 1kB) not protected\n",
        HEADER "\t#  0: 0x00000000 (0x400 1kB) not protected\n\t#  0: 0x00000400 (0x400 1kB) not protected\n",
        HEADER "\t#  0: 0x00000000 (0x400 1kB) not protected\n\t#  2: 0x00000400 (0x400 1kB) not protected\n",
        HEADER "\t#  0: 0x00000000 (0x400 2kB) not protected\n",
        HEADER "\t#  0: 0x00000000 (0x400 1kB) sort of protected\n",
        HEADER "\t#  0: 0x00000000 (0x400 1kB) not protected at all\n",
        HEADER "\t#  0: 0x00000000 (0x400 1kB\n",
        HEADER "\t#  0: 0x00000000 (1024 1kB) protected\n",
        HEADER "\t#  0: 00000000 (0x400 1kB) protected\n",
        HEADER "\t#  x: 0x00000000 (0x400 1kB) protected\n",
        HEADER "\t#",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct ocd_flash_info info;
        struct ocd_flash_info before;
        struct err err;
        memset(&info, 0x55, sizeof(info));
        memset(&before, 0x55, sizeof(before));
        assert_false(ocd_parse_flash_info(texts[i], strlen(texts[i]), &info, &err));
        assert_memory_equal(&info, &before, sizeof(info));
        assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
        assert_true(strlen(err.message) > 0);
        assert_true(err.has_openocd);
    }
}

static void test_parse_flash_info_cut_anywhere_never_invents(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof(blocks_info) - 1; length++) {
        struct ocd_flash_info info;
        struct err err;
        if (!ocd_parse_flash_info(blocks_info, length, &info, &err)) {
            continue;
        }
        assert_in_range(info.count, 0, 4);
        for (size_t i = 0; i < info.count; i++) {
            assert_true(info.blocks[i].offset == i * 0x1000);
            assert_true(info.blocks[i].size == 0x1000);
        }
        ocd_flash_info_fini(&info);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_flash_list_of_each_version),
        cmocka_unit_test(test_parse_flash_list_of_several_banks),
        cmocka_unit_test(test_parse_flash_list_refuses),
        cmocka_unit_test(test_parse_flash_list_minds_its_limits),
        cmocka_unit_test(test_parse_flash_info_as_0_12_prints_it),
        cmocka_unit_test(test_parse_flash_info_in_other_shapes),
        cmocka_unit_test(test_parse_flash_info_of_many_rows),
        cmocka_unit_test(test_parse_flash_info_refuses),
        cmocka_unit_test(test_parse_flash_info_cut_anywhere_never_invents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
