/*
 * The readers for OpenOCD's lists of registers and breakpoints, and of register values. The first byte
 * chooses one, the second the width of a value. What is refused must leave the outputs alone; what is read,
 * written as OpenOCD writes it, must be read the same.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/target_text.h"

#define CHOICE_SIZE 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_registers(const struct ocd_register *registers, size_t count, struct strbuf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (registers[i].group[0] != '\0' &&
            (i == 0 || strcmp(registers[i].group, registers[i - 1].group) != 0)) {
            strbuf_appendf(out, "===== %s\n", registers[i].group);
        }
        require(registers[i].bits > 0 && registers[i].bits <= OCD_REGISTER_BITS_MAX);
        strbuf_appendf(out, "(%zu) %s (/%u)\n", i, registers[i].name, registers[i].bits);
    }
}

static void check_registers(const char *text, size_t length)
{
    struct ocd_register *registers = NULL;
    struct ocd_register *again = NULL;
    size_t count = 0;
    size_t count_again = 0;
    struct err err;
    if (!ocd_parse_registers(text, length, &registers, &count, &err)) {
        require(registers == NULL && count == 0 && err.kind == ERR_OPENOCD_ERROR);
        return;
    }
    struct strbuf printed = STRBUF_INIT;
    print_registers(registers, count, &printed);
    require(ocd_parse_registers(strbuf_text(&printed), printed.length, &again, &count_again, &err));
    require(count == count_again);
    for (size_t i = 0; i < count; i++) {
        require(strcmp(registers[i].name, again[i].name) == 0 && registers[i].bits == again[i].bits);
    }
    strbuf_fini(&printed);
    free(registers);
    free(again);
}

static void print_point(const struct ocd_breakpoint *point, struct strbuf *out)
{
    static const char letters[] = "rwa";
    if (ocd_breakpoint_is_data(point->kind)) {
        strbuf_appendf(out,
                       "address: 0x%08" PRIx64 ", len: 0x%08" PRIx64 ", r/w/a: %c, value: 0x%08" PRIx64
                       ", mask: 0x%08" PRIx64 "\n",
                       point->address, point->length, letters[point->kind - OCD_WATCHPOINT_READ],
                       point->value, point->mask);
        return;
    }
    strbuf_appendf(out, "%s: 0x%08" PRIx64 ", 0x%" PRIx64 ", 0\n",
                   point->kind == OCD_BREAKPOINT_HARDWARE ? "Breakpoint(IVA)" : "IVA breakpoint",
                   point->address, point->length);
}

static void check_breakpoints(const char *text, size_t length)
{
    struct ocd_breakpoint *points = NULL;
    struct ocd_breakpoint *again = NULL;
    size_t count = 0;
    size_t count_again = 0;
    struct err err;
    if (!ocd_parse_breakpoints(text, length, &points, &count, &err)) {
        require(points == NULL && count == 0 && err.kind == ERR_OPENOCD_ERROR);
        return;
    }
    struct strbuf printed = STRBUF_INIT;
    for (size_t i = 0; i < count; i++) {
        print_point(&points[i], &printed);
    }
    require(ocd_parse_breakpoints(strbuf_text(&printed), printed.length, &again, &count_again, &err));
    require(count == count_again);
    for (size_t i = 0; i < count; i++) {
        require(points[i].kind == again[i].kind && points[i].address == again[i].address &&
                points[i].length == again[i].length && points[i].value == again[i].value &&
                points[i].mask == again[i].mask);
    }
    strbuf_fini(&printed);
    free(points);
    free(again);
}

static void check_value(const char *text, size_t length, unsigned bits)
{
    struct strbuf value = STRBUF_INIT;
    struct strbuf again = STRBUF_INIT;
    if (ocd_register_value(text, length, bits, &value)) {
        require(value.length == 2 + (bits + 7) / 8 * 2);
        require(ocd_register_value(strbuf_text(&value), value.length, bits, &again));
        require(strcmp(strbuf_text(&value), strbuf_text(&again)) == 0);
    } else {
        require(value.length == 0);
    }
    strbuf_fini(&value);
    strbuf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_SIZE) {
        return 0;
    }
    /* A copy of exactly its size, so that AddressSanitizer sees a reader that goes too far. */
    size_t length = size - CHOICE_SIZE;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, data + CHOICE_SIZE, length);
    text[length] = '\0';
    switch (data[0] % 3) {
    case 0:
        check_registers(text, length);
        break;
    case 1:
        check_breakpoints(text, length);
        break;
    default:
        check_value(text, length, 1u + data[1]);
    }
    free(text);
    return 0;
}
