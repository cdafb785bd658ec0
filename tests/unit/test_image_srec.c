/* image/srec: "??" in a record stands for its right checksum. */
#include "test_image.h"

#define END "S9030000FC\n"

static void parse_text(const char *text, struct image *ret_image)
{
    assert_text_parses(IMAGE_SREC, text, ret_image);
}

static void test_srec_reads_records_of_its_manual(void **state)
{
    (void)state;
    const char text[] = "S00600004844521B\n"
                        "S1130000285F245F2212226A000424290008237C2A\n"
                        "S11300100002000800082629001853812341001813\n"
                        "S9030000FC\n";
    struct image image;
    assert_parses(IMAGE_SREC, text, strlen(text), &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0,
                   "\x28\x5f\x24\x5f\x22\x12\x22\x6a\x00\x04\x24\x29\x00\x08\x23\x7c"
                   "\x00\x02\x00\x08\x00\x08\x26\x29\x00\x18\x53\x81\x23\x41\x00\x18",
                   32);
    assert_false(image.has_entry);
    image_fini(&image);
}

static void test_srec_reads_addresses_of_every_size(void **state)
{
    (void)state;
    struct image image;
    parse_text("S30608000001aa??\nS205123456BB??\nS1041000CC??\nS70508000101??\n", &image);
    assert_int_equal(image.segment_count, 3);
    assert_segment(&image, 0, 0x1000, "\xcc", 1);
    assert_segment(&image, 1, 0x123456, "\xbb", 1);
    assert_segment(&image, 2, 0x08000001, "\xaa", 1);
    assert_true(image.has_entry);
    assert_int_equal(image.entry, 0x08000101);
    image_fini(&image);
}

static void test_srec_takes_start_addresses(void **state)
{
    (void)state;
    struct image image;
    parse_text("S104000055??\nS9031235??\n", &image);
    assert_true(image.has_entry);
    assert_int_equal(image.entry, 0x1235);
    image_fini(&image);
    parse_text("S104000055??\nS804123457??\n", &image);
    assert_int_equal(image.entry, 0x123457);
    image_fini(&image);
    parse_text("S104000055??\nS70500000000??\n", &image);
    assert_false(image.has_entry);
    image_fini(&image);
}

static void test_srec_checks_counts(void **state)
{
    (void)state;
    struct image image;
    parse_text("S0030000??\nS104000055??\nS104000166??\nS5030002??\n" END, &image);
    assert_segment(&image, 0, 0, "\x55\x66", 2);
    image_fini(&image);
    parse_text("S104000055??\nS604000001??\n" END, &image);
    image_fini(&image);
    static const struct text_refusal refusals[] = {
        {"S104000055??\nS5030002??\n" END, "says 2 data records, and there are 1", 2},
        {"S104000055??\nS604010001??\n" END, "says 65537 data records, and there are 1", 2},
        {"S104000055??\nS504000100??\n" END, "an S5 holds no data, and this one has 1 bytes", 2},
    };
    assert_texts_refused(IMAGE_SREC, refusals, COUNT(refusals));
}

static void test_srec_tolerates_line_ends_and_blank_lines(void **state)
{
    (void)state;
    static const char *const files[] = {
        "S104000055A6\nS9030000FC",
        "S104000055A6\r\nS9030000FC\r\n",
        "S104000055A6\rS9030000FC\r",
        "\n\nS104000055A6 \t\r\n\r\nS9030000FC\n\n\n",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct image image;
        parse_text(files[i], &image);
        assert_segment(&image, 0, 0, "\x55", 1);
        image_fini(&image);
    }
}

static void test_srec_takes_the_longest_record(void **state)
{
    (void)state;
    char text[600] = "S3FF08000000";
    uint8_t bytes[250];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 5 + 1);
        snprintf(text + 12 + 2 * i, 3, "%02X", bytes[i]);
    }
    snprintf(text + 12 + 500, 20, "??\n%s", END);
    struct image image;
    parse_text(text, &image);
    assert_segment(&image, 0, 0x08000000, bytes, sizeof bytes);
    image_fini(&image);
}

