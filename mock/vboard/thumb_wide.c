/* The 32-bit data processing instructions (ARM DDI 0403, section A5.3), and the way to the others. */
#include <stddef.h>

#include "board.h"
#include "thumb.h"
#include "thumb_alu.h"

#define CCR_DIV_0_TRP (1U << 4)

/* A5.3.2: eight bits, repeated or rotated. A rotation also sets the carry. */
static uint32_t thumb_expand_immediate(uint32_t imm12, uint32_t *carry)
{
    uint32_t byte = imm12 & 0xFFU;
    if ((imm12 & 0xC00U) == 0) {
        switch ((imm12 >> 8) & 3U) {
        case 0:
            return byte;
        case 1:
            return byte | byte << 16;
        case 2:
            return byte << 8 | byte << 24;
        default:
            return byte | byte << 8 | byte << 16 | byte << 24;
        }
    }
    return thumb_shift(0x80U | (byte & 0x7FU), THUMB_ROR, imm12 >> 7, carry);
}

static uint32_t thumb_immediate12(uint32_t first, uint32_t second)
{
    return ((first & 0x400U) << 1) | ((second >> 4) & 0x700U) | (second & 0xFFU);
}

/* The logic operations; false for codes that are arithmetic or nothing. */
static inline bool thumb_logic(uint32_t op, uint32_t a, uint32_t b, bool no_first, uint32_t *ret_result)
{
    switch (op) {
    case 0:
        *ret_result = a & b;
        return true;
    case 1:
        *ret_result = a & ~b;
        return true;
    case 2:
        *ret_result = no_first ? b : a | b;
        return true;
    case 3:
        *ret_result = no_first ? ~b : a | ~b;
        return true;
    case 4:
        *ret_result = a ^ b;
        return true;
    default:
        return false;
    }
}

/* AND to RSB as both operand forms share them. Rd = 15 with S set makes TST, TEQ, CMN, CMP; Rn = 15 makes MOV
 * and MVN. */
static inline enum core_fault thumb_data(struct core *core, uint32_t op, uint32_t first, uint32_t rd,
                                         uint32_t b, uint32_t carry)
{
    bool set = (first & 0x10U) != 0;
    uint32_t rn = first & 15U;
    uint32_t a = thumb_get(core, rn);
    uint32_t result;
    if (thumb_logic(op, a, b, rn == CORE_PC, &result)) {
        if (set) {
            thumb_set_nzc(core, result, carry);
        }
    } else {
        switch (op) {
        case 8:
            result = thumb_add(core, a, b, 0, set);
            break;
        case 10:
            result = thumb_add(core, a, b, thumb_carry(core), set);
            break;
        case 11:
            result = thumb_add(core, a, ~b, thumb_carry(core), set);
            break;
        case 13:
            result = thumb_add(core, a, ~b, 1, set);
            break;
        case 14:
            result = thumb_add(core, ~a, b, 1, set);
            break;
        default:
            return CORE_FAULT_UNDEFINED;
        }
    }
    if (rd != CORE_PC) {
        thumb_set(core, rd, result);
    } else if (!set) {
        return CORE_FAULT_UNDEFINED;
    }
    return CORE_FAULT_NONE;
}

static inline enum core_fault thumb_data_immediate(struct core *core, const struct thumb_insn *insn,
                                                   uint32_t op)
{
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t carry = thumb_carry(core);
    uint32_t operand = thumb_expand_immediate(thumb_immediate12(first, second), &carry);
    return thumb_data(core, op, first, (second >> 8) & 15U, operand, carry);
}

static inline enum core_fault thumb_data_shifted(struct core *core, const struct thumb_insn *insn,
                                                 uint32_t op)
{
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t carry = thumb_carry(core);
    uint32_t amount = ((second >> 10) & 0x1CU) | ((second >> 6) & 3U);
    uint32_t operand = thumb_shift_imm(thumb_get(core, second & 15U), (second >> 4) & 3U, amount, &carry);
    return thumb_data(core, op, first, (second >> 8) & 15U, operand, carry);
}

