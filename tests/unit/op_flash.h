/* A made-up flash bank in OpenOCD's words: what `flash list` and `flash info` say of it, and what reading,
 * erasing and programming through OpenOCD do to it. */
#ifndef OCDMUX_TESTS_OP_FLASH_H
#define OCDMUX_TESTS_OP_FLASH_H

#include <inttypes.h>

#include "op_driver.h"

#define FLASH_SECTORS_MAX 32u
#define FLASH_BYTES_MAX (64u * 1024u)
#define FLASH_BASE 0x08000000u

struct made_up_flash {
    uint64_t base;
    uint64_t sectors[FLASH_SECTORS_MAX]; /* sizes */
    size_t sector_count;
    size_t block_sectors;      /* sectors in a protection block; 0: the driver has no blocks */
    uint32_t protected_blocks; /* bits; sectors where there are no blocks */
    uint8_t bytes[FLASH_BYTES_MAX];
    size_t erases;   /* commands */
    size_t programs; /* commands */
    uint64_t longest_program;
};

static inline void flash_init(struct made_up_flash *flash, size_t count, uint64_t sector_size)
{
    memset(flash, 0, sizeof *flash);
    memset(flash->bytes, 0xff, sizeof flash->bytes);
    flash->base = FLASH_BASE;
    flash->sector_count = count;
    for (size_t i = 0; i < count; i++) {
        flash->sectors[i] = sector_size;
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

static inline void flash_append_list(const struct made_up_flash *flash, struct strbuf *out)
{
    strbuf_appendf(out,
                   "{name main driver stm32f1x base %" PRIu64 " size %" PRIu64
                   " bus_width 0 chip_width 0 target cpu}",
                   flash->base, flash_size(flash));
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

/* What the script of flash_geometry_script() gives. */
static inline void flash_append_geometry(const struct made_up_flash *flash, struct strbuf *out)
{
    strbuf_append_byte(out, '{');
    flash_append_list(flash, out);
    strbuf_append_text(out, "} {");
    flash_append_sectors(flash, out);
    strbuf_append_text(out, "} {");
    flash_append_blocks(flash, out);
    strbuf_append_byte(out, '}');
}

static inline enum op_verdict flash_answer_geometry(const struct made_up_flash *flash,
                                                    struct op_driver *driver)
{
    struct strbuf text = STRBUF_INIT;
    flash_append_geometry(flash, &text);
    enum op_verdict verdict = op_driver_answer(driver, 0, text.data, text.length, "");
    strbuf_fini(&text);
    return verdict;
}

/* The bytes of a double-quoted Tcl word; where it ends. */
static inline const char *flash_unquote(const char *at, struct strbuf *out)
{
    assert_int_equal(*at, '"');
    for (at++; *at != '"'; at++) {
        assert_int_not_equal(*at, '$');
        assert_int_not_equal(*at, '[');
        if (*at != '\\') {
            strbuf_append_byte(out, *at);
        } else if (*++at != 'x') {
            strbuf_append_byte(out, *at);
        } else {
            char digits[3] = {at[1], at[2], '\0'};
            strbuf_append_byte(out, (char)strtol(digits, NULL, 16));
            at += 2;
        }
    }
    return at + 1;
}

/* The body of a script made by script_with_file(), into `out`; false if the script is something else. */
static inline bool flash_take_body(const struct op_command *command, struct strbuf *out)
{
    struct strbuf head = STRBUF_INIT;
    op_driver_with_file(&head, "", 0);
    const char *script = strbuf_text(&command->script);
    size_t length = head.length - 2; /* without the empty word */
    bool same = command->script.length > length && memcmp(script, head.data, length) == 0;
    strbuf_fini(&head);
    if (same) {
        assert_string_equal(flash_unquote(script + length, out), "");
    }
    return same;
}

static inline void flash_answer_read(struct made_up_flash *flash, struct op_driver *driver, const char *body)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    int end = 0;
    sscanf(body, "flash read_bank 0 $p 0x%" SCNx64 " 0x%" SCNx64 "%n", &offset, &size, &end);
    assert_string_equal(body + end, "; set f [open $p rb]; set d [$f read]; $f close; set d");
    assert_true(offset + size <= flash_size(flash));
    op_driver_answer(driver, 0, flash->bytes + offset, size, "");
}

static inline void flash_answer_program(struct made_up_flash *flash, struct op_driver *driver,
                                        const struct strbuf *body)
{
    static const char fill[] = "set f [open $p wb]; $f puts -nonewline ";
    struct strbuf data = STRBUF_INIT;
    uint64_t offset = 0;
    int end = 0;
    char said[160];
    assert_memory_equal(strbuf_text(body), fill, sizeof fill - 1);
    const char *rest = flash_unquote(strbuf_text(body) + sizeof fill - 1, &data);
    sscanf(rest, "; $f close; flash write_bank 0 $p 0x%" SCNx64 "%n", &offset, &end);
    assert_true(end > 0 && rest[end] == '\0');
    assert_true(offset + data.length <= flash_size(flash));
    for (size_t i = 0; i < data.length; i++) {
        assert_int_equal(flash->bytes[offset + i], 0xff); /* erased before */
        flash->bytes[offset + i] = (uint8_t)data.data[i];
    }
    flash->programs++;
    flash->longest_program = data.length > flash->longest_program ? data.length : flash->longest_program;
    snprintf(said, sizeof said,
             "wrote %zu bytes from file /dev/shm/ocdmux-a1b2c3 to flash bank 0 at offset 0x%08" PRIx64
             " in 0.012000s (83.333 KiB/s)\n",
             data.length, offset);
    strbuf_fini(&data);
    op_driver_answer_text(driver, said);
}

static inline void flash_answer_erase(struct made_up_flash *flash, struct op_driver *driver)
{
    size_t first = 0;
    size_t last = 0;
    char said[100];
    assert_int_equal(
        sscanf(strbuf_text(&driver->command.script), "flash erase_sector 0 %zu %zu", &first, &last), 2);
    assert_true(first <= last && last < flash->sector_count);
    uint64_t offset = flash_offset(flash, first);
    memset(flash->bytes + offset, 0xff, flash_offset(flash, last + 1) - offset);
    flash->erases++;
    snprintf(said, sizeof said, "erased sectors %zu through %zu on flash bank 0 in 0.012345s\n", first, last);
    op_driver_answer_text(driver, said);
}

/* Answers the command that the driver holds as OpenOCD would, with a halted target. */
static inline void flash_answer(struct made_up_flash *flash, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    struct strbuf body = STRBUF_INIT;
    if (flash_take_body(&driver->command, &body)) {
        if (strncmp(strbuf_text(&body), "flash read_bank", 15) == 0) {
            flash_answer_read(flash, driver, strbuf_text(&body));
        } else {
            flash_answer_program(flash, driver, &body);
        }
    } else if (strncmp(script, "flash probe ", 12) == 0) {
        flash_answer_geometry(flash, driver);
    } else if (strncmp(script, "flash erase_sector ", 19) == 0) {
        flash_answer_erase(flash, driver);
    } else if (strcmp(script, "\"cpu\" curstate") == 0) {
        op_driver_answer_text(driver, "halted");
    } else {
        assert_true(strncmp(script, "reset ", 6) == 0 || strstr(script, "halt 0") != NULL);
        op_driver_answer_text(driver, "");
    }
    strbuf_fini(&body);
}

#endif
