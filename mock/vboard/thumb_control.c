/* The 32-bit branches and system instructions (ARM DDI 0403, section A5.3.4). */
#include "board.h"
#include "thumb.h"
#include "thumb_alu.h"

#define SYSM_IPSR 5U
#define SYSM_MSP 8U
#define SYSM_PSP 9U
#define SYSM_PRIMASK 16U
#define SYSM_BASEPRI 17U
#define SYSM_BASEPRI_MAX 18U
#define SYSM_FAULTMASK 19U
#define SYSM_CONTROL 20U

static uint32_t thumb_read_special(struct core *core, uint32_t sysm)
{
    if (sysm < 8) {
        uint32_t value = (sysm & 4U) == 0 ? core_get_apsr(core) : 0;
        return (sysm & 1U) != 0 ? value | core->exception : value; /* EPSR reads as zero */
    }
    if (sysm == SYSM_CONTROL) {
        return core->control;
    }
    if (!core_is_privileged(core)) {
        return 0;
    }
    switch (sysm) {
    case SYSM_MSP:
        return *core_find_stack_pointer(core, false);
    case SYSM_PSP:
        return *core_find_stack_pointer(core, true);
    case SYSM_PRIMASK:
        return core->primask;
    case SYSM_BASEPRI:
    case SYSM_BASEPRI_MAX:
        return core->basepri;
    case SYSM_FAULTMASK:
        return core->faultmask;
    default:
        return 0;
    }
}

static void thumb_write_special(struct board *board, uint32_t sysm, uint32_t value)
{
    struct core *core = &board->core;
    if (sysm < 4) {
        core_set_apsr(core, value);
        return;
    }
    if (!core_is_privileged(core)) {
        return;
    }
    uint8_t priority = (uint8_t)(value & 0xF0U);
    switch (sysm) {
    case SYSM_MSP:
        *core_find_stack_pointer(core, false) = value & ~3U;
        break;
    case SYSM_PSP:
        *core_find_stack_pointer(core, true) = value & ~3U;
        break;
    case SYSM_PRIMASK:
        core->primask = value & 1U;
        break;
    case SYSM_BASEPRI:
        core->basepri = priority;
        break;
    case SYSM_BASEPRI_MAX:
        if (priority != 0 && (core->basepri == 0 || priority < core->basepri)) {
            core->basepri = priority;
        }
        break;
    case SYSM_FAULTMASK:
        core->faultmask = value & 1U;
        break;
    case SYSM_CONTROL:
        core->control = value & (CORE_CONTROL_NPRIV | CORE_CONTROL_SPSEL);
        core_update_stack(core);
        break;
    default:
        break;
    }
    board->nvic.recheck = true;
}

static enum core_fault thumb_system(struct board *board, uint32_t first, uint32_t second)
{
    struct core *core = &board->core;
    switch ((first >> 4) & 0x7FU) {
    case 0x38:
    case 0x39:
        thumb_write_special(board, second & 0xFFU, core->r[first & 15U]);
        return CORE_FAULT_NONE;
    case 0x3A:
        if ((second & 0x7F0U) == 0) {
            thumb_hint(board, second & 15U);
        }
        return CORE_FAULT_NONE;
    case 0x3B: /* CLREX; the barriers have nothing to wait for */
        if ((second & 0xF0U) == 0x20U) {
            core->exclusive = false;
        }
        return CORE_FAULT_NONE;
    case 0x3E:
    case 0x3F:
        thumb_set(core, (second >> 8) & 15U, thumb_read_special(core, second & 0xFFU));
        return CORE_FAULT_NONE;
    default:
        return CORE_FAULT_UNDEFINED;
    }
}

/* The 25-bit offset of B and BL. */
static uint32_t thumb_far_offset(uint32_t first, uint32_t second)
{
    uint32_t s = (first >> 10) & 1U;
    uint32_t i1 = ((second >> 13) & 1U) ^ s ^ 1U;
    uint32_t i2 = ((second >> 11) & 1U) ^ s ^ 1U;
    return thumb_extend(s << 24 | i1 << 23 | i2 << 22 | (first & 0x3FFU) << 12 | (second & 0x7FFU) << 1, 25);
}

enum core_fault thumb_wide_branch(struct board *board, const struct thumb_insn *insn)
{
    struct core *core = &board->core;
    uint32_t first = insn->first;
    uint32_t second = insn->second;
    uint32_t here = core->instruction_address + 4;
    switch ((second >> 12) & 5U) {
    case 0:
        if ((first & 0x380U) == 0x380U) {
            return thumb_system(board, first, second);
        }
        if (thumb_passes(core, (first >> 6) & 15U)) {
            uint32_t offset = ((first >> 10) & 1U) << 20 | ((second >> 11) & 1U) << 19 |
                              ((second >> 13) & 1U) << 18 | (first & 0x3FU) << 12 | (second & 0x7FFU) << 1;
            core->r[CORE_PC] = here + thumb_extend(offset, 21);
        }
        return CORE_FAULT_NONE;
    case 1:
        core->r[CORE_PC] = here + thumb_far_offset(first, second);
        return CORE_FAULT_NONE;
    case 5:
        core->r[CORE_LR] = here | 1U;
        core->r[CORE_PC] = here + thumb_far_offset(first, second);
        return CORE_FAULT_NONE;
    default: /* BLX with an immediate would leave Thumb */
        return CORE_FAULT_UNDEFINED;
    }
}
