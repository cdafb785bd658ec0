/* ops/flash_info: the geometry of a bank, and the list of banks. */
#include "op_flash.h"

#include "ops/flash_info.h"

static const char probe_script[] = "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]";

static const struct flash_geometry *geometry_of(const struct op_driver *driver)
{
    return &((const struct flash_info_op *)driver->op)->geometry;
}

static void run_info(struct op_driver *driver, struct made_up_flash *flash)
{
    op_driver_start(driver, flash_info_new(0));
    op_driver_expect(driver, probe_script);
    assert_true(driver->command.repeatable);
    assert_false(driver->command.changes);
    assert_int_equal(flash_answer_geometry(flash, driver), OP_DONE);
}

static void test_flash_info_tells_sectors_from_protection_blocks(void **state)
{
    struct op_driver *driver = *state;
    struct made_up_flash flash;
    flash_init(&flash, 8, 1024);
    flash.block_sectors = 4;
    flash.protected_blocks = 2;
    run_info(driver, &flash);
    const struct flash_geometry *geometry = geometry_of(driver);
    assert_int_equal(geometry->sectors.count, 8);
    assert_int_equal(geometry->sectors.blocks[7].offset, 0x1c00);
    assert_int_equal(geometry->sectors.blocks[7].size, 0x400);
    assert_int_equal(geometry->blocks.count, 2);
    assert_int_equal(geometry->blocks.blocks[1].protection, OCD_PROTECTION_ON);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(flash_sector_protection(geometry, i),
                         i < 4 ? OCD_PROTECTION_OFF : OCD_PROTECTION_ON);
    }
    assert_string_equal(strbuf_text(&geometry->blocks.description), "a made-up flash");
    assert_string_equal(geometry->bank.name, "main");
}

/* The probe may have found out the bank's size: the board's own list is brought up to date. */
static void test_flash_info_brings_the_list_of_banks_up_to_date(void **state)
{
    struct op_driver *driver = *state;
    struct made_up_flash flash;
    flash_init(&flash, 4, 1024);
    driver->info.banks[0].size = 0;
    run_info(driver, &flash);
    assert_int_equal(driver->info.bank_count, 1);
    assert_int_equal(driver->info.banks[0].size, 4096);
    assert_int_equal(geometry_of(driver)->bank.size, 4096);
}

static void test_flash_info_of_a_driver_without_blocks(void **state)
{
    struct op_driver *driver = *state;
    struct made_up_flash flash;
    flash_init(&flash, 4, 65536 / 4);
    flash.protected_blocks = 4;
    run_info(driver, &flash);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(flash_sector_protection(geometry_of(driver), i),
                         i == 2 ? OCD_PROTECTION_ON : OCD_PROTECTION_OFF);
    }
}

/* Drivers that cannot look at the protection fill the rows with a guess, and OpenOCD says so in its log
 * alone. */
static void test_flash_info_distrusts_protection_that_nobody_looked_at(void **state)
{
    struct op_driver *driver = *state;
    struct made_up_flash flash;
    struct strbuf text = STRBUF_INIT;
    flash_init(&flash, 4, 1024);
    flash.protected_blocks = 5;
    flash_append_geometry(&flash, &text);
    op_driver_start(driver, flash_info_new(0));
    op_driver_run(driver);
    op_driver_answer(driver, 0, text.data, text.length,
                     "Flash protection check is not implemented.\n"
                     "Flash protection check is not implemented.\n");
    strbuf_fini(&text);
    op_driver_expect_done(driver);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(geometry_of(driver)->sectors.blocks[i].protection, OCD_PROTECTION_UNKNOWN);
        assert_int_equal(geometry_of(driver)->blocks.blocks[i].protection, OCD_PROTECTION_UNKNOWN);
        assert_int_equal(flash_sector_protection(geometry_of(driver), i), OCD_PROTECTION_UNKNOWN);
    }
}

