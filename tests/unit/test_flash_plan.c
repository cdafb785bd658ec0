/* ops/flash_plan: banks, ranges, sectors, and what is in them beside the image. */
#include "op_flash.h"

#include "ops/flash_plan.h"

static const uint8_t bytes[65536];

struct fixture {
    struct ocd_info info;
    struct flash_plan plan;
    struct image image;
    struct image_segment segments[8];
    struct err err;
};

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->info.banks = xcalloc(8, sizeof *fixture->info.banks);
    fixture->image.segments = fixture->segments;
    fixture->image.format = IMAGE_IHEX;
    err_reset(&fixture->err);
    *state = fixture;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    flash_plan_fini(&fixture->plan);
    ocd_info_fini(&fixture->info);
    free(fixture);
    return 0;
}

static void add_bank(struct fixture *fixture, uint64_t base, uint64_t size, const char *target)
{
    struct ocd_bank *bank = &fixture->info.banks[fixture->info.bank_count];
    *bank = (struct ocd_bank){.index = (unsigned)fixture->info.bank_count++, .base = base, .size = size};
    snprintf(bank->target, sizeof bank->target, "%s", target);
}

static void add_segment(struct fixture *fixture, uint64_t address, uint64_t size)
{
    fixture->segments[fixture->image.segment_count++] =
        (struct image_segment){.address = address, .bytes = bytes, .size = size};
}

static void map(struct fixture *fixture, const char *target)
{
    if (!flash_plan_map(&fixture->plan, &fixture->image, &fixture->info, target, &fixture->err)) {
        fail_msg("refused: %s", fixture->err.message);
    }
}

static void must_not_map(struct fixture *fixture, uint64_t address, uint64_t size)
{
    assert_false(flash_plan_map(&fixture->plan, &fixture->image, &fixture->info, "", &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_IMAGE_INVALID);
    assert_int_equal(err_find_detail(&fixture->err, "address")->number, address);
    assert_int_equal(err_find_detail(&fixture->err, "size")->number, size);
}

static void assert_range(const struct fixture *fixture, size_t bank, size_t range, uint64_t offset,
                         uint64_t size, size_t from)
{
    assert_true(bank < fixture->plan.bank_count && range < fixture->plan.banks[bank].range_count);
    const struct flash_plan_range *found = &fixture->plan.banks[bank].ranges[range];
    assert_int_equal(found->offset, offset);
    assert_int_equal(found->size, size);
    assert_ptr_equal(found->bytes, bytes + from);
}

/* Mapping. */

static void test_flash_plan_cuts_at_the_borders_of_banks(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0x2000, 0x1000, "cpu");
    add_bank(fixture, 0x1000, 0x1000, "cpu");
    add_bank(fixture, 0x3000, 0x800, "cpu");
    add_segment(fixture, 0x1800, 0x100);
    add_segment(fixture, 0x1f00, 0x1800);
    map(fixture, "");
    assert_int_equal(fixture->plan.bank_count, 3); /* in the image's order */
    assert_int_equal(fixture->plan.banks[0].bank, 1);
    assert_int_equal(fixture->plan.banks[0].base, 0x1000);
    assert_int_equal(fixture->plan.banks[0].range_count, 2);
    assert_range(fixture, 0, 0, 0x800, 0x100, 0);
    assert_range(fixture, 0, 1, 0xf00, 0x100, 0);
    assert_int_equal(fixture->plan.banks[1].bank, 0);
    assert_int_equal(fixture->plan.banks[1].range_count, 1);
    assert_range(fixture, 1, 0, 0, 0x1000, 0x100);
    assert_int_equal(fixture->plan.banks[2].bank, 2);
    assert_range(fixture, 2, 0, 0, 0x700, 0x1100);
}

