/*
 * Made-up flash banks in OpenOCD's words: what `flash list` and `flash info` say of them, and what reading,
 * erasing, programming and comparing through OpenOCD do. A chain of banks is a board; the first is bank 0,
 * and what concerns the board as a whole stands in it.
 */
#ifndef OCDMUX_TESTS_OP_FLASH_H
#define OCDMUX_TESTS_OP_FLASH_H

#include <inttypes.h>

#include "op_driver.h"

#define FLASH_SECTORS_MAX 64u
#define FLASH_BYTES_MAX (2u * 1024u * 1024u)
#define FLASH_BASE 0x08000000u

/* When the protection is gone that a command has lifted. */
enum made_up_unlock { UNLOCKS_AT_ONCE, UNLOCKS_WITH_A_RESET, UNLOCKS_NEVER };

struct made_up_flash {
    uint64_t base;
    const char *target;
    uint64_t sectors[FLASH_SECTORS_MAX]; /* sizes */
    size_t sector_count;
    size_t block_sectors;      /* sectors in a protection block; 0: the driver has no blocks */
    uint64_t protected_blocks; /* bits; sectors where there are no blocks */
    uint64_t unlocked_blocks;  /* with the next reset */
    bool no_size;              /* `flash list` does not know its size */
    uint8_t erased_value;
    uint8_t bytes[FLASH_BYTES_MAX];
    size_t sector_erases[FLASH_SECTORS_MAX];
    struct made_up_flash *next;

    /* The board. */
    enum made_up_unlock unlock;
    bool no_work_area;
    size_t checksums_that_work; /* after so many it has no words for the rest */
    bool checksum_lies;         /* nothing is ever the same */
    const char *sample_answer;  /* instead of the true one; NULL: the true one */
    size_t reads;               /* commands */
    size_t samples;
    size_t checksums;
    size_t erases;
    size_t programs;
    uint64_t read_bytes;
    uint64_t programmed_bytes;
    uint64_t longest_program;
};

static inline void flash_init(struct made_up_flash *flash, size_t count, uint64_t sector_size)
{
    memset(flash, 0, offsetof(struct made_up_flash, bytes));
    memset((char *)flash + offsetof(struct made_up_flash, sector_erases), 0,
           sizeof *flash - offsetof(struct made_up_flash, sector_erases));
    memset(flash->bytes, 0xff, sizeof flash->bytes);
    flash->base = FLASH_BASE;
    flash->target = "cpu";
    flash->erased_value = 0xff;
    flash->checksums_that_work = SIZE_MAX;
    flash->sector_count = count;
    for (size_t i = 0; i < count; i++) {
        flash->sectors[i] = sector_size;
    }
}

static inline void flash_count_anew(struct made_up_flash *flash)
{
    flash->reads = flash->samples = flash->checksums = flash->erases = flash->programs = 0;
    flash->read_bytes = flash->programmed_bytes = flash->longest_program = 0;
    for (struct made_up_flash *bank = flash; bank != NULL; bank = bank->next) {
        memset(bank->sector_erases, 0, sizeof bank->sector_erases);
    }
}

static inline uint64_t flash_offset(const struct made_up_flash *flash, size_t sector)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < sector; i++) {
        offset += flash->sectors[i];
    }
    return offset;
}

static inline uint64_t flash_size(const struct made_up_flash *flash)
{
    return flash_offset(flash, flash->sector_count);
}

static inline struct made_up_flash *flash_bank(struct made_up_flash *flash, unsigned bank)
{
    for (unsigned i = 0; i < bank && flash != NULL; i++) {
        flash = flash->next;
    }
    if (flash == NULL) {
        fail_msg("there is no bank %u", bank);
        abort();
    }
    return flash;
}

/* The bank that holds all of these bytes. */
static inline struct made_up_flash *flash_at(struct made_up_flash *flash, uint64_t address, uint64_t size)
{
    for (; flash != NULL; flash = flash->next) {
        if (address >= flash->base && address + size <= flash->base + flash_size(flash)) {
            return flash;
        }
    }
    fail_msg("no bank holds %" PRIu64 " bytes at 0x%" PRIx64, size, address);
    abort();
}

