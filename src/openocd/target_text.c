/* Readers for OpenOCD's lists of registers, breakpoints and watchpoints, line by line. */
#include "openocd/target_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"

/* A line that is being read from the left. */
struct line {
    const char *at;
    const char *end;
};

/* The next line that is not empty, without its end. */
static bool next_line(struct line *text, struct line *ret_line)
{
    while (text->at < text->end) {
        const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
        ret_line->at = text->at;
        ret_line->end = newline != NULL ? newline : text->end;
        text->at = newline != NULL ? newline + 1 : text->end;
        if (ret_line->end > ret_line->at && ret_line->end[-1] == '\r') {
            ret_line->end--;
        }
        if (ret_line->end > ret_line->at) {
            return true;
        }
    }
    return false;
}

static bool take(struct line *line, const char *literal)
{
    size_t length = strlen(literal);
    if ((size_t)(line->end - line->at) < length || memcmp(line->at, literal, length) != 0) {
        return false;
    }
    line->at += length;
    return true;
}

static bool take_decimal(struct line *line, uint64_t maximum, uint64_t *ret_value)
{
    const char *begin = line->at;
    uint64_t value = 0;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9' && value <= maximum) {
        value = value * 10 + (uint64_t)(*line->at++ - '0');
    }
    *ret_value = value;
    return line->at > begin && value <= maximum;
}

/* "0x" and one to sixteen digits. */
static bool take_hex(struct line *line, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (!take(line, "0x")) {
        return false;
    }
    const char *begin = line->at;
    while (line->at < line->end && hex_digit(*line->at) >= 0) {
        value = value << 4 | (uint64_t)hex_digit(*line->at++);
    }
    *ret_value = value;
    return line->at > begin && line->at - begin <= 16;
}

static bool fault(struct err *err, const char *what, const char *text, size_t length)
{
    err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's list of %s cannot be read", what);
    err_set_openocd(err, 0, text, length);
    return false;
}

/* Room for one more, zeroed; the array doubles. */
static void *grow(void *array, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, 8, ... */
    if (full) {
        array = xrealloc(array, (count == 0 ? 1 : count * 2) * size);
    }
    memset((char *)array + count * size, 0, size);
    return array;
}

/* Registers. */

static void read_group(const struct line *line, char group[OCD_REGISTER_NAME_SIZE])
{
    size_t length = 0;
    for (const char *at = line->at; at < line->end && length + 1 < OCD_REGISTER_NAME_SIZE; at++) {
        group[length++] = *at >= ' ' && *at <= '~' ? *at : '?';
    }
    group[length] = '\0';
}

static bool read_register(struct line *line, struct ocd_register *ret_register)
{
    uint64_t number;
    uint64_t bits;
    if (!take(line, "(") || !take_decimal(line, UINT32_MAX, &number) || !take(line, ") ")) {
        return false;
    }
    const char *name = line->at;
    while (line->at<line->end && * line->at> ' ' && *line->at <= '~') {
        line->at++;
    }
    size_t length = (size_t)(line->at - name);
    if (length == 0 || length >= OCD_REGISTER_NAME_SIZE || !take(line, " (/") ||
        !take_decimal(line, OCD_REGISTER_BITS_MAX, &bits) || bits == 0 || !take(line, ")")) {
        return false;
    }
    memcpy(ret_register->name, name, length);
    ret_register->name[length] = '\0';
    ret_register->bits = (unsigned)bits;
    return line->at == line->end || take(line, ":");
}

bool ocd_parse_registers(const char *text, size_t length, struct ocd_register **ret_registers,
                         size_t *ret_count, struct err *err)
{
    struct line rest = {text, text + length};
    struct line line;
    struct ocd_register *registers = NULL;
    char group[OCD_REGISTER_NAME_SIZE] = "";
    size_t count = 0;
    while (next_line(&rest, &line)) {
        if (take(&line, "===== ")) {
            read_group(&line, group);
            continue;
        }
        if (count < OCD_REGISTERS_MAX) {
            registers = grow(registers, count, sizeof *registers);
        }
        if (count == OCD_REGISTERS_MAX || !read_register(&line, &registers[count])) {
            free(registers);
            return fault(err, "registers", text, length);
        }
        memcpy(registers[count++].group, group, sizeof group);
    }
    *ret_registers = registers;
    *ret_count = count;
    return true;
}

static unsigned significant_bits(const char *digits, size_t count)
{
    static const unsigned bits_of[16] = {0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4};
    return count == 0 ? 0 : (unsigned)(count - 1) * 4 + bits_of[hex_digit(digits[0])];
}

bool ocd_register_value(const char *text, size_t length, unsigned bits, struct strbuf *ret_value)
{
    static const char lower[] = "0123456789abcdef";
    if (length < 3 || memcmp(text, "0x", 2) != 0) {
        return false;
    }
    size_t at = 2;
    while (at < length && text[at] == '0') {
        at++;
    }
    size_t count = length - at;
    for (size_t i = at; i < length; i++) {
        if (hex_digit(text[i]) < 0) {
            return false;
        }
    }
    if (count > OCD_REGISTER_BITS_MAX / 4 || significant_bits(text + at, count) > bits) {
        return false;
    }
    struct strbuf value = STRBUF_INIT;
    size_t digits = ((size_t)bits + 7) / 8 * 2;
    strbuf_append_text(&value, "0x");
    for (size_t i = count; i < digits; i++) {
        strbuf_append_byte(&value, '0');
    }
    for (size_t i = at; i < length; i++) {
        strbuf_append_byte(&value, lower[hex_digit(text[i])]);
    }
    strbuf_clear(ret_value);
    strbuf_append(ret_value, value.data, value.length);
    strbuf_fini(&value);
    return true;
}

