/* The values of `read_memory`. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/parse.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool parse(const char *text, unsigned width, size_t count, bool big_endian, uint8_t *out,
                  struct err *err)
{
    return ocd_parse_values(text, strlen(text), width, count, big_endian, out, err);
}

static void test_parse_values_of_each_width(void **state)
{
    (void)state;
    uint8_t out[16];
    struct err err;
    assert_true(parse("0x0 0x7f 0xff", 8, 3, false, out, &err));
    assert_memory_equal(out, "\x00\x7f\xff", 3);
    assert_true(parse("0x0 0x7f 0xff", 8, 3, true, out, &err));
    assert_memory_equal(out, "\x00\x7f\xff", 3);
    assert_true(parse("0x1 0xffff 0x1234", 16, 3, false, out, &err));
    assert_memory_equal(out, "\x01\x00\xff\xff\x34\x12", 6);
    assert_true(parse("0x1 0xffff 0x1234", 16, 3, true, out, &err));
    assert_memory_equal(out, "\x00\x01\xff\xff\x12\x34", 6);
    assert_true(parse("0xdeadbeef 0x1", 32, 2, false, out, &err));
    assert_memory_equal(out, "\xef\xbe\xad\xde\x01\x00\x00\x00", 8);
    assert_true(parse("0xdeadbeef 0x1", 32, 2, true, out, &err));
    assert_memory_equal(out, "\xde\xad\xbe\xef\x00\x00\x00\x01", 8);
    assert_true(parse("0x123456789abcdef0 0xffffffffffffffff", 64, 2, false, out, &err));
    assert_memory_equal(out, "\xf0\xde\xbc\x9a\x78\x56\x34\x12\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    assert_true(parse("0x123456789abcdef0 0x2", 64, 2, true, out, &err));
    assert_memory_equal(out, "\x12\x34\x56\x78\x9a\xbc\xde\xf0\0\0\0\0\0\0\0\x02", 16);
}

static void test_parse_values_takes_padding_and_space(void **state)
{
    (void)state;
    uint8_t out[2];
    struct err err;
    assert_true(parse("0x01 0x000000000000002A", 8, 2, false, out, &err));
    assert_memory_equal(out, "\x01\x2a", 2);
    assert_true(parse(" \n0x1\t \r\n0x2\n", 8, 2, false, out, &err));
    assert_memory_equal(out, "\x01\x02", 2);
    assert_true(ocd_parse_values("0x12", 3, 8, 1, false, out, &err)); /* the length counts */
    assert_memory_equal(out, "\x01", 1);
}

static void test_parse_values_of_nothing(void **state)
{
    (void)state;
    uint8_t out[1] = {0x55};
    struct err err;
    assert_true(ocd_parse_values("", 0, 32, 0, false, NULL, &err));
    assert_true(parse(" \n", 32, 0, false, out, &err));
    assert_false(parse("0x1", 32, 0, false, out, &err));
    assert_false(parse("", 32, 1, false, out, &err));
    assert_int_equal(out[0], 0x55);
}

static void test_parse_values_refuses_and_keeps_the_output(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned width;
        const char *place; /* what the message has to name */
    } rows[] = {
        {"0x1 0x2", 8, "too short"},
        {"0x1 0x2   ", 8, "value 3 of 3"},
        {"0x1 0x2 0x3 0x4", 8, "more than value 3"},
        {"0x1 0x2 0x3 x", 8, "more than value 3"},
        {"0x1 0x2 0x3,", 8, "more than value 3"},
        {"0x1 0x2 0x100", 8, "value 3 of 3"},
        {"0x1 0x10000 0x3", 16, "value 2 of 3"},
        {"0x100000000 0x2 0x3", 32, "value 1 of 3"},
        {"0x10000000000000000 0x2 0x3", 64, "value 1 of 3"},
        {"0x00000000000000001 0x2 0x3", 64, "value 1 of 3"},
        {"0x 0x2 0x3", 8, "value 1 of 3"},
        {"0x1 0xg 0x3", 8, "value 2 of 3"},
        {"1 0x2 0x3", 8, "value 1 of 3"},
        {"0X1 0x2 0x3", 8, "value 1 of 3"},
        {"0x1 -0x2 0x3", 8, "value 2 of 3"},
        {"0x1 0x20x3 0x3", 8, "value 3 of 3"},
        {"0x10x20x3", 8, "value 2 of 3"},
        {"0x1, 0x2, 0x3", 8, "value 2 of 3"},
        /* Newer versions on a failed read, also with what had been read before. */
        {"failed to read memory", 8, "value 1 of 3"},
        {"0x1 0x2failed to read memory", 32, "value 3 of 3"},
        {"0x1 0x2 0x3failed to read memory", 32, "more than value 3"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[24];
        uint8_t before[24];
        struct err err;
        memset(out, 0x55, sizeof(out));
        memset(before, 0x55, sizeof(before));
        err_reset(&err);
        assert_false(parse(rows[i].text, rows[i].width, 3, false, out, &err));
        assert_memory_equal(out, before, sizeof(out));
        assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
        assert_non_null(strstr(err.message, rows[i].place));
        assert_true(err.has_openocd);
        assert_int_equal(err.openocd_length, strlen(rows[i].text));
        assert_memory_equal(err.openocd_text, rows[i].text, err.openocd_length);
    }
}

static void test_parse_values_refuses_a_nul(void **state)
{
    (void)state;
    uint8_t out[2];
    struct err err;
    assert_false(ocd_parse_values("0x1\0000x2", 7, 8, 2, false, out, &err));
    assert_false(ocd_parse_values("0x1 0x2\0", 8, 8, 2, false, out, &err));
}

static void test_parse_values_needs_no_memory_for_a_lie(void **state)
{
    (void)state;
    struct err err;
    assert_false(ocd_parse_values("0x1", 3, 64, SIZE_MAX, false, NULL, &err));
    assert_false(ocd_parse_values("0x1", 3, 64, SIZE_MAX / 8 + 1, false, NULL, &err));
}

static void check_many(unsigned width, size_t count, bool big_endian)
{
    struct strbuf text = STRBUF_INIT;
    struct err err;
    size_t size = width / 8;
    uint8_t *expected = malloc(count * size);
    uint8_t *out = malloc(count * size);
    uint64_t random = width + 1;
    for (size_t i = 0; i < count; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t value = random >> (64 - width) >> (random >> 7) % width;
        strbuf_appendf(&text, "%s0x%" PRIx64, i == 0 ? "" : " ", value);
        for (size_t k = 0; k < size; k++) {
            expected[i * size + (big_endian ? size - 1 - k : k)] = (uint8_t)(value >> (8 * k));
        }
    }
    assert_true(ocd_parse_values(text.data, text.length, width, count, big_endian, out, &err));
    assert_memory_equal(out, expected, count * size);
    strbuf_fini(&text);
    free(expected);
    free(out);
}

static void test_parse_values_in_great_number(void **state)
{
    (void)state;
    for (unsigned width = 8; width <= 64; width *= 2) {
        check_many(width, 4096, false);
        check_many(width, 4096, true);
    }
    check_many(32, 65536, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_values_of_each_width),
        cmocka_unit_test(test_parse_values_takes_padding_and_space),
        cmocka_unit_test(test_parse_values_of_nothing),
        cmocka_unit_test(test_parse_values_refuses_and_keeps_the_output),
        cmocka_unit_test(test_parse_values_refuses_a_nul),
        cmocka_unit_test(test_parse_values_needs_no_memory_for_a_lie),
        cmocka_unit_test(test_parse_values_in_great_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
