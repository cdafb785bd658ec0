/* OpenOCD's version and the counts that its commands end with. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/parse.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse_version(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned major;
        unsigned minor;
    } rows[] = {
        {"Open On-Chip Debugger 0.12.0", 0, 12},
        {"Open On-Chip Debugger 0.12.0\n", 0, 12},
        {"Open On-Chip Debugger 0.10.0+dev-00123-gabcdef (2025-01-31-12:34)", 0, 10},
        {"Open On-Chip Debugger 0.12.0-rc1", 0, 12},
        {"Open On-Chip Debugger 0.13", 0, 13},
        {"Open On-Chip Debugger 1.2\nLicensed under GNU GPL v2", 1, 2},
        {"Open On-Chip Debugger v0.12.0-esp32-20230921 (2023-09-21-13:27)", 0, 12},
        {"xPack Open On-Chip Debugger 0.12.0+dev-01312-g18281b0c4-dirty (2023-09-04-22:32)", 0, 12},
        {"Open On-Chip Debugger 4294967295.4294967295.0", UINT_MAX, UINT_MAX},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned major = 77;
        unsigned minor = 77;
        assert_true(ocd_parse_version(rows[i].text, strlen(rows[i].text), &major, &minor));
        assert_int_equal(major, rows[i].major);
        assert_int_equal(minor, rows[i].minor);
    }
}

static void test_parse_version_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "0.12.0",
        "Open On-Chip Debugger",
        "Open On-Chip Debugger ",
        "Open On-Chip Debugger 0",
        "Open On-Chip Debugger 0.",
        "Open On-Chip Debugger .12",
        "Open On-Chip Debugger  0.12",
        "Open On-Chip Debugger 0.12x",
        "Open On-Chip Debugger x0.12",
        "Open On-Chip Debugger -0.12",
        "Open On-Chip Debugger 0.4294967296",
        "Open On-Chip Debugger 18446744073709551616.1",
        "open on-chip debugger 0.12.0",
        "hello\nOpen On-Chip Debugger 0.12.0",
        "invalid command name \"version\"",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        unsigned major = 77;
        unsigned minor = 78;
        assert_false(ocd_parse_version(texts[i], strlen(texts[i]), &major, &minor));
        assert_int_equal(major, 77);
        assert_int_equal(minor, 78);
    }
}

static void test_parse_erased(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "erased sectors 3 through 15 on flash bank 0 in 0.001075s\n", /* 0.12, stm32f1x */
        "erased sectors 3 through 15 on flash bank 12 in 12.000000s",
        ("a word first\nerased sectors 3 through 15 on flash bank 0 in 0.1s\n"
         "erased sectors 4 through 5 on flash bank 0 in 0.1s\n"),
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        unsigned first = 77;
        unsigned last = 77;
        assert_true(ocd_parse_erased(texts[i], strlen(texts[i]), &first, &last));
        assert_int_equal(first, 3);
        assert_int_equal(last, 15);
    }
}

static void test_parse_erased_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "ERROR: last sector must be <= 15\n",
        "erased sectors 3 through 15",
        "erased sectors 3 through 15 on flash bank 0 in ",
        "erased sectors 3 through 15 on flash bank 0 in 1s",
        "erased sectors 3 through 15 on flash bank 0 in 0.1s or so",
        "erased sectors -1 through 15 on flash bank 0 in 0.1s",
        "erased sectors 3 through 4294967296 on flash bank 0 in 0.1s",
        "erased sectors 15 through 3 on flash bank 0 in 0.1s",
        " erased sectors 3 through 15 on flash bank 0 in 0.1s",
        "erased address 0x08000000 (length 1024) in 0.000520s (1.923 KiB/s)\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        unsigned first = 77;
        unsigned last = 78;
        assert_false(ocd_parse_erased(texts[i], strlen(texts[i]), &first, &last));
        assert_int_equal(first, 77);
        assert_int_equal(last, 78);
    }
}

static void test_parse_byte_count(void **state)
{
    (void)state;
    /* 0.12 on the virtual board, unless a comment says otherwise */
    static const struct {
        const char *text;
        const char *verb;
        uint64_t count;
    } rows[] = {
        {"wrote 3000 bytes from file /tmp/f.bin to flash bank 0 at offset 0x00000000 in 1.215134s (2.411 "
         "KiB/s)\n",
         "wrote", 3000},
        {"auto erase enabled\nwrote 3000 bytes from file /tmp/f.bin in 1.441168s (2.033 KiB/s)\n", "wrote",
         3000},
        {"wrote 0 bytes from file /tmp/f.bin in 0.000019s (0.000 KiB/s)\n", "wrote", 0},
        {"wrote 4096 bytes to file /tmp/g.bin from flash bank 0 at offset 0x00000000 in 0.082013s (48.773 "
         "KiB/s)\n",
         "wrote", 4096},
        {"read 3000 bytes from file /tmp/f.bin and flash bank 0 at offset 0x00000000 in 0.058763s (49.856 "
         "KiB/s)\n"
         "contents match\n",
         "read", 3000},
        {"dumped 16 bytes in 0.000878s (17.796 KiB/s)\n", "dumped", 16},
        {"3000 bytes written at address 0x20000000\ndownloaded 3000 bytes in 0.059585s (49.168 KiB/s)\n",
         "downloaded", 3000},
        {"verified 3000 bytes in 0.056466s (51.884 KiB/s)\n", "verified", 3000},
        {"verified 3000 bytes from file /tmp/f.bin in 0.066659s (43.950 KiB/s)\n", "verified", 3000},
        /* newer: no newline at the end; a file with a newline in its name cannot fool us */
        {"dumped 18446744073709551615 bytes in 0.1s (17.796 KiB/s)", "dumped", UINT64_MAX},
        {"wrote 5 bytes from file a\nwrote 9 bytes to b in 0.1s", "wrote", 5},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t count = 77;
        assert_true(ocd_parse_byte_count(rows[i].text, strlen(rows[i].text), rows[i].verb, &count));
        assert_true(count == rows[i].count);
    }
}

static void test_parse_byte_count_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *verb;
    } rows[] = {
        {"", "wrote"},
        {"wrote", "wrote"},
        {"wrote 5", "wrote"},
        {"wrote 5 bytes", "wrote"},
        {"wrote 5 bytesize", "wrote"},
        {"wrote -5 bytes to file x", "wrote"},
        {"wrote 0x5 bytes to file x", "wrote"},
        {"wrote  5 bytes to file x", "wrote"},
        {"wrote bytes to file x", "wrote"},
        {"wrote 18446744073709551616 bytes to file x", "wrote"},
        {"rewrote 5 bytes to file x", "wrote"},
        {" wrote 5 bytes to file x", "wrote"},
        {"wrote 5 bytes to file x", "write"},
        {"wrote 5 bytes to file x", "dumped"},
        {"Nothing to write to flash bank\n", "wrote"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t count = 77;
        assert_false(ocd_parse_byte_count(rows[i].text, strlen(rows[i].text), rows[i].verb, &count));
        assert_true(count == 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_version),    cmocka_unit_test(test_parse_version_refuses),
        cmocka_unit_test(test_parse_erased),     cmocka_unit_test(test_parse_erased_refuses),
        cmocka_unit_test(test_parse_byte_count), cmocka_unit_test(test_parse_byte_count_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
