/* board/repair_record: what is encoded is read back, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "board/repair_record.h"

static const struct repair_head good_head = {.bank = "vb.flash 1",
                                             .base = 0x8000000,
                                             .sector_offset = 0x400,
                                             .sector_size = 0x400,
                                             .since = "2026-01-31T12:00:00.000Z"};
static const uint8_t good_bytes[] = "a\0b\ndata 3 x\nrange\xff\x1a";
static struct keeper_range good_ranges[] = {
    {0x400, 4, good_bytes}, {0x404, 1, good_bytes + 4}, {0x7f0, 0x10, good_bytes + 5}};
static const struct keeper_record good_record = {
    .sector_offset = 0x400, .sector_size = 0x400, .ranges = good_ranges, .range_count = 3};

static void encode(struct strbuf *text)
{
    repair_record_encode(text, &good_head, &good_record);
}

static bool decode(const struct strbuf *text, struct repair_head *head, struct keeper_record *record)
{
    /* In memory of just its size, so that a byte too far is found. */
    uint8_t *copy = xmalloc(text->length > 0 ? text->length : 1);
    if (text->length > 0) {
        memcpy(copy, text->data, text->length);
    }
    bool ok = repair_record_decode(copy, text->length, head, record);
    free(copy);
    return ok;
}

static void must_refuse(const struct strbuf *text)
{
    struct repair_head head;
    struct keeper_record record;
    struct repair_head head_before;
    struct keeper_record record_before;
    memset(&head, 0x55, sizeof head);
    memset(&record, 0x55, sizeof record);
    head_before = head;
    record_before = record;
    if (decode(text, &head, &record)) {
        fail_msg("taken: %s", strbuf_text(text));
    }
    assert_memory_equal(&head, &head_before, sizeof head);
    assert_memory_equal(&record, &record_before, sizeof record);
}

static void test_repair_record_reads_back_what_it_wrote(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct repair_head head;
    struct keeper_record record;
    (void)state;
    encode(&text);
    assert_true(decode(&text, &head, &record));
    assert_string_equal(head.bank, good_head.bank);
    assert_string_equal(head.since, good_head.since);
    assert_int_equal(head.base, good_head.base);
    assert_int_equal(head.sector_offset, good_head.sector_offset);
    assert_int_equal(head.sector_size, good_head.sector_size);
    assert_int_equal(record.sector_offset, good_record.sector_offset);
    assert_int_equal(record.sector_size, good_record.sector_size);
    assert_int_equal(record.range_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(record.ranges[i].offset, good_ranges[i].offset);
        assert_int_equal(record.ranges[i].size, good_ranges[i].size);
        assert_memory_equal(record.ranges[i].bytes, good_ranges[i].bytes, good_ranges[i].size);
    }
    keeper_record_fini(&record);
    strbuf_fini(&text);
}

static void test_repair_record_has_the_form_that_is_documented(void **state)
{
    static const char head[] = "ocdmux kept bytes 1\nbank vb.flash 1\nbase 0x8000000\nsector 0x400 0x400\n"
                               "since 2026-01-31T12:00:00.000Z\nrange 0x400 0x4\nrange 0x404 0x1\n"
                               "range 0x7f0 0x10\n";
    struct strbuf text = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    struct sha256 *sha = sha256_new();
    char digest[SHA256_TEXT_SIZE];
    (void)state;
    sha256_add(sha, (const uint8_t *)head, sizeof head - 1);
    sha256_add(sha, good_bytes, 21);
    sha256_finish(sha, digest);
    sha256_free(sha);
    strbuf_appendf(&expected, "%sdata 21 %s\n", head, digest);
    strbuf_append(&expected, good_bytes, 21);
    encode(&text);
    assert_int_equal(text.length, expected.length);
    assert_memory_equal(text.data, expected.data, text.length);
    strbuf_fini(&text);
    strbuf_fini(&expected);
}