/* One function per operation, for both kinds of operand. */
THUMB_VARIANT(thumb_and_shifted, thumb_data_shifted(&board->core, insn, 0))
THUMB_VARIANT(thumb_bic_shifted, thumb_data_shifted(&board->core, insn, 1))
THUMB_VARIANT(thumb_orr_shifted, thumb_data_shifted(&board->core, insn, 2))
THUMB_VARIANT(thumb_orn_shifted, thumb_data_shifted(&board->core, insn, 3))
THUMB_VARIANT(thumb_eor_shifted, thumb_data_shifted(&board->core, insn, 4))
THUMB_VARIANT(thumb_add_shifted, thumb_data_shifted(&board->core, insn, 8))
THUMB_VARIANT(thumb_adc_shifted, thumb_data_shifted(&board->core, insn, 10))
THUMB_VARIANT(thumb_sbc_shifted, thumb_data_shifted(&board->core, insn, 11))
THUMB_VARIANT(thumb_sub_shifted, thumb_data_shifted(&board->core, insn, 13))
THUMB_VARIANT(thumb_rsb_shifted, thumb_data_shifted(&board->core, insn, 14))
THUMB_VARIANT(thumb_and_imm, thumb_data_immediate(&board->core, insn, 0))
THUMB_VARIANT(thumb_bic_imm, thumb_data_immediate(&board->core, insn, 1))
THUMB_VARIANT(thumb_orr_imm, thumb_data_immediate(&board->core, insn, 2))
THUMB_VARIANT(thumb_orn_imm, thumb_data_immediate(&board->core, insn, 3))
THUMB_VARIANT(thumb_eor_imm, thumb_data_immediate(&board->core, insn, 4))
THUMB_VARIANT(thumb_add_imm, thumb_data_immediate(&board->core, insn, 8))
THUMB_VARIANT(thumb_adc_imm, thumb_data_immediate(&board->core, insn, 10))
THUMB_VARIANT(thumb_sbc_imm, thumb_data_immediate(&board->core, insn, 11))
THUMB_VARIANT(thumb_sub_imm, thumb_data_immediate(&board->core, insn, 13))
THUMB_VARIANT(thumb_rsb_imm, thumb_data_immediate(&board->core, insn, 14))

static thumb_execute *const thumb_data_shifted_variants[16] = {
    [0] = thumb_and_shifted,  [1] = thumb_bic_shifted, [2] = thumb_orr_shifted,  [3] = thumb_orn_shifted,
    [4] = thumb_eor_shifted,  [8] = thumb_add_shifted, [10] = thumb_adc_shifted, [11] = thumb_sbc_shifted,
    [13] = thumb_sub_shifted, [14] = thumb_rsb_shifted};

static thumb_execute *const thumb_data_immediate_variants[16] = {
    [0] = thumb_and_imm,  [1] = thumb_bic_imm, [2] = thumb_orr_imm,  [3] = thumb_orn_imm,
    [4] = thumb_eor_imm,  [8] = thumb_add_imm, [10] = thumb_adc_imm, [11] = thumb_sbc_imm,
    [13] = thumb_sub_imm, [14] = thumb_rsb_imm};

/* SSAT and USAT to `bits` bits; Q remembers that a value did not fit. */
static uint32_t thumb_saturate(struct core *core, uint32_t value, unsigned bits, bool is_unsigned)
{
    int64_t wide = (int32_t)value;
    int64_t low = is_unsigned ? 0 : -((int64_t)1 << (bits - 1));
    int64_t high = is_unsigned ? ((int64_t)1 << bits) - 1 : ((int64_t)1 << (bits - 1)) - 1;
    if (wide < low || wide > high) {
        core->flags.q = true;
        wide = wide < low ? low : high;
    }
    return (uint32_t)wide;
}

static enum core_fault thumb_saturate_shifted(struct core *core, uint32_t first, uint32_t second)
{
    uint32_t carry = 0;
    uint32_t amount = ((second >> 10) & 0x1CU) | ((second >> 6) & 3U);
    bool arithmetic = (first & 0x20U) != 0;
    bool is_unsigned = (first & 0x80U) != 0;
    if (arithmetic && amount == 0) {
        return CORE_FAULT_UNDEFINED; /* SSAT16 and USAT16 are DSP */
    }
    uint32_t value =
        thumb_shift_imm(thumb_get(core, first & 15U), arithmetic ? THUMB_ASR : THUMB_LSL, amount, &carry);
    unsigned bits = (second & 31U) + (is_unsigned ? 0 : 1);
    thumb_set(core, (second >> 8) & 15U, thumb_saturate(core, value, bits, is_unsigned));
    return CORE_FAULT_NONE;
}

/* SBFX, UBFX, BFI and BFC. */
static enum core_fault thumb_bitfield(struct core *core, uint32_t op, uint32_t first, uint32_t second)
{
    uint32_t rn = first & 15U;
    uint32_t rd = (second >> 8) & 15U;
    uint32_t low = ((second >> 10) & 0x1CU) | ((second >> 6) & 3U);
    uint32_t last = second & 31U;
    if (op == 0x16) {
        if (last < low) {
            return CORE_FAULT_UNDEFINED;
        }
        uint32_t mask = (~0U >> (31 - (last - low))) << low;
        uint32_t source = rn == CORE_PC ? 0 : core->r[rn] << low;
        thumb_set(core, rd, (core->r[rd] & ~mask) | (source & mask));
        return CORE_FAULT_NONE;
    }
    if (low + last > 31) {
        return CORE_FAULT_UNDEFINED;
    }
    uint32_t value = thumb_get(core, rn) >> low;
    thumb_set(core, rd, op == 0x14 ? thumb_extend(value, last + 1) : value & (~0U >> (31 - last)));
    return CORE_FAULT_NONE;
}

