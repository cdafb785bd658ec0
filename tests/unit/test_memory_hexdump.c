/* memory/hexdump: the example line of the protocol, and the dump in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memory/hexdump.h"

static const uint8_t example[16] = {0x00, 0x50, 0x00, 0x20, 0xa1, 0x01, 0x00, 0x08,
                                    0xab, 0x01, 0x00, 0x08, 0xad, 0x01, 0x00, 0x08};

static void assert_dump(uint64_t address, const uint8_t *bytes, size_t length, const char *expected)
{
    struct memory_hexdump dump;
    struct strbuf out = STRBUF_INIT;
    memory_hexdump_init(&dump, address, length);
    memory_hexdump_feed(&dump, &out, bytes, length);
    memory_hexdump_finish(&dump, &out);
    assert_string_equal(strbuf_text(&out), expected);
    strbuf_fini(&out);
}

static void test_memory_hexdump_line_of_the_protocol(void **state)
{
    (void)state;
    assert_dump(0x08000000, example, sizeof example,
                "08000000: 00 50 00 20 A1 01 00 08  AB 01 00 08 AD 01 00 08  |.P. ............|\n");
}

static void test_memory_hexdump_pads_the_last_line(void **state)
{
    (void)state;
    assert_dump(0x2000000c, (const uint8_t *)"0123456789abcdefXY", 18,
                "2000000C: 30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
                "2000001C: 58 59                                             |XY|\n");
    assert_dump(0, (const uint8_t *)"01234567", 8,
                "00000000: 30 31 32 33 34 35 36 37                           |01234567|\n");
    assert_dump(0, (const uint8_t *)"012345678", 9,
                "00000000: 30 31 32 33 34 35 36 37  38                       |012345678|\n");
    assert_dump(0, (const uint8_t *)"0123456789abcde", 15,
                "00000000: 30 31 32 33 34 35 36 37  38 39 61 62 63 64 65     |0123456789abcde|\n");
}

static void test_memory_hexdump_of_nothing_is_empty(void **state)
{
    (void)state;
    assert_dump(0x08000000, example, 0, "");
}

static void test_memory_hexdump_text_column(void **state)
{
    (void)state;
    assert_dump(0, (const uint8_t *)"\x1f\x20\x7e\x7f\x80\xff|\\", 8,
                "00000000: 1F 20 7E 7F 80 FF 7C 5C                           |. ~...|\\|\n");
}

static void test_memory_hexdump_is_wide_beyond_32_bits(void **state)
{
    (void)state;
    /* The last byte that fits eight digits. */
    assert_dump(0xfffffffe, example, 2, "FFFFFFFE: 00 50                                             |.P|\n");
    assert_dump(0xfffffffe, example, 3,
                "00000000FFFFFFFE: 00 50 00                                          |.P.|\n");
    assert_dump(0xfedcba9876543210, example, 1,
                "FEDCBA9876543210: 00                                                |.|\n");
    assert_dump(UINT64_MAX, example, 1,
                "FFFFFFFFFFFFFFFF: 00                                                |.|\n");
}

static void test_memory_hexdump_is_the_same_in_every_cut(void **state)
{
    (void)state;
    uint8_t bytes[50];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    struct memory_hexdump dump;
    struct strbuf whole = STRBUF_INIT;
    memory_hexdump_init(&dump, 0x1000, sizeof bytes);
    memory_hexdump_feed(&dump, &whole, bytes, sizeof bytes);
    assert_int_equal(whole.length, 3 * 79); /* complete lines come at once */
    memory_hexdump_finish(&dump, &whole);
    for (size_t first = 0; first <= sizeof bytes; first++) {
        for (size_t second = first; second <= sizeof bytes; second++) {
            struct strbuf out = STRBUF_INIT;
            memory_hexdump_init(&dump, 0x1000, sizeof bytes);
            memory_hexdump_feed(&dump, &out, bytes, first);
            memory_hexdump_feed(&dump, &out, bytes + first, second - first);
            memory_hexdump_feed(&dump, &out, bytes + second, sizeof bytes - second);
            memory_hexdump_finish(&dump, &out);
            assert_string_equal(strbuf_text(&out), strbuf_text(&whole));
            strbuf_fini(&out);
        }
    }
    strbuf_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_hexdump_line_of_the_protocol),
        cmocka_unit_test(test_memory_hexdump_pads_the_last_line),
        cmocka_unit_test(test_memory_hexdump_of_nothing_is_empty),
        cmocka_unit_test(test_memory_hexdump_text_column),
        cmocka_unit_test(test_memory_hexdump_is_wide_beyond_32_bits),
        cmocka_unit_test(test_memory_hexdump_is_the_same_in_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