static inline void flash_append_list(const struct made_up_flash *flash, struct strbuf *out)
{
    for (; flash != NULL; flash = flash->next) {
        strbuf_appendf(out,
                       "{name main driver stm32f1x base %" PRIu64 " size %" PRIu64
                       " bus_width 0 chip_width 0 target %s}%s",
                       flash->base, flash->no_size ? 0 : flash_size(flash), flash->target,
                       flash->next != NULL ? " " : "");
    }
}

static inline void flash_append_header(const struct made_up_flash *flash, struct strbuf *out)
{
    strbuf_appendf(out, "#0 : stm32f1x at 0x%08" PRIx64 ", size 0x%08" PRIx64 ", buswidth 0, chipwidth 0\n",
                   flash->base, flash_size(flash));
}

static inline void flash_append_row(struct strbuf *out, size_t index, uint64_t offset, uint64_t size,
                                    const char *state)
{
    strbuf_appendf(out, "\t#%3zu: 0x%08" PRIx64 " (0x%" PRIx64 " %" PRIu64 "kB) %s\n", index, offset, size,
                   size >> 10, state);
}

static inline const char *flash_state(const struct made_up_flash *flash, size_t block)
{
    return (flash->protected_blocks >> block & 1) != 0 ? "protected" : "not protected";
}

static inline void flash_append_sectors(const struct made_up_flash *flash, struct strbuf *out)
{
    flash_append_header(flash, out);
    for (size_t i = 0; i < flash->sector_count; i++) {
        flash_append_row(out, i, flash_offset(flash, i), flash->sectors[i],
                         flash->block_sectors > 0 ? "" : flash_state(flash, i));
    }
    strbuf_append_text(out, "a made-up flash\n");
}

static inline void flash_append_blocks(const struct made_up_flash *flash, struct strbuf *out)
{
    size_t step = flash->block_sectors;
    if (step == 0) {
        flash_append_sectors(flash, out);
        return;
    }
    flash_append_header(flash, out);
    for (size_t i = 0; i < flash->sector_count / step; i++) {
        uint64_t offset = flash_offset(flash, i * step);
        flash_append_row(out, i, offset, flash_offset(flash, (i + 1) * step) - offset, flash_state(flash, i));
    }
    strbuf_append_text(out, "a made-up flash\n");
}

/* What the script of flash_geometry_script() gives for one bank of the board. */
static inline void flash_append_geometry_of(const struct made_up_flash *board,
                                            const struct made_up_flash *bank, struct strbuf *out)
{
    strbuf_append_byte(out, '{');
    flash_append_list(board, out);
    strbuf_append_text(out, "} {");
    flash_append_sectors(bank, out);
    strbuf_append_text(out, "} {");
    flash_append_blocks(bank, out);
    strbuf_append_byte(out, '}');
}

static inline void flash_append_geometry(const struct made_up_flash *flash, struct strbuf *out)
{
    flash_append_geometry_of(flash, flash, out);
}

static inline enum op_verdict flash_answer_geometry(struct made_up_flash *flash, struct op_driver *driver)
{
    struct strbuf text = STRBUF_INIT;
    unsigned bank = 0;
    assert_int_equal(sscanf(strbuf_text(&driver->command.script), "flash probe %u;", &bank), 1);
    struct made_up_flash *probed = flash_bank(flash, bank);
    probed->no_size = false;
    flash_append_geometry_of(flash, probed, &text);
    enum op_verdict verdict = op_driver_answer(driver, 0, text.data, text.length, "");
    strbuf_fini(&text);
    return verdict;
}

static inline void flash_answer_list(struct made_up_flash *flash, struct op_driver *driver)
{
    struct strbuf text = STRBUF_INIT;
    flash_append_list(flash, &text);
    op_driver_answer_text(driver, strbuf_text(&text));
    strbuf_fini(&text);
}