/* Breakpoints. */

const char *ocd_breakpoint_kind_name(enum ocd_breakpoint_kind kind)
{
    switch (kind) {
    case OCD_BREAKPOINT_HARDWARE:
        return "hardware";
    case OCD_BREAKPOINT_SOFTWARE:
        return "software";
    case OCD_WATCHPOINT_READ:
        return "read";
    case OCD_WATCHPOINT_WRITE:
        return "write";
    case OCD_WATCHPOINT_ACCESS:
        return "access";
    }
    return "";
}

bool ocd_breakpoint_is_data(enum ocd_breakpoint_kind kind)
{
    switch (kind) {
    case OCD_BREAKPOINT_HARDWARE:
    case OCD_BREAKPOINT_SOFTWARE:
        return false;
    case OCD_WATCHPOINT_READ:
    case OCD_WATCHPOINT_WRITE:
    case OCD_WATCHPOINT_ACCESS:
        return true;
    }
    return false;
}

/* 0.12 writes the kind as a number, newer ones as a letter. */
static bool take_access(struct line *line, enum ocd_breakpoint_kind *ret_kind)
{
    static const struct {
        const char *word;
        enum ocd_breakpoint_kind kind;
    } words[] = {
        {"0,", OCD_WATCHPOINT_READ},  {"r,", OCD_WATCHPOINT_READ},   {"1,", OCD_WATCHPOINT_WRITE},
        {"w,", OCD_WATCHPOINT_WRITE}, {"2,", OCD_WATCHPOINT_ACCESS}, {"a,", OCD_WATCHPOINT_ACCESS},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (take(line, words[i].word)) {
            *ret_kind = words[i].kind;
            return true;
        }
    }
    return false;
}

/* "0x20000100, len: 0x00000004, r/w/a: 1, value: 0x00000000, mask: 0xffffffff" */
static bool read_watchpoint(struct line *line, struct ocd_breakpoint *point)
{
    return take_hex(line, &point->address) && take(line, ", len: ") && take_hex(line, &point->length) &&
           take(line, ", r/w/a: ") && take_access(line, &point->kind) && take(line, " value: ") &&
           take_hex(line, &point->value) && take(line, ", mask: ") && take_hex(line, &point->mask) &&
           line->at == line->end;
}

/* "0x08000010, 0x2, 0" or "addr=0x08000010, len=0x2, num=0" */
static bool read_address_and_length(struct line *line, struct ocd_breakpoint *point)
{
    (void)take(line, "addr=");
    if (!take_hex(line, &point->address) || !take(line, ", ")) {
        return false;
    }
    (void)take(line, "len=");
    return take_hex(line, &point->length) && take(line, ", ");
}

/* The whole of a line is read; `ret_is_point` says whether it stands for one with an address. */
static bool read_breakpoint(struct line *line, struct ocd_breakpoint *point, bool *ret_is_point)
{
    static const struct {
        const char *head;
        enum ocd_breakpoint_kind kind;
    } heads[] = {
        {"IVA breakpoint: ", OCD_BREAKPOINT_SOFTWARE},
        {"Breakpoint(IVA): ", OCD_BREAKPOINT_HARDWARE},
        {"Software breakpoint(IVA): ", OCD_BREAKPOINT_SOFTWARE},
        {"Hardware breakpoint(IVA): ", OCD_BREAKPOINT_HARDWARE},
        {"Hybrid breakpoint(IVA): ", OCD_BREAKPOINT_HARDWARE},
    };
    *ret_is_point = true;
    if (take(line, "address: ")) {
        return read_watchpoint(line, point);
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (take(line, heads[i].head)) {
            point->kind = heads[i].kind;
            return read_address_and_length(line, point);
        }
    }
    *ret_is_point = false;
    return take(line, "Context breakpoint: ") || take(line, "\t|--->linked with ContextID: ");
}

bool ocd_parse_breakpoints(const char *text, size_t length, struct ocd_breakpoint **ret_breakpoints,
                           size_t *ret_count, struct err *err)
{
    struct line rest = {text, text + length};
    struct line line;
    struct ocd_breakpoint *points = NULL;
    size_t count = 0;
    while (next_line(&rest, &line)) {
        struct ocd_breakpoint point = {.kind = OCD_BREAKPOINT_HARDWARE};
        bool is_point;
        if (count == OCD_BREAKPOINTS_MAX || !read_breakpoint(&line, &point, &is_point)) {
            free(points);
            return fault(err, "breakpoints", text, length);
        }
        if (is_point) {
            points = grow(points, count, sizeof *points);
            points[count++] = point;
        }
    }
    *ret_breakpoints = points;
    *ret_count = count;
    return true;
}