static void test_repair_record_takes_numbers_and_names_of_any_size(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct repair_head head = good_head;
    struct keeper_range range = {UINT64_MAX - 3, 3, good_bytes};
    struct keeper_record record = {
        .sector_offset = UINT64_MAX - 3, .sector_size = 3, .ranges = &range, .range_count = 1};
    struct keeper_record found;
    (void)state;
    head.base = UINT64_MAX;
    head.sector_offset = record.sector_offset;
    head.sector_size = record.sector_size;
    memset(head.bank, 'x', sizeof head.bank - 1);
    memset(head.since, '9', sizeof head.since - 1);
    repair_record_encode(&text, &head, &record);
    struct repair_head read;
    assert_true(decode(&text, &read, &found));
    assert_string_equal(read.bank, head.bank);
    assert_string_equal(read.since, head.since);
    assert_int_equal(read.base, UINT64_MAX);
    assert_int_equal(found.ranges[0].offset, UINT64_MAX - 3);
    keeper_record_fini(&found);
    strbuf_fini(&text);
}

static void test_repair_record_refuses_every_part_of_one(void **state)
{
    struct strbuf text = STRBUF_INIT;
    (void)state;
    encode(&text);
    while (text.length > 0) {
        strbuf_truncate(&text, text.length - 1);
        must_refuse(&text);
    }
    strbuf_fini(&text);
}

static void test_repair_record_refuses_every_other_byte(void **state)
{
    struct strbuf text = STRBUF_INIT;
    (void)state;
    encode(&text);
    for (size_t i = 0; i < text.length; i++) {
        char good = text.data[i];
        for (unsigned change = 1; change < 256; change++) {
            text.data[i] = (char)((unsigned char)good ^ change);
            must_refuse(&text);
        }
        text.data[i] = good;
    }
    strbuf_append_byte(&text, 'x');
    must_refuse(&text);
    strbuf_fini(&text);
}

