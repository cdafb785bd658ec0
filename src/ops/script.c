/* Tcl that several operations build. Everything that is not a number here goes through tcl_quote(). */
#include "ops/script.h"

#include <inttypes.h>
#include <string.h>

#include "memory/values.h"
#include "openocd/tcl.h"

static void start_access(struct strbuf *script, const struct ocd_target *target, const char *verb,
                         const struct memory_access *access)
{
    tcl_quote_text(script, target->name);
    strbuf_appendf(script, " %s 0x%" PRIx64 " %u ", verb, access->address, access->width);
}

void script_read_memory(struct strbuf *script, const struct ocd_target *target,
                        const struct memory_access *access, bool physical)
{
    start_access(script, target, "read_memory", access);
    strbuf_appendf(script, "%" PRIu32 "%s", access->count, physical ? " phys" : "");
}

static void append_hex(struct strbuf *script, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    char text[19];
    size_t position = sizeof text;
    do {
        text[--position] = digits[value & 0xf];
        value >>= 4;
    } while (value != 0);
    text[--position] = 'x';
    text[--position] = '0';
    strbuf_append(script, text + position, sizeof text - position);
}

void script_write_memory(struct strbuf *script, const struct ocd_target *target,
                         const struct memory_access *access, bool physical, const uint8_t *bytes)
{
    size_t step = access->width / 8;
    start_access(script, target, "write_memory", access);
    strbuf_append_byte(script, '{');
    for (uint32_t i = 0; i < access->count; i++) {
        if (i > 0) {
            strbuf_append_byte(script, ' ');
        }
        append_hex(script, memory_value_from_bytes(bytes + i * step, access->width, target->big_endian));
    }
    strbuf_appendf(script, "}%s", physical ? " phys" : "");
}

void script_on_target(struct strbuf *script, const struct ocd_info *info, const char *target,
                      const char *body)
{
    bool has_current = info->current_target < info->target_count;
    if (has_current && strcmp(info->targets[info->current_target].name, target) == 0) {
        strbuf_append_text(script, "apply {{t s} {eval $s}} ");
        tcl_quote_text(script, target);
        strbuf_append_byte(script, ' ');
        tcl_quote_text(script, body);
        return;
    }
    strbuf_append_text(script,
                       "apply {{t b s} {targets $t; set c [catch $s r]; targets $b; return -code $c $r}} ");
    tcl_quote_text(script, target);
    strbuf_append_byte(script, ' ');
    tcl_quote_text(script, has_current ? info->targets[info->current_target].name : target);
    strbuf_append_byte(script, ' ');
    tcl_quote_text(script, body);
}
