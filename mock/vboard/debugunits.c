/* FPB and DWT registers and what they match, and the CoreSight ROM table. */
#include "debugunits.h"

#include <string.h>

#include "board.h"

#define FP_CTRL 0x000U
#define FP_COMP0 0x008U
#define FP_CTRL_KEY (1U << 1)
#define FP_CTRL_ENABLE (1U << 0)
#define FP_CTRL_SIZES ((DEBUGUNITS_CODE_COMPARATORS << 4) | (2U << 8))
#define FP_COMP_ENABLE (1U << 0)
#define FP_COMP_LOW (1U << 30)
#define FP_COMP_HIGH (1U << 31)
#define FP_COMP_ADDRESS 0x1FFFFFFCU
#define FP_COMP_WRITABLE (FP_COMP_HIGH | FP_COMP_LOW | FP_COMP_ADDRESS | FP_COMP_ENABLE)
#define CODE_REGION_END 0x20000000U

#define DWT_CTRL 0x000U
#define DWT_CYCCNT 0x004U
#define DWT_COMP0 0x020U
#define DWT_CTRL_COMPARATORS (DEBUGUNITS_WATCHPOINTS << 28)
#define DWT_CTRL_CYCCNTENA (1U << 0)
#define DWT_CTRL_WRITABLE 0x007F1FFFU
#define DWT_MASK_WRITABLE 0xFU
#define DWT_FUNCTION_WRITABLE 0x000FFDAFU
#define DWT_FUNCTION_MASK 0xFU
#define DWT_FUNCTION_READ 5U
#define DWT_FUNCTION_WRITE 6U
#define DWT_FUNCTION_ACCESS 7U
#define DWT_FUNCTION_MATCHED (1U << 24)

void debugunits_init(struct debugunits *units)
{
    memset(units, 0, sizeof(*units));
}

static void debugunits_update(struct debugunits *units)
{
    units->breaking = false;
    units->watching = false;
    for (uint32_t i = 0; i < DEBUGUNITS_CODE_COMPARATORS; i++) {
        units->breaking |= units->fpb_enabled && (units->fp_comp[i] & FP_COMP_ENABLE) != 0;
    }
    for (uint32_t i = 0; i < DEBUGUNITS_WATCHPOINTS; i++) {
        uint32_t function = units->watchpoints[i].function & DWT_FUNCTION_MASK;
        units->watching |= function >= DWT_FUNCTION_READ && function <= DWT_FUNCTION_ACCESS;
    }
}

bool debugunits_match_code(const struct debugunits *units, uint32_t address)
{
    if (address >= CODE_REGION_END) {
        return false;
    }
    uint32_t half = (address & 2U) != 0 ? FP_COMP_HIGH : FP_COMP_LOW;
    for (uint32_t i = 0; i < DEBUGUNITS_CODE_COMPARATORS; i++) {
        uint32_t comparator = units->fp_comp[i];
        if ((comparator & FP_COMP_ENABLE) != 0 && (comparator & half) != 0 &&
            (comparator & FP_COMP_ADDRESS) == (address & FP_COMP_ADDRESS)) {
            return true;
        }
    }
    return false;
}

bool debugunits_match_data(struct debugunits *units, uint32_t address, uint32_t size, bool write)
{
    bool matched = false;
    for (uint32_t i = 0; i < DEBUGUNITS_WATCHPOINTS; i++) {
        struct debugunits_watchpoint *watchpoint = &units->watchpoints[i];
        uint32_t function = watchpoint->function & DWT_FUNCTION_MASK;
        bool wanted =
            function == DWT_FUNCTION_ACCESS || function == (write ? DWT_FUNCTION_WRITE : DWT_FUNCTION_READ);
        uint32_t ignored = (1U << watchpoint->mask) - 1U;
        uint32_t first = watchpoint->comparator & ~ignored;
        if (wanted && address <= first + ignored && address + (size - 1) >= first) {
            watchpoint->function |= DWT_FUNCTION_MATCHED;
            matched = true;
        }
    }
    return matched;
}

/* Peripheral and component ids at the end of every CoreSight page; one byte per word. */
static uint32_t debugunits_read_ids(uint32_t offset, uint32_t part, uint32_t component_class)
{
    switch (offset) {
    case 0xFD0: /* PIDR4: ARM */
        return 0x04;
    case 0xFE0:
        return part & 0xFFU;
    case 0xFE4:
        return 0xB0U | (part >> 8);
    case 0xFE8:
        return 0x0B;
    case 0xFF0:
        return 0x0D;
    case 0xFF4:
        return component_class << 4;
    case 0xFF8:
        return 0x05;
    case 0xFFC:
        return 0xB1;
    default:
        return 0;
    }
}

