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

/*
 * `return -code` inside a procedure makes the call end with that code, so that OpenOCD's own code survives
 * the cleaning up. Nothing stays behind in OpenOCD's global variables.
 */
void script_with_file(struct strbuf *script, const struct ocd_info *info, const char *body, size_t length)
{
    strbuf_append_text(
        script, "apply {{t s} {set p [file tempfile $t]; set c [catch $s r]; catch {file delete -force $p};"
                "return -code $c $r}} ");
    tcl_quote_text(script, info->stage_template);
    strbuf_append_byte(script, ' ');
    tcl_quote(script, body, length);
}

void script_fill_file(struct strbuf *body, const uint8_t *bytes, size_t length)
{
    strbuf_append_text(body, "set f [open $p wb]; $f puts -nonewline ");
    tcl_quote(body, (const char *)bytes, length);
    strbuf_append_text(body, "; $f close; ");
}

void script_drain_file(struct strbuf *body)
{
    strbuf_append_text(body, "set f [open $p rb]; set d [$f read]; $f close; set d");
}
