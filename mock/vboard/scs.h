#ifndef VBOARD_SCS_H
#define VBOARD_SCS_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* The System Control Space at 0xE000E000 (ARM DDI 0403, section B3.2): system control, and the way to the
 * timer, the interrupt controller and the debug registers. */
struct scs {
    uint32_t vtor;
    uint32_t scr;
    uint32_t ccr;
    uint32_t shcsr; /* the three enable bits */
    uint32_t cfsr;
    uint32_t hfsr;
    uint32_t bfar;
};

void scs_reset(struct scs *scs);

/* Word access at an offset from 0xE000E000, a multiple of 4 below 0x1000. Reserved registers read as zero. */
uint32_t scs_read(struct board *board, uint32_t offset);
void scs_write(struct board *board, uint32_t offset, uint32_t value);

#endif
