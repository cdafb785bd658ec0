#ifndef VBOARD_COREMEM_H
#define VBOARD_COREMEM_H

#include "board.h"

/* Data accesses of the program: 1, 2 or 4 bytes. Unaligned ones are split where `aligned` is false, and fault
 * otherwise. The output is untouched by a fault. */

/* Any access, to anything. */
enum core_fault core_load_any(struct board *board, uint32_t address, unsigned size, bool aligned,
                              uint32_t *ret_value) __attribute__((warn_unused_result));
enum core_fault core_store_any(struct board *board, uint32_t address, unsigned size, bool aligned,
                               uint32_t value) __attribute__((warn_unused_result));

/* Whether an access may be the plain copy that nearly all of them are. */
static inline bool core_is_plain_access(const struct board *board, uint32_t address, unsigned size)
{
    return (address & (size - 1)) == 0 && !board->debugunits.watching && board->fault_count == 0;
}

/* With `size` a constant these come down to a few instructions for RAM and flash. */
static inline enum core_fault core_load(struct board *board, uint32_t address, unsigned size, bool aligned,
                                        uint32_t *ret_value)
{
    if (core_is_plain_access(board, address, size)) {
        if (address - BUS_RAM_BASE < board->ram_size) {
            *ret_value = bus_load(board->ram + (address - BUS_RAM_BASE), size);
            return CORE_FAULT_NONE;
        }
        if (address - BUS_FLASH_BASE < board->flash.size) {
            *ret_value = bus_load(board->flash.cells + (address - BUS_FLASH_BASE), size);
            return CORE_FAULT_NONE;
        }
    }
    return core_load_any(board, address, size, aligned, ret_value);
}

static inline enum core_fault core_store(struct board *board, uint32_t address, unsigned size, bool aligned,
                                         uint32_t value)
{
    if (core_is_plain_access(board, address, size) && address - BUS_RAM_BASE < board->ram_size) {
        board->core.noisy = true;
        bus_store(board->ram + (address - BUS_RAM_BASE), size, value);
        code_forget(&board->code, address, size);
        return CORE_FAULT_NONE;
    }
    return core_store_any(board, address, size, aligned, value);
}

#endif
