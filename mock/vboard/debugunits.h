#ifndef VBOARD_DEBUGUNITS_H
#define VBOARD_DEBUGUNITS_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/*
 * Breakpoint unit (FPB, 0xE0002000), watchpoint unit (DWT, 0xE0001000), and the ROM table that names them
 * (ARM DDI 0403, sections C1.8 and C1.11). They are reset by power-on only. Sizes as on the Cortex-M3: six
 * code and two literal comparators, four watchpoint comparators. Remapping is not there.
 */

#define DEBUGUNITS_CODE_COMPARATORS 6U
#define DEBUGUNITS_COMPARATORS 8U
#define DEBUGUNITS_WATCHPOINTS 4U

struct debugunits_watchpoint {
    uint32_t comparator;
    uint32_t mask; /* low address bits that do not count */
    uint32_t function;
};

struct debugunits {
    bool fpb_enabled;
    bool breaking; /* enabled, and at least one code comparator is */
    bool watching; /* at least one data comparator is */
    uint32_t fp_comp[DEBUGUNITS_COMPARATORS];
    uint32_t dwt_ctrl;
    uint64_t cycles_at_zero; /* the core cycle at which CYCCNT was zero */
    uint32_t cyccnt_stopped; /* CYCCNT while it does not count */
    struct debugunits_watchpoint watchpoints[DEBUGUNITS_WATCHPOINTS];
};

void debugunits_init(struct debugunits *units);

/* Whether the instruction at this address is replaced by a breakpoint. */
bool debugunits_match_code(const struct debugunits *units, uint32_t address);

/* Whether a watchpoint sees this data access; marks it as matched. */
bool debugunits_match_data(struct debugunits *units, uint32_t address, uint32_t size, bool write);

static inline bool debugunits_has_breakpoint(const struct debugunits *units, uint32_t address)
{
    return units->breaking && debugunits_match_code(units, address);
}

/* Word accesses by offset in the unit's 4 KiB page. Reserved registers read as zero. */
uint32_t debugunits_read_fpb(const struct debugunits *units, uint32_t offset);
void debugunits_write_fpb(struct debugunits *units, uint32_t offset, uint32_t value);
uint32_t debugunits_read_dwt(struct board *board, uint32_t offset);
void debugunits_write_dwt(struct board *board, uint32_t offset, uint32_t value);
uint32_t debugunits_read_rom_table(uint32_t offset);

#endif
