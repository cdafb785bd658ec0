/* The program's data accesses: alignment, privilege, watchpoints, and which of them a waiting loop may make.
 */
#include "coremem.h"

#define DEVICES_FROM 0x40000000U
#define PRIVATE_BUS_FROM 0xE0000000U
#define CCR_UNALIGN_TRP (1U << 3)

static enum core_fault core_data_fault(struct board *board, uint32_t address)
{
    board->scs.bfar = address;
    return CORE_FAULT_DATA;
}

static bool core_may_access(const struct board *board, uint32_t address)
{
    return address < PRIVATE_BUS_FROM || core_is_privileged(&board->core);
}

static void core_watch(struct board *board, uint32_t address, unsigned size, bool write)
{
    if (board->debugunits.watching && (board->core.demcr & CORE_DEMCR_TRCENA) != 0 &&
        debugunits_match_data(&board->debugunits, address, size, write)) {
        board->core.watch_hit = true;
    }
}

static bool core_must_fault_unaligned(const struct board *board, bool aligned)
{
    return aligned || (board->scs.ccr & CCR_UNALIGN_TRP) != 0;
}

static enum core_fault core_load_pieces(struct board *board, uint32_t address, unsigned size,
                                        uint32_t *ret_value)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte;
        enum core_fault fault = core_load_any(board, address + i, 1, true, &byte);
        if (fault != CORE_FAULT_NONE) {
            return fault;
        }
        value |= byte << (8 * i);
    }
    *ret_value = value;
    return CORE_FAULT_NONE;
}

enum core_fault core_load_any(struct board *board, uint32_t address, unsigned size, bool aligned,
                              uint32_t *ret_value)
{
    if ((address & (size - 1)) != 0) {
        if (core_must_fault_unaligned(board, aligned)) {
            return CORE_FAULT_UNALIGNED;
        }
        return core_load_pieces(board, address, size, ret_value);
    }
    if (address >= DEVICES_FROM) {
        board->core.noisy = true;
    }
    if (!core_may_access(board, address) || !bus_read(board, BUS_CORE, address, size, ret_value)) {
        return core_data_fault(board, address);
    }
    core_watch(board, address, size, false);
    return CORE_FAULT_NONE;
}

enum core_fault core_store_any(struct board *board, uint32_t address, unsigned size, bool aligned,
                               uint32_t value)
{
    board->core.noisy = true;
    if ((address & (size - 1)) != 0) {
        if (core_must_fault_unaligned(board, aligned)) {
            return CORE_FAULT_UNALIGNED;
        }
        enum core_fault fault = CORE_FAULT_NONE;
        for (unsigned i = 0; i < size && fault == CORE_FAULT_NONE; i++) {
            fault = core_store_any(board, address + i, 1, true, (value >> (8 * i)) & 0xFFU);
        }
        return fault;
    }
    uint32_t mask = size == 4 ? ~0U : (1U << (8 * size)) - 1U;
    if (!core_may_access(board, address) || !bus_write(board, BUS_CORE, address, size, value & mask)) {
        return core_data_fault(board, address);
    }
    core_watch(board, address, size, true);
    return CORE_FAULT_NONE;
}
