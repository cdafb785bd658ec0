/* image/uf2: files of blocks that are written here. */
#include "test_image.h"

#define BLOCK_SIZE 512u
#define BLOCKS_MAX 4u

#define NOT_MAIN_FLASH 0x1u
#define FILE_CONTAINER 0x1000u
#define FAMILY 0x2000u
#define MD5 0x4000u
#define TAGS 0x8000u

struct block {
    uint32_t flags;
    uint32_t address;
    uint32_t size;
    uint32_t number;
    uint32_t total;
    uint32_t family;
    uint8_t fill;       /* of the data */
    const char *behind; /* in hexadecimal, right behind the payload */
};

static void put_word(uint8_t *place, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        place[i] = (uint8_t)(word >> (8 * i));
    }
}

static void put_block(uint8_t *place, const struct block *block)
{
    const uint32_t words[8] = {0x0a324655,  0x9e5d5157,    block->flags, block->address,
                               block->size, block->number, block->total, block->family};
    memset(place, 0, BLOCK_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        put_word(place + 4 * i, words[i]);
    }
    memset(place + 32, block->fill, block->size < 476 ? block->size : 476);
    for (size_t i = 0; block->behind != NULL && block->behind[2 * i] != '\0'; i++) {
        const char pair[3] = {block->behind[2 * i], block->behind[2 * i + 1], '\0'};
        place[32 + block->size + i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    put_word(place + 508, 0x0ab16f30);
}

struct file {
    uint8_t bytes[BLOCKS_MAX * BLOCK_SIZE];
    size_t length;
};

static void write_file(const struct block *blocks, size_t count, struct file *ret_file)
{
    assert_true(count <= BLOCKS_MAX);
    ret_file->length = count * BLOCK_SIZE;
    for (size_t i = 0; i < count; i++) {
        put_block(ret_file->bytes + i * BLOCK_SIZE, &blocks[i]);
    }
}

static void parse_blocks(const struct block *blocks, size_t count, struct image *ret_image)
{
    struct file file;
    write_file(blocks, count, &file);
    assert_parses(IMAGE_UF2, file.bytes, file.length, ret_image);
}

static void assert_blocks_refused(const struct block *blocks, size_t count, const char *words,
                                  uint64_t offset)
{
    struct file file;
    write_file(blocks, count, &file);
    assert_refused(IMAGE_UF2, file.bytes, file.length, words, "offset", offset);
}

static void assert_filled(const struct image_segment *segment, uint64_t at, uint8_t fill, uint64_t size)
{
    assert_true(at + size <= segment->size);
    for (uint64_t i = 0; i < size; i++) {
        assert_int_equal(segment->bytes[at + i], fill);
    }
}

static void test_uf2_joins_blocks(void **state)
{
    (void)state;
    const struct block blocks[] = {{0, 0x10000100, 256, 0, 3, 0, 0x11, NULL},
                                   {0, 0x10000000, 256, 1, 3, 0, 0x22, NULL},
                                   {0, 0x20000000, 476, 2, 3, 0, 0x33, NULL}};
    struct image image;
    parse_blocks(blocks, 3, &image);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[0].address, 0x10000000);
    assert_int_equal(image.segments[0].size, 512);
    assert_filled(&image.segments[0], 0, 0x22, 256);
    assert_filled(&image.segments[0], 256, 0x11, 256);
    assert_int_equal(image.segments[1].address, 0x20000000);
    assert_int_equal(image.segments[1].size, 476);
    assert_filled(&image.segments[1], 0, 0x33, 476);
    assert_false(image.has_entry);
    image_fini(&image);
}

static void test_uf2_skips_what_is_not_for_the_main_flash(void **state)
{
    (void)state;
    const struct block blocks[] = {
        {NOT_MAIN_FLASH, 0x1000, 256, 0, 4, 0, 0x11, NULL},
        {0, 0x1000, 8, 1, 4, 0, 0x22, NULL},
        /* Of a container, with the size of a file where the family would be. */
        {FILE_CONTAINER | FAMILY, 0x1000, 100, 2, 4, 100, 0x33, "612e747874"},
        {FILE_CONTAINER | TAGS | NOT_MAIN_FLASH, 0x1000, 101, 3, 4, 1, 0x44, "622e"}};
    struct image image;
    parse_blocks(blocks, 4, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0x1000, "\x22\x22\x22\x22\x22\x22\x22\x22", 8);
    image_fini(&image);
    struct block only = blocks[0];
    only.total = 1;
    struct file file;
    write_file(&only, 1, &file);
    assert_refused(IMAGE_UF2, file.bytes, file.length, "holds no bytes to load", NULL, 0);
}

static void test_uf2_checks_families(void **state)
{
    (void)state;
    struct block blocks[] = {{FAMILY, 0x1000, 8, 0, 2, 0xe48bff56, 0x11, NULL},
                             {FAMILY, 0x1008, 8, 1, 2, 0xe48bff56, 0x11, NULL}};
    struct image image;
    parse_blocks(blocks, 2, &image);
    assert_int_equal(image.size, 16);
    image_fini(&image);
    blocks[1].family = 0x5ee21072;
    assert_blocks_refused(blocks, 2, "several families of chips (0xe48bff56 and 0x5ee21072)", 512);
    /* Two files in one, each with numbers of its own. */
    blocks[1].number = 0;
    blocks[0].total = blocks[1].total = 1;
    assert_blocks_refused(blocks, 2, "several families", 512);
    /* Without the flag the field is the size of the file, or anything. */
    blocks[1] = (struct block){0, 0x1008, 8, 1, 2, 77, 0x11, NULL};
    blocks[0].total = 2;
    parse_blocks(blocks, 2, &image);
    image_fini(&image);
}

static void test_uf2_keeps_room_for_md5(void **state)
{
    (void)state;
    struct block block = {MD5, 0x1000, 452, 0, 1, 0, 0x11, NULL};
    struct image image;
    parse_blocks(&block, 1, &image);
    assert_int_equal(image.size, 452);
    image_fini(&image);
    block.size = 453;
    assert_blocks_refused(&block, 1, "says 453 bytes of data, and has 452", 0);
}

static void test_uf2_reads_past_extension_tags(void **state)
{
    (void)state;
    static const char *const tags[] = {
        "09bcc79f302e312e32000000149d0d6541434d4520546f6173746572206d6b33ffffffff",
        "09bcc79f302e312e3200000000000000",
        "ffffffff",
        "",
    };
    for (size_t i = 0; i < COUNT(tags); i++) {
        const struct block block = {TAGS, 0x1000, 4, 0, 1, 0, 0x11, tags[i]};
        struct image image;
        parse_blocks(&block, 1, &image);
        assert_segment(&image, 0, 0x1000, "\x11\x11\x11\x11", 4);
        image_fini(&image);
    }
    /* Tags begin at the next word, and may take the rest of the block. */
    struct block block = {TAGS, 0x1000, 465, 0, 1, 0, 0x11, "00000008f7e90b12345678"};
    struct image image;
    parse_blocks(&block, 1, &image);
    assert_int_equal(image.size, 465);
    image_fini(&image);
    block.behind = "00000009f7e90b12345678";
    assert_blocks_refused(&block, 1, "an extension tag of 9 bytes does not fit the block", 32 + 468);
    block = (struct block){TAGS, 0x1000, 4, 0, 1, 0, 0x11, "03f7e90b"};
    assert_blocks_refused(&block, 1, "an extension tag of 3 bytes does not fit the block", 36);
    block = (struct block){TAGS | MD5, 0x1000, 448, 0, 1, 0, 0x11, "08f7e90b"};
    assert_blocks_refused(&block, 1, "an extension tag of 8 bytes does not fit the block", 32 + 448);
}

static void test_uf2_leaves_out_blocks_marked_to_be_ignored(void **state)
{
    (void)state;
    const struct block blocks[] = {
        {FAMILY | TAGS, 0x10ffff00, 256, 0, 2, 0xe48bff57, 0xef, "04e35799"},
        {FAMILY, 0x10000000, 4, 0, 1, 0xe48bff59, 0x22, NULL},
    };
    struct image image;
    parse_blocks(blocks, 2, &image);
    assert_int_equal(image.segment_count, 1);
    assert_segment(&image, 0, 0x10000000, "\x22\x22\x22\x22", 4);
    image_fini(&image);
}

static void test_uf2_refuses_wrong_numbers(void **state)
{
    (void)state;
    const struct block good[] = {{0, 0x1000, 256, 0, 3, 0, 0x11, NULL},
                                 {0, 0x1100, 256, 1, 3, 0, 0x22, NULL},
                                 {0, 0x1200, 256, 2, 3, 0, 0x33, NULL}};
    struct block blocks[4];
    memcpy(blocks, good, sizeof good);
    blocks[1] = good[2];
    assert_blocks_refused(blocks, 2, "block 2 stands where block 1 should: missing", 512);
    blocks[1] = good[0];
    assert_blocks_refused(blocks, 3, "block 0 stands where block 1 should: doubled, or out of order", 512);
    assert_blocks_refused(good + 1, 2, "block 1 stands where block 0 should: missing", 0);
    assert_blocks_refused(good, 2, "ends after 2 of 3 blocks: it is cut off", 1024);
    memcpy(blocks, good, sizeof good);
    blocks[2].total = 4;
    assert_blocks_refused(blocks, 3, "says that the file has 4 blocks; the first one said 3", 1024);
    for (size_t i = 0; i < 3; i++) {
        blocks[i].total = 2;
    }
    assert_blocks_refused(blocks, 3, "one block more than the 2", 1024);
    blocks[0].total = 0;
    assert_blocks_refused(blocks, 1, "one block more than the 0", 0);
    /* Numbers of comments count, too. */
    memcpy(blocks, good, sizeof good);
    blocks[1].flags = NOT_MAIN_FLASH;
    blocks[1].number = 2;
    assert_blocks_refused(blocks, 3, "missing", 512);
}

static void test_uf2_refuses_broken_blocks(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        const char *words;
    } cases[] = {
        {512, "does not begin with the magic numbers"},
        {512 + 7, "does not begin with the magic numbers"},
        {1020, "does not end with the magic number"},
        {512 + 19, "bytes of data, and has 476"},
    };
    const struct block blocks[] = {{0, 0x1000, 256, 0, 2, 0, 0x11, NULL},
                                   {0, 0x1100, 256, 1, 2, 0, 0x22, NULL}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file file;
        write_file(blocks, 2, &file);
        file.bytes[cases[i].at] ^= 0x40;
        assert_refused(IMAGE_UF2, file.bytes, file.length, cases[i].words, "offset", 512);
    }
}