/* Texts whose SHA-256 is right, and which are wrong all the same. */
static void test_repair_record_refuses_what_makes_no_sense(void **state)
{
    static const char start[] = "ocdmux kept bytes 1\nbank b\nbase 0x0\n";
    static const struct {
        const char *head; /* behind `start` */
        size_t bytes;
    } cases[] = {
        {"sector 0x0 0x10\nsince t\n", 0},                               /* no range */
        {"sector 0x0 0x10\nsince t\nrange 0x0 0x0\n", 0},                /* an empty one */
        {"sector 0x0 0x10\nsince t\nrange 0x0 0x11\n", 17},              /* beyond the sector */
        {"sector 0x0 0x10\nsince t\nrange 0x10 0x1\n", 1},               /* behind it */
        {"sector 0x10 0x10\nsince t\nrange 0xf 0x1\n", 1},               /* before it */
        {"sector 0x0 0x10\nsince t\nrange 0x4 0x2\nrange 0x5 0x1\n", 3}, /* one over the other */
        {"sector 0x0 0x10\nsince t\nrange 0x4 0x2\nrange 0x0 0x1\n", 3}, /* the wrong way round */
        {"sector 0x0 0x10\nsince t\nrange 0x4 0xffffffffffffffff\n", 3},
        {"sector 0x0 0x0\nsince t\nrange 0x0 0x1\n", 1}, /* an empty sector */
        {"sector 0xffffffffffffffff 0x10\nsince t\nrange 0xffffffffffffffff 0x1\n", 1},
        {"sector 0x0 0x10\nsince t\nrange 0x0 0x2\n", 1}, /* too few bytes */
        {"sector 0x0 0x10\nsince t\nrange 0x0 0x1\n", 2}, /* too many */
        {"sector 0x0 0x1ffffffffffffffff\nsince t\nrange 0x0 0x1\n", 1},
        {"sector -1 0x10\nsince t\nrange 0x0 0x1\n", 1},
        {"sector 0x0\nsince t\nrange 0x0 0x1\n", 1},
        {"sector 0x0 0x10 0x0\nsince t\nrange 0x0 0x1\n", 1},
        {"sector 0x0 0x10\nsince \nrange 0x0 0x1\n", 1},
        {"sector 0x0 0x10\nrange 0x0 0x1\nsince t\n", 1},
        {"sector 0x0 0x10\nsince 123456789012345678901234567890123\nrange 0x0 0x1\n", 1}, /* too long */
        {"sector 0x0 0x10\nsince t\nrange 0x0 0x1\nrange\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strbuf text = STRBUF_INIT;
        struct sha256 *sha = sha256_new();
        char digest[SHA256_TEXT_SIZE];
        strbuf_appendf(&text, "%s%s", start, cases[i].head);
        sha256_add(sha, (const uint8_t *)text.data, text.length);
        sha256_add(sha, good_bytes, cases[i].bytes);
        sha256_finish(sha, digest);
        sha256_free(sha);
        strbuf_appendf(&text, "data %zu %s\n", cases[i].bytes, digest);
        strbuf_append(&text, good_bytes, cases[i].bytes);
        must_refuse(&text);
        strbuf_fini(&text);
    }
}

/* The same number in another form is not what was written. */
static void test_repair_record_refuses_another_form_of_the_length(void **state)
{
    static const char *const forms[] = {"data 021 ", "data 0x15 ", "data 025 ",
                                        "data +21 ", "data  21 ",  "data 21  "};
    struct strbuf text = STRBUF_INIT;
    (void)state;
    encode(&text);
    const char *line = memmem(text.data, text.length, "\ndata 21 ", 9);
    assert_non_null(line);
    size_t head = (size_t)(line - text.data) + 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct strbuf other = STRBUF_INIT;
        strbuf_append(&other, text.data, head);
        strbuf_append_text(&other, forms[i]);
        strbuf_append(&other, text.data + head + 8, text.length - head - 8);
        must_refuse(&other);
        strbuf_fini(&other);
    }
    strbuf_fini(&text);
}

/* The largest sector, in as many pieces as an image can cut it into. */
static void test_repair_record_of_the_largest_sector_is_read_back(void **state)
{
    enum { COUNT = 65537, SIZE = 16 * 1024 * 1024 };
    struct strbuf text = STRBUF_INIT;
    struct repair_head head = good_head;
    uint8_t *bytes = xcalloc(1, SIZE);
    struct keeper_range *ranges = xcalloc(COUNT, sizeof *ranges);
    struct keeper_record record = {.sector_size = SIZE, .ranges = ranges, .range_count = COUNT};
    struct keeper_record found;
    (void)state;
    record.sector_offset = head.sector_offset = UINT64_MAX - SIZE;
    head.sector_size = SIZE;
    for (size_t i = 0; i < COUNT; i++) {
        ranges[i] = (struct keeper_range){record.sector_offset + i * 255,
                                          i + 1 < COUNT ? 254 : SIZE - 255 * (COUNT - 1), bytes};
    }
    repair_record_encode(&text, &head, &record);
    assert_true(repair_record_decode((const uint8_t *)text.data, text.length, &head, &found));
    assert_int_equal(found.range_count, COUNT);
    keeper_record_fini(&found);
    free(ranges);
    free(bytes);
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repair_record_reads_back_what_it_wrote),
        cmocka_unit_test(test_repair_record_has_the_form_that_is_documented),
        cmocka_unit_test(test_repair_record_takes_numbers_and_names_of_any_size),
        cmocka_unit_test(test_repair_record_refuses_every_part_of_one),
        cmocka_unit_test(test_repair_record_refuses_every_other_byte),
        cmocka_unit_test(test_repair_record_refuses_what_makes_no_sense),
        cmocka_unit_test(test_repair_record_refuses_another_form_of_the_length),
        cmocka_unit_test(test_repair_record_of_the_largest_sector_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
