/* image: telling formats apart, plain bytes, limits. */
#include "test_image.h"

static void assert_detected(enum image_format format, const char *bytes, size_t length)
{
    uint8_t *copy = copy_of(bytes, length);
    if (image_detect(copy, length) != format) {
        fail_msg("\"%.20s\", %zu bytes: %s", bytes, length, image_format_name(image_detect(copy, length)));
    }
    free(copy);
}

struct sample {
    const char *bytes;
    size_t length;
};

#define SAMPLE(text)           \
    {                          \
        text, sizeof(text) - 1 \
    }

static void assert_all(enum image_format format, const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_detected(format, samples[i].bytes, samples[i].length);
    }
}

static void test_image_names_formats(void **state)
{
    (void)state;
    assert_string_equal(image_format_name(IMAGE_BIN), "bin");
    assert_string_equal(image_format_name(IMAGE_IHEX), "ihex");
    assert_string_equal(image_format_name(IMAGE_SREC), "srec");
    assert_string_equal(image_format_name(IMAGE_ELF), "elf");
    assert_string_equal(image_format_name(IMAGE_UF2), "uf2");
}

static void test_image_detects_formats(void **state)
{
    (void)state;
    static const struct sample ihex[] = {
        SAMPLE(":00000001FF"),
        SAMPLE(":020000040800f2\r\n"),
        SAMPLE(":020000040800F2 \t\n"),
        SAMPLE(":0100000055AA\n\x80\x81"), /* what is behind the first line does not matter */
        SAMPLE(":0100000055AB\n"),         /* damaged, and no program for that */
        SAMPLE(":0100000055A\n"),
        SAMPLE(":0100000055Z7\n"),
        SAMPLE(":0100000055 some words\r"),
    };
    static const struct sample srec[] = {
        SAMPLE("S0030000FC"),     SAMPLE("S30608000001aaFF\r\n"), SAMPLE("S9030000FC\n"),
        SAMPLE("S104000055A7\n"), SAMPLE("S104000055!\n"),        SAMPLE("S404000055A6\n"),
    };
    static const struct sample elf[] = {SAMPLE("\x7f"
                                               "ELF"),
                                        SAMPLE("\x7f"
                                               "ELF\1\1\1")};
    static const struct sample uf2[] = {
        SAMPLE("UF2\n\x57\x51\x5d\x9e"),
        SAMPLE("UF2\n\x57\x51\x5d\x9e\1\2\3"),
    };
    assert_all(IMAGE_IHEX, ihex, COUNT(ihex));
    assert_all(IMAGE_SREC, srec, COUNT(srec));
    assert_all(IMAGE_ELF, elf, COUNT(elf));
    assert_all(IMAGE_UF2, uf2, COUNT(uf2));
}

static void test_image_takes_the_rest_for_bin(void **state)
{
    (void)state;
    static const struct sample bin[] = {
        SAMPLE("\0"),
        SAMPLE(":"),
        SAMPLE("S"),
        SAMPLE("S1"),
        SAMPLE("S123"),
        SAMPLE("S123\0\0\0\0\0\0\0\0\0"),
        SAMPLE("S123456789\x80"),
        SAMPLE("S1234567 89\n"),
        SAMPLE("SA0300000FC\n"),
        SAMPLE("s104000055A6\n"),
        SAMPLE(":000000\n1FF\n"),
        SAMPLE(":0000000\n"),
        SAMPLE(":\0\0\0\0\0\0\0\0\0\0\0\0"),
        SAMPLE(":0000000001\x01\xff\n"),
        SAMPLE(" :00000001FF\n"),
        SAMPLE("\x7f"
               "EL"),
        SAMPLE("\x7f"
               "ELG"),
        SAMPLE("UF2\n"),
        SAMPLE("UF2\n\x57\x51\x5d"),
        SAMPLE("UF2\n\x57\x51\x5d\x9f"),
        SAMPLE("\x00\x50\x00\x20\xa1\x01\x00\x08"),
    };
    assert_all(IMAGE_BIN, bin, COUNT(bin));
}

static void test_image_takes_plain_bytes_as_they_are(void **state)
{
    (void)state;
    struct err err;
    struct image image;
    err_reset(&err);
    assert_true(image_parse(IMAGE_BIN, 0x08000010, copy_of(":00000001FF", 11), 11, &image, &err));
    assert_int_equal(image.format, IMAGE_BIN);
    assert_int_equal(image.segment_count, 1);
    assert_int_equal(image.size, 11);
    assert_false(image.has_entry);
    assert_segment(&image, 0, 0x08000010, ":00000001FF", 11);
    image_fini(&image);
    assert_true(image_parse(IMAGE_BIN, UINT64_MAX - 1, copy_of("ab", 2), 2, &image, &err));
    assert_segment(&image, 0, UINT64_MAX - 1, "ab", 2);
    image_fini(&image);
    assert_false(image_parse(IMAGE_BIN, UINT64_MAX, copy_of("ab", 2), 2, &image, &err));
    assert_int_equal(err.kind, ERR_IMAGE_INVALID);
    assert_string_equal(err.message,
                        "Plain bytes, offset 0x0: 2 bytes at 0xffffffffffffffff go past the last address");
    assert_int_equal(detail_of(&err, "address"), UINT64_MAX);
}

