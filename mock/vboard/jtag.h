#ifndef VBOARD_JTAG_H
#define VBOARD_JTAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;

/* IEEE 1149.1 TAP controller states. */
enum jtag_state {
    JTAG_RESET,
    JTAG_IDLE,
    JTAG_SELECT_DR,
    JTAG_CAPTURE_DR,
    JTAG_SHIFT_DR,
    JTAG_EXIT1_DR,
    JTAG_PAUSE_DR,
    JTAG_EXIT2_DR,
    JTAG_UPDATE_DR,
    JTAG_SELECT_IR,
    JTAG_CAPTURE_IR,
    JTAG_SHIFT_IR,
    JTAG_EXIT1_IR,
    JTAG_PAUSE_IR,
    JTAG_EXIT2_IR,
    JTAG_UPDATE_IR
};

/* One TAP with a four-bit instruction register, and the pins as the adapter last drove them. */
struct jtag {
    enum jtag_state state;
    uint32_t ir;
    uint64_t shift;
    unsigned shift_length; /* bits of the selected register */
    bool tck;
    bool tdo;
    bool trst;
};

void jtag_init(struct jtag *jtag);

/* What became of a batch of adapter bytes. */
enum jtag_result { JTAG_CONTINUE, JTAG_QUIT };

/*
 * OpenOCD's remote_bitbang protocol: '0'-'7' are TCK<<2|TMS<<1|TDI, 'R' samples TDO, 'r'-'u' are
 * TRST<<1|SRST, 'B'/'b' blink, 'Q' quits. Appends one reply character per 'R' to `reply`, which must have
 * room for `length` bytes. Bytes that are none of these are ignored.
 */
enum jtag_result jtag_run(struct board *board, const uint8_t *bytes, size_t length, uint8_t *reply,
                          size_t *ret_reply_length);

#endif
