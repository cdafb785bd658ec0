/* Readers for the texts that OpenOCD's commands print: version, memory values, flash banks, sectors and
 * counts. */
#include "openocd/parse.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"

/* A text that is being read from the left. */
struct cursor {
    const char *at;
    const char *end;
};

/* One more than a hexadecimal digit's value; 0 for other characters. */
static const uint8_t hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static bool is_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && is_space(*cursor->at)) {
        cursor->at++;
    }
}

static void trim(struct cursor *cursor)
{
    skip_space(cursor);
    while (cursor->end > cursor->at && is_space(cursor->end[-1])) {
        cursor->end--;
    }
}

static bool take_literal(struct cursor *cursor, const char *literal)
{
    size_t length = strlen(literal);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, literal, length) != 0) {
        return false;
    }
    cursor->at += length;
    return true;
}

/* The text up to the next newline, which is passed over; false if nothing is left. */
static bool take_line(struct cursor *cursor, struct cursor *ret_line)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    const char *newline = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    ret_line->at = cursor->at;
    ret_line->end = newline == NULL ? cursor->end : newline;
    cursor->at = newline == NULL ? cursor->end : newline + 1;
    return true;
}

static bool take_decimal(struct cursor *cursor, uint64_t max, uint64_t *ret_value)
{
    const char *at = cursor->at;
    uint64_t value = 0;
    while (at < cursor->end && *at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        at++;
    }
    if (at == cursor->at || value > max) {
        return false;
    }
    cursor->at = at;
    *ret_value = value;
    return true;
}

/* "0x" and one to sixteen digits. */
static inline bool take_hex(struct cursor *cursor, uint64_t *ret_value)
{
    const char *at = cursor->at;
    const char *end = cursor->end;
    if (end - at < 3 || at[0] != '0' || at[1] != 'x') {
        return false;
    }
    at += 2;
    const char *digits = at;
    uint64_t value = 0;
    unsigned digit;
    while (at < end && (digit = hex_values[(unsigned char)*at]) != 0) {
        value = value << 4 | (digit - 1);
        at++;
    }
    if (at == digits || at - digits > 16) {
        return false;
    }
    cursor->at = at;
    *ret_value = value;
    return true;
}

static bool take_unsigned(struct cursor *cursor, unsigned *ret_value)
{
    uint64_t value;
    if (!take_decimal(cursor, UINT_MAX, &value)) {
        return false;
    }
    *ret_value = (unsigned)value;
    return true;
}

bool ocd_parse_version(const char *text, size_t length, unsigned *ret_major, unsigned *ret_minor)
{
    static const char name[] = "Open On-Chip Debugger ";
    struct cursor line = {text, text + length};
    struct cursor whole = line;
    unsigned major;
    unsigned minor;
    if (!take_line(&whole, &line)) {
        return false;
    }
    const char *found = memmem(line.at, (size_t)(line.end - line.at), name, sizeof(name) - 1);
    if (found == NULL) {
        return false;
    }
    line.at = found + sizeof(name) - 1;
    if (line.at < line.end && *line.at == 'v') {
        line.at++;
    }
    if (!take_unsigned(&line, &major) || !take_literal(&line, ".") || !take_unsigned(&line, &minor)) {
        return false;
    }
    if (line.at < line.end && *line.at != '.' && *line.at != '+' && *line.at != '-' && !is_space(*line.at)) {
        return false;
    }
    *ret_major = major;
    *ret_minor = minor;
    return true;
}

/* openocd_error with the text that was not understood. */
static bool refuse(struct err *err, const char *text, size_t length)
{
    err_set_openocd(err, 0, text, length);
    return false;
}

static inline void put_value(uint8_t *out, uint64_t value, size_t size, bool big_endian)
{
    for (size_t i = 0; i < size; i++) {
        out[big_endian ? size - 1 - i : i] = (uint8_t)(value >> (8 * i));
    }
}

