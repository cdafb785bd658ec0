#ifndef VBOARD_DAP_H
#define VBOARD_DAP_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* A JTAG-DP (ARM IHI 0031, chapter B3) with one AHB memory access port as AP 0. */
struct dap {
    uint32_t ctrl_stat;
    uint32_t select;
    uint32_t result; /* of the last read; shifted out by the next scan */
    uint32_t csw;
    uint32_t tar;
    uint32_t looks; /* accesses in a row that read DHCSR of a running core; counted up to a few only */
};

void dap_init(struct dap *dap);

/* The 35 bits that Capture-DR loads: acknowledge in bits 2:0, the posted result above. */
uint64_t dap_capture(const struct dap *dap);

/* The 35 bits that Update-DR hands over: RnW in bit 0, A[3:2] in bits 2:1, data above. */
void dap_access_dp(struct board *board, uint64_t scan);
void dap_access_ap(struct board *board, uint64_t scan);

/* Whether the debugger does nothing but look whether the core has stopped. */
bool dap_is_waiting(const struct dap *dap);

void dap_abort(struct dap *dap);

#endif
