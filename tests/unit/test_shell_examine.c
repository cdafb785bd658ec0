/* shell/format, examine, show, find and sections: what x and find take, and what x shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shell/examine.h"
#include "shell/find.h"
#include "shell/sections.h"
#include "shell/show.h"
#include "shell_access.h"

/* Each format behind the one before, as gdb fills in what is not said. */
static void test_formats_take_what_was_used_last(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count;
        char letter;
        char size;
        const char *rest;
    } rows[] = {
        {"4 0x0", 4, 'x', 'w', " 0x0"}, {"b", 1, 'x', 'b', ""},  {"d", 1, 'd', 'b', ""},
        {"f", 1, 'f', 'g', ""},         {"c", 1, 'c', 'b', ""},  {"fw", 1, 'f', 'w', ""},
        {"f", 1, 'f', 'w', ""},         {"a", 1, 'a', 'a', ""},  {"u", 1, 'u', 'a', ""},
        {"2hx$sp", 2, 'x', 'h', "$sp"}, {"s", 1, 's', '\0', ""}, {"-3xw", -3, 'x', 'w', ""},
        {"xr", 1, 'x', 'w', ""},        {"3", 3, 'x', 'w', ""},
    };
    struct format last = {.count = 1, .letter = 'x', .size = 'w'};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        const char *rest;
        assert_true(format_read(rows[i].text, &last, &last, &rest, &err));
        assert_int_equal(last.count, rows[i].count);
        assert_int_equal(last.letter, rows[i].letter);
        assert_int_equal(last.size, rows[i].size);
        assert_string_equal(rest, rows[i].rest);
    }
}

static void test_bad_formats_are_refused(void **state)
{
    (void)state;
    struct err err;
    const char *rest = NULL;
    struct format last = {.count = 1, .letter = 'x', .size = 'w'};
    struct format format = {.count = 4711};
    assert_false(format_read("2y", &last, &format, &rest, &err));
    assert_string_equal(err.message, "Undefined output format \"y\".");
    assert_false(format_read("65537x", &last, &format, &rest, &err));
    assert_false(format_read("99999999999999999999x", &last, &format, &rest, &err));
    assert_int_equal(format.count, 4711);
    assert_null(rest);
}

static void assert_examined(struct access *target, struct examine *examine, const char *text,
                            uint64_t address, const char *shown)
{
    struct err err;
    struct format format;
    const char *rest;
    struct strbuf out = STRBUF_INIT;
    assert_true(format_read(text, &examine->last, &format, &rest, &err));
    assert_true(examine_memory(examine, &target->access, &format, address, &out, &err));
    assert_string_equal(strbuf_text(&out), shown);
    strbuf_fini(&out);
}

static void test_examine_shows_lines_and_goes_on(void **state)
{
    (void)state;
    struct access target;
    struct examine examine;
    access_init(&target);
    examine_init(&examine);
    for (unsigned i = 0; i < 64; i++) {
        target.memory[i] = (uint8_t)i;
    }
    assert_examined(&target, &examine, "5xw", ACCESS_BASE,
                    "0x20000000:\t0x03020100\t0x07060504\t0x0b0a0908\t0x0f0e0d0c\n0x20000010:\t0x13121110\n");
    assert_int_equal(examine.next, ACCESS_BASE + 20);
    assert_int_equal(examine.last_value.address, ACCESS_BASE + 16);
    assert_int_equal(examine.last_value.bits, 0x13121110);
    assert_examined(&target, &examine, "-2xh", ACCESS_BASE + 8, "0x20000004:\t0x0504\t0x0706\n");
    assert_int_equal(examine.next, ACCESS_BASE + 4);
    assert_examined(&target, &examine, "0xw", ACCESS_BASE, "");
    target.machine.big_endian = true;
    assert_examined(&target, &examine, "xg", ACCESS_BASE, "0x20000000:\t0x0001020304050607\n");
    access_fini(&target);
}

static void test_examine_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct access target;
    struct examine examine;
    struct err err;
    struct strbuf out = STRBUF_INIT;
    struct format format = {.count = 2, .letter = 'x', .size = 'w'};
    access_init(&target);
    examine_init(&examine);
    strbuf_append_text(&out, "before");
    assert_false(
        examine_memory(&examine, &target.access, &format, ACCESS_BASE + ACCESS_SIZE - 4, &out, &err));
    format = (struct format){.count = 1, .letter = 'i'};
    assert_false(examine_memory(&examine, &target.access, &format, ACCESS_BASE, &out, &err));
    assert_non_null(strstr(err.message, "disassembler"));
    format = (struct format){.count = -1, .letter = 's'};
    assert_false(examine_memory(&examine, &target.access, &format, ACCESS_BASE, &out, &err));
    assert_string_equal(strbuf_text(&out), "before");
    assert_false(examine.has_next);
    assert_int_equal(examine.last.size, 'w');
    strbuf_fini(&out);
    access_fini(&target);
}

