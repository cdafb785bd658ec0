/* The debugger's side of the core: DHCSR, and the core registers behind DCRSR and DCRDR. */
#include "board.h"
#include "core.h"

#define DHCSR_KEY 0xA05FU
#define DHCSR_C_DEBUGEN (1U << 0)
#define DHCSR_C_HALT (1U << 1)
#define DHCSR_C_STEP (1U << 2)
#define DHCSR_C_MASKINTS (1U << 3)
#define DHCSR_S_REGRDY (1U << 16)
#define DHCSR_S_HALT (1U << 17)
#define DHCSR_S_SLEEP (1U << 18)
#define DHCSR_S_LOCKUP (1U << 19)
#define DHCSR_S_RETIRE_ST (1U << 24)
#define DHCSR_S_RESET_ST (1U << 25)

#define DCRSR_WRITE (1U << 16)
#define REGSEL_XPSR 16U
#define REGSEL_MSP 17U
#define REGSEL_PSP 18U
#define REGSEL_SPECIAL 20U

uint32_t core_get_apsr(const struct core *core)
{
    const struct core_flags *flags = &core->flags;
    return (flags->n & CORE_N) | (flags->z == 0 ? CORE_Z : 0) | (flags->c != 0 ? CORE_C : 0) |
           ((flags->v & CORE_N) != 0 ? CORE_V : 0) | (flags->q ? CORE_Q : 0);
}

void core_set_apsr(struct core *core, uint32_t value)
{
    core->flags = (struct core_flags){.n = value & CORE_N,
                                      .z = (value & CORE_Z) != 0 ? 0 : 1,
                                      .c = (value & CORE_C) != 0 ? 1 : 0,
                                      .v = (value & CORE_V) != 0 ? CORE_N : 0,
                                      .q = (value & CORE_Q) != 0};
}

uint32_t core_get_xpsr(const struct core *core)
{
    uint32_t it = core->itstate;
    return core_get_apsr(core) | (core->thumb ? CORE_EPSR_T : 0) | ((it & 3U) << 25) | ((it >> 2) << 10) |
           core->exception;
}

void core_set_xpsr(struct core *core, uint32_t value)
{
    core_set_apsr(core, value);
    core->thumb = (value & CORE_EPSR_T) != 0;
    core->itstate = (uint8_t)(((value >> 25) & 3U) | (((value >> 10) & 0x3FU) << 2));
    core->exception = value & 0x1FFU;
}

static uint32_t core_read_register(struct core *core, uint32_t select)
{
    if (select < 16) {
        return core->r[select];
    }
    switch (select) {
    case REGSEL_XPSR:
        return core_get_xpsr(core);
    case REGSEL_MSP:
        return *core_find_stack_pointer(core, false);
    case REGSEL_PSP:
        return *core_find_stack_pointer(core, true);
    case REGSEL_SPECIAL:
        return ((uint32_t)core->control << 24) | ((uint32_t)core->faultmask << 16) |
               ((uint32_t)core->basepri << 8) | core->primask;
    default:
        return 0;
    }
}

static void core_write_register(struct core *core, uint32_t select, uint32_t value)
{
    if (select < 16) {
        uint32_t mask = select == CORE_SP ? ~3U : select == CORE_PC ? ~1U : ~0U;
        core->r[select] = value & mask;
        return;
    }
    switch (select) {
    case REGSEL_XPSR:
        core_set_xpsr(core, value);
        core_update_stack(core);
        break;
    case REGSEL_MSP:
        *core_find_stack_pointer(core, false) = value & ~3U;
        break;
    case REGSEL_PSP:
        *core_find_stack_pointer(core, true) = value & ~3U;
        break;
    case REGSEL_SPECIAL:
        core->primask = value & 1U;
        core->basepri = (value >> 8) & 0xF0U;
        core->faultmask = (value >> 16) & 1U;
        core->control = (value >> 24) & 3U;
        core_update_stack(core);
        break;
    default:
        break;
    }
}

void core_write_dcrsr(struct board *board, uint32_t value)
{
    struct core *core = &board->core;
    /* A running core never completes the transfer: S_REGRDY stays clear. */
    core->transfer_done = core->state == CORE_HALTED;
    if (!core->transfer_done) {
        return;
    }
    if ((value & DCRSR_WRITE) != 0) {
        core_write_register(core, value & 0x7FU, core->dcrdr);
        board->nvic.recheck = true; /* masks and the current priority may be others now */
    } else {
        core->dcrdr = core_read_register(core, value & 0x7FU);
    }
}

uint32_t core_read_dhcsr(struct core *core)
{
    uint32_t value = (core->debug_enabled ? DHCSR_C_DEBUGEN : 0) | (core->halt_requested ? DHCSR_C_HALT : 0) |
                     (core->step ? DHCSR_C_STEP : 0) | (core->mask_interrupts ? DHCSR_C_MASKINTS : 0) |
                     (core->transfer_done ? DHCSR_S_REGRDY : 0) |
                     (core->state == CORE_HALTED ? DHCSR_S_HALT : 0) |
                     (core->state == CORE_SLEEPING ? DHCSR_S_SLEEP : 0) |
                     (core->state == CORE_LOCKED_UP ? DHCSR_S_LOCKUP : 0) |
                     (core->retired ? DHCSR_S_RETIRE_ST : 0) | (core->reset_seen ? DHCSR_S_RESET_ST : 0);
    core->reset_seen = core->held_in_reset;
    core->retired = core->state == CORE_RUNNING && !core->held_in_reset;
    return value;
}

static void core_resume(struct board *board)
{
    struct core *core = &board->core;
    core->state = CORE_RUNNING;
    core->settled = false;
    board->nvic.recheck = true;
    if (core->step) {
        core_step(board);
        if (core->state == CORE_RUNNING || core->state == CORE_SLEEPING) {
            core_halt(core, CORE_DFSR_HALTED);
        }
    }
}

void core_write_dhcsr(struct board *board, uint32_t value)
{
    struct core *core = &board->core;
    if ((value >> 16) != DHCSR_KEY) {
        return;
    }
    core->debug_enabled = (value & DHCSR_C_DEBUGEN) != 0;
    core->halt_requested = core->debug_enabled && (value & DHCSR_C_HALT) != 0;
    core->step = core->debug_enabled && (value & DHCSR_C_STEP) != 0;
    core->mask_interrupts = core->debug_enabled && (value & DHCSR_C_MASKINTS) != 0;
    board->nvic.recheck = true;
    if (core->held_in_reset) {
        core->halt_after_reset = core->halt_requested;
    } else if (core->halt_requested && core->state != CORE_HALTED) {
        core_halt(core, CORE_DFSR_HALTED);
    } else if (!core->halt_requested && core->state == CORE_HALTED) {
        core_resume(board);
    }
}
