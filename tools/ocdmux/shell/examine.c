/* Showing memory. */
#include "shell/examine.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "shell/show.h"

void examine_init(struct examine *examine)
{
    *examine = (struct examine){.last = {.count = 1, .letter = 'x', .size = 'w'}};
}

static unsigned examine_size(const struct value_access *access, char size)
{
    switch (size) {
    case 'b':
        return 1;
    case 'h':
        return 2;
    case 'g':
        return 8;
    case 'a':
        return access->machine->word_size;
    default:
        return 4;
    }
}

static uint64_t examine_wrap(const struct value_access *access, uint64_t address)
{
    return access->machine->word_size < 8 ? address & UINT32_MAX : address;
}

static bool examine_units(struct examine *examine, const struct value_access *access, char letter,
                          unsigned size, uint64_t address, size_t count, struct strbuf *out, struct err *err)
{
    struct type type = type_of_size(size, false);
    size_t columns = size == 8 ? 2 : size == 4 ? 4 : 8;
    uint64_t *units = xcalloc(count, sizeof(*units));
    if (!access->read_memory(access->arg, address, size, count, units, err)) {
        free(units);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct value value = value_make(access, type, units[i]);
        if (i % columns == 0) {
            strbuf_appendf(out, "%s0x%" PRIx64 ":", i == 0 ? "" : "\n",
                           examine_wrap(access, address + i * size));
        }
        strbuf_append_byte(out, '\t');
        show_unit(access, &value, letter, out);
    }
    strbuf_append_byte(out, '\n');
    examine->next = examine_wrap(access, address + count * size);
    examine->last_value = value_in_memory(type, examine_wrap(access, address + (count - 1) * size));
    examine->last_value.bits = value_make(access, type, units[count - 1]).bits;
    examine->last_value.lazy = false;
    free(units);
    return true;
}

static bool examine_strings(struct examine *examine, const struct value_access *access, unsigned width,
                            uint64_t address, size_t count, struct strbuf *out, struct err *err)
{
    uint64_t next = address;
    for (size_t i = 0; i < count; i++) {
        uint64_t length;
        address = next;
        strbuf_appendf(out, "0x%" PRIx64 ":\t", address);
        if (!show_string_at(access, address, width, &length, out, err)) {
            return false;
        }
        strbuf_append_byte(out, '\n');
        next = examine_wrap(access, address + length * width);
    }
    examine->next = next;
    examine->last_value = value_in_memory(type_of_size(1, false), address);
    return true;
}

bool examine_memory(struct examine *examine, const struct value_access *access, const struct format *format,
                    uint64_t address, struct strbuf *out, struct err *err)
{
    bool strings = format->letter == 's';
    size_t start = out->length;
    bool good = true;
    if (format->letter == 'i') {
        return err_set(err, ERR_INVALID_PARAMS, "x/i needs a disassembler, and there is none here: use gdb");
    }
    if (strings && (format->count < 0 || format->size == 'g')) {
        return err_set(err, ERR_INVALID_PARAMS,
                       format->count < 0 ? "strings cannot be shown backwards"
                                         : "the characters of strings have the sizes b, h and w");
    }
    bool backwards = format->count < 0;
    size_t count = (size_t)(backwards ? -format->count : format->count);
    unsigned size = examine_size(access, strings && format->size == '\0' ? 'b' : format->size);
    address = examine_wrap(access, backwards ? address - count * size : address);
    if (count > 0) {
        good = strings ? examine_strings(examine, access, size, address, count, out, err)
                       : examine_units(examine, access, format->letter, size, address, count, out, err);
    } else {
        examine->next = address;
    }
    if (!good) {
        strbuf_truncate(out, start);
        return false;
    }
    if (backwards) {
        examine->next = address;
    }
    examine->has_next = true;
    examine->last = *format;
    examine->last.count = backwards ? 1 : format->count;
    examine->last.size = strings ? 'b' : format->size;
    return true;
}