static inline void flash_answer_read(struct made_up_flash *flash, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    unsigned bank = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
    int end = 0;
    sscanf(script, "flash read_bank %u $p 0x%" SCNx64 " 0x%" SCNx64 "%n", &bank, &offset, &size, &end);
    assert_true(end > 0 && script[end] == '\0');
    const struct made_up_flash *from = flash_bank(flash, bank);
    assert_true(driver->command.file == OP_FILE_GET && offset + size <= flash_size(from));
    flash->reads++;
    flash->read_bytes += size;
    op_driver_answer(driver, 0, from->bytes + offset, size, "");
}

/* Cells take a byte only where they are erased. */
static inline void flash_answer_program(struct made_up_flash *flash, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    uint64_t size = driver->command.file_size;
    unsigned bank = 0;
    uint64_t offset = 0;
    int end = 0;
    char said[200];
    sscanf(script, "flash write_bank %u $p 0x%" SCNx64 "%n", &bank, &offset, &end);
    assert_true(end > 0 && script[end] == '\0');
    struct made_up_flash *to = flash_bank(flash, bank);
    assert_true(size > 0 && offset + size <= flash_size(to));
    for (size_t i = 0; i < size; i++) {
        if (to->bytes[offset + i] != to->erased_value) {
            op_driver_answer_error(driver, -902, "", "stm32x device not erased\nerror writing to flash\n");
            return;
        }
        to->bytes[offset + i] = driver->command.file_bytes[i];
    }
    flash->programs++;
    flash->programmed_bytes += size;
    flash->longest_program = size > flash->longest_program ? size : flash->longest_program;
    snprintf(said, sizeof said,
             "wrote %" PRIu64
             " bytes from file /dev/shm/ocdmux-a1b2c3 to flash bank %u at offset 0x%08" PRIx64
             " in 0.012000s (83.333 KiB/s)\n",
             size, bank, offset);
    op_driver_answer_text(driver, said);
}

static inline void flash_answer_erase(struct made_up_flash *flash, struct op_driver *driver)
{
    unsigned bank = 0;
    size_t first = 0;
    size_t last = 0;
    char said[120];
    assert_int_equal(
        sscanf(strbuf_text(&driver->command.script), "flash erase_sector %u %zu %zu", &bank, &first, &last),
        3);
    struct made_up_flash *erased = flash_bank(flash, bank);
    assert_true(first <= last && last < erased->sector_count);
    uint64_t offset = flash_offset(erased, first);
    memset(erased->bytes + offset, erased->erased_value, flash_offset(erased, last + 1) - offset);
    for (size_t i = first; i <= last; i++) {
        erased->sector_erases[i]++;
    }
    flash->erases++;
    snprintf(said, sizeof said, "erased sectors %zu through %zu on flash bank %u in 0.012345s\n", first, last,
             bank);
    op_driver_answer_text(driver, said);
}

static inline void flash_answer_checksum(struct made_up_flash *flash, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    uint64_t size = driver->command.file_size;
    uint64_t address = 0;
    int end = 0;
    char said[100];
    sscanf(script, "verify_image_checksum $p 0x%" SCNx64 " bin%n", &address, &end);
    assert_true(end > 0 && script[end] == '\0');
    const struct made_up_flash *bank = flash_at(flash, address, size);
    assert_false(flash->no_work_area);
    assert_string_equal(driver->command.current_target, bank->target);
    if (flash->checksums++ >= flash->checksums_that_work) {
        op_driver_answer_error(driver, -4, "", "error executing cortex_m crc algorithm\n");
    } else if (flash->checksum_lies ||
               memcmp(bank->bytes + (address - bank->base), driver->command.file_bytes, size) != 0) {
        op_driver_answer_error(driver, -4, "", "checksum mismatch\n");
    } else {
        snprintf(said, sizeof said, "verified %" PRIu64 " bytes in 0.012345s (79.106 KiB/s)\n", size);
        op_driver_answer_text(driver, said);
    }
}

