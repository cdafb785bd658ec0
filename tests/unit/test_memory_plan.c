/* memory/plan: ranges at every alignment, cut by following the plan to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory/plan.h"

#define NO_BUDGET UINT64_MAX

static void assert_access(struct memory_access access, uint64_t address, unsigned width, uint32_t count)
{
    assert_true(access.address == address);
    assert_int_equal(access.width, width);
    assert_int_equal(access.count, count);
    assert_int_equal(memory_access_size(&access), (uint64_t)count * width / 8);
}

static void test_memory_plan_example_of_the_header(void **state)
{
    (void)state;
    assert_access(memory_plan_first(1, 7, 32, NO_BUDGET), 1, 8, 1);
    assert_access(memory_plan_first(2, 6, 32, NO_BUDGET), 2, 16, 1);
    assert_access(memory_plan_first(4, 4, 32, NO_BUDGET), 4, 32, 1);
}

static void test_memory_plan_takes_the_widest_run(void **state)
{
    (void)state;
    assert_access(memory_plan_first(0x20000000, 1024, 32, NO_BUDGET), 0x20000000, 32, 256);
    assert_access(memory_plan_first(0x20000000, 1024, 64, NO_BUDGET), 0x20000000, 64, 128);
    assert_access(memory_plan_first(0x20000000, 1024, 8, NO_BUDGET), 0x20000000, 8, 1024);
    assert_access(memory_plan_first(0x20000001, 1024, 8, NO_BUDGET), 0x20000001, 8, 1024);
    assert_access(memory_plan_first(0x20000000, 1023, 32, NO_BUDGET), 0x20000000, 32, 255);
    assert_access(memory_plan_first(0x200003fc, 3, 32, NO_BUDGET), 0x200003fc, 16, 1);
    /* Two bytes on both sides of a border: one access, not two of the same width. */
    assert_access(memory_plan_first(0x20000003, 2, 32, NO_BUDGET), 0x20000003, 8, 2);
    assert_access(memory_plan_first(0x20000002, 4, 32, NO_BUDGET), 0x20000002, 16, 2);
    assert_access(memory_plan_first(0x20000003, 3, 32, NO_BUDGET), 0x20000003, 8, 1);
}

static void test_memory_plan_keeps_limit_and_budget(void **state)
{
    (void)state;
    assert_access(memory_plan_first(0, 1 << 20, 32, NO_BUDGET), 0, 32, MEMORY_PLAN_MAX_ELEMENTS);
    assert_access(memory_plan_first(0, 1 << 20, 8, NO_BUDGET), 0, 8, MEMORY_PLAN_MAX_ELEMENTS);
    assert_access(memory_plan_first(0, 1 << 20, 32, 1024), 0, 32, 256);
    assert_access(memory_plan_first(0, 1 << 20, 32, 1027), 0, 32, 256);
    assert_access(memory_plan_first(0, 1 << 20, 32, 3), 0, 32, 1);
    assert_access(memory_plan_first(0, 1 << 20, 64, 0), 0, 64, 1);
    assert_access(memory_plan_first(0, 1 << 20, 8, 0), 0, 8, 1);
}

static void test_memory_plan_reaches_the_end_of_the_address_space(void **state)
{
    (void)state;
    assert_access(memory_plan_first(UINT64_MAX, 1, 64, NO_BUDGET), UINT64_MAX, 8, 1);
    assert_access(memory_plan_first(UINT64_MAX - 7, 8, 64, NO_BUDGET), UINT64_MAX - 7, 64, 1);
    assert_access(memory_plan_first(UINT64_MAX - 2, 3, 64, NO_BUDGET), UINT64_MAX - 2, 8, 1);
    assert_access(memory_plan_first(0, UINT64_MAX, 64, NO_BUDGET), 0, 64, MEMORY_PLAN_MAX_ELEMENTS);
}

/* Follows the plan through a range and checks each access; returns how many there were. */
static unsigned follow(uint64_t address, uint64_t size, unsigned max_width, uint64_t budget)
{
    unsigned accesses = 0;
    while (size > 0) {
        struct memory_access access = memory_plan_first(address, size, max_width, budget);
        uint64_t covered = memory_access_size(&access);
        assert_true(access.address == address);
        assert_true(access.width >= 8 && access.width <= max_width);
        assert_int_equal(access.width & (access.width - 1), 0);
        assert_int_equal(address % (access.width / 8), 0);
        assert_in_range(access.count, 1, MEMORY_PLAN_MAX_ELEMENTS);
        assert_true(covered <= size);
        assert_true(covered <= budget || access.count == 1);
        /* Twice the width must not have been possible at the first element. */
        if (access.width < max_width) {
            assert_true(address % (access.width / 4) != 0 || size < access.width / 4);
        }
        address += covered;
        size -= covered;
        accesses++;
        assert_true(accesses < 10000);
    }
    return accesses;
}

static void test_memory_plan_covers_every_range(void **state)
{
    (void)state;
    for (unsigned max_width = 8; max_width <= 64; max_width *= 2) {
        for (uint64_t offset = 0; offset < 16; offset++) {
            for (uint64_t size = 1; size < 80; size++) {
                unsigned accesses = follow(0x08000000 + offset, size, max_width, NO_BUDGET);
                /* One at each width on the way up and down, and the run between. */
                assert_true(accesses <= 7);
                if (max_width == 8) {
                    assert_int_equal(accesses, 1);
                }
                for (uint64_t budget = 0; budget < 20; budget++) {
                    follow(0x08000000 + offset, size, max_width, budget);
                }
            }
        }
    }
    /* A byte, a half-word, four runs of words, a byte. */
    assert_int_equal(follow(1, 65536, 32, NO_BUDGET), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_plan_example_of_the_header),
        cmocka_unit_test(test_memory_plan_takes_the_widest_run),
        cmocka_unit_test(test_memory_plan_keeps_limit_and_budget),
        cmocka_unit_test(test_memory_plan_reaches_the_end_of_the_address_space),
        cmocka_unit_test(test_memory_plan_covers_every_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
