/* memory/search: examples by hand, and random ones against a naive search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "memory/search.h"

#define MAX_MATCHES 20000u

struct matches {
    uint64_t addresses[MAX_MATCHES];
    size_t count;
    size_t limit; /* says stop at this one */
};

static struct matches found;
static struct matches expected;

struct question {
    const uint8_t *pattern;
    const uint8_t *mask;
    size_t length;
    uint64_t start;
    uint64_t align;
};

static bool note(void *context, uint64_t address)
{
    struct matches *matches = context;
    assert_true(matches->count < MAX_MATCHES);
    matches->addresses[matches->count++] = address;
    return matches->count < matches->limit;
}

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static bool matches_at(const struct question *question, const uint8_t *bytes)
{
    for (size_t i = 0; i < question->length; i++) {
        unsigned mask = question->mask == NULL ? 0xff : question->mask[i];
        if (((bytes[i] ^ question->pattern[i]) & mask) != 0) {
            return false;
        }
    }
    return true;
}

static void search_naively(const struct question *question, const uint8_t *bytes, size_t length, size_t limit)
{
    expected.count = 0;
    expected.limit = limit;
    for (size_t i = 0; i + question->length <= length; i++) {
        if ((question->start + i) % question->align == 0 && matches_at(question, bytes + i) &&
            !note(&expected, question->start + i)) {
            return;
        }
    }
}

/* Feeds pieces of at most `max_piece` bytes, each from memory of its own, so that reading past one is seen.
 */
static void search_in_pieces(const struct question *question, const uint8_t *bytes, size_t length,
                             size_t limit, uint32_t max_piece)
{
    found.count = 0;
    found.limit = limit;
    struct memory_search *search = memory_search_new(question->pattern, question->mask, question->length,
                                                     question->start, question->align, note, &found);
    bool going_on = true;
    size_t position = 0;
    while (position < length) {
        size_t piece = random_below(max_piece + 1);
        piece = piece < length - position ? piece : length - position;
        uint8_t *copy = xmalloc(piece);
        memcpy(copy, bytes + position, piece);
        going_on = memory_search_feed(search, copy, piece);
        free(copy);
        position += piece;
        assert_true(going_on == (found.count < limit));
    }
    memory_search_free(search);
}

static void assert_same_matches(void)
{
    assert_int_equal(found.count, expected.count);
    for (size_t i = 0; i < found.count; i++) {
        assert_true(found.addresses[i] == expected.addresses[i]);
    }
}

static void compare(const struct question *question, const uint8_t *bytes, size_t length, size_t limit,
                    uint32_t max_piece)
{
    search_naively(question, bytes, length, limit);
    search_in_pieces(question, bytes, length, limit, max_piece);
    assert_same_matches();
}

static void test_memory_search_finds_overlapping_matches(void **state)
{
    (void)state;
    struct question question = {(const uint8_t *)"aba", NULL, 3, 0x08000000, 1};
    search_in_pieces(&question, (const uint8_t *)"ababa-aba", 9, SIZE_MAX, 9);
    assert_int_equal(found.count, 3);
    assert_true(found.addresses[0] == 0x08000000);
    assert_true(found.addresses[1] == 0x08000002);
    assert_true(found.addresses[2] == 0x08000006);
}

static void test_memory_search_obeys_the_mask(void **state)
{
    (void)state;
    struct question question = {(const uint8_t *)"\xa5\x00\x3c", (const uint8_t *)"\xf0\x00\xff", 3, 0, 1};
    search_in_pieces(&question, (const uint8_t *)"\xaf\xff\x3c\x5f\xff\x3c\xa0\x00\x3d", 9, SIZE_MAX, 2);
    assert_int_equal(found.count, 1);
    assert_true(found.addresses[0] == 0);
}