static void test_srec_refuses_broken_records(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {"S104000055A7\n" END, "the checksum is 0xa7 and should be 0xa6", 1},
        {"S104000055??\nS104000166A6\n" END, "line 2: the checksum is 0xa6 and should be 0x94", 2},
        {"S104000055??\n\nX104000166A6\n" END, "does not begin with S0 to S9", 3},
        {"s104000055A6\n" END, "does not begin with S0 to S9", 1},
        {"SA04000055A6\n" END, "does not begin with S0 to S9", 1},
        {"S\n" END, "does not begin with S0 to S9", 1},
        {"S404000055A6\n" END, "S4 is reserved", 1},
        {"S104000O55A6\n" END, "column 8: byte 0x4f is no hexadecimal digit", 1},
        {"S1\n" END, "cut off before the record's length", 1},
        {"S10400005\n" END, "too short: its length 0x04 asks for 10 hexadecimal digits, and there are 7", 1},
        {"S104000055A600\n" END, "too long", 1},
        {"S10200??\n" END, "no room for the address and checksum of an S1", 1},
        {"S304000000??\n" END, "no room for the address and checksum of an S3", 1},
        {"S100\n" END, "no room for the address and checksum of an S1", 1},
        {"S104000055??\nS804000000??00\n", "too long", 2},
        {"S104000055??\nS904000000??\n", "an S9 holds no data, and this one has 1 bytes", 2},
    };
    assert_texts_refused(IMAGE_SREC, refusals, COUNT(refusals));
}

static void test_srec_refuses_what_wraps(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {"S105FFFF1122??\n" END, "2 bytes at 0x0000ffff run over the end of the 16-bit addresses", 1},
        {"S206FFFFFF1122??\n" END, "2 bytes at 0x00ffffff run over the end of the 24-bit addresses", 1},
        {"S307FFFFFFFF1122??\n" END, "2 bytes at 0xffffffff run over the end of the 32-bit addresses", 1},
    };
    assert_texts_refused(IMAGE_SREC, refusals, COUNT(refusals));
    struct image image;
    parse_text("S307FFFFFFFE1122??\n" END, &image);
    assert_segment(&image, 0, 0xfffffffe, "\x11\x22", 2);
    image_fini(&image);
}

static void test_srec_refuses_wrong_ends_and_overlaps(void **state)
{
    (void)state;
    static const struct text_refusal refusals[] = {
        {"S104000055??\n", "without a termination record (S7, S8 or S9): it is cut off", 1},
        {"S104000055??\n" END "S104000166??\n", "behind the termination record", 3},
        {"S104000055??\n" END END, "behind the termination record", 3},
        {"S0030000??\n" END, "holds no bytes to load", NO_DETAIL},
        {"S1050010AABB??\nS2050000115C??\n" END, "address 0x00000011 comes twice", 2},
    };
    assert_texts_refused(IMAGE_SREC, refusals, COUNT(refusals));
}

static void test_srec_refuses_every_truncation(void **state)
{
    (void)state;
    char *text =
        fill_sums(IMAGE_SREC, "S0030000??\r\nS3090800000001020304??\r\nS5030001??\r\nS70508000101??");
    const size_t whole = strlen(text);
    for (size_t length = 1; length < whole; length++) {
        assert_refused(IMAGE_SREC, text, length, "S-record, line ", NULL, 0);
    }
    struct image image;
    assert_parses(IMAGE_SREC, text, whole, &image);
    assert_segment(&image, 0, 0x08000000, "\1\2\3\4", 4);
    image_fini(&image);
    free(text);
}

/* Behind the type, which no checksum covers. */
static void test_srec_refuses_every_changed_digit(void **state)
{
    (void)state;
    char *text = fill_sums(IMAGE_SREC, "S0030000??\nS3090800000001020304??\nS5030001??\nS70508000101??");
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i == 1 || text[i - (i > 0)] == 'S') {
            continue;
        }
        const char kept = text[i];
        text[i] = kept == '6' ? '9' : '6';
        assert_refused(IMAGE_SREC, text, strlen(text), "S-record, line ", NULL, 0);
        text[i] = kept;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_srec_reads_records_of_its_manual),
        cmocka_unit_test(test_srec_reads_addresses_of_every_size),
        cmocka_unit_test(test_srec_takes_start_addresses),
        cmocka_unit_test(test_srec_checks_counts),
        cmocka_unit_test(test_srec_tolerates_line_ends_and_blank_lines),
        cmocka_unit_test(test_srec_takes_the_longest_record),
        cmocka_unit_test(test_srec_refuses_broken_records),
        cmocka_unit_test(test_srec_refuses_what_wraps),
        cmocka_unit_test(test_srec_refuses_wrong_ends_and_overlaps),
        cmocka_unit_test(test_srec_refuses_every_truncation),
        cmocka_unit_test(test_srec_refuses_every_changed_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
