/*
 * The 16-bit instructions (ARM DDI 0403, section A5.2) but for loads and stores.
 *
 * Where a group of instructions differs in one field only, its function takes that field as an argument, and
 * THUMB_VARIANT makes one function of each value: what the compiler knows is not looked at on every
 * execution.
 */
#include <stddef.h>

#include "board.h"
#include "exception.h"
#include "thumb.h"
#include "thumb_alu.h"

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

/* 000xxx but for 00011x: shift by immediate. */
static inline enum core_fault thumb_narrow_shift(struct core *core, uint32_t insn, enum thumb_shift type)
{
    uint32_t carry = thumb_carry(core);
    uint32_t result = thumb_shift_imm(core->r[thumb_low(insn, 3)], type, (insn >> 6) & 31U, &carry);
    if (core->itstate == 0) {
        thumb_set_nzc(core, result, carry);
    }
    core->r[thumb_low(insn, 0)] = result;
    return CORE_FAULT_NONE;
}

THUMB_VARIANT(thumb_narrow_lsl_imm, thumb_narrow_shift(&board->core, insn->first, THUMB_LSL))
THUMB_VARIANT(thumb_narrow_lsr_imm, thumb_narrow_shift(&board->core, insn->first, THUMB_LSR))
THUMB_VARIANT(thumb_narrow_asr_imm, thumb_narrow_shift(&board->core, insn->first, THUMB_ASR))

/* 00011x: add and subtract, a register or three bits. */
static inline enum core_fault thumb_narrow_add(struct core *core, uint32_t insn, bool immediate,
                                               bool subtract)
{
    uint32_t operand = immediate ? thumb_low(insn, 6) : core->r[thumb_low(insn, 6)];
    core->r[thumb_low(insn, 0)] = thumb_add(core, core->r[thumb_low(insn, 3)], subtract ? ~operand : operand,
                                            subtract, core->itstate == 0);
    return CORE_FAULT_NONE;
}

THUMB_VARIANT(thumb_narrow_add_register, thumb_narrow_add(&board->core, insn->first, false, false))
THUMB_VARIANT(thumb_narrow_sub_register, thumb_narrow_add(&board->core, insn->first, false, true))
THUMB_VARIANT(thumb_narrow_add_imm3, thumb_narrow_add(&board->core, insn->first, true, false))
THUMB_VARIANT(thumb_narrow_sub_imm3, thumb_narrow_add(&board->core, insn->first, true, true))

/* 001xxx: move, compare, add, subtract eight bits. */
static inline enum core_fault thumb_narrow_immediate(struct core *core, uint32_t insn, uint32_t op)
{
    bool set = core->itstate == 0;
    uint32_t *rd = &core->r[thumb_low(insn, 8)];
    uint32_t imm = insn & 0xFFU;
    switch (op) {
    case 0:
        *rd = imm;
        if (set) {
            thumb_set_nz(core, imm);
        }
        break;
    case 1:
        (void)thumb_add(core, *rd, ~imm, 1, true);
        break;
    case 2:
        *rd = thumb_add(core, *rd, imm, 0, set);
        break;
    default:
        *rd = thumb_add(core, *rd, ~imm, 1, set);
        break;
    }
    return CORE_FAULT_NONE;
}

THUMB_VARIANT(thumb_narrow_mov_imm8, thumb_narrow_immediate(&board->core, insn->first, 0))
THUMB_VARIANT(thumb_narrow_cmp_imm8, thumb_narrow_immediate(&board->core, insn->first, 1))
THUMB_VARIANT(thumb_narrow_add_imm8, thumb_narrow_immediate(&board->core, insn->first, 2))
THUMB_VARIANT(thumb_narrow_sub_imm8, thumb_narrow_immediate(&board->core, insn->first, 3))

static inline void thumb_narrow_register_shift(struct core *core, enum thumb_shift type, uint32_t rd,
                                               uint32_t amount, bool set)
{
    uint32_t carry = thumb_carry(core);
    core->r[rd] = thumb_shift(core->r[rd], type, amount & 0xFFU, &carry);
    if (set) {
        thumb_set_nzc(core, core->r[rd], carry);
    }
}

