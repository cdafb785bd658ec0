/* What the tests of src/image share: parsing copies of literal files, and looking at results and errors. */
#ifndef OCDMUX_TESTS_UNIT_TEST_IMAGE_H
#define OCDMUX_TESTS_UNIT_TEST_IMAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "image/image.h"

#define NO_DETAIL UINT64_MAX

/* A copy of exactly that size, so that ASan sees every step over its end. */
static inline uint8_t *copy_of(const void *bytes, size_t length)
{
    uint8_t *copy = xmalloc(length > 0 ? length : 1);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

static inline bool parse_bytes(enum image_format format, const void *bytes, size_t length,
                               struct image *ret_image, struct err *err)
{
    err_reset(err);
    return image_parse(format, 0, copy_of(bytes, length), length, ret_image, err);
}

static inline void assert_parses(enum image_format format, const void *bytes, size_t length,
                                 struct image *ret_image)
{
    struct err err;
    if (!parse_bytes(format, bytes, length, ret_image, &err)) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(ret_image->format, format);
    uint64_t size = 0;
    for (size_t i = 0; i < ret_image->segment_count; i++) {
        size += ret_image->segments[i].size;
    }
    assert_int_equal(ret_image->size, size);
}

static inline void assert_segment(const struct image *image, size_t index, uint64_t address,
                                  const void *bytes, size_t size)
{
    assert_true(index < image->segment_count);
    assert_int_equal(image->segments[index].address, address);
    assert_int_equal(image->segments[index].size, size);
    assert_memory_equal(image->segments[index].bytes, bytes, size);
}

static inline uint64_t detail_of(const struct err *err, const char *name)
{
    const struct err_detail *detail = err_find_detail(err, name);
    return detail != NULL ? detail->number : NO_DETAIL;
}

/* A copy in which each "??" became the checksum of the record in front of it; free() it. */
static inline char *fill_sums(enum image_format format, const char *text)
{
    char *filled = xstrdup(text);
    const size_t prefix = format == IMAGE_IHEX ? 1 : 2;
    char *line = filled;
    for (char *at = filled; *at != '\0'; at++) {
        if (*at == '\n') {
            line = at + 1;
        } else if (*at == '?') {
            unsigned sum = format == IMAGE_IHEX ? 0 : 1;
            for (char *digits = line + prefix; digits < at; digits += 2) {
                const char pair[3] = {digits[0], digits[1], '\0'};
                sum += (unsigned)strtoul(pair, NULL, 16);
            }
            at[0] = "0123456789ABCDEF"[(0u - sum) >> 4 & 0xf];
            at[1] = "0123456789ABCDEF"[(0u - sum) & 0xf];
            at++;
        }
    }
    return filled;
}

/* Refused, with these words in the message, that detail, and the output as it was. */
static inline void assert_refused(enum image_format format, const void *bytes, size_t length,
                                  const char *words, const char *detail, uint64_t value)
{
    struct err err;
    struct image image;
    struct image untouched;
    memset(&image, 0x55, sizeof image);
    memcpy(&untouched, &image, sizeof image);
    assert_false(parse_bytes(format, bytes, length, &image, &err));
    assert_int_equal(err.kind, ERR_IMAGE_INVALID);
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
    if (detail != NULL && detail_of(&err, detail) != value) {
        fail_msg("\"%s\" has the %s 0x%llx, not 0x%llx", err.message, detail,
                 (unsigned long long)detail_of(&err, detail), (unsigned long long)value);
    }
    assert_memory_equal(&image, &untouched, sizeof image);
}

/* The same for text with "??" for its checksums. */
static inline void assert_text_parses(enum image_format format, const char *text, struct image *ret_image)
{
    char *filled = fill_sums(format, text);
    assert_parses(format, filled, strlen(filled), ret_image);
    free(filled);
}

struct text_refusal {
    const char *text;
    const char *words;
    uint64_t line;
};

static inline void assert_texts_refused(enum image_format format, const struct text_refusal *refusals,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *filled = fill_sums(format, refusals[i].text);
        assert_refused(format, filled, strlen(filled), refusals[i].words, "line", refusals[i].line);
        free(filled);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