static void test_uf2_refuses_overlaps_and_high_addresses(void **state)
{
    (void)state;
    struct block blocks[] = {{0, 0x1000, 256, 0, 2, 0, 0x11, NULL}, {0, 0x10ff, 256, 1, 2, 0, 0x11, NULL}};
    assert_blocks_refused(blocks, 2, "address 0x000010ff comes twice", 512);
    blocks[1].address = 0xffffff00;
    struct image image;
    parse_blocks(blocks, 2, &image);
    assert_int_equal(image.segments[1].address, 0xffffff00);
    image_fini(&image);
    blocks[1].address++;
    assert_blocks_refused(blocks, 2, "256 bytes at 0xffffff01 go past the last address", 512);
}

static void test_uf2_refuses_every_truncation(void **state)
{
    (void)state;
    const struct block blocks[] = {{0, 0x1000, 256, 0, 2, 0, 0x11, NULL},
                                   {0, 0x1100, 256, 1, 2, 0, 0x22, NULL}};
    struct file file;
    write_file(blocks, 2, &file);
    for (size_t length = 1; length < file.length; length++) {
        assert_refused(IMAGE_UF2, file.bytes, length, "it is cut off", "offset", length / 512 * 512);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uf2_joins_blocks),
        cmocka_unit_test(test_uf2_skips_what_is_not_for_the_main_flash),
        cmocka_unit_test(test_uf2_checks_families),
        cmocka_unit_test(test_uf2_keeps_room_for_md5),
        cmocka_unit_test(test_uf2_reads_past_extension_tags),
        cmocka_unit_test(test_uf2_leaves_out_blocks_marked_to_be_ignored),
        cmocka_unit_test(test_uf2_refuses_wrong_numbers),
        cmocka_unit_test(test_uf2_refuses_broken_blocks),
        cmocka_unit_test(test_uf2_refuses_overlaps_and_high_addresses),
        cmocka_unit_test(test_uf2_refuses_every_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