static void test_memory_search_aligns_addresses_not_offsets(void **state)
{
    (void)state;
    struct question question = {(const uint8_t *)"x", NULL, 1, 0x1001, 6};
    search_in_pieces(&question, (const uint8_t *)"xxxxxxxxxxxx", 12, SIZE_MAX, 3);
    assert_int_equal(found.count, 2);
    assert_true(found.addresses[0] == 0x1002);
    assert_true(found.addresses[1] == 0x1008);
}

static void test_memory_search_stops_for_good(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    static const uint8_t mask[2] = {0xff, 0x0f};
    const struct question questions[] = {
        {zeros, NULL, 2, 0, 1}, {zeros, NULL, 2, 0, 4}, {zeros, mask, 2, 0, 1}, {zeros, mask, 2, 0, 4}};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        found = (struct matches){.limit = 2};
        struct memory_search *search = memory_search_new(questions[i].pattern, questions[i].mask, 2, 0,
                                                         questions[i].align, note, &found);
        assert_true(memory_search_feed(search, zeros, 1));
        assert_false(memory_search_feed(search, zeros, sizeof zeros));
        assert_false(memory_search_feed(search, zeros, sizeof zeros));
        assert_false(memory_search_feed(search, zeros, 0));
        assert_int_equal(found.count, 2);
        memory_search_free(search);
    }
    memory_search_free(NULL);
}

static void test_memory_search_copies_pattern_and_mask(void **state)
{
    (void)state;
    uint8_t pattern[2] = {1, 2};
    uint8_t mask[2] = {0xff, 0x7f};
    found = (struct matches){.limit = SIZE_MAX};
    struct memory_search *search = memory_search_new(pattern, mask, 2, 0, 1, note, &found);
    memset(pattern, 9, sizeof pattern);
    memset(mask, 9, sizeof mask);
    assert_true(memory_search_feed(search, (const uint8_t *)"\x01\x82", 2));
    assert_int_equal(found.count, 1);
    memory_search_free(search);
}

static void test_memory_search_at_the_end_of_the_address_space(void **state)
{
    (void)state;
    static const uint8_t zeros[8];
    static const uint8_t mask[4] = {0xff, 0xff, 0xff, 0x01};
    const uint64_t aligns[] = {1, 2, 4, 8, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct question question = {zeros, masked ? mask : NULL, 4, UINT64_MAX - 7, aligns[i]};
            compare(&question, zeros, sizeof zeros, SIZE_MAX, 3);
        }
    }
    struct question question = {zeros, NULL, 4, 0, UINT64_MAX};
    compare(&question, zeros, sizeof zeros, SIZE_MAX, 3);
}

/* A stream over few values, so that there are many near and real matches, and a pattern that is often cut out
 * of it. */
static void compare_random(size_t max_length, uint32_t max_pattern, uint32_t max_piece)
{
    uint32_t values = 1 + random_below(4);
    size_t length = random_below((uint32_t)max_length + 1);
    uint8_t *bytes = xmalloc(length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(random_below(values) * (random_below(8) == 0 ? 0x55 : 1));
    }
    size_t pattern_length = 1 + random_below(max_pattern);
    uint8_t *pattern = xmalloc(pattern_length);
    uint8_t *mask = xmalloc(pattern_length);
    bool cut_out = pattern_length <= length && random_below(4) != 0;
    size_t place = cut_out ? random_below((uint32_t)(length - pattern_length + 1)) : 0;
    uint32_t mask_kind = random_below(4);
    for (size_t i = 0; i < pattern_length; i++) {
        pattern[i] = cut_out ? bytes[place + i] : (uint8_t)random_below(values);
        mask[i] = (uint8_t)(mask_kind == 0 ? 0 : mask_kind == 1 ? random_below(256) : 0xff);
        if (mask_kind == 2 && random_below(5) == 0) {
            mask[i] = 0xfe;
        }
    }
    uint64_t align = random_below(3) == 0 ? 1 : 1 + random_below(random_below(2) == 0 ? 8 : 2 * max_pattern);
    uint64_t start = random_below(2) == 0 ? random_below(100) : 0x08000000 + (uint64_t)random_below(16);
    size_t limit = random_below(3) == 0 ? 1 + random_below(10) : SIZE_MAX;
    struct question question = {pattern, random_below(3) == 0 ? NULL : mask, pattern_length, start, align};
    compare(&question, bytes, length, limit, max_piece);
    free(bytes);
    free(pattern);
    free(mask);
}