uint32_t debugunits_read_fpb(const struct debugunits *units, uint32_t offset)
{
    if (offset == FP_CTRL) {
        return FP_CTRL_SIZES | (units->fpb_enabled ? FP_CTRL_ENABLE : 0);
    }
    if (offset >= FP_COMP0 && offset < FP_COMP0 + 4 * DEBUGUNITS_COMPARATORS) {
        return units->fp_comp[(offset - FP_COMP0) / 4];
    }
    return debugunits_read_ids(offset, 0x003, 0xE);
}

void debugunits_write_fpb(struct debugunits *units, uint32_t offset, uint32_t value)
{
    if (offset == FP_CTRL) {
        if ((value & FP_CTRL_KEY) != 0) {
            units->fpb_enabled = (value & FP_CTRL_ENABLE) != 0;
        }
    } else if (offset >= FP_COMP0 && offset < FP_COMP0 + 4 * DEBUGUNITS_COMPARATORS) {
        units->fp_comp[(offset - FP_COMP0) / 4] = value & FP_COMP_WRITABLE;
    }
    debugunits_update(units);
}

static bool debugunits_counts_cycles(const struct board *board)
{
    return (board->debugunits.dwt_ctrl & DWT_CTRL_CYCCNTENA) != 0 &&
           (board->core.demcr & CORE_DEMCR_TRCENA) != 0;
}

static uint32_t debugunits_get_cyccnt(const struct board *board)
{
    const struct debugunits *units = &board->debugunits;
    return debugunits_counts_cycles(board) ? (uint32_t)(board->core.cycles - units->cycles_at_zero)
                                           : units->cyccnt_stopped;
}

static void debugunits_set_cyccnt(struct board *board, uint32_t value)
{
    board->debugunits.cyccnt_stopped = value;
    board->debugunits.cycles_at_zero = board->core.cycles - value;
}

static uint32_t debugunits_read_watchpoint(struct debugunits_watchpoint *watchpoint, uint32_t offset)
{
    switch (offset & 0xCU) {
    case 0x0:
        return watchpoint->comparator;
    case 0x4:
        return watchpoint->mask;
    case 0x8: {
        uint32_t value = watchpoint->function;
        watchpoint->function &= ~DWT_FUNCTION_MATCHED; /* cleared by reading */
        return value;
    }
    default:
        return 0;
    }
}

uint32_t debugunits_read_dwt(struct board *board, uint32_t offset)
{
    uint32_t index = (offset - DWT_COMP0) / 16;
    if (offset == DWT_CTRL) {
        return board->debugunits.dwt_ctrl | DWT_CTRL_COMPARATORS;
    }
    if (offset == DWT_CYCCNT) {
        return debugunits_get_cyccnt(board);
    }
    if (offset >= DWT_COMP0 && index < DEBUGUNITS_WATCHPOINTS) {
        return debugunits_read_watchpoint(&board->debugunits.watchpoints[index], offset);
    }
    return debugunits_read_ids(offset, 0x002, 0xE);
}

void debugunits_write_dwt(struct board *board, uint32_t offset, uint32_t value)
{
    struct debugunits *units = &board->debugunits;
    uint32_t index = (offset - DWT_COMP0) / 16;
    if (offset == DWT_CTRL) {
        uint32_t count = debugunits_get_cyccnt(board);
        units->dwt_ctrl = value & DWT_CTRL_WRITABLE;
        debugunits_set_cyccnt(board, count);
    } else if (offset == DWT_CYCCNT) {
        debugunits_set_cyccnt(board, value);
    } else if (offset >= DWT_COMP0 && index < DEBUGUNITS_WATCHPOINTS) {
        struct debugunits_watchpoint *watchpoint = &units->watchpoints[index];
        switch (offset & 0xCU) {
        case 0x0:
            watchpoint->comparator = value;
            break;
        case 0x4:
            watchpoint->mask = value & DWT_MASK_WRITABLE;
            break;
        case 0x8:
            watchpoint->function = value & DWT_FUNCTION_WRITABLE;
            break;
        default:
            break;
        }
        debugunits_update(units);
    }
}

uint32_t debugunits_read_rom_table(uint32_t offset)
{
    switch (offset) {
    case 0x000: /* SCS, DWT, FPB; bit 0 says that the component is there */
        return 0xFFF0F003U;
    case 0x004:
        return 0xFFF02003U;
    case 0x008:
        return 0xFFF03003U;
    case 0xFCC: /* MEMTYPE: system memory is reachable through this port */
        return 1;
    case 0xFD0: /* ST's own part number and JEP106 code: 0x410, bank 0, 0x20 */
        return 0x00;
    case 0xFE0:
        return 0x10;
    case 0xFE4:
        return 0x04;
    case 0xFE8:
        return 0x0A;
    default:
        return debugunits_read_ids(offset, 0, 0x1);
    }
}
