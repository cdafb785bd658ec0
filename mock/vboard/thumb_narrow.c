/* The 16-bit instructions (ARM DDI 0403, section A5.2). */
#include "board.h"
#include "exception.h"
#include "thumb.h"
#include "thumb_alu.h"

#define CONDITION_ALWAYS 0xEU

static uint32_t thumb_low(uint32_t insn, unsigned shift)
{
    return (insn >> shift) & 7U;
}

bool thumb_passes(const struct core *core, uint32_t condition)
{
    bool n = (core->apsr & CORE_N) != 0;
    bool z = (core->apsr & CORE_Z) != 0;
    bool c = (core->apsr & CORE_C) != 0;
    bool v = (core->apsr & CORE_V) != 0;
    bool passes = true;
    switch (condition >> 1) {
    case 0:
        passes = z;
        break;
    case 1:
        passes = c;
        break;
    case 2:
        passes = n;
        break;
    case 3:
        passes = v;
        break;
    case 4:
        passes = c && !z;
        break;
    case 5:
        passes = n == v;
        break;
    case 6:
        passes = n == v && !z;
        break;
    default:
        return true;
    }
    return (condition & 1U) != 0 ? !passes : passes;
}

enum core_fault thumb_branch_exchange(struct board *board, uint32_t target)
{
    struct core *core = &board->core;
    if (core->exception != 0 && target >= 0xF0000000U) {
        return exception_return(board, target);
    }
    core->thumb = (target & 1U) != 0;
    core->r[CORE_PC] = target & ~1U;
    return CORE_FAULT_NONE; /* without the Thumb bit the next instruction faults */
}

void thumb_hint(struct board *board, uint32_t number)
{
    struct core *core = &board->core;
    switch (number) {
    case 2: /* WFE */
        if (core->event) {
            core->event = false;
        } else {
            core->state = CORE_SLEEPING;
            core->woken_by_event = true;
        }
        break;
    case 3: /* WFI */
        core->state = CORE_SLEEPING;
        core->woken_by_event = false;
        board->nvic.recheck = true;
        break;
    case 4: /* SEV */
        core->event = true;
        break;
    default:
        break;
    }
}

/* 00xxxx: shift by immediate, add, subtract, move, compare. */
static void thumb_narrow_immediate(struct core *core, uint32_t insn)
{
    bool set = core->itstate == 0;
    uint32_t op = (insn >> 11) & 7U;
    uint32_t wide_reg = thumb_low(insn, 8);
    uint32_t imm = insn & 0xFFU;
    uint32_t rn = core->r[thumb_low(insn, 3)];
    uint32_t result;
    if (op < 3) {
        uint32_t carry = thumb_carry(core);
        result = thumb_shift_imm(rn, op, (insn >> 6) & 31U, &carry);
        if (set) {
            thumb_set_nzc(core, result, carry);
        }
        core->r[thumb_low(insn, 0)] = result;
        return;
    }
    switch (op) {
    case 3: {
        uint32_t operand = (insn & 0x400U) != 0 ? thumb_low(insn, 6) : core->r[thumb_low(insn, 6)];
        bool subtract = (insn & 0x200U) != 0;
        core->r[thumb_low(insn, 0)] =
            subtract ? thumb_add(core, rn, ~operand, 1, set) : thumb_add(core, rn, operand, 0, set);
        break;
    }
    case 4:
        core->r[wide_reg] = imm;
        if (set) {
            thumb_set_nz(core, imm);
        }
        break;
    case 5:
        (void)thumb_add(core, core->r[wide_reg], ~imm, 1, true);
        break;
    case 6:
        core->r[wide_reg] = thumb_add(core, core->r[wide_reg], imm, 0, set);
        break;
    default:
        core->r[wide_reg] = thumb_add(core, core->r[wide_reg], ~imm, 1, set);
        break;
    }
}

static void thumb_narrow_register_shift(struct core *core, enum thumb_shift type, uint32_t rd,
                                        uint32_t amount, bool set)
{
    uint32_t carry = thumb_carry(core);
    core->r[rd] = thumb_shift(core->r[rd], type, amount & 0xFFU, &carry);
    if (set) {
        thumb_set_nzc(core, core->r[rd], carry);
    }
}

