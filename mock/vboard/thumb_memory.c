/* The 32-bit loads, stores and table branches (ARM DDI 0403, sections A5.3.5 to A5.3.10). */
#include "coremem.h"
#include "thumb.h"
#include "thumb_alu.h"

enum core_fault thumb_load_multiple(struct board *board, uint32_t address, uint32_t list)
{
    struct core *core = &board->core;
    uint32_t values[16];
    for (uint32_t reg = 0; reg < 16; reg++) {
        if ((list & (1U << reg)) != 0) {
            enum core_fault fault = core_load(board, address, 4, true, &values[reg]);
            if (fault != CORE_FAULT_NONE) {
                return fault;
            }
            address += 4;
        }
    }
    for (uint32_t reg = 0; reg < 15; reg++) {
        if ((list & (1U << reg)) != 0) {
            thumb_set(core, reg, values[reg]);
        }
    }
    return (list & (1U << CORE_PC)) != 0 ? thumb_branch_exchange(board, values[CORE_PC]) : CORE_FAULT_NONE;
}

enum core_fault thumb_store_multiple(struct board *board, uint32_t address, uint32_t list)
{
    for (uint32_t reg = 0; reg < 15; reg++) {
        if ((list & (1U << reg)) != 0) {
            enum core_fault fault = core_store(board, address, 4, true, board->core.r[reg]);
            if (fault != CORE_FAULT_NONE) {
                return fault;
            }
            address += 4;
        }
    }
    return CORE_FAULT_NONE;
}

enum core_fault thumb_wide_multiple(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t rn = first & 15U;
    uint32_t op = (first >> 7) & 3U;
    bool load = (first & 0x10U) != 0;
    bool write_back = (first & 0x20U) != 0;
    uint32_t length = 4U * (uint32_t)__builtin_popcount(second);
    if ((op != 1 && op != 2) || rn == CORE_PC || (second & (1U << CORE_SP)) != 0) {
        return CORE_FAULT_UNDEFINED;
    }
    uint32_t base = core->r[rn];
    uint32_t end = op == 1 ? base + length : base - length;
    uint32_t start = op == 1 ? base : end;
    if (!load) {
        enum core_fault fault = thumb_store_multiple(board, start, second);
        if (fault == CORE_FAULT_NONE && write_back) {
            thumb_set(core, rn, end);
        }
        return fault;
    }
    /* The base moves first: loading PC may be an exception return, which pops its frame from there. */
    if (write_back && (second & (1U << rn)) == 0) {
        thumb_set(core, rn, end);
    }
    enum core_fault fault = thumb_load_multiple(board, start, second);
    if (fault != CORE_FAULT_NONE && fault != CORE_FAULT_RETURN && fault != CORE_FAULT_UNSTACKING) {
        core->r[rn] = base;
    }
    return fault;
}

/* LDREX and STREX in their three sizes: one core, so the monitor only remembers that a LDREX came first. */
static enum core_fault thumb_exclusive(struct board *board, uint32_t address, unsigned size, bool load,
                                       uint32_t rt, uint32_t rd)
{
    struct core *core = &board->core;
    if (load) {
        uint32_t value;
        enum core_fault fault = core_load(board, address, size, true, &value);
        if (fault == CORE_FAULT_NONE) {
            thumb_set(core, rt, value);
            core->exclusive = true;
        }
        return fault;
    }
    if (core->exclusive) {
        enum core_fault fault = core_store(board, address, size, true, core->r[rt]);
        if (fault != CORE_FAULT_NONE) {
            return fault;
        }
    }
    thumb_set(core, rd, core->exclusive ? 0 : 1);
    core->exclusive = false;
    return CORE_FAULT_NONE;
}

/* TBB and TBH. */
static enum core_fault thumb_table_branch(struct board *board, uint32_t first, uint32_t second)
{
    struct core *core = &board->core;
    unsigned size = (second & 0x10U) != 0 ? 2 : 1;
    uint32_t address = thumb_get(core, first & 15U) + core->r[second & 15U] * size;
    uint32_t offset;
    enum core_fault fault = core_load(board, address, size, false, &offset);
    if (fault == CORE_FAULT_NONE) {
        core->r[CORE_PC] = core->instruction_address + 4 + 2 * offset;
    }
    return fault;
}

static enum core_fault thumb_exclusive_or_table(struct board *board, uint32_t first, uint32_t second)
{
    uint32_t base = board->core.r[first & 15U];
    bool load = (first & 0x10U) != 0;
    uint32_t rt = (second >> 12) & 15U;
    if ((first & 0x80U) == 0) {
        return thumb_exclusive(board, base + ((second & 0xFFU) << 2), 4, load, rt, (second >> 8) & 15U);
    }
    switch ((second >> 4) & 15U) {
    case 0:
    case 1:
        return load ? thumb_table_branch(board, first, second) : CORE_FAULT_UNDEFINED;
    case 4:
        return thumb_exclusive(board, base, 1, load, rt, second & 15U);
    case 5:
        return thumb_exclusive(board, base, 2, load, rt, second & 15U);
    default:
        return CORE_FAULT_UNDEFINED;
    }
}

