/*
 * gdb's remote protocol, as far as somebody must understand it who passes it on (the GDB manual, "Remote
 * Protocol", and OpenOCD's src/server/gdb_server.c): where a packet ends, and what it asks for. OpenOCD waits
 * up to a second for each byte of a packet that has begun, and serves nobody else meanwhile; so it gets whole
 * packets only, and one after the other. Pure.
 */
#ifndef OCDMUX_SERVER_GDB_PACKETS_H
#define OCDMUX_SERVER_GDB_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

/* From "$" to the checksum. OpenOCD takes 16,384 bytes between them (GDB_BUFFER_SIZE), and says so to gdb. */
#define GDB_PACKET_MOST_BYTES 65536u
/* As much of a packet as is looked at, unescaped. */
#define GDB_HEAD_SIZE 64u

enum gdb_unit {
    GDB_UNIT_MORE,      /* all bytes were taken; what has begun goes on */
    GDB_UNIT_ACK,       /* "+" */
    GDB_UNIT_NACK,      /* "-" */
    GDB_UNIT_INTERRUPT, /* 0x03 */
    GDB_UNIT_PACKET,    /* "$...#xx": `head` and `size` are its own, until the next call */
    GDB_UNIT_BROKEN,    /* a byte that begins nothing, a wrong checksum, or too long: `reason` says which */
};

enum gdb_scanner_state {
    GDB_SCAN_OUTSIDE,
    GDB_SCAN_INSIDE,
    GDB_SCAN_ESCAPED, /* behind "}" */
    GDB_SCAN_CHECK_FIRST,
    GDB_SCAN_CHECK_SECOND,
};

/* All zero before the first byte; after GDB_UNIT_BROKEN it begins anew. */
struct gdb_scanner {
    enum gdb_scanner_state state;
    uint8_t sum;
    uint8_t given;
    size_t size; /* of the packet, unescaped, without frame */
    char head[GDB_HEAD_SIZE];
    const char *reason; /* static */
    bool packet_broken; /* what is broken is a packet: its sender speaks the protocol */
};

/* Takes bytes up to the end of the first unit, and says how many. */
enum gdb_unit gdb_scanner_take(struct gdb_scanner *scanner, const char *bytes, size_t length,
                               size_t *ret_taken);

/* What a packet of gdb's asks for. */
struct gdb_request {
    bool answered;   /* OpenOCD answers it at once; else when the target halts, or never */
    bool reads;      /* and it changes nothing of the board */
    bool stops_acks; /* QStartNoAckMode */
    bool erases;     /* vFlashErase, of the next two */
    uint64_t address;
    uint64_t size;
    bool monitors;      /* qRcmd: a command for OpenOCD, which may be any Tcl */
    bool plain_monitor; /* one of a few that do no more than a target.* method does */
};

void gdb_request_read(const struct gdb_scanner *packet, struct gdb_request *ret_request);

/* Of a packet of OpenOCD's: text to be shown ("O" and hex) rather than an answer. */
bool gdb_reply_is_text(const struct gdb_scanner *packet);
bool gdb_reply_is_ok(const struct gdb_scanner *packet);

/* Appends a packet. */
void gdb_packet_append(struct strbuf *out, const char *payload);
/* Appends "E." and what went wrong, which gdb shows to its user: plain characters, without those that mean
 * something in a packet. */
void gdb_packet_append_error(struct strbuf *out, const struct err *err);
/* Appends a packet with text to be shown. */
void gdb_packet_append_text(struct strbuf *out, const char *text);

#endif
