/* image/elf_file: files of both classes and byte orders, written here field by field. */
#include "test_image.h"

#include <elf.h>

#define SEGMENTS_MAX 4u
#define DATA_AT 0x200u /* room for headers before it */
#define DATA_SIZE 64u

struct segment {
    uint32_t type;
    uint64_t offset;
    uint64_t physical;
    uint64_t file_size;
    uint64_t memory_size;
};

struct spec {
    bool is_64;
    bool big;
    uint16_t type;
    uint64_t entry;
    size_t count;
    struct segment segments[SEGMENTS_MAX];
};

struct file {
    const struct spec *spec;
    uint8_t bytes[DATA_AT + DATA_SIZE];
    size_t at;
};

static void put(struct file *file, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const size_t place = file->spec->big ? size - 1 - i : i;
        file->bytes[file->at + place] = (uint8_t)(value >> (8 * i));
    }
    file->at += size;
}

static size_t header_size(const struct spec *spec)
{
    return spec->is_64 ? 64 : 52;
}

static void put_header(struct file *file)
{
    const struct spec *spec = file->spec;
    const size_t word = spec->is_64 ? 8 : 4;
    const uint8_t ident[16] = {0x7f, 'E', 'L', 'F', spec->is_64 ? 2 : 1, spec->big ? 2 : 1, 1};
    memcpy(file->bytes, ident, sizeof ident);
    file->at = sizeof ident;
    put(file, spec->type, 2);
    put(file, 40, 2); /* ARM */
    put(file, 1, 4);
    put(file, spec->entry, word);
    put(file, header_size(spec), word);
    put(file, 0, word);
    put(file, 0, 4);
    put(file, header_size(spec), 2);
    put(file, spec->is_64 ? 56 : 32, 2);
    put(file, spec->count, 2);
    put(file, 0, 2);
    put(file, 0, 2);
    put(file, 0, 2);
}

static void put_segment(struct file *file, const struct segment *segment)
{
    const size_t word = file->spec->is_64 ? 8 : 4;
    put(file, segment->type, 4);
    if (file->spec->is_64) {
        put(file, 5, 4);
    }
    put(file, segment->offset, word);
    put(file, 0x20000000 + segment->offset, word); /* where it runs: not where it is stored */
    put(file, segment->physical, word);
    put(file, segment->file_size, word);
    put(file, segment->memory_size, word);
    if (!file->spec->is_64) {
        put(file, 5, 4);
    }
    put(file, 4, word);
}

static void write_file(const struct spec *spec, struct file *ret_file)
{
    memset(ret_file, 0, sizeof *ret_file);
    ret_file->spec = spec;
    put_header(ret_file);
    for (size_t i = 0; i < spec->count; i++) {
        put_segment(ret_file, &spec->segments[i]);
    }
    for (size_t i = 0; i < DATA_SIZE; i++) {
        ret_file->bytes[DATA_AT + i] = (uint8_t)(i + 1);
    }
}

static void parse_spec(const struct spec *spec, struct image *ret_image)
{
    struct file file;
    write_file(spec, &file);
    assert_parses(IMAGE_ELF, file.bytes, sizeof file.bytes, ret_image);
}

static void assert_spec_refused(const struct spec *spec, const char *words, const char *detail,
                                uint64_t value)
{
    struct file file;
    write_file(spec, &file);
    assert_refused(IMAGE_ELF, file.bytes, sizeof file.bytes, words, detail, value);
}

static const uint8_t *data_of(const struct file *file)
{
    return file->bytes + DATA_AT;
}

static struct spec good(bool is_64, bool big)
{
    const struct spec spec = {
        .is_64 = is_64,
        .big = big,
        .type = ET_EXEC,
        .entry = 0x08000101,
        .count = 4,
        .segments = {{PT_LOAD, DATA_AT, 0x08000000, 16, 16},
                     {PT_NOTE, DATA_AT + 16, 0x08000000, 16, 16},    /* not loaded */
                     {PT_LOAD, DATA_AT + 16, 0x08000100, 5, 0x1000}, /* zeros behind it are not in the file */
                     {PT_LOAD, DATA_AT + 21, 0x20000000, 0, 0x4000}}}; /* only zeros */
    return spec;
}

static void test_elf_reads_both_classes_and_byte_orders(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        const struct spec spec = good((kind & 1) != 0, (kind & 2) != 0);
        struct file file;
        struct image image;
        write_file(&spec, &file);
        assert_parses(IMAGE_ELF, file.bytes, sizeof file.bytes, &image);
        assert_int_equal(image.segment_count, 2);
        assert_segment(&image, 0, 0x08000000, data_of(&file), 16);
        assert_segment(&image, 1, 0x08000100, data_of(&file) + 16, 5);
        assert_true(image.has_entry);
        assert_int_equal(image.entry, 0x08000101);
        image_fini(&image);
    }
}

