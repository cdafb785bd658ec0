/* image/ihex: "??" in a record stands for its right checksum. */
#include "test_image.h"

#define END ":00000001FF\n"

static void parse_text(const char *text, struct image *ret_image)
{
    assert_text_parses(IMAGE_IHEX, text, ret_image);
}

static void test_ihex_reads_records_of_the_specification(void **state)
{
    (void)state;
    const char text[] = ":10010000214601360121470136007EFE09D2190140\n"
                        ":100110002146017E17C20001FF5F16002148011928\n" END;
    struct image image;
    assert_parses(IMAGE_IHEX, text, strlen(text), &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0x100,
                   "\x21\x46\x01\x36\x01\x21\x47\x01\x36\x00\x7e\xfe\x09\xd2\x19\x01"
                   "\x21\x46\x01\x7e\x17\xc2\x00\x01\xff\x5f\x16\x00\x21\x48\x01\x19",
                   32);
    assert_false(image.has_entry);
    image_fini(&image);
}

static void test_ihex_reads_both_cases(void **state)
{
    (void)state;
    struct image image;
    parse_text(":04100000deadBEEF??\n:00000001ff", &image);
    assert_segment(&image, 0, 0x1000, "\xde\xad\xbe\xef", 4);
    image_fini(&image);
}

static void test_ihex_joins_records_in_any_order(void **state)
{
    (void)state;
    struct image image;
    parse_text(":02000400CCDD??\n:02000000AABB??\n:02000200BBCC??\n:010010004D??\n" END, &image);
    assert_int_equal(image.segment_count, 2);
    assert_segment(&image, 0, 0, "\xaa\xbb\xbb\xcc\xcc\xdd", 6);
    assert_segment(&image, 1, 0x10, "\x4d", 1);
    image_fini(&image);
}

static void test_ihex_adds_linear_bases(void **state)
{
    (void)state;
    struct image image;
    /* A record may cross 64 KiB in a linear file. */
    parse_text(":020000040800??\n:02FFFF001122??\n:020000040801??\n:0100010033??\n" END, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0x0800ffff, "\x11\x22\x33", 3);
    image_fini(&image);
    parse_text(":02000004FFFF??\n:01FFFF00AA??\n" END, &image);
    assert_segment(&image, 0, 0xffffffff, "\xaa", 1);
    image_fini(&image);
}

static void test_ihex_adds_segment_bases(void **state)
{
    (void)state;
    struct image image;
    parse_text(":020000021234??\n:0100020055??\n" END, &image);
    assert_segment(&image, 0, 0x12342, "\x55", 1);
    image_fini(&image);
    /* The base that came last counts alone. */
    parse_text(":020000040800??\n:020000021000??\n:0100020055??\n" END, &image);
    assert_segment(&image, 0, 0x10002, "\x55", 1);
    image_fini(&image);
    parse_text(":020000021000??\n:020000040800??\n:0100020055??\n" END, &image);
    assert_segment(&image, 0, 0x08000002, "\x55", 1);
    image_fini(&image);
    /* Up to the very end of the segment. */
    parse_text(":02FFFE001122??\n" END, &image);
    assert_segment(&image, 0, 0xfffe, "\x11\x22", 2);
    image_fini(&image);
}

static void test_ihex_takes_start_addresses(void **state)
{
    (void)state;
    struct image image;
    parse_text(":0100000055??\n:0400000508000101??\n" END, &image);
    assert_true(image.has_entry);
    assert_int_equal(image.entry, 0x08000101);
    image_fini(&image);
    parse_text(":0400000312345678??\n:0100000055??\n" END, &image);
    assert_true(image.has_entry);
    assert_int_equal(image.entry, 0x12340 + 0x5678);
    image_fini(&image);
}

static void test_ihex_tolerates_line_ends_and_blank_lines(void **state)
{
    (void)state;
    static const char *const files[] = {
        ":0100000055AA\n:00000001FF",           ":0100000055AA\r\n:00000001FF\r\n",
        ":0100000055AA\r:00000001FF\r",         ":0100000055AA \t\n\n:00000001FF\n\n \r\n\r\n",
        "\n\r\n:0100000055AA\n:00000001FF\n\n",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct image image;
        parse_text(files[i], &image);
        assert_segment(&image, 0, 0, "\x55", 1);
        image_fini(&image);
    }
}

static void test_ihex_takes_the_longest_record(void **state)
{
    (void)state;
    char text[600] = ":FF000000";
    uint8_t bytes[255];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
        snprintf(text + 9 + 2 * i, 3, "%02X", bytes[i]);
    }
    snprintf(text + 9 + 510, 20, "??\n%s", END);
    struct image image;
    parse_text(text, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0, bytes, sizeof bytes);
    image_fini(&image);
}

static void test_ihex_skips_records_without_data(void **state)
{
    (void)state;
    struct image image;
    parse_text(":00123400??\n:0100000055??\n" END, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0, "\x55", 1);
    image_fini(&image);
}