/* Two values cannot touch: the digits of the first take all that the second could begin with. */
static inline bool take_value(struct cursor *cursor, unsigned width, uint64_t *ret_value)
{
    skip_space(cursor);
    return take_hex(cursor, ret_value) && (width == 64 || *ret_value >> width == 0);
}

bool ocd_parse_values(const char *text, size_t length, unsigned width, size_t count, bool big_endian,
                      uint8_t *out, struct err *err)
{
    assert(width == 8 || width == 16 || width == 32 || width == 64);
    struct cursor cursor = {text, text + length};
    size_t size = width / 8;
    /* The shortest element is "0x0": what is too short for `count` needs no memory. */
    if (count > length / 3) {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD answered too short a text for %zu values of %u bits", count,
                width);
        return refuse(err, text, length);
    }
    uint8_t *bytes = xmalloc(count * size + 1);
    size_t done = 0;
    uint64_t value;
    while (done < count && take_value(&cursor, width, &value)) {
        put_value(bytes + done * size, value, size, big_endian);
        done++;
    }
    skip_space(&cursor);
    bool complete = done == count && cursor.at == cursor.end;
    if (complete && count > 0) {
        memcpy(out, bytes, count * size);
    }
    free(bytes);
    if (complete) {
        return true;
    }
    if (done < count) {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's value %zu of %zu is missing or is no number of %u bits",
                done + 1, count, width);
    } else {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD answered more than value %zu, the last", count);
    }
    return refuse(err, text, length);
}

/* A bank's name, driver or target; false if it does not fit, or holds a NUL. */
static bool get_name(const struct strbuf *bank, const char *key, char ret_name[OCD_NAME_SIZE])
{
    struct strbuf value = STRBUF_INIT;
    bool found = tcl_dict_get(strbuf_text(bank), bank->length, key, &value) && value.length < OCD_NAME_SIZE &&
                 memchr(strbuf_text(&value), '\0', value.length) == NULL;
    if (found) {
        memcpy(ret_name, strbuf_text(&value), value.length + 1);
    }
    strbuf_fini(&value);
    return found;
}

/* "0x08000000", "134217728", or "-2147483648" with 32 ones before it: a base from 2^63 on, in Jim's signed
 * numbers. */
static bool get_number(const struct strbuf *bank, const char *key, uint64_t max, uint64_t *ret_value)
{
    struct strbuf text = STRBUF_INIT;
    uint64_t value = 0;
    bool found = false;
    if (tcl_dict_get(strbuf_text(bank), bank->length, key, &text)) {
        struct cursor cursor = {strbuf_text(&text), strbuf_text(&text) + text.length};
        bool negative = take_literal(&cursor, "-");
        found = negative ? take_decimal(&cursor, (uint64_t)1 << 63, &value)
                         : take_hex(&cursor, &value) || take_decimal(&cursor, INT64_MAX, &value);
        value = negative ? UINT64_C(0) - value : value;
        found = found && cursor.at == cursor.end && value <= max;
    }
    strbuf_fini(&text);
    if (found) {
        *ret_value = value;
    }
    return found;
}

static bool has_key(const struct strbuf *bank, const char *key)
{
    struct strbuf value = STRBUF_INIT;
    bool found = tcl_dict_get(strbuf_text(bank), bank->length, key, &value);
    strbuf_fini(&value);
    return found;
}

/* NULL, or the key that is missing or makes no sense. */
static const char *read_bank(const struct strbuf *text, struct ocd_bank *bank)
{
    uint64_t bus_width;
    uint64_t chip_width;
    if (!get_name(text, "name", bank->name)) {
        return "name";
    }
    memcpy(bank->driver, bank->name, sizeof(bank->driver));
    if (has_key(text, "driver") && !get_name(text, "driver", bank->driver)) {
        return "driver";
    }
    if (bank->driver[0] == '\0') {
        return "driver";
    }
    if (has_key(text, "target") && !get_name(text, "target", bank->target)) {
        return "target";
    }
    if (!get_number(text, "base", UINT64_MAX, &bank->base)) {
        return "base";
    }
    /* 32 bits, as OpenOCD has it (flash/nor/core.h). */
    if (!get_number(text, "size", UINT32_MAX, &bank->size)) {
        return "size";
    }
    if (!get_number(text, "bus_width", UINT_MAX, &bus_width)) {
        return "bus_width";
    }
    if (!get_number(text, "chip_width", UINT_MAX, &chip_width)) {
        return "chip_width";
    }
    bank->bus_width = (unsigned)bus_width;
    bank->chip_width = (unsigned)chip_width;
    return NULL;
}