/* Plain binary immediates: ADDW, SUBW, ADR, MOVW, MOVT, saturation, bit fields. */
static enum core_fault thumb_plain_immediate(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t op = (first >> 4) & 31U;
    uint32_t rn = first & 15U;
    uint32_t rd = (second >> 8) & 15U;
    uint32_t imm12 = thumb_immediate12(first, second);
    uint32_t base = rn == CORE_PC ? thumb_get(core, CORE_PC) & ~3U : core->r[rn];
    switch (op) {
    case 0x00:
        thumb_set(core, rd, base + imm12);
        return CORE_FAULT_NONE;
    case 0x0A:
        thumb_set(core, rd, base - imm12);
        return CORE_FAULT_NONE;
    case 0x04:
        thumb_set(core, rd, rn << 12 | imm12);
        return CORE_FAULT_NONE;
    case 0x0C:
        thumb_set(core, rd, (rn << 12 | imm12) << 16 | (core->r[rd] & 0xFFFFU));
        return CORE_FAULT_NONE;
    case 0x10:
    case 0x12:
    case 0x18:
    case 0x1A:
        return thumb_saturate_shifted(core, first, second);
    case 0x14:
    case 0x16:
    case 0x1C:
        return thumb_bitfield(core, op, first, second);
    default:
        return CORE_FAULT_UNDEFINED;
    }
}

/* Sign and zero extension with rotation; the forms that add are DSP. */
static enum core_fault thumb_extend_register(struct core *core, uint32_t first, uint32_t second)
{
    uint32_t carry = 0;
    uint32_t value = thumb_shift(core->r[second & 15U], THUMB_ROR, ((second >> 4) & 3U) * 8, &carry);
    if ((first & 15U) != 15U) {
        return CORE_FAULT_UNDEFINED;
    }
    switch ((first >> 4) & 7U) {
    case 0:
        value = thumb_extend(value, 16);
        break;
    case 1:
        value &= 0xFFFFU;
        break;
    case 4:
        value = thumb_extend(value, 8);
        break;
    case 5:
        value &= 0xFFU;
        break;
    default:
        return CORE_FAULT_UNDEFINED;
    }
    thumb_set(core, (second >> 8) & 15U, value);
    return CORE_FAULT_NONE;
}

static uint32_t thumb_reverse_bits(uint32_t value)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < 32; i++) {
        result |= ((value >> i) & 1U) << (31 - i);
    }
    return result;
}