static void test_memory_search_agrees_with_a_naive_one_on_short_patterns(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        compare_random(200, 1 + random_below(12), 1 + random_below(40));
    }
}

static void test_memory_search_agrees_with_a_naive_one_on_long_patterns(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        compare_random(8000, 1 + random_below(1000), 1 + random_below(3000));
    }
    for (int i = 0; i < 20; i++) {
        compare_random(15000, MEMORY_SEARCH_MAX_PATTERN, 1 + random_below(5000));
    }
}

static void test_memory_search_takes_the_longest_pattern(void **state)
{
    (void)state;
    const size_t length = MEMORY_SEARCH_MAX_PATTERN;
    const size_t stream_length = length + 1000;
    uint8_t *zeros = xcalloc(stream_length, 1);
    uint8_t *mask = xmalloc(length);
    memset(mask, 0xff, length);
    mask[length - 1] = 0x7f;
    for (int masked = 0; masked < 2; masked++) {
        struct question question = {zeros, masked ? mask : NULL, length, 0x20000000, 1};
        search_in_pieces(&question, zeros, stream_length, SIZE_MAX, 777);
        assert_int_equal(found.count, 1001);
        assert_true(found.addresses[1000] == 0x20000000 + 1000);
        search_in_pieces(&question, zeros, length - 1, SIZE_MAX, 777);
        assert_int_equal(found.count, 0);
    }
    free(zeros);
    free(mask);
}

/* Every place but the last nearly matches: the state must survive a long run of falling back by one. */
static void test_memory_search_finds_the_end_of_a_run_of_near_matches(void **state)
{
    (void)state;
    const size_t piece = 64 * 1024;
    const unsigned pieces = 16;
    uint8_t *zeros = xcalloc(piece, 1);
    uint8_t *pattern = xcalloc(MEMORY_SEARCH_MAX_PATTERN, 1);
    uint8_t *mask = xmalloc(MEMORY_SEARCH_MAX_PATTERN);
    memset(mask, 0x01, MEMORY_SEARCH_MAX_PATTERN);
    pattern[MEMORY_SEARCH_MAX_PATTERN - 1] = 1;
    for (int masked = 0; masked < 2; masked++) {
        found = (struct matches){.limit = SIZE_MAX};
        struct memory_search *search =
            memory_search_new(pattern, masked ? mask : NULL, MEMORY_SEARCH_MAX_PATTERN, 0, 1, note, &found);
        for (unsigned i = 0; i < pieces; i++) {
            assert_true(memory_search_feed(search, zeros, piece));
        }
        assert_true(memory_search_feed(search, (const uint8_t *)"\x01", 1));
        assert_int_equal(found.count, 1);
        assert_true(found.addresses[0] == (uint64_t)piece * pieces + 1 - MEMORY_SEARCH_MAX_PATTERN);
        memory_search_free(search);
    }
    free(mask);
    free(pattern);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_search_finds_overlapping_matches),
        cmocka_unit_test(test_memory_search_obeys_the_mask),
        cmocka_unit_test(test_memory_search_aligns_addresses_not_offsets),
        cmocka_unit_test(test_memory_search_stops_for_good),
        cmocka_unit_test(test_memory_search_copies_pattern_and_mask),
        cmocka_unit_test(test_memory_search_at_the_end_of_the_address_space),
        cmocka_unit_test(test_memory_search_agrees_with_a_naive_one_on_short_patterns),
        cmocka_unit_test(test_memory_search_agrees_with_a_naive_one_on_long_patterns),
        cmocka_unit_test(test_memory_search_takes_the_longest_pattern),
        cmocka_unit_test(test_memory_search_finds_the_end_of_a_run_of_near_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
