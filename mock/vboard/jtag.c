/*
 * The bit-level front end: adapter bytes drive the pins, the pins drive the TAP state machine, and full
 * scans end up in dap.c. Every test run passes through these loops bit by bit, so they stay short.
 */
#include "jtag.h"

#include "board.h"
#include "dap.h"

#define IR_LENGTH 4U
#define IR_CAPTURE 0x1U
#define IR_ABORT 0x8U
#define IR_DPACC 0xAU
#define IR_APACC 0xBU
#define IR_IDCODE 0xEU
#define IR_BYPASS 0xFU
#define IDCODE 0x3BA00477U
#define ACC_LENGTH 35U

/* [state][TMS] */
static const uint8_t jtag_next[16][2] = {
    [JTAG_RESET] = {JTAG_IDLE, JTAG_RESET},
    [JTAG_IDLE] = {JTAG_IDLE, JTAG_SELECT_DR},
    [JTAG_SELECT_DR] = {JTAG_CAPTURE_DR, JTAG_SELECT_IR},
    [JTAG_CAPTURE_DR] = {JTAG_SHIFT_DR, JTAG_EXIT1_DR},
    [JTAG_SHIFT_DR] = {JTAG_SHIFT_DR, JTAG_EXIT1_DR},
    [JTAG_EXIT1_DR] = {JTAG_PAUSE_DR, JTAG_UPDATE_DR},
    [JTAG_PAUSE_DR] = {JTAG_PAUSE_DR, JTAG_EXIT2_DR},
    [JTAG_EXIT2_DR] = {JTAG_SHIFT_DR, JTAG_UPDATE_DR},
    [JTAG_UPDATE_DR] = {JTAG_IDLE, JTAG_SELECT_DR},
    [JTAG_SELECT_IR] = {JTAG_CAPTURE_IR, JTAG_RESET},
    [JTAG_CAPTURE_IR] = {JTAG_SHIFT_IR, JTAG_EXIT1_IR},
    [JTAG_SHIFT_IR] = {JTAG_SHIFT_IR, JTAG_EXIT1_IR},
    [JTAG_EXIT1_IR] = {JTAG_PAUSE_IR, JTAG_UPDATE_IR},
    [JTAG_PAUSE_IR] = {JTAG_PAUSE_IR, JTAG_EXIT2_IR},
    [JTAG_EXIT2_IR] = {JTAG_SHIFT_IR, JTAG_UPDATE_IR},
    [JTAG_UPDATE_IR] = {JTAG_IDLE, JTAG_SELECT_DR},
};

void jtag_init(struct jtag *jtag)
{
    *jtag = (struct jtag){.state = JTAG_RESET, .ir = IR_IDCODE, .tdo = true};
}

static void jtag_capture_dr(struct board *board)
{
    struct jtag *jtag = &board->jtag;
    switch (jtag->ir) {
    case IR_DPACC:
    case IR_APACC:
    case IR_ABORT:
        jtag->shift = dap_capture(&board->dap);
        jtag->shift_length = ACC_LENGTH;
        break;
    case IR_IDCODE:
        jtag->shift = IDCODE;
        jtag->shift_length = 32;
        break;
    default: /* BYPASS, and every code that is not an instruction */
        jtag->shift = 0;
        jtag->shift_length = 1;
        break;
    }
}

static void jtag_update_dr(struct board *board)
{
    struct jtag *jtag = &board->jtag;
    switch (jtag->ir) {
    case IR_DPACC:
        dap_access_dp(board, jtag->shift);
        break;
    case IR_APACC:
        dap_access_ap(board, jtag->shift);
        break;
    case IR_ABORT:
        dap_abort(&board->dap);
        break;
    default:
        break;
    }
}

static void jtag_rising_edge(struct board *board, unsigned tms, unsigned tdi)
{
    struct jtag *jtag = &board->jtag;
    switch (jtag->state) {
    case JTAG_SHIFT_DR:
    case JTAG_SHIFT_IR:
        jtag->shift = (jtag->shift >> 1) | ((uint64_t)tdi << (jtag->shift_length - 1));
        break;
    case JTAG_CAPTURE_DR:
        jtag_capture_dr(board);
        break;
    case JTAG_CAPTURE_IR:
        jtag->shift = IR_CAPTURE;
        jtag->shift_length = IR_LENGTH;
        break;
    case JTAG_RESET:
    case JTAG_IDLE:
    case JTAG_SELECT_DR:
    case JTAG_EXIT1_DR:
    case JTAG_PAUSE_DR:
    case JTAG_EXIT2_DR:
    case JTAG_UPDATE_DR:
    case JTAG_SELECT_IR:
    case JTAG_EXIT1_IR:
    case JTAG_PAUSE_IR:
    case JTAG_EXIT2_IR:
    case JTAG_UPDATE_IR:
        break;
    }
    jtag->state = jtag_next[jtag->state][tms];
}

static void jtag_falling_edge(struct board *board)
{
    struct jtag *jtag = &board->jtag;
    if (jtag->state == JTAG_SHIFT_DR || jtag->state == JTAG_SHIFT_IR) {
        jtag->tdo = (jtag->shift & 1U) != 0;
        return;
    }
    jtag->tdo = true; /* not driven outside the shift states; a pull-up makes it read 1 */
    if (jtag->state == JTAG_UPDATE_DR) {
        jtag_update_dr(board);
    } else if (jtag->state == JTAG_UPDATE_IR) {
        jtag->ir = (uint32_t)jtag->shift & 0xFU;
    } else if (jtag->state == JTAG_RESET) {
        jtag->ir = IR_IDCODE;
    }
}

static void jtag_set_resets(struct board *board, bool trst, bool srst)
{
    board->jtag.trst = trst;
    if (trst) {
        board->jtag.state = JTAG_RESET;
        board->jtag.ir = IR_IDCODE;
    }
    board_set_srst(board, srst);
}

static void jtag_drive(struct board *board, unsigned pins)
{
    struct jtag *jtag = &board->jtag;
    bool tck = (pins & 4U) != 0;
    if (tck == jtag->tck) {
        return;
    }
    jtag->tck = tck;
    if (jtag->trst) {
        return;
    }
    if (tck) {
        jtag_rising_edge(board, (pins >> 1) & 1U, pins & 1U);
    } else {
        jtag_falling_edge(board);
    }
}

enum jtag_result jtag_run(struct board *board, const uint8_t *bytes, size_t length, uint8_t *reply,
                          size_t *ret_reply_length)
{
    size_t replies = 0;
    enum jtag_result result = JTAG_CONTINUE;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = bytes[i];
        if ((byte & 0xF8U) == '0') {
            jtag_drive(board, byte & 7U);
        } else if (byte == 'R') {
            reply[replies++] = board->jtag.tdo ? '1' : '0';
        } else if (byte >= 'r' && byte <= 'u') {
            jtag_set_resets(board, ((byte - 'r') & 2) != 0, ((byte - 'r') & 1) != 0);
        } else if (byte == 'Q') {
            result = JTAG_QUIT;
            break;
        }
    }
    *ret_reply_length = replies;
    return result;
}
