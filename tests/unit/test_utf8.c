/* base/utf8: against a decoder that follows the definition instead of the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

static size_t encode(uint32_t point, char bytes[4])
{
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        bytes[i] = (char)(0x80u | (point & 0x3fu));
        point >>= 6;
    }
    bytes[0] = (char)((0xf00u >> length & 0xffu) | point);
    return length;
}

static void test_utf8_takes_every_character(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        char bytes[5] = {0};
        size_t length = encode(point, bytes);
        size_t expected = point >= 0xd800 && point <= 0xdfff ? 0 : length;
        assert_int_equal(utf8_sequence(bytes, length), expected);
        assert_int_equal(utf8_sequence(bytes, sizeof bytes), expected);
        for (size_t cut = 0; cut < length; cut++) {
            assert_int_equal(utf8_sequence(bytes, cut), 0);
        }
    }
}

/* All pairs, and all triples and quads with bytes around the borders: valid only if it is what encode()
 * makes. */
static void test_utf8_takes_nothing_else(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
    const size_t count = sizeof edges;
    for (unsigned lead = 0; lead < 256; lead++) {
        for (size_t code = 0; code < count * count * count; code++) {
            char bytes[4] = {(char)lead, (char)edges[code % count], (char)edges[code / count % count],
                             (char)edges[code / count / count]};
            size_t length = utf8_sequence(bytes, sizeof bytes);
            if (length == 0) {
                continue; /* that nothing valid is refused is the other test's */
            }
            uint32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
            for (size_t i = 1; i < length; i++) {
                point = point << 6 | ((unsigned char)bytes[i] & 0x3fu);
            }
            char again[4];
            assert_true(point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff));
            assert_int_equal(encode(point, again), length);
            assert_memory_equal(again, bytes, length);
        }
    }
}

static void test_utf8_valid_finds_a_fault_at_every_place(void **state)
{
    (void)state;
    char text[64];
    memset(text, 'a', sizeof text);
    assert_true(utf8_valid(text, 0));
    assert_true(utf8_valid(text, sizeof text));
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = '\x80';
        assert_false(utf8_valid(text, sizeof text));
        assert_true(utf8_valid(text, i));
        text[i] = 'a';
    }
    for (size_t i = 0; i + 4 <= sizeof text; i++) {
        memcpy(text + i, "\xf0\x9f\x90\x80", 4);
        assert_true(utf8_valid(text, sizeof text));
        assert_false(utf8_valid(text, i + 3));
        memset(text + i, 'a', 4);
    }
    assert_true(utf8_valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_takes_every_character),
        cmocka_unit_test(test_utf8_takes_nothing_else),
        cmocka_unit_test(test_utf8_valid_finds_a_fault_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