/* LDRD, STRD, exclusive accesses, table branches. */
enum core_fault thumb_wide_dual(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    bool indexed = (first & 0x100U) != 0;
    bool write_back = (first & 0x20U) != 0;
    if (!indexed && !write_back) {
        return thumb_exclusive_or_table(board, first, second);
    }
    uint32_t rn = first & 15U;
    uint32_t rt = (second >> 12) & 15U;
    uint32_t rt2 = (second >> 8) & 15U;
    uint32_t imm = (second & 0xFFU) << 2;
    uint32_t base = rn == CORE_PC ? thumb_get(core, CORE_PC) & ~3U : core->r[rn];
    uint32_t moved = (first & 0x80U) != 0 ? base + imm : base - imm;
    uint32_t address = indexed ? moved : base;
    enum core_fault fault;
    if ((first & 0x10U) != 0) {
        uint32_t low = 0;
        uint32_t high = 0;
        fault = core_load(board, address, 4, true, &low);
        if (fault == CORE_FAULT_NONE) {
            fault = core_load(board, address + 4, 4, true, &high);
        }
        if (fault != CORE_FAULT_NONE) {
            return fault;
        }
        thumb_set(core, rt, low);
        thumb_set(core, rt2, high);
    } else {
        fault = core_store(board, address, 4, true, core->r[rt]);
        if (fault == CORE_FAULT_NONE) {
            fault = core_store(board, address + 4, 4, true, core->r[rt2]);
        }
    }
    if (fault == CORE_FAULT_NONE && write_back) {
        thumb_set(core, rn, moved);
    }
    return fault;
}

/* Where a single load or store goes, and what becomes of its base. False: no such form. */
static bool thumb_find_address(const struct core *core, uint32_t first, uint32_t second,
                               uint32_t *ret_address, uint32_t *ret_base)
{
    uint32_t rn = first & 15U;
    if (rn == CORE_PC) {
        uint32_t base = thumb_get(core, CORE_PC) & ~3U;
        uint32_t imm = second & 0xFFFU;
        *ret_address = (first & 0x80U) != 0 ? base + imm : base - imm;
        *ret_base = core->r[CORE_PC];
        return true;
    }
    uint32_t base = core->r[rn];
    *ret_base = base;
    if ((first & 0x80U) != 0) {
        *ret_address = base + (second & 0xFFFU);
        return true;
    }
    if ((second & 0x800U) == 0) {
        *ret_address = base + (core->r[second & 15U] << ((second >> 4) & 3U));
        return (second & 0x7C0U) == 0;
    }
    uint32_t imm = second & 0xFFU;
    uint32_t moved = (second & 0x200U) != 0 ? base + imm : base - imm;
    bool indexed = (second & 0x400U) != 0;
    bool write_back = (second & 0x100U) != 0;
    *ret_address = indexed ? moved : base;
    *ret_base = write_back ? moved : base;
    return indexed || write_back;
}

/* LDR to PC is a branch; the base is written first, since an exception return replaces the registers. */
static enum core_fault thumb_finish_load(struct board *board, uint32_t rt, uint32_t rn, uint32_t value,
                                         uint32_t base)
{
    struct core *core = &board->core;
    if (rn != CORE_PC) {
        thumb_set(core, rn, base);
    }
    if (rt == CORE_PC) {
        return thumb_branch_exchange(board, value);
    }
    thumb_set(core, rt, value);
    return CORE_FAULT_NONE;
}

static inline enum core_fault thumb_wide_load_store(struct board *board, const struct thumb_insn *insn,
                                                    unsigned size, bool load, bool extend)
{
    struct core *core = &board->core;
    uint32_t rn = insn->first & 15U;
    uint32_t rt = (uint32_t)insn->second >> 12;
    uint32_t address;
    uint32_t base;
    if ((!load && rn == CORE_PC) || !thumb_find_address(core, insn->first, insn->second, &address, &base)) {
        return CORE_FAULT_UNDEFINED;
    }
    if (load && rt == CORE_PC && size < 4) {
        return CORE_FAULT_NONE; /* PLD, PLI: hints */
    }
    if (!load) {
        enum core_fault stored = core_store(board, address, size, false, core->r[rt]);
        if (stored == CORE_FAULT_NONE) {
            thumb_set(core, rn, base);
        }
        return stored;
    }
    uint32_t value;
    enum core_fault fault = core_load(board, address, size, false, &value);
    if (fault != CORE_FAULT_NONE) {
        return fault;
    }
    return thumb_finish_load(board, rt, rn, extend ? thumb_extend(value, 8 * size) : value, base);
}

THUMB_VARIANT(thumb_wide_strb, thumb_wide_load_store(board, insn, 1, false, false))
THUMB_VARIANT(thumb_wide_ldrb, thumb_wide_load_store(board, insn, 1, true, false))
THUMB_VARIANT(thumb_wide_strh, thumb_wide_load_store(board, insn, 2, false, false))
THUMB_VARIANT(thumb_wide_ldrh, thumb_wide_load_store(board, insn, 2, true, false))
THUMB_VARIANT(thumb_wide_str, thumb_wide_load_store(board, insn, 4, false, false))
THUMB_VARIANT(thumb_wide_ldr, thumb_wide_load_store(board, insn, 4, true, false))
THUMB_VARIANT(thumb_wide_ldrsb, thumb_wide_load_store(board, insn, 1, true, true))
THUMB_VARIANT(thumb_wide_ldrsh, thumb_wide_load_store(board, insn, 2, true, true))

thumb_execute *thumb_decode_wide_load_store(uint32_t first)
{
    /* By sign extension, size and direction. */
    static thumb_execute *const variants[2][4][2] = {
        {{thumb_wide_strb, thumb_wide_ldrb},
         {thumb_wide_strh, thumb_wide_ldrh},
         {thumb_wide_str, thumb_wide_ldr},
         {thumb_undefined, thumb_undefined}},
        {{thumb_undefined, thumb_wide_ldrsb},
         {thumb_undefined, thumb_wide_ldrsh},
         {thumb_undefined, thumb_undefined},
         {thumb_undefined, thumb_undefined}},
    };
    return variants[(first >> 8) & 1U][(first >> 5) & 3U][(first >> 4) & 1U];
}
