/*
 * memory/search against a naive search. Input: length of the pattern (2 bytes, little-endian), flags (1:
 * mask), align, start, limit, size of the pieces (1 byte each), then pattern, mask and stream.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "memory/search.h"

#define HEAD_SIZE 7u
#define MAX_STREAM 4096u

struct question {
    const uint8_t *pattern;
    const uint8_t *mask;
    size_t length;
    uint64_t start;
    uint64_t align;
    size_t limit;
    const uint8_t *stream;
    size_t stream_length;
    size_t piece;
};

struct matches {
    uint64_t addresses[MAX_STREAM];
    size_t count;
    size_t limit;
};

static bool note(void *context, uint64_t address)
{
    struct matches *matches = context;
    require(matches->count < matches->limit && matches->count < MAX_STREAM);
    matches->addresses[matches->count++] = address;
    return matches->count < matches->limit;
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

static void search_naively(const struct question *question, struct matches *matches)
{
    for (size_t i = 0; i + question->length <= question->stream_length; i++) {
        uint64_t address = question->start + i;
        if (address % question->align == 0 && matches_at(question, question->stream + i) &&
            !note(matches, address)) {
            return;
        }
    }
}

static void search_in_pieces(const struct question *question, struct matches *matches)
{
    struct memory_search *search = memory_search_new(question->pattern, question->mask, question->length,
                                                     question->start, question->align, note, matches);
    for (size_t position = 0; position < question->stream_length;) {
        size_t rest = question->stream_length - position;
        size_t piece = question->piece < rest ? question->piece : rest;
        /* Of its own size, so that reading past it is seen. */
        uint8_t *copy = malloc(piece);
        require(copy != NULL);
        memcpy(copy, question->stream + position, piece);
        require(memory_search_feed(search, copy, piece) == (matches->count < matches->limit));
        free(copy);
        position += piece;
    }
    memory_search_free(search);
}

static bool read_question(struct question *question, const uint8_t *data, size_t size)
{
    if (size < HEAD_SIZE) {
        return false;
    }
    size_t length = 1 + (data[0] | (size_t)data[1] << 8) % MEMORY_SEARCH_MAX_PATTERN;
    bool masked = (data[2] & 1) != 0;
    size_t used = HEAD_SIZE + (masked ? 2 * length : length);
    if (size < used || size - used > MAX_STREAM) {
        return false;
    }
    *question = (struct question){
        .pattern = data + HEAD_SIZE,
        .mask = masked ? data + HEAD_SIZE + length : NULL,
        .length = length,
        .align = 1 + (uint64_t)data[3],
        .start = data[4],
        .limit = data[5] == 0 ? SIZE_MAX : data[5],
        .piece = 1 + (size_t)data[6],
        .stream = data + used,
        .stream_length = size - used,
    };
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct matches expected;
    static struct matches found;
    struct question question;
    if (!read_question(&question, data, size)) {
        return 0;
    }
    expected.count = found.count = 0;
    expected.limit = found.limit = question.limit;
    search_naively(&question, &expected);
    search_in_pieces(&question, &found);
    require(found.count == expected.count);
    require(memcmp(found.addresses, expected.addresses, found.count * sizeof found.addresses[0]) == 0);
    return 0;
}
