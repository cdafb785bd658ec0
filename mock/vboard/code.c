/* Decoding instructions once. */
#include "code.h"

#include "board.h"

#define BKPT 0xBE00U

void code_flush(struct code *code)
{
    for (uint32_t i = 0; i < CODE_SLOTS; i++) {
        code_empty(&code->slots[i], 2 * i);
    }
}

enum core_fault code_decode(struct board *board, uint32_t address)
{
    uint32_t first;
    uint32_t second = 0;
    enum core_fault fault = bus_fetch(board, address, &first);
    if (fault != CORE_FAULT_NONE) {
        return fault;
    }
    if (debugunits_has_breakpoint(&board->debugunits, address)) {
        first = BKPT;
    }
    if (thumb_is_wide(first)) {
        fault = bus_fetch(board, address + 2, &second);
        if (fault != CORE_FAULT_NONE) {
            return fault;
        }
    }
    *code_find(&board->code, address) = (struct thumb_insn){.execute = thumb_decode(first, second),
                                                            .address = address,
                                                            .first = (uint16_t)first,
                                                            .second = (uint16_t)second};
    return CORE_FAULT_NONE;
}
