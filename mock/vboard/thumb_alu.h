#ifndef VBOARD_THUMB_ALU_H
#define VBOARD_THUMB_ALU_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

/* Operands, flags, conditions and shifts (ARM DDI 0403, sections A2.2.1, A7.3 and A7.4.2). */

enum thumb_shift { THUMB_LSL, THUMB_LSR, THUMB_ASR, THUMB_ROR };

static inline uint32_t thumb_get(const struct core *core, uint32_t reg)
{
    return reg == CORE_PC ? core->instruction_address + 4 : core->r[reg];
}

static inline void thumb_set(struct core *core, uint32_t reg, uint32_t value)
{
    core->r[reg] = reg == CORE_SP ? value & ~3U : value;
}

/* The low register whose three bits are at `shift` in a 16-bit instruction. */
static inline uint32_t thumb_low(uint32_t insn, unsigned shift)
{
    return (insn >> shift) & 7U;
}

static inline uint32_t thumb_carry(const struct core *core)
{
    return core->flags.c;
}

static inline void thumb_set_nz(struct core *core, uint32_t result)
{
    core->flags.n = result;
    core->flags.z = result;
}

/* `carry` is 0 or 1. */
static inline void thumb_set_nzc(struct core *core, uint32_t result, uint32_t carry)
{
    thumb_set_nz(core, result);
    core->flags.c = carry;
}

/* Whether the flags satisfy one of the sixteen conditions. */
static inline bool thumb_passes(const struct core *core, uint32_t condition)
{
    bool n = (core->flags.n & CORE_N) != 0;
    bool z = core->flags.z == 0;
    bool c = core->flags.c != 0;
    bool v = (core->flags.v & CORE_N) != 0;
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

/* Sum of both operands and a carry; all four flags where `set` asks for them. */
static inline uint32_t thumb_add(struct core *core, uint32_t a, uint32_t b, uint32_t carry, bool set)
{
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t result = (uint32_t)wide;
    if (set) {
        thumb_set_nzc(core, result, (uint32_t)(wide >> 32));
        core->flags.v = (a ^ result) & (b ^ result);
    }
    return result;
}

/* Shift by 0 to 255; the carry flag goes in and the last bit shifted out comes back. */
static inline uint32_t thumb_shift(uint32_t value, enum thumb_shift type, uint32_t amount, uint32_t *carry)
{
    if (amount == 0) {
        return value;
    }
    switch (type) {
    case THUMB_LSL:
        *carry = amount <= 32 ? (value >> (32 - amount)) & 1U : 0;
        return amount < 32 ? value << amount : 0;
    case THUMB_LSR:
        *carry = amount <= 32 ? (value >> (amount - 1)) & 1U : 0;
        return amount < 32 ? value >> amount : 0;
    case THUMB_ASR:
        if (amount >= 32) {
            *carry = value >> 31;
            return *carry != 0 ? ~0U : 0;
        }
        *carry = (value >> (amount - 1)) & 1U;
        return (value >> amount) | ((value & CORE_N) != 0 ? ~(~0U >> amount) : 0);
    case THUMB_ROR:
        amount &= 31U;
        value = amount == 0 ? value : (value >> amount) | (value << (32 - amount));
        *carry = value >> 31;
        return value;
    }
    return value;
}

/* As thumb_shift(), by an immediate's five bits, where 0 stands for 32 or for rotate-with-extend. */
static inline uint32_t thumb_shift_imm(uint32_t value, uint32_t type, uint32_t amount, uint32_t *carry)
{
    if (amount == 0 && type == THUMB_ROR) {
        uint32_t result = (value >> 1) | (*carry << 31);
        *carry = value & 1U;
        return result;
    }
    if (amount == 0 && type != THUMB_LSL) {
        amount = 32;
    }
    return thumb_shift(value, (enum thumb_shift)type, amount, carry);
}

static inline uint32_t thumb_extend(uint32_t value, unsigned bits)
{
    uint32_t sign = 1U << (bits - 1);
    value &= (sign << 1) - 1U;
    return (value ^ sign) - sign;
}

static inline uint32_t thumb_reverse_bytes(uint32_t value)
{
    return (value >> 24) | ((value >> 8) & 0xFF00U) | ((value << 8) & 0xFF0000U) | (value << 24);
}

static inline uint32_t thumb_reverse_halves(uint32_t value)
{
    return ((value >> 8) & 0x00FF00FFU) | ((value << 8) & 0xFF00FF00U);
}

#endif