/* Appends a bank to the array; false with `err` set if there is one too many, or it makes no sense. */
static bool add_bank(const struct strbuf *text, struct strbuf *banks, struct err *err)
{
    size_t index = banks->length / sizeof(struct ocd_bank);
    struct ocd_bank bank = {.index = (unsigned)index};
    if (index == OCD_BANKS_MAX) {
        return err_set(err, ERR_OPENOCD_ERROR, "OpenOCD lists more than %u flash banks", OCD_BANKS_MAX);
    }
    const char *key = read_bank(text, &bank);
    if (key != NULL) {
        return err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's flash list is not understood: bank %zu, %s", index,
                       key);
    }
    strbuf_append(banks, &bank, sizeof(bank));
    return true;
}

bool ocd_parse_flash_list(const char *text, size_t length, struct ocd_bank **ret_banks, size_t *ret_count,
                          struct err *err)
{
    struct tcl_list list;
    struct strbuf element = STRBUF_INIT;
    struct strbuf banks = STRBUF_INIT;
    bool good = true;
    enum tcl_list_step step;
    tcl_list_init(&list, text, length);
    while ((step = tcl_list_next(&list, &element)) == TCL_LIST_ELEMENT && good) {
        good = add_bank(&element, &banks, err);
    }
    if (step == TCL_LIST_BROKEN) {
        good = err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's flash list is no Tcl list");
    }
    strbuf_fini(&element);
    if (!good) {
        strbuf_fini(&banks);
        return refuse(err, text, length);
    }
    size_t count = banks.length / sizeof(struct ocd_bank);
    *ret_banks = count == 0 ? NULL : (struct ocd_bank *)(void *)strbuf_steal(&banks);
    *ret_count = count;
    return true;
}

/* "#0 : stm32f1x at 0x08000000, size 0x00010000, buswidth 0, chipwidth 0" */
static bool is_info_header(struct cursor line)
{
    static const char place[] = " at 0x";
    unsigned number;
    uint64_t value;
    if (!take_literal(&line, "#") || !take_unsigned(&line, &number) || !take_literal(&line, " : ")) {
        return false;
    }
    const char *at = memmem(line.at, (size_t)(line.end - line.at), place, sizeof(place) - 1);
    if (at == NULL) {
        return false;
    }
    line.at = at + strlen(" at ");
    return take_hex(&line, &value) && take_literal(&line, ", size ") && take_hex(&line, &value) &&
           take_literal(&line, ", buswidth ") && take_unsigned(&line, &number) &&
           take_literal(&line, ", chipwidth ") && take_unsigned(&line, &number) && line.at == line.end;
}

static bool take_protection(struct cursor line, enum ocd_protection *ret_protection)
{
    static const struct {
        const char *text;
        enum ocd_protection protection;
    } states[] = {
        {"not protected", OCD_PROTECTION_OFF},
        {"protected", OCD_PROTECTION_ON},
        {"protection state unknown", OCD_PROTECTION_UNKNOWN},
        {"", OCD_PROTECTION_UNKNOWN},
    };
    trim(&line);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct cursor state = line;
        if (take_literal(&state, states[i].text) && state.at == state.end) {
            *ret_protection = states[i].protection;
            return true;
        }
    }
    return false;
}