static void test_elf_sorts_and_joins(void **state)
{
    (void)state;
    struct spec spec = good(false, false);
    spec.count = 3;
    spec.entry = 0;
    spec.segments[0] = (struct segment){PT_LOAD, DATA_AT, 0x1010, 8, 8};
    spec.segments[1] = (struct segment){PT_LOAD, DATA_AT + 8, 0x1008, 8, 8};
    spec.segments[2] = (struct segment){PT_LOAD, DATA_AT + 16, 0x1018, 8, 8};
    struct image image;
    parse_spec(&spec, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0x1008,
                   "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x01\x02\x03\x04\x05\x06\x07\x08"
                   "\x11\x12\x13\x14\x15\x16\x17\x18",
                   24);
    assert_false(image.has_entry);
    image_fini(&image);
}

static void test_elf_takes_the_highest_addresses(void **state)
{
    (void)state;
    struct spec spec = good(true, false);
    spec.count = 1;
    spec.segments[0] = (struct segment){PT_LOAD, DATA_AT, UINT64_MAX - 7, 8, 8};
    struct image image;
    parse_spec(&spec, &image);
    assert_segment(&image, 0, UINT64_MAX - 7, "\1\2\3\4\5\6\7\x08", 8);
    image_fini(&image);
    spec.segments[0].physical++;
    assert_spec_refused(&spec, "goes past the last address", "address", UINT64_MAX - 6);
    spec.is_64 = false;
    spec.segments[0].physical = 0xfffffff8;
    parse_spec(&spec, &image);
    assert_segment(&image, 0, 0xfffffff8, "\1\2\3\4\5\6\7\x08", 8);
    image_fini(&image);
    spec.segments[0].physical++;
    assert_spec_refused(&spec, "goes past the last address", "address", 0xfffffff9);
}

static void test_elf_takes_virtual_addresses_where_all_physical_ones_are_0(void **state)
{
    (void)state;
    struct spec spec = good(false, true);
    for (size_t i = 0; i < spec.count; i++) {
        spec.segments[i].physical = 0;
    }
    struct image image;
    parse_spec(&spec, &image);
    /* 16 bytes at the first offset and 5 right behind them, in memory as in the file. */
    assert_int_equal(image.segment_count, 1);
    assert_int_equal(image.segments[0].address, 0x20000000 + DATA_AT);
    assert_int_equal(image.segments[0].size, 21);
    image_fini(&image);
    /* One alone may be at 0. */
    spec.segments[2].type = PT_NOTE;
    spec.segments[3].memory_size = 0;
    parse_spec(&spec, &image);
    assert_int_equal(image.segments[0].address, 0);
    image_fini(&image);
}

static void test_elf_takes_only_programs(void **state)
{
    (void)state;
    struct spec spec = good(false, false);
    struct image image;
    spec.type = ET_DYN;
    parse_spec(&spec, &image);
    assert_int_equal(image.segment_count, 2);
    image_fini(&image);
    spec.type = ET_REL;
    assert_spec_refused(&spec, "object file that has not been linked", "offset", 16);
    spec.type = ET_CORE;
    assert_spec_refused(&spec, "core dump", "offset", 16);
    spec.type = 0xfe00;
    assert_spec_refused(&spec, "file type 0xfe00 is no program", "offset", 16);
}