static void test_flash_plan_names_the_first_part_in_no_bank(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0x1000, 0x1000, "cpu");
    add_bank(fixture, 0x3000, 0x1000, "cpu");
    add_segment(fixture, 0x1ff0, 0x100);
    must_not_map(fixture, 0x2000, 0xf0);
    fixture->image.segment_count = 0;
    add_segment(fixture, 0xfff, 2);
    must_not_map(fixture, 0xfff, 1);
    fixture->image.segment_count = 0;
    add_segment(fixture, UINT64_MAX, 1);
    must_not_map(fixture, UINT64_MAX, 1);
    fixture->image.segment_count = 0;
    add_segment(fixture, 0x4000, 1);
    must_not_map(fixture, 0x4000, 1);
}

static void test_flash_plan_of_a_board_without_banks(void **state)
{
    struct fixture *fixture = *state;
    add_segment(fixture, 0, 1);
    assert_false(flash_plan_map(&fixture->plan, &fixture->image, &fixture->info, "", &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void test_flash_plan_for_a_target_takes_its_banks_alone(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0, 0x1000, "dsp");
    add_bank(fixture, 0, 0x1000, "cpu");
    add_segment(fixture, 0x10, 1);
    map(fixture, "cpu");
    assert_int_equal(fixture->plan.banks[0].bank, 1);
    assert_false(flash_plan_map(&fixture->plan, &fixture->image, &fixture->info, "gpu", &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_IMAGE_INVALID);
}

/* A bank of unknown size takes what no other holds, up to where the next one begins. */
static void test_flash_plan_with_banks_of_unknown_size(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0x1000, 0, "cpu");
    add_bank(fixture, 0x2000, 0x1000, "cpu");
    add_bank(fixture, 0x8000, 0, "cpu");
    add_bank(fixture, 0x9000, 0x1000, "dsp");
    add_segment(fixture, 0x1800, 0x1000); /* into the known one */
    add_segment(fixture, 0x3000, 0x10);   /* behind it */
    add_segment(fixture, 0x7ff0, 0x20);   /* over the border of two unknown ones */
    map(fixture, "");
    assert_int_equal(fixture->plan.bank_count, 3);
    assert_range(fixture, 0, 0, 0x800, 0x800, 0);
    assert_range(fixture, 0, 1, 0x2000, 0x10, 0);
    assert_range(fixture, 0, 2, 0x6ff0, 0x10, 0);
    assert_range(fixture, 1, 0, 0, 0x800, 0x800);
    assert_range(fixture, 2, 0, 0, 0x10, 0x10);
    flash_plan_fini(&fixture->plan);
    fixture->image.segment_count = 0;
    add_segment(fixture, 0x8ff0, 0x20); /* the last one is not of that target */
    map(fixture, "cpu");
    assert_int_equal(fixture->plan.bank_count, 1);
    assert_range(fixture, 0, 0, 0xff0, 0x20, 0);
    fixture->image.segment_count = 0;
    add_segment(fixture, 0xfff, 1);
    must_not_map(fixture, 0xfff, 1);
}

/* Sectors. */

static struct flash_geometry geometry_of(const struct ocd_bank *bank, const struct ocd_block *rows,
                                         size_t count)
{
    struct flash_geometry geometry;
    memset(&geometry, 0, sizeof geometry);
    geometry.bank = *bank;
    geometry.sectors.blocks = xcalloc(count + 1, sizeof *rows);
    geometry.blocks.blocks = xcalloc(count + 1, sizeof *rows);
    memcpy(geometry.sectors.blocks, rows, count * sizeof *rows);
    memcpy(geometry.blocks.blocks, rows, count * sizeof *rows);
    geometry.sectors.count = geometry.blocks.count = count;
    return geometry;
}

static bool survey(struct fixture *fixture, const struct ocd_block *rows, size_t count)
{
    struct flash_geometry geometry = geometry_of(&fixture->info.banks[0], rows, count);
    return flash_plan_survey(&fixture->plan.banks[0], &geometry, &fixture->err);
}

#define MIXED 4
static const struct ocd_block mixed[MIXED] = {
    {.offset = 0, .size = 0x100},
    {.offset = 0x100, .size = 0x300, .protection = OCD_PROTECTION_ON},
    {.offset = 0x400, .size = 0x400},
    {.offset = 0x800, .size = 0x800}};

/* Parts of the first three sectors: a byte at the end of the first, two runs in the second, one in the third.
 */
static void map_mixed(struct fixture *fixture)
{
    add_bank(fixture, 0x1000, 0x1000, "cpu");
    add_segment(fixture, 0x10ff, 0x11);
    add_segment(fixture, 0x1120, 0x10);
    add_segment(fixture, 0x13f0, 0x20);
    map(fixture, "");
}

static void test_flash_plan_finds_the_sectors_that_are_touched(void **state)
{
    struct fixture *fixture = *state;
    map_mixed(fixture);
    for (int again = 0; again < 2; again++) { /* it starts over */
        assert_true(survey(fixture, mixed, MIXED));
        struct flash_plan_bank *bank = &fixture->plan.banks[0];
        assert_int_equal(bank->sector_count, 3);
        static const uint64_t covered[] = {1, 0x10 + 0x10 + 0x10, 0x10};
        static const size_t first[] = {0, 0, 2};
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(bank->sectors[i].index, i);
            assert_int_equal(bank->sectors[i].offset, mixed[i].offset);
            assert_int_equal(bank->sectors[i].size, mixed[i].size);
            assert_int_equal(bank->sectors[i].covered, covered[i]);
            assert_int_equal(bank->sectors[i].first_range, first[i]);
            assert_int_equal(bank->sectors[i].state, FLASH_SECTOR_UNKNOWN);
            bank->sectors[i].state = FLASH_SECTOR_CHANGED;
        }
        assert_int_equal(flash_plan_sector_at(bank, 0), 0);
        assert_int_equal(flash_plan_sector_at(bank, 0xff), 0);
        assert_int_equal(flash_plan_sector_at(bank, 0x100), 1);
        assert_int_equal(flash_plan_sector_at(bank, 0x7ff), 2);
        assert_int_equal(flash_plan_sector_at(bank, 0x800), 3); /* none */
        assert_int_equal(flash_plan_sector_at(bank, UINT64_MAX), 3);
    }
}

static void test_flash_plan_skips_sectors_between_ranges(void **state)
{
    struct fixture *fixture = *state;
    add_bank(fixture, 0, 0x1000, "cpu");
    add_segment(fixture, 0, 1);
    add_segment(fixture, 0x400, 0x400);
    map(fixture, "");
    assert_true(survey(fixture, mixed, MIXED));
    const struct flash_plan_bank *bank = &fixture->plan.banks[0];
    assert_int_equal(bank->sector_count, 2);
    assert_int_equal(bank->sectors[1].index, 2);
    assert_int_equal(bank->sectors[1].covered, 0x400);
    assert_int_equal(flash_plan_sector_at(bank, 0x200), 2);        /* not of the plan */
    assert_true(flash_plan_check_protection(bank, &fixture->err)); /* of the one between */
}

static void test_flash_plan_names_the_protected_sector(void **state)
{
    struct fixture *fixture = *state;
    map_mixed(fixture);
    assert_true(survey(fixture, mixed, MIXED));
    assert_false(flash_plan_check_protection(&fixture->plan.banks[0], &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_FLASH_ERROR);
    assert_string_equal(err_find_detail(&fixture->err, "reason")->text, "protected");
    assert_int_equal(err_find_detail(&fixture->err, "sector")->number, 1);
    assert_int_equal(err_find_detail(&fixture->err, "address")->number, 0x1100);
}

static void test_flash_plan_gaps_are_what_the_image_leaves(void **state)
{
    static const uint64_t gaps[][2] = {{0, 0xff}, {0x110, 0x10}, {0x130, 0x2c0}, {0x410, 0x3f0}};
    struct fixture *fixture = *state;
    struct flash_plan_gap gap;
    size_t count = 0;
    map_mixed(fixture);
    assert_true(survey(fixture, mixed, MIXED));
    const struct flash_plan_bank *bank = &fixture->plan.banks[0];
    for (size_t i = 0; i < bank->sector_count; i++) {
        uint64_t sum = 0;
        for (bool more = flash_plan_first_gap(bank, &bank->sectors[i], &gap); more;
             more = flash_plan_next_gap(bank, &bank->sectors[i], &gap)) {
            assert_true(count < 4);
            assert_int_equal(gap.offset, gaps[count][0]);
            assert_int_equal(gap.size, gaps[count][1]);
            sum += gap.size;
            count++;
        }
        assert_int_equal(sum, bank->sectors[i].size - bank->sectors[i].covered);
    }
    assert_int_equal(count, 4);
}

static void test_flash_plan_of_a_sector_that_is_full_has_no_gap(void **state)
{
    struct fixture *fixture = *state;
    struct flash_plan_gap gap;
    add_bank(fixture, 0, 0x1000, "cpu");
    add_segment(fixture, 0x80, 0x480); /* all of the second sector, over both borders */
    map(fixture, "");
    assert_true(survey(fixture, mixed, MIXED));
    assert_false(flash_plan_first_gap(&fixture->plan.banks[0], &fixture->plan.banks[0].sectors[1], &gap));
}

static void test_flash_plan_overlays_just_the_image(void **state)
{
    struct fixture *fixture = *state;
    uint8_t content[0x400];
    map_mixed(fixture);
    assert_true(survey(fixture, mixed, MIXED));
    const struct flash_plan_bank *bank = &fixture->plan.banks[0];
    for (size_t i = 0; i < bank->sector_count; i++) {
        const struct flash_plan_sector *sector = &bank->sectors[i];
        memset(content, 0xee, sizeof content);
        flash_plan_overlay(bank, sector, content);
        for (uint64_t k = 0; k < sizeof content; k++) {
            uint64_t at = sector->offset + k;
            bool in_image =
                (at >= 0xff && at < 0x110) || (at >= 0x120 && at < 0x130) || (at >= 0x3f0 && at < 0x410);
            assert_int_equal(content[k], k < sector->size && in_image ? 0 : 0xee);
        }
    }
}

/* What OpenOCD says of a bank is not believed where it cannot be. */

static void must_not_survey(struct fixture *fixture, const struct ocd_block *rows, size_t count,
                            enum err_kind kind)
{
    assert_false(survey(fixture, rows, count));
    assert_int_equal(fixture->err.kind, kind);
}

/* Each sector would be counted again and again. */
static void test_flash_plan_refuses_sectors_out_of_order(void **state)
{
    static const struct ocd_block rows[] = {
        {.offset = 0x110, .size = 0x10}, {.offset = 0x130, .size = 0x10}, {.offset = 0, .size = 0x1000}};
    static const struct ocd_block inside[] = {
        {.offset = 0, .size = 0x1000}, {.offset = 0x110, .size = 0x10}, {.offset = 0x130, .size = 0x10}};
    struct fixture *fixture = *state;
    add_bank(fixture, 0, 0x1000, "cpu");
    for (uint64_t at = 0x100; at < 0x180; at += 0x10) {
        add_segment(fixture, at, 8);
    }
    map(fixture, "");
    must_not_survey(fixture, rows, 3, ERR_FLASH_ERROR);
    assert_true(survey(fixture, inside, 3)); /* the first that holds a byte is meant */
    assert_int_equal(fixture->plan.banks[0].sector_count, 1);
}

static void test_flash_plan_refuses_impossible_sectors(void **state)
{
    static const struct {
        struct ocd_block rows[3];
        size_t count;
    } lies[] = {
        {.count = 0},
        {{{.offset = 0, .size = 0x110}}, 1},
        {{{.offset = 0, .size = 0x110}, {.offset = 0x111, .size = 0xeef}}, 2},
        {{{.offset = 0, .size = 0x110}, {.offset = 0x10f, .size = 0xef1}}, 2},
        {{{.offset = 0, .size = 0x110}, {.offset = 0x110, .size = 0}}, 2},
        {{{.offset = 0, .size = 0x110}, {.offset = 0x110, .size = 0xef1}}, 2},
        {{{.offset = 0, .size = 0x110}, {.offset = 0x110, .size = UINT64_MAX}}, 2},
    };
    struct fixture *fixture = *state;
    add_bank(fixture, 0, 0x1000, "cpu");
    add_segment(fixture, 0x100, 0x20);
    map(fixture, "");
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        must_not_survey(fixture, lies[i].rows, lies[i].count, ERR_FLASH_ERROR);
    }
}

static void test_flash_plan_refuses_a_bank_that_is_not_as_it_was(void **state)
{
    static const struct ocd_block rows[] = {{.offset = 0, .size = 0x1000}};
    struct fixture *fixture = *state;
    add_bank(fixture, 0x4000, 0x1000, "cpu");
    add_segment(fixture, 0x4100, 0xf00);
    map(fixture, "");
    fixture->info.banks[0].base = 0x5000;
    must_not_survey(fixture, rows, 1, ERR_FLASH_ERROR);
    fixture->info.banks[0].base = 0x4000;
    fixture->info.banks[0].size = 0xfff;
    must_not_survey(fixture, rows, 1, ERR_IMAGE_INVALID);
    assert_int_equal(err_find_detail(&fixture->err, "address")->number, 0x4100);
    fixture->info.banks[0].size = 0;
    must_not_survey(fixture, rows, 1, ERR_IMAGE_INVALID);
    fixture->info.banks[0].size = 0x1000;
    assert_true(survey(fixture, rows, 1));
}

static void test_flash_plan_refuses_a_sector_that_is_too_large(void **state)
{
    const struct ocd_block rows[] = {{.offset = 0, .size = FLASH_PLAN_MOST_SECTOR},
                                     {.offset = FLASH_PLAN_MOST_SECTOR, .size = FLASH_PLAN_MOST_SECTOR + 1}};
    struct fixture *fixture = *state;
    add_bank(fixture, 0, FLASH_PLAN_MOST_SECTOR * 4ull, "cpu");
    add_segment(fixture, FLASH_PLAN_MOST_SECTOR - 1, 1);
    map(fixture, "");
    assert_true(survey(fixture, rows, 2));
    flash_plan_fini(&fixture->plan);
    fixture->segments[0].size = 2;
    map(fixture, "");
    must_not_survey(fixture, rows, 2, ERR_LIMIT_EXCEEDED);
    assert_string_equal(err_find_detail(&fixture->err, "limit")->text, "sector_bytes");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_flash_plan_cuts_at_the_borders_of_banks),
        WITH_FIXTURE(test_flash_plan_names_the_first_part_in_no_bank),
        WITH_FIXTURE(test_flash_plan_of_a_board_without_banks),
        WITH_FIXTURE(test_flash_plan_for_a_target_takes_its_banks_alone),
        WITH_FIXTURE(test_flash_plan_with_banks_of_unknown_size),
        WITH_FIXTURE(test_flash_plan_finds_the_sectors_that_are_touched),
        WITH_FIXTURE(test_flash_plan_skips_sectors_between_ranges),
        WITH_FIXTURE(test_flash_plan_names_the_protected_sector),
        WITH_FIXTURE(test_flash_plan_gaps_are_what_the_image_leaves),
        WITH_FIXTURE(test_flash_plan_of_a_sector_that_is_full_has_no_gap),
        WITH_FIXTURE(test_flash_plan_overlays_just_the_image),
        WITH_FIXTURE(test_flash_plan_refuses_sectors_out_of_order),
        WITH_FIXTURE(test_flash_plan_refuses_impossible_sectors),
        WITH_FIXTURE(test_flash_plan_refuses_a_bank_that_is_not_as_it_was),
        WITH_FIXTURE(test_flash_plan_refuses_a_sector_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
