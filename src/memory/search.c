/*
 * The streaming search: three ways, of which each keeps a state instead of the bytes that went by.
 *
 *   windows  `align` is at least the length, so that no two places that count overlap: compares at each,
 * skips between prefix   no mask: Knuth, Morris and Pratt; the state is how much of the pattern the last
 * bytes match bits     a mask: Baeza-Yates' and Gonnet's shift-and; one bit for each prefix of the pattern
 * that the last bytes match
 *
 * A mask rules out the second way, for matching is not transitive then.
 */
#include "memory/search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define WORD_BITS 64u

enum search_way { SEARCH_WINDOWS, SEARCH_PREFIX, SEARCH_BITS };

struct memory_search {
    enum search_way way;
    size_t length;
    uint8_t *pattern; /* only the bits that are compared */
    uint8_t *mask;    /* NULL: all bits */
    uint64_t start;
    uint64_t align;
    uint64_t offset;    /* from `start`, of the next byte of the stream */
    uint64_t candidate; /* offset of the next place that counts; windows: or of the one being compared */
    memory_search_found *found;
    void *context;
    bool stopped;
    size_t matched; /* windows, prefix: bytes of the pattern that match so far */

    uint16_t *borders; /* prefix: for each length of a prefix, its longest border */

    size_t word_count; /* bits: words of a row */
    uint64_t *rows;    /* bits: for each byte value, at which places of the pattern it may stand */
    uint64_t *state;   /* bits: zero outside the words from `low` to `high` */
    bool active;       /* bits: `state` is not all zero */
    size_t low;
    size_t high;
};

/* ---- Setting up ---- */

static bool mask_is_full(const uint8_t *mask, size_t length)
{
    for (size_t i = 0; mask != NULL && i < length; i++) {
        if (mask[i] != 0xff) {
            return false;
        }
    }
    return true;
}

static void copy_pattern(struct memory_search *search, const uint8_t *pattern, const uint8_t *mask)
{
    search->pattern = xmalloc(search->length);
    memcpy(search->pattern, pattern, search->length);
    if (mask_is_full(mask, search->length)) {
        return;
    }
    search->mask = xmalloc(search->length);
    memcpy(search->mask, mask, search->length);
    for (size_t i = 0; i < search->length; i++) {
        search->pattern[i] &= mask[i];
    }
}

static void find_borders(struct memory_search *search)
{
    const uint8_t *pattern = search->pattern;
    uint16_t *borders = xcalloc(search->length + 1, sizeof *borders);
    size_t border = 0;
    for (size_t i = 1; i < search->length; i++) {
        while (border > 0 && pattern[i] != pattern[border]) {
            border = borders[border];
        }
        if (pattern[i] == pattern[border]) {
            border++;
        }
        borders[i + 1] = (uint16_t)border;
    }
    search->borders = borders;
}

static void fill_rows(struct memory_search *search)
{
    search->word_count = (search->length + WORD_BITS - 1) / WORD_BITS;
    search->rows = xcalloc(256 * search->word_count, sizeof *search->rows);
    search->state = xcalloc(search->word_count, sizeof *search->state);
    for (size_t value = 0; value < 256; value++) {
        uint64_t *row = search->rows + value * search->word_count;
        for (size_t i = 0; i < search->length; i++) {
            if ((value & search->mask[i]) == search->pattern[i]) {
                row[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
            }
        }
    }
}

struct memory_search *memory_search_new(const uint8_t *pattern, const uint8_t *mask, size_t length,
                                        uint64_t start, uint64_t align, memory_search_found *found,
                                        void *context)
{
    assert(length >= 1 && length <= MEMORY_SEARCH_MAX_PATTERN && align >= 1);
    struct memory_search *search = xcalloc(1, sizeof *search);
    search->length = length;
    search->start = start;
    search->align = align;
    search->candidate = start % align == 0 ? 0 : align - start % align;
    search->found = found;
    search->context = context;
    copy_pattern(search, pattern, mask);
    if (align > 1 && align >= length) {
        search->way = SEARCH_WINDOWS;
    } else if (search->mask == NULL) {
        search->way = SEARCH_PREFIX;
        find_borders(search);
    } else {
        search->way = SEARCH_BITS;
        fill_rows(search);
    }
    return search;
}

void memory_search_free(struct memory_search *search)
{
    if (search == NULL) {
        return;
    }
    free(search->pattern);
    free(search->mask);
    free(search->borders);
    free(search->rows);
    free(search->state);
    free(search);
}

/* ---- Searching ---- */

static void next_candidate(struct memory_search *search)
{
    uint64_t room = UINT64_MAX - search->candidate;
    search->candidate = search->align > room ? UINT64_MAX : search->candidate + search->align;
}

/* Tells of a match that begins at `offset`. */
static void report(struct memory_search *search, uint64_t offset)
{
    if (!search->found(search->context, search->start + offset)) {
        search->stopped = true;
    }
}

static bool is_same(const struct memory_search *search, size_t from, const uint8_t *bytes, size_t length)
{
    if (search->mask == NULL) {
        return memcmp(search->pattern + from, bytes, length) == 0;
    }
    unsigned difference = 0;
    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned)(bytes[i] & search->mask[from + i]) ^ search->pattern[from + i];
    }
    return difference == 0;
}