/* REV, REV16, RBIT, REVSH, CLZ. */
static enum core_fault thumb_rearrange(struct core *core, uint32_t first, uint32_t second)
{
    uint32_t value = core->r[second & 15U];
    uint32_t rd = (second >> 8) & 15U;
    if ((first & 0x30U) == 0x30U && (second & 0x30U) == 0) {
        thumb_set(core, rd, value == 0 ? 32 : (uint32_t)__builtin_clz(value));
        return CORE_FAULT_NONE;
    }
    if ((first & 0x30U) != 0x10U) {
        return CORE_FAULT_UNDEFINED;
    }
    switch ((second >> 4) & 3U) {
    case 0:
        thumb_set(core, rd, thumb_reverse_bytes(value));
        break;
    case 1:
        thumb_set(core, rd, thumb_reverse_halves(value));
        break;
    case 2:
        thumb_set(core, rd, thumb_reverse_bits(value));
        break;
    default:
        thumb_set(core, rd, thumb_extend(thumb_reverse_halves(value), 16));
        break;
    }
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_data_register(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    if ((second & 0xF000U) != 0xF000U) {
        return CORE_FAULT_UNDEFINED;
    }
    if ((first & 0x80U) == 0 && (second & 0xF0U) == 0) {
        uint32_t carry = thumb_carry(core);
        uint32_t result = thumb_shift(core->r[first & 15U], (enum thumb_shift)((first >> 5) & 3U),
                                      core->r[second & 15U] & 0xFFU, &carry);
        if ((first & 0x10U) != 0) {
            thumb_set_nzc(core, result, carry);
        }
        thumb_set(core, (second >> 8) & 15U, result);
        return CORE_FAULT_NONE;
    }
    if ((first & 0x80U) == 0 && (second & 0x80U) != 0) {
        return thumb_extend_register(core, first, second);
    }
    if ((first & 0xC0U) == 0x80U && (second & 0xC0U) == 0x80U) {
        return thumb_rearrange(core, first, second);
    }
    return CORE_FAULT_UNDEFINED; /* the parallel additions are DSP */
}

/* MUL, MLA, MLS. */
static enum core_fault thumb_multiply(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t product = core->r[first & 15U] * core->r[second & 15U];
    uint32_t ra = (second >> 12) & 15U;
    uint32_t op = (second >> 4) & 15U;
    if ((first & 0x70U) != 0 || op > 1 || (op == 1 && ra == 15U)) {
        return CORE_FAULT_UNDEFINED;
    }
    uint32_t sum = ra == 15U ? 0 : core->r[ra];
    thumb_set(core, (second >> 8) & 15U, op == 0 ? sum + product : sum - product);
    return CORE_FAULT_NONE;
}

static enum core_fault thumb_divide(struct board *board, bool is_signed, uint32_t rd, uint32_t a, uint32_t b)
{
    uint32_t result = 0;
    if (b == 0) {
        if ((board->scs.ccr & CCR_DIV_0_TRP) != 0) {
            return CORE_FAULT_DIVIDE;
        }
    } else if (is_signed) {
        /* 64 bits, because INT32_MIN / -1 does not fit into 32 and wraps */
        result = (uint32_t)((int64_t)(int32_t)a / (int32_t)b);
    } else {
        result = a / b;
    }
    thumb_set(&board->core, rd, result);
    return CORE_FAULT_NONE;
}

/* SMULL, UMULL, SMLAL, UMLAL, SDIV, UDIV. */
static enum core_fault thumb_long_multiply(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t a = core->r[first & 15U];
    uint32_t b = core->r[second & 15U];
    uint32_t low = (second >> 12) & 15U;
    uint32_t high = (second >> 8) & 15U;
    uint32_t op = (first >> 4) & 7U;
    bool is_signed = (op & 2U) == 0;
    if ((op == 1 || op == 3) && (second & 0xF0U) == 0xF0U) {
        return thumb_divide(board, op == 1, high, a, b);
    }
    if ((op & 1U) != 0 || (second & 0xF0U) != 0) {
        return CORE_FAULT_UNDEFINED;
    }
    uint64_t product = is_signed ? (uint64_t)((int64_t)(int32_t)a * (int32_t)b) : (uint64_t)a * b;
    if (op >= 4) {
        product += (uint64_t)core->r[high] << 32 | core->r[low];
    }
    thumb_set(core, low, (uint32_t)product);
    thumb_set(core, high, (uint32_t)(product >> 32));
    return CORE_FAULT_NONE;
}

enum core_fault thumb_undefined(struct board *board, const struct thumb_insn *insn)
{
    (void)board;
    (void)insn;
    return CORE_FAULT_UNDEFINED;
}

static enum core_fault thumb_coprocessor(struct board *board, const struct thumb_insn *insn)
{
    (void)board;
    (void)insn;
    return CORE_FAULT_COPROCESSOR;
}

static thumb_execute *thumb_find_variant(thumb_execute *const *variants, uint32_t first)
{
    thumb_execute *execute = variants[(first >> 5) & 15U];
    return execute != NULL ? execute : thumb_undefined;
}

thumb_execute *thumb_decode_wide(uint32_t first, uint32_t second)
{
    uint32_t group = (first >> 4) & 0x7FU;
    if ((first & 0xEC00U) == 0xEC00U) {
        return thumb_coprocessor;
    }
    switch ((first >> 11) & 3U) {
    case 1:
        if ((group & 0x60U) == 0x20U) {
            return thumb_find_variant(thumb_data_shifted_variants, first);
        }
        return (group & 0x04U) != 0 ? thumb_wide_dual : thumb_wide_multiple;
    case 2:
        if ((second & 0x8000U) != 0) {
            return thumb_wide_branch;
        }
        return (group & 0x20U) != 0 ? thumb_plain_immediate
                                    : thumb_find_variant(thumb_data_immediate_variants, first);
    default:
        if ((group & 0x60U) == 0) {
            return thumb_decode_wide_load_store(first);
        }
        if ((group & 0x70U) == 0x20U) {
            return thumb_data_register;
        }
        return (group & 0x78U) == 0x30U ? thumb_multiply : thumb_long_multiply;
    }
}

thumb_execute *thumb_decode(uint32_t first, uint32_t second)
{
    return thumb_is_wide(first) ? thumb_decode_wide(first, second) : thumb_decode_narrow(first);
}