/* 010000: data processing between low registers. */
static void thumb_narrow_data(struct core *core, uint32_t insn)
{
    bool set = core->itstate == 0;
    uint32_t rd = thumb_low(insn, 0);
    uint32_t a = core->r[rd];
    uint32_t b = core->r[thumb_low(insn, 3)];
    switch ((insn >> 6) & 15U) {
    case 0:
        core->r[rd] = a & b;
        break;
    case 1:
        core->r[rd] = a ^ b;
        break;
    case 2:
        thumb_narrow_register_shift(core, THUMB_LSL, rd, b, set);
        return;
    case 3:
        thumb_narrow_register_shift(core, THUMB_LSR, rd, b, set);
        return;
    case 4:
        thumb_narrow_register_shift(core, THUMB_ASR, rd, b, set);
        return;
    case 5:
        core->r[rd] = thumb_add(core, a, b, thumb_carry(core), set);
        return;
    case 6:
        core->r[rd] = thumb_add(core, a, ~b, thumb_carry(core), set);
        return;
    case 7:
        thumb_narrow_register_shift(core, THUMB_ROR, rd, b, set);
        return;
    case 8:
        thumb_set_nz(core, a & b);
        return;
    case 9:
        core->r[rd] = thumb_add(core, ~b, 0, 1, set);
        return;
    case 10:
        (void)thumb_add(core, a, ~b, 1, true);
        return;
    case 11:
        (void)thumb_add(core, a, b, 0, true);
        return;
    case 12:
        core->r[rd] = a | b;
        break;
    case 13:
        core->r[rd] = a * b;
        break;
    case 14:
        core->r[rd] = a & ~b;
        break;
    default:
        core->r[rd] = ~b;
        break;
    }
    if (set) {
        thumb_set_nz(core, core->r[rd]);
    }
}