/* At the end of what can be read, a string is read no further than it goes. */
static void test_strings_are_read_up_to_their_end(void **state)
{
    (void)state;
    struct access target;
    struct examine examine;
    access_init(&target);
    examine_init(&examine);
    memcpy(target.memory + ACCESS_SIZE - 4, "end", 4);
    assert_examined(&target, &examine, "s", ACCESS_BASE + ACCESS_SIZE - 4, "0x20000ffc:\t\"end\"\n");
    memset(target.memory, 'q', 300);
    assert_examined(&target, &examine, "s", ACCESS_BASE, "0x20000000:\t'q' <repeats 200 times>...\n");
    assert_int_equal(examine.next, ACCESS_BASE + 200);
    memcpy(target.memory, "\x1b[2J\x9b\xc2\x9b\0", 8);
    assert_examined(&target, &examine, "s", ACCESS_BASE, "0x20000000:\t\"\\033[2J\\233\\302\\233\"\n");
    access_fini(&target);
}

static bool read_find(struct access *target, const char *text, struct find *find, struct err *err)
{
    bool good = find_read(&target->access, text, find, err);
    if (!good) {
        strbuf_fini(&find->pattern);
    }
    return good;
}

static void test_find_makes_a_pattern(void **state)
{
    (void)state;
    struct access target;
    struct find find;
    struct err err;
    access_init(&target);
    assert_true(read_find(&target, "/h2 0x20000000, 0x200000ff, 0x1234, \"a\\0b\", 'c'", &find, &err));
    assert_int_equal(find.start, 0x20000000);
    assert_int_equal(find.length, 0x100);
    assert_int_equal(find.most, 2);
    assert_int_equal(find.pattern.length, 7);
    assert_memory_equal(find.pattern.data,
                        "\x34\x12"
                        "a\0b"
                        "c\0",
                        7);
    strbuf_fini(&find.pattern);
    target.machine.big_endian = true;
    assert_true(read_find(&target, "0x20000000, +16, (short)0x1234, 1.5f", &find, &err));
    assert_int_equal(find.length, 16);
    assert_memory_equal(find.pattern.data, "\x12\x34\x3f\xc0\0\0", 6);
    strbuf_fini(&find.pattern);
    access_fini(&target);
}

static void test_bad_searches_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "Missing search parameters."},
        {"5", "Missing search parameters."},
        {"5, +5", "Missing search pattern."},
        {"5, +5,", "Missing search pattern."},
        {"/q 5, +5, 1", "Invalid size granularity."},
        {"/999999 5, +5, 1", "the count is 1 to 200000"},
        {"6, 5, 1", "Invalid search space, end precedes start."},
        {"5, +2, 1", "Search space too small to contain pattern."},
        {"5, +18446744073709551615ull, 1", "Search space too large."},
        {"5, +5, \"\"", "Missing search pattern."},
        {"5, +5, \"a\" b", "A syntax error"},
        {"5, +5, \"a", "Unterminated string"},
        {"$new, +5, 1", "Value can't be converted to integer."},
    };
    struct access target;
    struct find find;
    struct err err;
    access_init(&target);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(read_find(&target, rows[i][0], &find, &err));
        if (strstr(err.message, rows[i][1]) == NULL) {
            print_error("%s: %s\n", rows[i][0], err.message);
            fail();
        }
    }
    access_fini(&target);
}

static void test_what_is_no_elf_file_has_no_sections(void **state)
{
    (void)state;
    struct sections sections = {.entry = 4711};
    struct err err;
    const uint8_t junk[] = "\x7f"
                           "ELF and nothing that belongs behind it";
    assert_true(sections_is_elf(junk, sizeof(junk)));
    assert_false(sections_is_elf(junk, 3));
    assert_false(sections_read(junk, sizeof(junk), &sections, &err));
    assert_int_equal(err.kind, ERR_IMAGE_INVALID);
    assert_false(sections_read((const uint8_t *)"hello", 5, &sections, &err));
    assert_int_equal(sections.entry, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_take_what_was_used_last),
        cmocka_unit_test(test_bad_formats_are_refused),
        cmocka_unit_test(test_examine_shows_lines_and_goes_on),
        cmocka_unit_test(test_examine_that_fails_changes_nothing),
        cmocka_unit_test(test_strings_are_read_up_to_their_end),
        cmocka_unit_test(test_find_makes_a_pattern),
        cmocka_unit_test(test_bad_searches_are_refused),
        cmocka_unit_test(test_what_is_no_elf_file_has_no_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