static void test_image_says_how_to_force_bin(void **state)
{
    (void)state;
    static const struct {
        enum image_format format;
        const char *bytes;
        bool looks_like_it;
    } cases[] = {
        {IMAGE_IHEX, ":0100000055AB\n:00000001FF\n", true},
        {IMAGE_SREC, "S104000055A7\nS9030000FC\n", true},
        {IMAGE_ELF,
         "\x7f"
         "ELF with words behind it",
         true},
        {IMAGE_UF2, "UF2\n\x57\x51\x5d\x9e", true},
        /* Who forced a format knows how. */
        {IMAGE_IHEX, "words", false},
        {IMAGE_SREC, "words", false},
        {IMAGE_ELF, "words", false},
        {IMAGE_UF2, "words", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct image image;
        struct err err;
        assert_false(parse_bytes(cases[i].format, cases[i].bytes, strlen(cases[i].bytes), &image, &err));
        assert_int_equal(err.kind, ERR_IMAGE_INVALID);
        assert_int_equal(strstr(err.message, "give format \"bin\")") != NULL, cases[i].looks_like_it);
        /* The details outlive the hint. */
        assert_true(detail_of(&err, "line") != NO_DETAIL || detail_of(&err, "offset") != NO_DETAIL);
    }
}

/* `count` records of one byte, `step` apart, downwards, so that nothing is joined while reading. */
static char *scattered(size_t count, uint32_t step)
{
    const size_t room = 20;
    char *text = xmalloc(count * room + 20);
    size_t at = 0;
    for (size_t i = count; i > 0; i--) {
        const uint32_t address = (uint32_t)(i - 1) * step;
        char record[32];
        snprintf(record, sizeof record, "S306%08X%02X??\n", (unsigned)address, (unsigned)(i & 0xff));
        char *filled = fill_sums(IMAGE_SREC, record);
        const size_t length = strlen(filled);
        memcpy(text + at, filled, length);
        at += length;
        free(filled);
    }
    memcpy(text + at, "S70500000000FA\n", 16);
    return text;
}

static void test_image_limits_segments(void **state)
{
    (void)state;
    char *text = scattered(IMAGE_MAX_SEGMENTS, 2);
    struct image image;
    assert_parses(IMAGE_SREC, text, strlen(text), &image);
    assert_int_equal(image.segment_count, IMAGE_MAX_SEGMENTS);
    assert_int_equal(image.segments[7].address, 14);
    assert_int_equal(image.segments[7].bytes[0], 8);
    image_fini(&image);
    free(text);
    text = scattered(IMAGE_MAX_SEGMENTS + 1, 2);
    assert_refused(IMAGE_SREC, text, strlen(text), "65537 separate segments; 65536 are taken at most", NULL,
                   0);
    free(text);
}

static void test_image_joins_more_records_than_segments(void **state)
{
    (void)state;
    const size_t count = IMAGE_MAX_SEGMENTS + 1000;
    char *text = scattered(count, 1);
    struct image image;
    assert_parses(IMAGE_SREC, text, strlen(text), &image);
    assert_int_equal(image.segment_count, 1);
    assert_int_equal(image.segments[0].size, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(image.segments[0].bytes[i], (i + 1) & 0xff);
    }
    image_fini(&image);
    free(text);
}

static void test_image_limits_unsorted_records(void **state)
{
    (void)state;
    const size_t count = 16u * IMAGE_MAX_SEGMENTS + 1;
    char *text = scattered(count, 1);
    assert_refused(IMAGE_SREC, text, strlen(text), "more than 1048576 pieces", "line", count);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_names_formats),
        cmocka_unit_test(test_image_detects_formats),
        cmocka_unit_test(test_image_takes_the_rest_for_bin),
        cmocka_unit_test(test_image_takes_plain_bytes_as_they_are),
        cmocka_unit_test(test_image_says_how_to_force_bin),
        cmocka_unit_test(test_image_limits_segments),
        cmocka_unit_test(test_image_joins_more_records_than_segments),
        cmocka_unit_test(test_image_limits_unsorted_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
