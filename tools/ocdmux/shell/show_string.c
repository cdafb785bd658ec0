/* Strings in gdb's way. */
#include <string.h>

#include "shell/show.h"
#include "shell/show_char.h"

/* Pieces end at multiples of this: what is readable ends at larger ones. */
#define SHOW_PIECE_BYTES 64u
#define SHOW_WIDTH_MAX 4u

static uint32_t show_character(const struct machine *machine, const uint8_t *bytes, unsigned width)
{
    uint32_t character = 0;
    for (unsigned i = 0; i < width; i++) {
        unsigned shift = machine->big_endian ? 8 * (width - 1 - i) : 8 * i;
        character |= (uint32_t)bytes[i] << shift;
    }
    return character;
}

void show_char(struct strbuf *out, uint32_t character, char quote, bool *behind_hex)
{
    static const char letters[] = "abtnvfr"; /* \007 to \015 */
    bool ambiguous = *behind_hex && character >= '0' && character <= '9';
    *behind_hex = false;
    if (character >= 7 && character <= 13) {
        strbuf_appendf(out, "\\%c", letters[character - 7]);
    } else if (character >= 0x20 && character < 0x7f && !ambiguous) {
        if (character == (unsigned char)quote || character == '\\') {
            strbuf_append_byte(out, '\\');
        }
        strbuf_append_byte(out, (char)character);
    } else if (character <= 0777) {
        strbuf_appendf(out, "\\%03o", (unsigned)character);
    } else {
        strbuf_appendf(out, "\\x%x", (unsigned)character);
        *behind_hex = true;
    }
}

/* What stands between what was shown and what comes. */
enum show_state { SHOW_START, SHOW_INSIDE, SHOW_RUN };

static void show_run(struct strbuf *out, enum show_state *state, uint32_t character, size_t length,
                     bool *behind_hex)
{
    if (length > SHOW_REPEATS_MAX) {
        strbuf_append_text(out, *state == SHOW_INSIDE ? "\", '" : *state == SHOW_RUN ? ", '" : "'");
        *behind_hex = false;
        show_char(out, character, '\'', behind_hex);
        strbuf_appendf(out, "' <repeats %zu times>", length);
        *state = SHOW_RUN;
        return;
    }
    if (*state != SHOW_INSIDE) {
        strbuf_append_text(out, *state == SHOW_RUN ? ", \"" : "\"");
        *behind_hex = false;
    }
    for (size_t i = 0; i < length; i++) {
        show_char(out, character, '"', behind_hex);
    }
    *state = SHOW_INSIDE;
}

void show_string(const struct machine *machine, const uint8_t *bytes, size_t count, unsigned width, bool cut,
                 struct strbuf *out)
{
    enum show_state state = SHOW_START;
    bool behind_hex = false;
    size_t place = 0;
    if (!cut && count > 0 && show_character(machine, bytes + (count - 1) * width, width) == 0) {
        count--;
    }
    if (count == 0) {
        strbuf_append_text(out, "\"\"");
        return;
    }
    while (place < count && place < SHOW_ELEMENTS_MAX) {
        uint32_t character = show_character(machine, bytes + place * width, width);
        size_t end = place + 1;
        while (end < count && show_character(machine, bytes + end * width, width) == character) {
            end++;
        }
        show_run(out, &state, character, end - place, &behind_hex);
        place = end;
    }
    strbuf_append_text(out, state == SHOW_INSIDE ? "\"" : "");
    strbuf_append_text(out, cut || place < count ? "..." : "");
}

/* Reads up to the string's NUL, or `most` characters. `ret_ended`: its NUL is among them. */
static bool show_read_string(const struct value_access *access, uint64_t address, unsigned width,
                             uint8_t *bytes, size_t most, size_t *ret_count, bool *ret_ended, struct err *err)
{
    size_t have = 0;
    size_t looked = 0;
    while (have < most * width) {
        size_t piece = SHOW_PIECE_BYTES - (size_t)((address + have) % SHOW_PIECE_BYTES);
        piece = piece < most * width - have ? piece : most * width - have;
        if (!access->read_bytes(access->arg, address + have, bytes + have, piece, err)) {
            return false;
        }
        have += piece;
        for (; (looked + 1) * width <= have; looked++) {
            if (show_character(access->machine, bytes + looked * width, width) == 0) {
                *ret_count = looked + 1;
                *ret_ended = true;
                return true;
            }
        }
    }
    *ret_count = most;
    *ret_ended = false;
    return true;
}

bool show_string_at(const struct value_access *access, uint64_t address, unsigned width, uint64_t *ret_length,
                    struct strbuf *out, struct err *err)
{
    uint8_t bytes[(SHOW_ELEMENTS_MAX + 1) * SHOW_WIDTH_MAX];
    size_t count = 0;
    bool ended = false;
    bool cut = false;
    if (!show_read_string(access, address, width, bytes, SHOW_ELEMENTS_MAX, &count, &ended, err)) {
        return false;
    }
    if (!ended) {
        /* Whether its NUL stands right behind; where that cannot be read it goes on. */
        struct err ignored;
        uint8_t *next = bytes + count * width;
        cut = !access->read_bytes(access->arg, address + count * width, next, width, &ignored) ||
              show_character(access->machine, next, width) != 0;
    }
    strbuf_append_text(out, width == 2 ? "u" : width == 4 ? "U" : "");
    show_string(access->machine, bytes, count, width, cut, out);
    *ret_length = count;
    return true;
}
