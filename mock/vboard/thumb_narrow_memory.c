/* The 16-bit loads and stores (ARM DDI 0403, sections A5.2 and A5.2.4). */
#include "coremem.h"
#include "thumb.h"
#include "thumb_alu.h"

static inline enum core_fault thumb_narrow_load(struct board *board, uint32_t rt, uint32_t address,
                                                unsigned size, bool extend)
{
    uint32_t value;
    enum core_fault fault = core_load(board, address, size, false, &value);
    if (fault == CORE_FAULT_NONE) {
        board->core.r[rt] = extend ? thumb_extend(value, 8 * size) : value;
    }
    return fault;
}

static enum core_fault thumb_narrow_load_literal(struct board *board, const struct thumb_insn *insn)
{
    uint32_t address = ((board->core.instruction_address + 4) & ~3U) + ((insn->first & 0xFFU) << 2);
    return thumb_narrow_load(board, thumb_low(insn->first, 8), address, 4, false);
}

enum thumb_direction { THUMB_STORE, THUMB_LOAD, THUMB_LOAD_SIGNED };

static inline enum core_fault thumb_narrow_transfer(struct board *board, uint32_t rt, uint32_t address,
                                                    unsigned size, enum thumb_direction direction)
{
    return direction == THUMB_STORE
               ? core_store(board, address, size, false, board->core.r[rt])
               : thumb_narrow_load(board, rt, address, size, direction == THUMB_LOAD_SIGNED);
}

/* 0101xx: with a register offset. */
static inline enum core_fault thumb_narrow_register(struct board *board, uint32_t insn, unsigned size,
                                                    enum thumb_direction direction)
{
    const struct core *core = &board->core;
    uint32_t address = core->r[thumb_low(insn, 3)] + core->r[thumb_low(insn, 6)];
    return thumb_narrow_transfer(board, thumb_low(insn, 0), address, size, direction);
}