/* "\t#  3: 0x00000c00 (0x400 1kB) not protected": row `index`. */
static bool read_block(struct cursor line, size_t index, struct ocd_block *ret_block)
{
    unsigned number;
    uint64_t kilobytes;
    struct ocd_block block;
    if (!take_literal(&line, "\t#")) {
        return false;
    }
    skip_space(&line);
    if (!take_unsigned(&line, &number) || number != index || !take_literal(&line, ": ") ||
        !take_hex(&line, &block.offset) || !take_literal(&line, " (") || !take_hex(&line, &block.size) ||
        !take_literal(&line, " ") || !take_decimal(&line, UINT64_MAX, &kilobytes) ||
        kilobytes != block.size >> 10 || !take_literal(&line, "kB)") ||
        !take_protection(line, &block.protection)) {
        return false;
    }
    *ret_block = block;
    return true;
}

/* Reads rows until a line that is none, where `text` stays; false if a row is not understood. */
static bool read_blocks(struct cursor *text, struct strbuf *blocks)
{
    struct cursor line;
    struct cursor rest = *text;
    while (take_line(&rest, &line)) {
        struct cursor probe = line;
        struct ocd_block block;
        size_t index = blocks->length / sizeof(block);
        if (!take_literal(&probe, "\t#")) {
            break;
        }
        if (index == OCD_BLOCKS_MAX || !read_block(line, index, &block)) {
            return false;
        }
        strbuf_append(blocks, &block, sizeof(block));
        *text = rest;
    }
    return true;
}

bool ocd_parse_flash_info(const char *text, size_t length, struct ocd_flash_info *ret_info, struct err *err)
{
    struct cursor cursor = {text, text + length};
    struct cursor line;
    struct strbuf blocks = STRBUF_INIT;
    if (!take_line(&cursor, &line) || !is_info_header(line)) {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's flash info is not understood");
        return refuse(err, text, length);
    }
    if (!read_blocks(&cursor, &blocks)) {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's flash info is not understood: block %zu",
                blocks.length / sizeof(struct ocd_block));
        strbuf_fini(&blocks);
        return refuse(err, text, length);
    }
    trim(&cursor);
    ret_info->count = blocks.length / sizeof(struct ocd_block);
    ret_info->blocks = ret_info->count == 0 ? NULL : (struct ocd_block *)(void *)strbuf_steal(&blocks);
    strbuf_init(&ret_info->description);
    strbuf_append(&ret_info->description, cursor.at, (size_t)(cursor.end - cursor.at));
    return true;
}

void ocd_flash_info_fini(struct ocd_flash_info *info)
{
    free(info->blocks);
    info->blocks = NULL;
    info->count = 0;
    strbuf_fini(&info->description);
}

/* "1.215134s" */
static bool is_duration(struct cursor line)
{
    uint64_t part;
    return take_decimal(&line, UINT64_MAX, &part) && take_literal(&line, ".") &&
           take_decimal(&line, UINT64_MAX, &part) && take_literal(&line, "s") && line.at == line.end;
}

bool ocd_parse_erased(const char *text, size_t length, unsigned *ret_first, unsigned *ret_last)
{
    struct cursor cursor = {text, text + length};
    struct cursor line;
    while (take_line(&cursor, &line)) {
        unsigned first;
        unsigned last;
        unsigned bank;
        if (take_literal(&line, "erased sectors ") && take_unsigned(&line, &first) &&
            take_literal(&line, " through ") && take_unsigned(&line, &last) && first <= last &&
            take_literal(&line, " on flash bank ") && take_unsigned(&line, &bank) &&
            take_literal(&line, " in ") && is_duration(line)) {
            *ret_first = first;
            *ret_last = last;
            return true;
        }
    }
    return false;
}

bool ocd_parse_byte_count(const char *text, size_t length, const char *verb, uint64_t *ret_count)
{
    struct cursor cursor = {text, text + length};
    struct cursor line;
    while (take_line(&cursor, &line)) {
        uint64_t count;
        if (take_literal(&line, verb) && take_literal(&line, " ") &&
            take_decimal(&line, UINT64_MAX, &count) && take_literal(&line, " bytes ")) {
            *ret_count = count;
            return true;
        }
    }
    return false;
}