static void test_ihex_refuses_broken_records(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {":0100000055AB\n" END, "the checksum is 0xab and should be 0xaa", 1},
        {":0100000055AA\n:0100010055AA\n" END, "line 2: the checksum is 0xaa and should be 0xa9", 2},
        {":0100000055AA\n\n\n0100010055A9\n" END, "does not begin with \":\"", 4},
        {":0100000055AA\r\n:01000g0055A9\n" END, "column 7: byte 0x67 is no hexadecimal digit", 2},
        {":0100000055 AA\n" END, "column 12: byte 0x20 is no hexadecimal digit", 1},
        {":\n" END, "cut off before the record's length", 1},
        {":0\n" END, "cut off before the record's length", 1},
        {":01000000AA\n" END, "too short: its length 0x01 asks for 12 hexadecimal digits, and there are 10",
         1},
        {":0100000055AA0\n" END, "too long", 1},
        {":0100000055AA00\n" END, "too long", 1},
        {":00000006??\n" END, "no record type 0x06", 1},
        {":000000FF??\n" END, "no record type 0xff", 1},
        {":0100000100??\n", "an end-of-file record has 0 bytes of data, not 1", 1},
        {":0100000400??\n" END, "an extended linear address has 2 bytes of data, not 1", 1},
        {":00000002??\n" END, "an extended segment address has 2 bytes of data, not 0", 1},
        {":00000003??\n" END, "a start segment address has 4 bytes of data, not 0", 1},
        {":050000050000000000??\n" END, "a start linear address has 4 bytes of data, not 5", 1},
    };
    assert_texts_refused(IMAGE_IHEX, refusals, COUNT(refusals));
}

static void test_ihex_refuses_what_wraps(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {":02FFFF001122??\n" END, "run over the end of the 64 KiB segment at 0x00010000", 1},
        {":020000021000??\n:02FFFF001122??\n" END, "64 KiB segment at 0x00020000", 2},
        {":02000004FFFF??\n:02FFFF001122??\n" END, "2 bytes at 0xffffffff run over the end of the 32-bit", 2},
    };
    assert_texts_refused(IMAGE_IHEX, refusals, COUNT(refusals));
    char *filled = fill_sums(IMAGE_IHEX, refusals[2].text);
    assert_refused(IMAGE_IHEX, filled, strlen(filled), "", "address", 0xffffffff);
    free(filled);
}

static void test_ihex_refuses_wrong_ends(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {":0100000055AA\n", "without an end-of-file record: it is cut off", 1},
        {":0100000055AA\n" END ":0100010055A9\n", "behind the end-of-file record", 3},
        {":0100000055AA\n" END END, "behind the end-of-file record", 3},
        {":0100000055AA\n" END "\n\nx", "behind the end-of-file record", 5},
        {"\n\n", "without an end-of-file record", 2},
        {END, "holds no bytes to load", NO_DETAIL},
    };
    assert_texts_refused(IMAGE_IHEX, refusals, COUNT(refusals));
}

static void test_ihex_refuses_overlaps(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {":02001000AABB??\n:01002000AA??\n:02001100BBCC??\n" END,
         "line 3: address 0x00000011 comes twice: in the data from here on, and from line 1 on", 3},
        /* The same bytes again are no better. */
        {":01001000AA??\n:01001000AA??\n" END, "address 0x00000010 comes twice", 2},
        {":02001100BBCC??\n:03001000AABBCC??\n" END, "address 0x00000011 comes twice", 2},
    };
    assert_texts_refused(IMAGE_IHEX, refusals, COUNT(refusals));
    char *filled = fill_sums(IMAGE_IHEX, refusals[0].text);
    assert_refused(IMAGE_IHEX, filled, strlen(filled), "", "address", 0x11);
    free(filled);
}

static void test_ihex_refuses_every_truncation(void **state)
{
    (void)state;
    char *text = fill_sums(IMAGE_IHEX, ":020000040800??\r\n:0400000001020304??\r\n:0400000508000101??\r\n"
                                       ":00000001FF");
    const size_t whole = strlen(text);
    for (size_t length = 1; length < whole; length++) {
        assert_refused(IMAGE_IHEX, text, length, "Intel HEX, line ", NULL, 0);
    }
    struct image image;
    assert_parses(IMAGE_IHEX, text, whole, &image);
    assert_segment(&image, 0, 0x08000000, "\1\2\3\4", 4);
    image_fini(&image);
    free(text);
}

/* Any digit that changes is seen: by the checksum, or by the length. */
static void test_ihex_refuses_every_changed_digit(void **state)
{
    (void)state;
    char *text = fill_sums(IMAGE_IHEX, ":020000040800??\n:0400000001020304??\n:00000001FF\n");
    for (size_t i = 0; text[i] != '\0'; i++) {
        const char kept = text[i];
        text[i] = kept == '7' ? '8' : '7';
        assert_refused(IMAGE_IHEX, text, strlen(text), "Intel HEX, line ", NULL, 0);
        text[i] = kept;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ihex_reads_records_of_the_specification),
        cmocka_unit_test(test_ihex_reads_both_cases),
        cmocka_unit_test(test_ihex_joins_records_in_any_order),
        cmocka_unit_test(test_ihex_adds_linear_bases),
        cmocka_unit_test(test_ihex_adds_segment_bases),
        cmocka_unit_test(test_ihex_takes_start_addresses),
        cmocka_unit_test(test_ihex_tolerates_line_ends_and_blank_lines),
        cmocka_unit_test(test_ihex_takes_the_longest_record),
        cmocka_unit_test(test_ihex_skips_records_without_data),
        cmocka_unit_test(test_ihex_refuses_broken_records),
        cmocka_unit_test(test_ihex_refuses_what_wraps),
        cmocka_unit_test(test_ihex_refuses_wrong_ends),
        cmocka_unit_test(test_ihex_refuses_overlaps),
        cmocka_unit_test(test_ihex_refuses_every_truncation),
        cmocka_unit_test(test_ihex_refuses_every_changed_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
