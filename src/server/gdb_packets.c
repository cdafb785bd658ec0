/* Frames and beginnings of gdb's packets. */
#include "server/gdb_packets.h"

#include <string.h>

#include "base/hex.h"

#define INTERRUPT '\003'
#define ESCAPED_BY 0x20

static enum gdb_unit fail(struct gdb_scanner *scanner, const char *reason)
{
    scanner->packet_broken = scanner->state != GDB_SCAN_OUTSIDE;
    scanner->state = GDB_SCAN_OUTSIDE;
    scanner->reason = reason;
    return GDB_UNIT_BROKEN;
}

static enum gdb_unit begin(struct gdb_scanner *scanner, char byte)
{
    switch (byte) {
    case '+':
        return GDB_UNIT_ACK;
    case '-':
        return GDB_UNIT_NACK;
    case INTERRUPT:
        return GDB_UNIT_INTERRUPT;
    case '$':
        *scanner = (struct gdb_scanner){.state = GDB_SCAN_INSIDE};
        return GDB_UNIT_MORE;
    default:
        return fail(scanner, "it does not speak gdb's remote protocol");
    }
}

static enum gdb_unit keep(struct gdb_scanner *scanner, char byte)
{
    if (scanner->size < GDB_HEAD_SIZE) {
        scanner->head[scanner->size] = byte;
    }
    scanner->size++;
    return scanner->size > GDB_PACKET_MOST_BYTES ? fail(scanner, "a packet of gdb's is too long")
                                                 : GDB_UNIT_MORE;
}

static enum gdb_unit take_inside(struct gdb_scanner *scanner, char byte)
{
    if (byte == '#') {
        scanner->state = GDB_SCAN_CHECK_FIRST;
        return GDB_UNIT_MORE;
    }
    scanner->sum = (uint8_t)(scanner->sum + (uint8_t)byte);
    if (byte == '}') {
        scanner->state = GDB_SCAN_ESCAPED;
        return GDB_UNIT_MORE;
    }
    return keep(scanner, byte);
}

static enum gdb_unit take_escaped(struct gdb_scanner *scanner, char byte)
{
    scanner->sum = (uint8_t)(scanner->sum + (uint8_t)byte);
    scanner->state = GDB_SCAN_INSIDE;
    return keep(scanner, (char)(byte ^ ESCAPED_BY));
}

/* OpenOCD drops a packet with a wrong one without a word, and gdb would wait. */
static enum gdb_unit take_check(struct gdb_scanner *scanner, char byte)
{
    int digit = hex_digit(byte);
    if (digit < 0) {
        return fail(scanner, "the checksum of a packet of gdb's is wrong");
    }
    scanner->given = (uint8_t)(scanner->given << 4 | digit);
    if (scanner->state == GDB_SCAN_CHECK_FIRST) {
        scanner->state = GDB_SCAN_CHECK_SECOND;
        return GDB_UNIT_MORE;
    }
    if (scanner->given != scanner->sum) {
        return fail(scanner, "the checksum of a packet of gdb's is wrong");
    }
    scanner->state = GDB_SCAN_OUTSIDE;
    return GDB_UNIT_PACKET;
}

static enum gdb_unit take_byte(struct gdb_scanner *scanner, char byte)
{
    switch (scanner->state) {
    case GDB_SCAN_OUTSIDE:
        return begin(scanner, byte);
    case GDB_SCAN_INSIDE:
        return take_inside(scanner, byte);
    case GDB_SCAN_ESCAPED:
        return take_escaped(scanner, byte);
    case GDB_SCAN_CHECK_FIRST:
    case GDB_SCAN_CHECK_SECOND:
        return take_check(scanner, byte);
    }
    return GDB_UNIT_MORE;
}

enum gdb_unit gdb_scanner_take(struct gdb_scanner *scanner, const char *bytes, size_t length,
                               size_t *ret_taken)
{
    enum gdb_unit unit = GDB_UNIT_MORE;
    size_t taken = 0;
    while (unit == GDB_UNIT_MORE && taken < length) {
        unit = take_byte(scanner, bytes[taken]);
        taken++;
    }
    *ret_taken = taken;
    return unit;
}

/* What packets ask for. */

