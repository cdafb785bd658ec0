/* memory/values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memory/values.h"

static void test_memory_values_have_the_byte_order_asked_for(void **state)
{
    (void)state;
    static const struct {
        unsigned width;
        bool big_endian;
        uint64_t value;
        uint8_t bytes[8];
    } cases[] = {
        {8, false, 0xa1, {0xa1}},
        {8, true, 0xa1, {0xa1}},
        {16, false, 0xa1b2, {0xb2, 0xa1}},
        {16, true, 0xa1b2, {0xa1, 0xb2}},
        {32, false, 0xa1b2c3d4, {0xd4, 0xc3, 0xb2, 0xa1}},
        {32, true, 0xa1b2c3d4, {0xa1, 0xb2, 0xc3, 0xd4}},
        {64, false, 0xa1b2c3d4e5f60718, {0x18, 0x07, 0xf6, 0xe5, 0xd4, 0xc3, 0xb2, 0xa1}},
        {64, true, 0xa1b2c3d4e5f60718, {0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[9];
        memset(bytes, 0x55, sizeof bytes);
        size_t size = cases[i].width / 8;
        memory_value_to_bytes(cases[i].value, cases[i].width, cases[i].big_endian, bytes);
        assert_memory_equal(bytes, cases[i].bytes, size);
        assert_int_equal(bytes[size], 0x55);
        uint64_t value = memory_value_from_bytes(bytes, cases[i].width, cases[i].big_endian);
        assert_true(value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_values_have_the_byte_order_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