THUMB_VARIANT(thumb_narrow_str, thumb_narrow_register(board, insn->first, 4, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_strh, thumb_narrow_register(board, insn->first, 2, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_strb, thumb_narrow_register(board, insn->first, 1, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_ldrsb, thumb_narrow_register(board, insn->first, 1, THUMB_LOAD_SIGNED))
THUMB_VARIANT(thumb_narrow_ldr, thumb_narrow_register(board, insn->first, 4, THUMB_LOAD))
THUMB_VARIANT(thumb_narrow_ldrh, thumb_narrow_register(board, insn->first, 2, THUMB_LOAD))
THUMB_VARIANT(thumb_narrow_ldrb, thumb_narrow_register(board, insn->first, 1, THUMB_LOAD))
THUMB_VARIANT(thumb_narrow_ldrsh, thumb_narrow_register(board, insn->first, 2, THUMB_LOAD_SIGNED))

/* 011xxx, 1000xx: with an immediate offset, in units of the size. */
static inline enum core_fault thumb_narrow_immediate(struct board *board, uint32_t insn, unsigned size,
                                                     enum thumb_direction direction)
{
    uint32_t address = board->core.r[thumb_low(insn, 3)] + ((insn >> 6) & 31U) * size;
    return thumb_narrow_transfer(board, thumb_low(insn, 0), address, size, direction);
}

THUMB_VARIANT(thumb_narrow_str_imm, thumb_narrow_immediate(board, insn->first, 4, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_ldr_imm, thumb_narrow_immediate(board, insn->first, 4, THUMB_LOAD))
THUMB_VARIANT(thumb_narrow_strb_imm, thumb_narrow_immediate(board, insn->first, 1, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_ldrb_imm, thumb_narrow_immediate(board, insn->first, 1, THUMB_LOAD))
THUMB_VARIANT(thumb_narrow_strh_imm, thumb_narrow_immediate(board, insn->first, 2, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_ldrh_imm, thumb_narrow_immediate(board, insn->first, 2, THUMB_LOAD))

/* 1001xx: relative to SP. */
static inline enum core_fault thumb_narrow_stack(struct board *board, uint32_t insn,
                                                 enum thumb_direction direction)
{
    uint32_t address = board->core.r[CORE_SP] + (insn & 0xFFU) * 4;
    return thumb_narrow_transfer(board, thumb_low(insn, 8), address, 4, direction);
}

THUMB_VARIANT(thumb_narrow_str_sp, thumb_narrow_stack(board, insn->first, THUMB_STORE))
THUMB_VARIANT(thumb_narrow_ldr_sp, thumb_narrow_stack(board, insn->first, THUMB_LOAD))

static enum core_fault thumb_narrow_push(struct board *board, const struct thumb_insn *insn)
{
    uint32_t list = (insn->first & 0xFFU) | ((insn->first & 0x100U) << 6);
    uint32_t address = board->core.r[CORE_SP] - 4U * (uint32_t)__builtin_popcount(list);
    enum core_fault fault = thumb_store_multiple(board, address, list);
    if (fault == CORE_FAULT_NONE) {
        board->core.r[CORE_SP] = address;
    }
    return fault;
}

static enum core_fault thumb_narrow_pop(struct board *board, const struct thumb_insn *insn)
{
    uint32_t list = (insn->first & 0xFFU) | ((insn->first & 0x100U) << 7);
    uint32_t address = board->core.r[CORE_SP];
    /* SP moves first: loading PC may be an exception return, which pops its frame from there. */
    board->core.r[CORE_SP] = address + 4U * (uint32_t)__builtin_popcount(list);
    enum core_fault fault = thumb_load_multiple(board, address, list);
    if (fault != CORE_FAULT_NONE && fault != CORE_FAULT_RETURN && fault != CORE_FAULT_UNSTACKING) {
        board->core.r[CORE_SP] = address;
    }
    return fault;
}

/* 1100xx: STMIA and LDMIA; the base is written back unless it is loaded. */
static enum core_fault thumb_narrow_multiple(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t rn = thumb_low(insn->first, 8);
    uint32_t list = insn->first & 0xFFU;
    uint32_t address = core->r[rn];
    uint32_t end = address + 4U * (uint32_t)__builtin_popcount(list);
    bool load = (insn->first & 0x800U) != 0;
    enum core_fault fault =
        load ? thumb_load_multiple(board, address, list) : thumb_store_multiple(board, address, list);
    if (fault == CORE_FAULT_NONE && !(load && (list & (1U << rn)) != 0)) {
        core->r[rn] = end;
    }
    return fault;
}

/* By the five bits that tell the groups apart; 0x0A and 0x0B by four more. */
static thumb_execute *const thumb_narrow_memory_groups[32] = {
    [0x09] = thumb_narrow_load_literal, [0x0C] = thumb_narrow_str_imm,  [0x0D] = thumb_narrow_ldr_imm,
    [0x0E] = thumb_narrow_strb_imm,     [0x0F] = thumb_narrow_ldrb_imm, [0x10] = thumb_narrow_strh_imm,
    [0x11] = thumb_narrow_ldrh_imm,     [0x12] = thumb_narrow_str_sp,   [0x13] = thumb_narrow_ldr_sp,
    [0x16] = thumb_narrow_push,         [0x17] = thumb_narrow_pop,      [0x18] = thumb_narrow_multiple,
    [0x19] = thumb_narrow_multiple,
};

thumb_execute *thumb_decode_narrow_memory(uint32_t insn)
{
    static thumb_execute *const by_register[8] = {thumb_narrow_str,   thumb_narrow_strh, thumb_narrow_strb,
                                                  thumb_narrow_ldrsb, thumb_narrow_ldr,  thumb_narrow_ldrh,
                                                  thumb_narrow_ldrb,  thumb_narrow_ldrsh};
    if ((insn >> 12) == 5) {
        return by_register[(insn >> 9) & 7U];
    }
    return thumb_narrow_memory_groups[insn >> 11];
}