static void test_flash_sectors_check_names_the_last_one(void **state)
{
    struct ocd_block sectors[] = {
        {.offset = 0, .size = 16}, {.offset = 16, .size = 0}, {.offset = 16, .size = 8}};
    struct flash_geometry geometry = {.bank = {.index = 3}, .sectors = {.blocks = sectors, .count = 3}};
    struct err err;
    (void)state;
    err_reset(&err);
    assert_true(flash_sectors_check(&geometry, 2, 2, &err));
    assert_false(flash_sectors_check(&geometry, 0, 3, &err));
    assert_int_equal(err.kind, ERR_INVALID_RANGE);
    assert_int_equal(err_find_detail(&err, "last")->number, 2);
    assert_int_equal(err_find_detail(&err, "bank")->number, 3);
    assert_false(flash_sectors_check(&geometry, 0, 2, &err)); /* one of no size */
    assert_int_equal(err.kind, ERR_FLASH_ERROR);
    geometry.sectors.count = 0;
    assert_false(flash_sectors_check(&geometry, 0, 0, &err));
    assert_int_equal(err.kind, ERR_FLASH_ERROR);
}

/* Blocks and sectors need not begin together. */
static void test_flash_sector_protection_is_the_worst_of_its_blocks(void **state)
{
    struct ocd_block sector[] = {{.offset = 0x1000, .size = 0x1000}};
    struct ocd_block blocks[] = {
        {.offset = 0, .size = 0x1000, .protection = OCD_PROTECTION_ON}, /* ends where the sector begins */
        {.offset = 0x1000, .size = 0x800, .protection = OCD_PROTECTION_OFF},
        {.offset = 0x1800, .size = 0x800, .protection = OCD_PROTECTION_OFF},
        {.offset = 0x2000, .size = 0x800, .protection = OCD_PROTECTION_ON}, /* begins where it ends */
    };
    struct flash_geometry geometry = {.sectors = {.blocks = sector, .count = 1},
                                      .blocks = {.blocks = blocks, .count = 4}};
    (void)state;
    assert_int_equal(flash_sector_protection(&geometry, 0), OCD_PROTECTION_OFF);
    blocks[2].protection = OCD_PROTECTION_UNKNOWN;
    assert_int_equal(flash_sector_protection(&geometry, 0), OCD_PROTECTION_UNKNOWN);
    blocks[2].protection = OCD_PROTECTION_OFF;
    blocks[1].protection = OCD_PROTECTION_UNKNOWN;
    assert_int_equal(flash_sector_protection(&geometry, 0), OCD_PROTECTION_UNKNOWN);
    blocks[2].protection = OCD_PROTECTION_ON;
    assert_int_equal(flash_sector_protection(&geometry, 0), OCD_PROTECTION_ON);
    geometry.blocks.count = 1; /* no block over it: nobody knows */
    assert_int_equal(flash_sector_protection(&geometry, 0), OCD_PROTECTION_UNKNOWN);
}

static void test_flash_sector_at_finds_borders(void **state)
{
    struct ocd_block sectors[] = {{.offset = 0, .size = 16}, {.offset = 16, .size = 48}};
    struct flash_geometry geometry = {.sectors = {.blocks = sectors, .count = 2}};
    (void)state;
    assert_int_equal(flash_sector_at(&geometry, 0), 0);
    assert_int_equal(flash_sector_at(&geometry, 15), 0);
    assert_int_equal(flash_sector_at(&geometry, 16), 1);
    assert_int_equal(flash_sector_at(&geometry, 63), 1);
    assert_int_equal(flash_sector_at(&geometry, 64), 2);
    assert_int_equal(flash_sector_at(&geometry, UINT64_MAX), 2);
    geometry.sectors.count = 0;
    assert_int_equal(flash_sector_at(&geometry, 0), 0);
}

static void test_flash_info_needs_a_bank(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, flash_info_new(1));
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 1: the board has 1");
    op_driver_assert_text(driver, "parameter", "bank");
}

static void test_flash_info_hands_on_openocds_words(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, flash_info_new(0));
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "auto_probe failed\nCannot read flash size\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "cannot look at flash bank 0: auto_probe failed");
    op_driver_assert_text(driver, "reason", "driver");
    op_driver_assert_openocd(driver, -4, "auto_probe failed\nCannot read flash size");
}

