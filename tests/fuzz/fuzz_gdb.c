/*
 * What clients of gdb listeners send: packets, whose units must not depend on the pieces in which they come,
 * and prefaces, which are read whole or refused with nothing touched. The first byte says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "server/gdb_packets.h"
#include "server/gdb_preface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct gdb_scanner *packet)
{
    struct gdb_request request;
    gdb_request_read(packet, &request);
    require(!request.plain_monitor || request.monitors);
    require(!(request.reads && (request.monitors || request.erases || !request.answered)));
}

/* In pieces of `piece` bytes at the most: a checksum over the units and where they end. */
static uint64_t scan(const char *bytes, size_t size, size_t piece)
{
    struct gdb_scanner scanner = {.state = GDB_SCAN_OUTSIDE};
    uint64_t sum = 0;
    size_t at = 0;
    while (at < size) {
        size_t length = size - at < piece ? size - at : piece;
        size_t taken = 0;
        enum gdb_unit unit = gdb_scanner_take(&scanner, bytes + at, length, &taken);
        require(taken > 0 && taken <= length && scanner.size <= GDB_PACKET_MOST_BYTES + 1);
        at += taken;
        if (unit == GDB_UNIT_PACKET) {
            check_request(&scanner);
        }
        require(unit != GDB_UNIT_BROKEN || scanner.reason != NULL);
        if (unit != GDB_UNIT_MORE) {
            sum = sum * 31 + (uint64_t)unit * 1000003 + at;
        }
    }
    return sum;
}

static void check_preface(const char *line, size_t size)
{
    struct gdb_preface preface;
    struct gdb_preface untouched;
    struct err err;
    memset(&preface, 0x55, sizeof preface);
    untouched = preface;
    err_reset(&err);
    if (!gdb_preface_parse(&preface, line, size, &err)) {
        struct strbuf packet = STRBUF_INIT;
        require(memcmp(&preface, &untouched, sizeof preface) == 0 && err.kind != ERR_NONE);
        gdb_packet_append_error(&packet, &err);
        struct gdb_scanner scanner = {.state = GDB_SCAN_OUTSIDE};
        size_t taken = 0;
        require(gdb_scanner_take(&scanner, packet.data, packet.length, &taken) == GDB_UNIT_PACKET);
        require(taken == packet.length);
        strbuf_fini(&packet);
        return;
    }
    require(preface.wait_ms <= GDB_PREFACE_MOST_WAIT_MS);
    require(preface.token == NULL || (strlen(preface.token) >= 1 && strlen(preface.token) <= 256));
    gdb_preface_fini(&preface);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    if (data[0] % 2 == 0) {
        uint64_t whole = scan(bytes, size - 1, size);
        require(scan(bytes, size - 1, 1) == whole && scan(bytes, size - 1, 7) == whole);
    } else {
        check_preface(bytes, size - 1);
    }
    return 0;
}