/* 010001: any register; BX and BLX. */
static enum core_fault thumb_narrow_special(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t rd = thumb_low(insn, 0) | ((insn >> 4) & 8U);
    uint32_t value = thumb_get(core, (insn >> 3) & 15U);
    switch ((insn >> 8) & 3U) {
    case 0:
        value += thumb_get(core, rd);
        break;
    case 1:
        (void)thumb_add(core, thumb_get(core, rd), ~value, 1, true);
        return CORE_FAULT_NONE;
    case 2:
        break;
    default:
        if ((insn & 0x80U) != 0) {
            core->r[CORE_LR] = core->r[CORE_PC] | 1U;
            core->thumb = (value & 1U) != 0;
            core->r[CORE_PC] = value & ~1U;
            return CORE_FAULT_NONE;
        }
        return thumb_branch_exchange(board, value);
    }
    thumb_set(core, rd, rd == CORE_PC ? value & ~1U : value);
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_load(struct board *board, uint32_t rt, uint32_t address, unsigned size,
                                         bool extend)
{
    uint32_t value;
    enum core_fault fault = core_load(board, address, size, false, &value);
    if (fault == CORE_FAULT_NONE) {
        board->core.r[rt] = extend ? thumb_extend(value, 8 * size) : value;
    }
    return fault;
}

/* 0101xx: load and store with a register offset. */
static enum core_fault thumb_narrow_load_store_register(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t rt = thumb_low(insn, 0);
    uint32_t address = core->r[thumb_low(insn, 3)] + core->r[thumb_low(insn, 6)];
    switch ((insn >> 9) & 7U) {
    case 0:
        return core_store(board, address, 4, false, core->r[rt]);
    case 1:
        return core_store(board, address, 2, false, core->r[rt]);
    case 2:
        return core_store(board, address, 1, false, core->r[rt]);
    case 3:
        return thumb_narrow_load(board, rt, address, 1, true);
    case 4:
        return thumb_narrow_load(board, rt, address, 4, false);
    case 5:
        return thumb_narrow_load(board, rt, address, 2, false);
    case 6:
        return thumb_narrow_load(board, rt, address, 1, false);
    default:
        return thumb_narrow_load(board, rt, address, 2, true);
    }
}

/* 011xxx, 1000xx, 1001xx: load and store with an immediate offset, or relative to SP. */
static enum core_fault thumb_narrow_load_store_immediate(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t rt = thumb_low(insn, 0);
    uint32_t base = core->r[thumb_low(insn, 3)];
    uint32_t imm = (insn >> 6) & 31U;
    bool load = (insn & 0x800U) != 0;
    unsigned size;
    switch (insn >> 12) {
    case 6:
        size = 4;
        break;
    case 7:
        size = 1;
        break;
    case 8:
        size = 2;
        break;
    default:
        size = 4;
        rt = thumb_low(insn, 8);
        base = core->r[CORE_SP];
        imm = insn & 0xFFU;
        break;
    }
    uint32_t address = base + imm * size;
    return load ? thumb_narrow_load(board, rt, address, size, false)
                : core_store(board, address, size, false, core->r[rt]);
}

static enum core_fault thumb_narrow_push(struct board *board, uint32_t insn)
{
    uint32_t list = (insn & 0xFFU) | ((insn & 0x100U) << 6);
    uint32_t address = board->core.r[CORE_SP] - 4U * (uint32_t)__builtin_popcount(list);
    enum core_fault fault = thumb_store_multiple(board, address, list);
    if (fault == CORE_FAULT_NONE) {
        board->core.r[CORE_SP] = address;
    }
    return fault;
}

static enum core_fault thumb_narrow_pop(struct board *board, uint32_t insn)
{
    uint32_t list = (insn & 0xFFU) | ((insn & 0x100U) << 7);
    uint32_t address = board->core.r[CORE_SP];
    /* SP moves first: loading PC may be an exception return, which pops its frame from there. */
    board->core.r[CORE_SP] = address + 4U * (uint32_t)__builtin_popcount(list);
    enum core_fault fault = thumb_load_multiple(board, address, list);
    if (fault != CORE_FAULT_NONE && fault != CORE_FAULT_RETURN && fault != CORE_FAULT_UNSTACKING) {
        board->core.r[CORE_SP] = address;
    }
    return fault;
}

static void thumb_narrow_change_state(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    if (!core_is_privileged(core)) {
        return;
    }
    bool disable = (insn & 0x10U) != 0;
    if ((insn & 2U) != 0) {
        core->primask = disable;
    }
    if ((insn & 1U) != 0) {
        core->faultmask = disable;
    }
    board->nvic.recheck = true;
}

static void thumb_narrow_extend(struct core *core, uint32_t insn)
{
    uint32_t rd = thumb_low(insn, 0);
    uint32_t value = core->r[thumb_low(insn, 3)];
    switch ((insn >> 6) & 3U) {
    case 0:
        core->r[rd] = thumb_extend(value, 16);
        break;
    case 1:
        core->r[rd] = thumb_extend(value, 8);
        break;
    case 2:
        core->r[rd] = value & 0xFFFFU;
        break;
    default:
        core->r[rd] = value & 0xFFU;
        break;
    }
}

static enum core_fault thumb_narrow_reverse(struct core *core, uint32_t insn)
{
    uint32_t rd = thumb_low(insn, 0);
    uint32_t value = core->r[thumb_low(insn, 3)];
    switch ((insn >> 6) & 3U) {
    case 0:
        core->r[rd] = thumb_reverse_bytes(value);
        return CORE_FAULT_NONE;
    case 1:
        core->r[rd] = thumb_reverse_halves(value);
        return CORE_FAULT_NONE;
    case 3:
        core->r[rd] = thumb_extend(thumb_reverse_halves(value), 16);
        return CORE_FAULT_NONE;
    default:
        return CORE_FAULT_UNDEFINED;
    }
}

/* 1011xx: stack adjustment, compare-and-branch, push and pop, IT, hints. */
static enum core_fault thumb_narrow_miscellaneous(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    switch ((insn >> 8) & 15U) {
    case 0x0: {
        uint32_t imm = (insn & 0x7FU) << 2;
        core->r[CORE_SP] += (insn & 0x80U) != 0 ? 0U - imm : imm;
        return CORE_FAULT_NONE;
    }
    case 0x1:
    case 0x3:
    case 0x9:
    case 0xB: {
        bool zero = core->r[thumb_low(insn, 0)] == 0;
        if (zero != ((insn & 0x800U) != 0)) {
            uint32_t offset = ((insn >> 2) & 0x3EU) | ((insn & 0x200U) >> 3);
            core->r[CORE_PC] = core->instruction_address + 4 + offset;
        }
        return CORE_FAULT_NONE;
    }
    case 0x2:
        thumb_narrow_extend(core, insn);
        return CORE_FAULT_NONE;
    case 0x4:
    case 0x5:
        return thumb_narrow_push(board, insn);
    case 0x6:
        if ((insn & 0xE8U) != 0x60U) {
            return CORE_FAULT_UNDEFINED;
        }
        thumb_narrow_change_state(board, insn);
        return CORE_FAULT_NONE;
    case 0xA:
        return thumb_narrow_reverse(core, insn);
    case 0xC:
    case 0xD:
        return thumb_narrow_pop(board, insn);
    case 0xE:
        return core_breakpoint(core);
    case 0xF:
        if ((insn & 0xFU) != 0) {
            core->itstate = (uint8_t)(insn & 0xFFU);
        } else {
            thumb_hint(board, (insn >> 4) & 15U);
        }
        return CORE_FAULT_NONE;
    default:
        return CORE_FAULT_UNDEFINED;
    }
}

/* 1100xx: STMIA and LDMIA; the base is written back unless it is loaded. */
static enum core_fault thumb_narrow_multiple(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t rn = thumb_low(insn, 8);
    uint32_t list = insn & 0xFFU;
    uint32_t address = core->r[rn];
    uint32_t end = address + 4U * (uint32_t)__builtin_popcount(list);
    bool load = (insn & 0x800U) != 0;
    enum core_fault fault =
        load ? thumb_load_multiple(board, address, list) : thumb_store_multiple(board, address, list);
    if (fault == CORE_FAULT_NONE && !(load && (list & (1U << rn)) != 0)) {
        core->r[rn] = end;
    }
    return fault;
}

/* 1101xx: conditional branch, SVC, permanently undefined. */
static enum core_fault thumb_narrow_branch(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t condition = (insn >> 8) & 15U;
    if (condition == CONDITION_ALWAYS) {
        return CORE_FAULT_UNDEFINED;
    }
    if (condition > CONDITION_ALWAYS) {
        return exception_call_supervisor(board);
    }
    if (thumb_passes(core, condition)) {
        core->r[CORE_PC] = core->instruction_address + 4 + thumb_extend(insn << 1, 9);
    }
    return CORE_FAULT_NONE;
}

enum core_fault thumb_execute_narrow(struct board *board, uint32_t insn)
{
    struct core *core = &board->core;
    uint32_t rd = thumb_low(insn, 8);
    switch (insn >> 11) {
    case 0x00:
    case 0x01:
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
    case 0x06:
    case 0x07:
        thumb_narrow_immediate(core, insn);
        return CORE_FAULT_NONE;
    case 0x08:
        if ((insn & 0x400U) != 0) {
            return thumb_narrow_special(board, insn);
        }
        thumb_narrow_data(core, insn);
        return CORE_FAULT_NONE;
    case 0x09:
        return thumb_narrow_load(board, rd, ((core->instruction_address + 4) & ~3U) + ((insn & 0xFFU) << 2),
                                 4, false);
    case 0x0A:
    case 0x0B:
        return thumb_narrow_load_store_register(board, insn);
    case 0x0C:
    case 0x0D:
    case 0x0E:
    case 0x0F:
    case 0x10:
    case 0x11:
    case 0x12:
    case 0x13:
        return thumb_narrow_load_store_immediate(board, insn);
    case 0x14:
        core->r[rd] = ((core->instruction_address + 4) & ~3U) + ((insn & 0xFFU) << 2);
        return CORE_FAULT_NONE;
    case 0x15:
        core->r[rd] = core->r[CORE_SP] + ((insn & 0xFFU) << 2);
        return CORE_FAULT_NONE;
    case 0x16:
    case 0x17:
        return thumb_narrow_miscellaneous(board, insn);
    case 0x18:
    case 0x19:
        return thumb_narrow_multiple(board, insn);
    case 0x1A:
    case 0x1B:
        return thumb_narrow_branch(board, insn);
    default: /* 0x1C; what is above has 32 bits */
        core->r[CORE_PC] = core->instruction_address + 4 + thumb_extend(insn << 1, 12);
        return CORE_FAULT_NONE;
    }
}