static void feed_windows(struct memory_search *search, const uint8_t *bytes, size_t length)
{
    size_t position = 0;
    while (position < length && !search->stopped) {
        uint64_t gap = search->candidate + search->matched - (search->offset + position);
        if (gap >= length - position) {
            return;
        }
        position += (size_t)gap;
        size_t wanted = search->length - search->matched;
        size_t compared = wanted < length - position ? wanted : length - position;
        if (!is_same(search, search->matched, bytes + position, compared)) {
            search->matched = 0;
            next_candidate(search);
            continue;
        }
        position += compared;
        search->matched += compared;
        if (search->matched == search->length) {
            report(search, search->candidate);
            search->matched = 0;
            next_candidate(search);
        }
    }
}

/* The longest prefix that still matches when `byte` comes. */
static size_t extend_prefix(const struct memory_search *search, size_t matched, uint8_t byte)
{
    while (matched > 0 && search->pattern[matched] != byte) {
        matched = search->borders[matched];
    }
    return search->pattern[matched] == byte ? matched + 1 : 0;
}

static void feed_prefix(struct memory_search *search, const uint8_t *bytes, size_t length)
{
    size_t matched = search->matched;
    for (size_t position = 0; position < length && !search->stopped; position++) {
        if (matched == 0) {
            const uint8_t *next = memchr(bytes + position, search->pattern[0], length - position);
            if (next == NULL) {
                break;
            }
            position = (size_t)(next - bytes);
        }
        matched = extend_prefix(search, matched, bytes[position]);
        if (matched < search->length) {
            continue;
        }
        matched = search->borders[matched];
        uint64_t offset = search->offset + position + 1 - search->length;
        if (search->align == 1 || (search->start + offset) % search->align == 0) {
            report(search, offset);
        }
    }
    search->matched = matched;
}

/* Moves every prefix that matches on by `byte`; `carry` is 1 where a match may begin with it. */
static void extend_bits(struct memory_search *search, uint8_t byte, uint64_t carry)
{
    const uint64_t *row = search->rows + byte * search->word_count;
    size_t first = carry != 0 || !search->active ? 0 : search->low;
    size_t last = search->active ? search->high + 1 : 0;
    if (last >= search->word_count) {
        last = search->word_count - 1;
    }
    search->active = false;
    for (size_t i = first; i <= last; i++) {
        uint64_t word = (search->state[i] << 1 | carry) & row[i];
        carry = search->state[i] >> (WORD_BITS - 1);
        search->state[i] = word;
        if (word == 0) {
            continue;
        }
        if (!search->active) {
            search->low = i;
        }
        search->active = true;
        search->high = i;
    }
}

static void feed_bits(struct memory_search *search, const uint8_t *bytes, size_t length)
{
    size_t last_word = search->word_count - 1;
    uint64_t last_bit = UINT64_C(1) << (search->length - 1) % WORD_BITS;
    for (size_t position = 0; position < length && !search->stopped; position++) {
        uint64_t gap = search->candidate - (search->offset + position);
        if (!search->active) {
            if (gap >= length - position) {
                return;
            }
            position += (size_t)gap;
            gap = 0;
        }
        if (gap == 0) {
            next_candidate(search);
        }
        extend_bits(search, bytes[position], gap == 0 ? 1 : 0);
        if (search->active && (search->state[last_word] & last_bit) != 0) {
            report(search, search->offset + position + 1 - search->length);
        }
    }
}

bool memory_search_feed(struct memory_search *search, const uint8_t *bytes, size_t length)
{
    if (search->stopped || length == 0) {
        return !search->stopped;
    }
    switch (search->way) {
    case SEARCH_WINDOWS:
        feed_windows(search, bytes, length);
        break;
    case SEARCH_PREFIX:
        feed_prefix(search, bytes, length);
        break;
    case SEARCH_BITS:
        feed_bits(search, bytes, length);
        break;
    }
    search->offset += length;
    return !search->stopped;
}