/* 010000: data processing between low registers. */
static inline enum core_fault thumb_narrow_data(struct core *core, uint32_t insn, uint32_t op)
{
    bool set = core->itstate == 0;
    uint32_t rd = thumb_low(insn, 0);
    uint32_t a = core->r[rd];
    uint32_t b = core->r[thumb_low(insn, 3)];
    switch (op) {
    case 0:
        core->r[rd] = a & b;
        break;
    case 1:
        core->r[rd] = a ^ b;
        break;
    case 2:
        thumb_narrow_register_shift(core, THUMB_LSL, rd, b, set);
        return CORE_FAULT_NONE;
    case 3:
        thumb_narrow_register_shift(core, THUMB_LSR, rd, b, set);
        return CORE_FAULT_NONE;
    case 4:
        thumb_narrow_register_shift(core, THUMB_ASR, rd, b, set);
        return CORE_FAULT_NONE;
    case 5:
        core->r[rd] = thumb_add(core, a, b, thumb_carry(core), set);
        return CORE_FAULT_NONE;
    case 6:
        core->r[rd] = thumb_add(core, a, ~b, thumb_carry(core), set);
        return CORE_FAULT_NONE;
    case 7:
        thumb_narrow_register_shift(core, THUMB_ROR, rd, b, set);
        return CORE_FAULT_NONE;
    case 8:
        thumb_set_nz(core, a & b);
        return CORE_FAULT_NONE;
    case 9:
        core->r[rd] = thumb_add(core, ~b, 0, 1, set);
        return CORE_FAULT_NONE;
    case 10:
        (void)thumb_add(core, a, ~b, 1, true);
        return CORE_FAULT_NONE;
    case 11:
        (void)thumb_add(core, a, b, 0, true);
        return CORE_FAULT_NONE;
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
    return CORE_FAULT_NONE;
}

THUMB_VARIANT(thumb_narrow_and, thumb_narrow_data(&board->core, insn->first, 0))
THUMB_VARIANT(thumb_narrow_eor, thumb_narrow_data(&board->core, insn->first, 1))
THUMB_VARIANT(thumb_narrow_lsl, thumb_narrow_data(&board->core, insn->first, 2))
THUMB_VARIANT(thumb_narrow_lsr, thumb_narrow_data(&board->core, insn->first, 3))
THUMB_VARIANT(thumb_narrow_asr, thumb_narrow_data(&board->core, insn->first, 4))
THUMB_VARIANT(thumb_narrow_adc, thumb_narrow_data(&board->core, insn->first, 5))
THUMB_VARIANT(thumb_narrow_sbc, thumb_narrow_data(&board->core, insn->first, 6))
THUMB_VARIANT(thumb_narrow_ror, thumb_narrow_data(&board->core, insn->first, 7))
THUMB_VARIANT(thumb_narrow_tst, thumb_narrow_data(&board->core, insn->first, 8))
THUMB_VARIANT(thumb_narrow_neg, thumb_narrow_data(&board->core, insn->first, 9))
THUMB_VARIANT(thumb_narrow_cmp, thumb_narrow_data(&board->core, insn->first, 10))
THUMB_VARIANT(thumb_narrow_cmn, thumb_narrow_data(&board->core, insn->first, 11))
THUMB_VARIANT(thumb_narrow_orr, thumb_narrow_data(&board->core, insn->first, 12))
THUMB_VARIANT(thumb_narrow_mul, thumb_narrow_data(&board->core, insn->first, 13))
THUMB_VARIANT(thumb_narrow_bic, thumb_narrow_data(&board->core, insn->first, 14))
THUMB_VARIANT(thumb_narrow_mvn, thumb_narrow_data(&board->core, insn->first, 15))

static thumb_execute *const thumb_narrow_data_variants[16] = {
    thumb_narrow_and, thumb_narrow_eor, thumb_narrow_lsl, thumb_narrow_lsr,
    thumb_narrow_asr, thumb_narrow_adc, thumb_narrow_sbc, thumb_narrow_ror,
    thumb_narrow_tst, thumb_narrow_neg, thumb_narrow_cmp, thumb_narrow_cmn,
    thumb_narrow_orr, thumb_narrow_mul, thumb_narrow_bic, thumb_narrow_mvn};

/* 010001: any register; BX and BLX. */
static inline enum core_fault thumb_narrow_special(struct board *board, uint32_t insn, uint32_t op)
{
    struct core *core = &board->core;
    uint32_t rd = thumb_low(insn, 0) | ((insn >> 4) & 8U);
    uint32_t value = thumb_get(core, (insn >> 3) & 15U);
    switch (op) {
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

THUMB_VARIANT(thumb_narrow_add_any, thumb_narrow_special(board, insn->first, 0))
THUMB_VARIANT(thumb_narrow_cmp_any, thumb_narrow_special(board, insn->first, 1))
THUMB_VARIANT(thumb_narrow_mov_any, thumb_narrow_special(board, insn->first, 2))
THUMB_VARIANT(thumb_narrow_bx, thumb_narrow_special(board, insn->first, 3))

static thumb_execute *const thumb_narrow_special_variants[4] = {thumb_narrow_add_any, thumb_narrow_cmp_any,
                                                                thumb_narrow_mov_any, thumb_narrow_bx};

/* 10100x and the first of 1011xx: addresses from PC and SP. */
static enum core_fault thumb_narrow_adr(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    core->r[thumb_low(insn->first, 8)] =
        ((core->instruction_address + 4) & ~3U) + ((insn->first & 0xFFU) << 2);
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_add_sp(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    core->r[thumb_low(insn->first, 8)] = core->r[CORE_SP] + ((insn->first & 0xFFU) << 2);
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_adjust_sp(struct board *board, const struct thumb_insn *insn)
{
    uint32_t imm = (insn->first & 0x7FU) << 2;
    board->core.r[CORE_SP] += (insn->first & 0x80U) != 0 ? 0U - imm : imm;
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_compare_branch(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    bool zero = core->r[thumb_low(insn->first, 0)] == 0;
    if (zero != ((insn->first & 0x800U) != 0)) {
        uint32_t offset = ((insn->first >> 2) & 0x3EU) | ((insn->first & 0x200U) >> 3);
        core->r[CORE_PC] = core->instruction_address + 4 + offset;
    }
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_change_state(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    if (!core_is_privileged(core)) {
        return CORE_FAULT_NONE;
    }
    bool disable = (insn->first & 0x10U) != 0;
    if ((insn->first & 2U) != 0) {
        core->primask = disable;
    }
    if ((insn->first & 1U) != 0) {
        core->faultmask = disable;
    }
    board->nvic.recheck = true;
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_extend(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t rd = thumb_low(insn->first, 0);
    uint32_t value = core->r[thumb_low(insn->first, 3)];
    switch ((insn->first >> 6) & 3U) {
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
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_reverse(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t rd = thumb_low(insn->first, 0);
    uint32_t value = core->r[thumb_low(insn->first, 3)];
    switch ((insn->first >> 6) & 3U) {
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

static enum core_fault thumb_narrow_breakpoint(struct board *board, const struct thumb_insn *insn)
{
    (void)insn;
    return core_breakpoint(&board->core);
}

static enum core_fault thumb_narrow_if_then(struct board *board, const struct thumb_insn *insn)
{
    board->core.itstate = (uint8_t)(insn->first & 0xFFU);
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_narrow_hint(struct board *board, const struct thumb_insn *insn)
{
    thumb_hint(board, (insn->first >> 4) & 15U);
    return CORE_FAULT_NONE;
}

/* 1011xx: stack adjustment, compare-and-branch, push and pop, IT, hints. */
static thumb_execute *thumb_decode_miscellaneous(uint32_t insn)
{
    switch ((insn >> 8) & 15U) {
    case 0x0:
        return thumb_narrow_adjust_sp;
    case 0x1:
    case 0x3:
    case 0x9:
    case 0xB:
        return thumb_narrow_compare_branch;
    case 0x2:
        return thumb_narrow_extend;
    case 0x4:
    case 0x5:
    case 0xC:
    case 0xD:
        return thumb_decode_narrow_memory(insn);
    case 0x6:
        return (insn & 0xE8U) == 0x60U ? thumb_narrow_change_state : thumb_undefined;
    case 0xA:
        return thumb_narrow_reverse;
    case 0xE:
        return thumb_narrow_breakpoint;
    case 0xF:
        return (insn & 0xFU) != 0 ? thumb_narrow_if_then : thumb_narrow_hint;
    default:
        return thumb_undefined;
    }
}

/* 1101xx: conditional branch, SVC, permanently undefined. */
static inline enum core_fault thumb_narrow_branch_if(struct core *core, uint32_t insn, uint32_t condition)
{
    if (thumb_passes(core, condition)) {
        core->r[CORE_PC] = core->instruction_address + 4 + thumb_extend(insn << 1, 9);
    }
    return CORE_FAULT_NONE;
}

THUMB_VARIANT(thumb_narrow_beq, thumb_narrow_branch_if(&board->core, insn->first, 0))
THUMB_VARIANT(thumb_narrow_bne, thumb_narrow_branch_if(&board->core, insn->first, 1))
THUMB_VARIANT(thumb_narrow_bcs, thumb_narrow_branch_if(&board->core, insn->first, 2))
THUMB_VARIANT(thumb_narrow_bcc, thumb_narrow_branch_if(&board->core, insn->first, 3))
THUMB_VARIANT(thumb_narrow_bmi, thumb_narrow_branch_if(&board->core, insn->first, 4))
THUMB_VARIANT(thumb_narrow_bpl, thumb_narrow_branch_if(&board->core, insn->first, 5))
THUMB_VARIANT(thumb_narrow_bvs, thumb_narrow_branch_if(&board->core, insn->first, 6))
THUMB_VARIANT(thumb_narrow_bvc, thumb_narrow_branch_if(&board->core, insn->first, 7))
THUMB_VARIANT(thumb_narrow_bhi, thumb_narrow_branch_if(&board->core, insn->first, 8))
THUMB_VARIANT(thumb_narrow_bls, thumb_narrow_branch_if(&board->core, insn->first, 9))
THUMB_VARIANT(thumb_narrow_bge, thumb_narrow_branch_if(&board->core, insn->first, 10))
THUMB_VARIANT(thumb_narrow_blt, thumb_narrow_branch_if(&board->core, insn->first, 11))
THUMB_VARIANT(thumb_narrow_bgt, thumb_narrow_branch_if(&board->core, insn->first, 12))
THUMB_VARIANT(thumb_narrow_ble, thumb_narrow_branch_if(&board->core, insn->first, 13))

static enum core_fault thumb_narrow_call_supervisor(struct board *board, const struct thumb_insn *insn)
{
    (void)insn;
    return exception_call_supervisor(board);
}

static thumb_execute *const thumb_narrow_branch_variants[16] = {
    thumb_narrow_beq, thumb_narrow_bne, thumb_narrow_bcs, thumb_narrow_bcc,
    thumb_narrow_bmi, thumb_narrow_bpl, thumb_narrow_bvs, thumb_narrow_bvc,
    thumb_narrow_bhi, thumb_narrow_bls, thumb_narrow_bge, thumb_narrow_blt,
    thumb_narrow_bgt, thumb_narrow_ble, thumb_undefined,  thumb_narrow_call_supervisor};

static enum core_fault thumb_narrow_branch(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    core->r[CORE_PC] = core->instruction_address + 4 + thumb_extend((uint32_t)insn->first << 1, 12);
    return CORE_FAULT_NONE;
}

/* By the five bits that tell the groups apart; NULL: told apart by more. */
static thumb_execute *const thumb_narrow_groups[32] = {
    [0x00] = thumb_narrow_lsl_imm,  [0x01] = thumb_narrow_lsr_imm,  [0x02] = thumb_narrow_asr_imm,
    [0x04] = thumb_narrow_mov_imm8, [0x05] = thumb_narrow_cmp_imm8, [0x06] = thumb_narrow_add_imm8,
    [0x07] = thumb_narrow_sub_imm8, [0x14] = thumb_narrow_adr,      [0x15] = thumb_narrow_add_sp,
    [0x1C] = thumb_narrow_branch,
};

thumb_execute *thumb_decode_narrow(uint32_t insn)
{
    static thumb_execute *const adds[4] = {thumb_narrow_add_register, thumb_narrow_sub_register,
                                           thumb_narrow_add_imm3, thumb_narrow_sub_imm3};
    uint32_t group = insn >> 11;
    if (thumb_narrow_groups[group] != NULL) {
        return thumb_narrow_groups[group];
    }
    switch (group) {
    case 0x03:
        return adds[(insn >> 9) & 3U];
    case 0x08:
        return (insn & 0x400U) != 0 ? thumb_narrow_special_variants[(insn >> 8) & 3U]
                                    : thumb_narrow_data_variants[(insn >> 6) & 15U];
    case 0x16:
    case 0x17:
        return thumb_decode_miscellaneous(insn);
    case 0x1A:
    case 0x1B:
        return thumb_narrow_branch_variants[(insn >> 8) & 15U];
    default:
        return thumb_decode_narrow_memory(insn);
    }
}