static void test_elf_refuses_bad_segments(void **state)
{
    (void)state;
    static const struct {
        struct segment segment;
        const char *words;
    } cases[] = {
        {{PT_LOAD, DATA_AT, 0x2000, DATA_SIZE + 1, DATA_SIZE + 1}, "lies outside the file"},
        {{PT_LOAD, DATA_AT + DATA_SIZE + 1, 0x2000, 1, 1}, "lies outside the file"},
        {{PT_LOAD, 0xffffffff, 0x2000, 0xffffffff, 0xffffffff}, "lies outside the file"},
        {{PT_LOAD, DATA_AT, 0x2000, 8, 7}, "has more bytes in the file than in memory"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct spec spec = good(false, (i & 1) != 0);
        spec.segments[2] = cases[i].segment;
        assert_spec_refused(&spec, cases[i].words, "offset", 52 + 2 * 32);
        assert_spec_refused(&spec, cases[i].words, "address", 0x2000);
    }
    struct spec spec = good(true, true);
    spec.segments[0] = (struct segment){PT_LOAD, UINT64_MAX, 0x2000, UINT64_MAX, UINT64_MAX};
    assert_spec_refused(&spec, "lies outside the file", "offset", 64);
}

static void test_elf_refuses_overlaps(void **state)
{
    (void)state;
    struct spec spec = good(false, false);
    spec.segments[2].physical = 0x0800000f;
    assert_spec_refused(&spec, "address 0x0800000f comes twice", "address", 0x0800000f);
    assert_spec_refused(&spec, "offset 0x74", "offset", 52 + 2 * 32);
}

/* Many segments that are all the same bytes would ask for more memory than their file. */
static void test_elf_refuses_more_bytes_than_the_file_has(void **state)
{
    (void)state;
    struct spec spec = good(false, false);
    const uint64_t all = DATA_AT + DATA_SIZE;
    spec.count = 2;
    spec.segments[0] = (struct segment){PT_LOAD, 0, 0, all, all};
    spec.segments[1] = (struct segment){PT_LOAD, 0, all, 1, 1};
    assert_spec_refused(&spec, "bytes of the file that other segments have, too", "offset", 52 + 32);
}

static void test_elf_refuses_nothing_to_load(void **state)
{
    (void)state;
    struct spec spec = good(false, false);
    spec.count = 0;
    assert_spec_refused(&spec, "there are no program headers", "offset", 0);
    spec = good(true, true);
    spec.segments[0].type = PT_NULL;
    spec.segments[2].file_size = 0;
    assert_spec_refused(&spec, "none of the 4 program headers is a loadable segment", "offset", 64);
}

static void test_elf_refuses_bad_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* of a little-endian 32-bit file */
        uint8_t value;
        const char *words;
        uint64_t offset;
    } cases[] = {
        {0, 0x7e, "does not begin with the ELF magic number", 0},
        {4, 0, "class 0x00 is neither", 4},
        {4, 3, "class 0x03 is neither", 4},
        {5, 0, "data encoding 0x00 is neither", 5},
        {6, 2, "ELF version 0x02 is unknown", 6},
        {42, 31, "program headers of 31 bytes, not 32", 52},
        {31, 0x10, "before the end of the program headers: it is cut off", 0x10000034},
        {45, 0x10, "before the end of the program headers: it is cut off", 52},
        {35, 0x10, "before the end of the section headers: it is cut off", 0x10000000},
    };
    const struct spec spec = good(false, false);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file file;
        write_file(&spec, &file);
        file.bytes[cases[i].at] = cases[i].value;
        assert_refused(IMAGE_ELF, file.bytes, sizeof file.bytes, cases[i].words, "offset", cases[i].offset);
    }
    struct file file;
    write_file(&spec, &file);
    file.bytes[44] = file.bytes[45] = 0xff;
    assert_refused(IMAGE_ELF, file.bytes, sizeof file.bytes, "65535 program headers or more", NULL, 0);
}

static void test_elf_refuses_every_truncation(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct spec spec = good((kind & 1) != 0, (kind & 2) != 0);
        struct file file;
        spec.segments[2].file_size = DATA_SIZE - 16;
        write_file(&spec, &file);
        for (size_t length = 1; length < sizeof file.bytes; length++) {
            assert_refused(IMAGE_ELF, file.bytes, length, "ELF, offset ", NULL, 0);
        }
        struct image image;
        assert_parses(IMAGE_ELF, file.bytes, sizeof file.bytes, &image);
        assert_int_equal(image.segment_count, 2);
        image_fini(&image);
    }
}

/* Nothing in a header leads out of the file: ASan would see it. */
static void test_elf_survives_every_header_byte(void **state)
{
    (void)state;
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned refused = 0;
    for (unsigned kind = 0; kind < 4; kind++) {
        const struct spec spec = good((kind & 1) != 0, (kind & 2) != 0);
        struct file file;
        write_file(&spec, &file);
        for (size_t i = 0; i < DATA_AT * COUNT(values); i++) {
            const size_t at = i / COUNT(values);
            const uint8_t kept = file.bytes[at];
            struct image image;
            struct err err;
            file.bytes[at] = values[i % COUNT(values)];
            if (parse_bytes(IMAGE_ELF, file.bytes, sizeof file.bytes, &image, &err)) {
                assert_true(image.size <= sizeof file.bytes);
                image_fini(&image);
            } else {
                assert_int_equal(err.kind, ERR_IMAGE_INVALID);
                refused++;
            }
            file.bytes[at] = kept;
        }
    }
    assert_true(refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elf_reads_both_classes_and_byte_orders),
        cmocka_unit_test(test_elf_sorts_and_joins),
        cmocka_unit_test(test_elf_takes_the_highest_addresses),
        cmocka_unit_test(test_elf_takes_virtual_addresses_where_all_physical_ones_are_0),
        cmocka_unit_test(test_elf_takes_only_programs),
        cmocka_unit_test(test_elf_refuses_bad_segments),
        cmocka_unit_test(test_elf_refuses_overlaps),
        cmocka_unit_test(test_elf_refuses_more_bytes_than_the_file_has),
        cmocka_unit_test(test_elf_refuses_nothing_to_load),
        cmocka_unit_test(test_elf_refuses_bad_headers),
        cmocka_unit_test(test_elf_refuses_every_truncation),
        cmocka_unit_test(test_elf_survives_every_header_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