static void test_flash_info_believes_no_impossible_text(void **state)
{
    static const char *const lies[] = {
        "",
        "{} {}",
        "{} {} {}",
        "{{name main driver d base 0 size 0 bus_width 0 chip_width 0 target cpu}} {} {}",
        "{{name main driver d base 0 size nonsense bus_width 0 chip_width 0 target cpu}} {x} {y}",
        "{not a flash list",
        "found at 0x08000000",
    };
    struct op_driver *driver = *state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        op_driver_fini(driver);
        op_driver_init(driver);
        op_driver_start(driver, flash_info_new(0));
        op_driver_run(driver);
        op_driver_answer_text(driver, lies[i]);
        assert_int_equal(op_driver_run(driver), OP_FAILED);
        assert_true(driver->err.kind == ERR_OPENOCD_ERROR || driver->err.kind == ERR_NOT_FOUND);
    }
}

/* A bank that was there is gone: the list that came tells so. */
static void test_flash_info_of_a_bank_that_vanished(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, flash_info_new(0));
    op_driver_run(driver);
    op_driver_answer_text(driver, "{} {#0 : d at 0x0, size 0x0, buswidth 0, chipwidth 0} "
                                  "{#0 : d at 0x0, size 0x0, buswidth 0, chipwidth 0}");
    op_driver_expect_failed(driver, ERR_NOT_FOUND, "there is no flash bank 0: the board has 0");
    assert_int_equal(driver->info.bank_count, 0);
}

static void test_flash_banks_lists_them_anew(void **state)
{
    struct op_driver *driver = *state;
    struct strbuf text = STRBUF_INIT;
    struct made_up_flash flash;
    flash_init(&flash, 4, 1024);
    flash_append_list(&flash, &text);
    strbuf_append_text(&text,
                       " {name second driver virtual base 0x10000000 size 0x1000 bus_width 1 chip_width 2 "
                       "target cpu}");
    op_driver_start(driver, flash_banks_new());
    op_driver_expect(driver, "apply {{} {set i 0; foreach b [flash list] {"
                             "if {[dict get $b size] == 0} {catch {flash probe $i}}; incr i}; flash list}}");
    assert_true(driver->command.repeatable);
    assert_int_equal(op_driver_answer(driver, 0, text.data, text.length, ""), OP_DONE);
    assert_int_equal(driver->info.bank_count, 2);
    assert_string_equal(driver->info.banks[1].name, "second");
    assert_int_equal(driver->info.banks[1].base, 0x10000000);
    strbuf_fini(&text);
}

static void test_flash_banks_that_fail_leave_the_list_alone(void **state)
{
    struct op_driver *driver = *state;
    op_driver_start(driver, flash_banks_new());
    op_driver_run(driver);
    op_driver_answer_error(driver, -4, "", "no flash here\n");
    op_driver_expect_failed(driver, ERR_FLASH_ERROR, "cannot list the flash banks: no flash here");
    op_driver_start(driver, flash_banks_new());
    op_driver_run(driver);
    op_driver_answer_text(driver, "{name main}");
    op_driver_expect_failed(driver, ERR_OPENOCD_ERROR, "flash list is not understood");
    assert_int_equal(driver->info.bank_count, 1);
    assert_string_equal(driver->info.banks[0].name, "main");
}

#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, op_driver_setup, op_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DRIVER(test_flash_info_tells_sectors_from_protection_blocks),
        WITH_DRIVER(test_flash_info_brings_the_list_of_banks_up_to_date),
        WITH_DRIVER(test_flash_info_of_a_driver_without_blocks),
        cmocka_unit_test(test_flash_sector_protection_is_the_worst_of_its_blocks),
        WITH_DRIVER(test_flash_info_distrusts_protection_that_nobody_looked_at),
        cmocka_unit_test(test_flash_sectors_check_names_the_last_one),
        cmocka_unit_test(test_flash_sector_at_finds_borders),
        WITH_DRIVER(test_flash_info_needs_a_bank),
        WITH_DRIVER(test_flash_info_hands_on_openocds_words),
        WITH_DRIVER(test_flash_info_believes_no_impossible_text),
        WITH_DRIVER(test_flash_info_of_a_bank_that_vanished),
        WITH_DRIVER(test_flash_banks_lists_them_anew),
        WITH_DRIVER(test_flash_banks_that_fail_leave_the_list_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