static size_t head_length(const struct gdb_scanner *packet)
{
    return packet->size < GDB_HEAD_SIZE ? packet->size : GDB_HEAD_SIZE;
}

static bool begins(const struct gdb_scanner *packet, const char *text)
{
    size_t length = strlen(text);
    return head_length(packet) >= length && memcmp(packet->head, text, length) == 0;
}

static bool begins_with_one_of(const struct gdb_scanner *packet, const char *letters)
{
    return packet->size > 0 && packet->head[0] != '\0' && strchr(letters, packet->head[0]) != NULL;
}

/* Digits up to `end`; the number's position follows. At most sixteen of them. */
static bool take_number(const struct gdb_scanner *packet, size_t *position, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t first = *position;
    while (*position < head_length(packet) && hex_digit(packet->head[*position]) >= 0) {
        value = value << 4 | (uint64_t)hex_digit(packet->head[*position]);
        *position += 1;
    }
    *ret_value = value;
    return *position > first && *position - first <= 16;
}

static void read_erase(const struct gdb_scanner *packet, struct gdb_request *request)
{
    static const char name[] = "vFlashErase:";
    size_t position = sizeof name - 1;
    if (!begins(packet, name) || !take_number(packet, &position, &request->address) ||
        position == head_length(packet) || packet->head[position] != ',') {
        return;
    }
    position++;
    request->erases = take_number(packet, &position, &request->size);
}

static void read_monitor(const struct gdb_scanner *packet, struct gdb_request *request)
{
    static const char name[] = "qRcmd,";
    static const char *const plain[] = {"halt",      "reset",   "reset halt", "reset init",
                                        "reset run", "targets", "version"};
    struct strbuf text = STRBUF_INIT;
    request->monitors = begins(packet, name);
    bool whole = request->monitors && packet->size <= GDB_HEAD_SIZE &&
                 hex_decode(&text, packet->head + sizeof name - 1, packet->size - (sizeof name - 1));
    for (size_t i = 0; whole && i < sizeof plain / sizeof plain[0]; i++) {
        bool same = text.length == strlen(plain[i]) && memcmp(strbuf_text(&text), plain[i], text.length) == 0;
        request->plain_monitor = request->plain_monitor || same;
    }
    strbuf_fini(&text);
}

void gdb_request_read(const struct gdb_scanner *packet, struct gdb_request *ret_request)
{
    struct gdb_request request = {.answered = true};
    bool runs = begins_with_one_of(packet, "cCsSkRF") || begins(packet, "vCont;") || begins(packet, "vRun");
    request.answered = !runs;
    read_erase(packet, &request);
    read_monitor(packet, &request);
    /* qCRC has OpenOCD run code on the target. */
    request.reads = begins_with_one_of(packet, "mgpqHT?!") && !request.monitors && !begins(packet, "qCRC");
    request.stops_acks = begins(packet, "QStartNoAckMode");
    *ret_request = request;
}

bool gdb_reply_is_ok(const struct gdb_scanner *packet)
{
    return packet->size == 2 && begins(packet, "OK");
}

bool gdb_reply_is_text(const struct gdb_scanner *packet)
{
    return begins(packet, "O") && !gdb_reply_is_ok(packet);
}

/* Making packets. */

void gdb_packet_append(struct strbuf *out, const char *payload)
{
    uint8_t sum = 0;
    for (const char *at = payload; *at != '\0'; at++) {
        sum = (uint8_t)(sum + (uint8_t)*at);
    }
    strbuf_appendf(out, "$%s#%02x", payload, sum);
}

void gdb_packet_append_error(struct strbuf *out, const struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "E.%s: %s", err_kind_name(err->kind), err->message);
    for (size_t i = 0; i < text.length; i++) {
        char *byte = &text.data[i];
        bool special = *byte < ' ' || *byte > '~' || strchr("#$*}", *byte) != NULL;
        *byte = special ? '?' : *byte;
    }
    gdb_packet_append(out, strbuf_text(&text));
    strbuf_fini(&text);
}

void gdb_packet_append_text(struct strbuf *out, const char *text)
{
    struct strbuf payload = STRBUF_INIT;
    strbuf_append_byte(&payload, 'O');
    hex_encode(&payload, (const uint8_t *)text, strlen(text));
    gdb_packet_append(out, strbuf_text(&payload));
    strbuf_fini(&payload);
}