static inline uint32_t flash_word(struct made_up_flash *flash, uint64_t address)
{
    const struct made_up_flash *bank = flash_at(flash, address, 4);
    const uint8_t *bytes = bank->bytes + (address - bank->base);
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void flash_answer_sample(struct made_up_flash *flash, struct op_driver *driver)
{
    static const char verb[] = " read_memory 0x";
    struct strbuf text = STRBUF_INIT;
    flash->samples++;
    for (const char *at = strstr(strbuf_text(&driver->command.script), verb); at != NULL;
         at = strstr(at + 1, verb)) {
        uint64_t address = 0;
        unsigned width = 0;
        unsigned count = 0;
        assert_int_equal(sscanf(at, " read_memory 0x%" SCNx64 " %u %u]", &address, &width, &count), 3);
        assert_true(width == 32 && address % 4 == 0);
        strbuf_append_text(&text, "{");
        for (unsigned i = 0; i < count; i++) {
            strbuf_appendf(&text, "%s0x%" PRIx32, i > 0 ? " " : "", flash_word(flash, address + 4 * i));
        }
        strbuf_append_text(&text, "} ");
    }
    op_driver_answer_text(driver, flash->sample_answer != NULL ? flash->sample_answer : strbuf_text(&text));
    strbuf_fini(&text);
}

static inline void flash_answer_room(struct made_up_flash *flash, struct op_driver *driver)
{
    struct strbuf text = STRBUF_INIT;
    for (const char *at = strchr(strbuf_text(&driver->command.script), '['); at != NULL;
         at = strchr(at + 1, '[')) {
        strbuf_append_text(&text, flash->no_work_area ? "0 " : "16384 ");
    }
    op_driver_answer_text(driver, strbuf_text(&text));
    strbuf_fini(&text);
}

static inline void flash_answer_unprotect(struct made_up_flash *flash, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    unsigned bank = 0;
    size_t first = 0;
    size_t last = 0;
    int end = 0;
    sscanf(script, "flash protect %u %zu %zu off%n", &bank, &first, &last, &end);
    assert_true(end > 0 && script[end] == '\0');
    struct made_up_flash *to = flash_bank(flash, bank);
    to->unlocked_blocks = 0; /* a driver that starts every change from what is in force */
    for (size_t i = first; i <= last; i++) {
        to->unlocked_blocks |= 1ull << i;
    }
    if (flash->unlock == UNLOCKS_AT_ONCE) {
        to->protected_blocks &= ~to->unlocked_blocks;
    }
    op_driver_answer_text(driver, "");
}

static inline void flash_answer_reset(struct made_up_flash *flash, struct op_driver *driver)
{
    for (struct made_up_flash *bank = flash; bank != NULL; bank = bank->next) {
        if (flash->unlock == UNLOCKS_WITH_A_RESET) {
            bank->protected_blocks &= ~bank->unlocked_blocks;
        }
        bank->unlocked_blocks = 0;
    }
    op_driver_answer_text(driver, "");
}

/* Answers the command that the driver holds as OpenOCD would, with halted targets. */
static inline void flash_answer(struct made_up_flash *flash, struct op_driver *driver)
{
    static const struct {
        const char *prefix;
        void (*answer)(struct made_up_flash *flash, struct op_driver *driver);
    } answers[] = {
        {"flash read_bank ", flash_answer_read},           {"flash write_bank ", flash_answer_program},
        {"flash erase_sector ", flash_answer_erase},       {"flash protect ", flash_answer_unprotect},
        {"verify_image_checksum ", flash_answer_checksum}, {"reset ", flash_answer_reset},
        {"apply {{} {set i 0; ", flash_answer_list},
    };
    const char *script = strbuf_text(&driver->command.script);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (strncmp(script, answers[i].prefix, strlen(answers[i].prefix)) == 0) {
            answers[i].answer(flash, driver);
            return;
        }
    }
    if (strncmp(script, "flash probe ", 12) == 0) {
        flash_answer_geometry(flash, driver);
    } else if (strncmp(script, "list [", 6) == 0 && strstr(script, "cget -work-area-size]") != NULL) {
        flash_answer_room(flash, driver);
    } else if (strncmp(script, "list", 4) == 0) {
        flash_answer_sample(flash, driver);
    } else if (strstr(script, "\" curstate") != NULL) {
        op_driver_answer_text(driver, "halted");
    } else if (strstr(script, "halt 0") != NULL) {
        op_driver_answer_text(driver, "");
    } else {
        fail_msg("the made-up flash does not know %s", script);
    }
}

#endif
