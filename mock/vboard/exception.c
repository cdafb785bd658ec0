/*
 * Exceptions: eight words go onto the stack in use, the vector table says where to, and a branch to a magic
 * value brings them back.
 *
 *   fault ---> its own exception, where enabled and urgent enough
 *         \--> HardFault (FORCED) ---> lockup, where the core runs at HardFault's priority already
 */
#include "exception.h"

#include "coremem.h"
#include "log.h"

#define FRAME_WORDS 8U
#define FRAME_SIZE (4U * FRAME_WORDS)
#define FRAME_ALIGNED (1U << 9)
#define LOCKUP_ADDRESS 0xFFFFFFFEU

#define RETURN_HANDLER 0xFFFFFFF1U
#define RETURN_THREAD_MSP 0xFFFFFFF9U
#define RETURN_THREAD_PSP 0xFFFFFFFDU
#define RETURN_FIXED 0x0FFFFFF0U

#define CCR_NONBASETHRDENA (1U << 0)
#define CCR_STKALIGN (1U << 9)
#define SCR_SLEEPONEXIT (1U << 1)

#define HFSR_VECTTBL (1U << 1)
#define HFSR_FORCED (1U << 30)
#define HFSR_DEBUGEVT (1U << 31)
#define CFSR_STKERR (1U << 12)
#define CFSR_BFARVALID (1U << 15)

/* What a fault sets and where it goes. */
struct exception_fault {
    uint32_t exception;
    uint32_t cfsr;
    uint32_t catch; /* the DEMCR bit that stops there */
};

static const struct exception_fault exception_faults[] = {
    [CORE_FAULT_FETCH] = {NVIC_BUS_FAULT, 1U << 8, CORE_DEMCR_VC_BUSERR},
    [CORE_FAULT_NO_EXECUTE] = {NVIC_MEM_MANAGE, 1U << 0, CORE_DEMCR_VC_MMERR},
    [CORE_FAULT_DATA] = {NVIC_BUS_FAULT, 1U << 9 | CFSR_BFARVALID, CORE_DEMCR_VC_BUSERR},
    [CORE_FAULT_STACKING] = {NVIC_BUS_FAULT, CFSR_STKERR, CORE_DEMCR_VC_INTERR},
    [CORE_FAULT_UNSTACKING] = {NVIC_BUS_FAULT, 1U << 11, CORE_DEMCR_VC_INTERR},
    [CORE_FAULT_UNDEFINED] = {NVIC_USAGE_FAULT, 1U << 16, CORE_DEMCR_VC_STATERR},
    [CORE_FAULT_STATE] = {NVIC_USAGE_FAULT, 1U << 17, CORE_DEMCR_VC_STATERR},
    [CORE_FAULT_RETURN] = {NVIC_USAGE_FAULT, 1U << 18, CORE_DEMCR_VC_STATERR},
    [CORE_FAULT_COPROCESSOR] = {NVIC_USAGE_FAULT, 1U << 19, CORE_DEMCR_VC_NOCPERR},
    [CORE_FAULT_UNALIGNED] = {NVIC_USAGE_FAULT, 1U << 24, CORE_DEMCR_VC_CHKERR},
    [CORE_FAULT_DIVIDE] = {NVIC_USAGE_FAULT, 1U << 25, CORE_DEMCR_VC_CHKERR},
    [CORE_FAULT_VECTOR] = {NVIC_HARD_FAULT, 0, CORE_DEMCR_VC_INTERR},
    [CORE_FAULT_DEBUG] = {NVIC_HARD_FAULT, 0, 0},
};

static void exception_lock_up(struct board *board)
{
    log_debug("core: lockup at 0x%08x", board->core.r[CORE_PC]);
    board->core.state = CORE_LOCKED_UP;
    board->core.r[CORE_PC] = LOCKUP_ADDRESS;
}

/* The frame goes below the stack pointer in use, which moves even when a store faults. */
static bool exception_push_frame(struct board *board)
{
    struct core *core = &board->core;
    bool realign = (board->scs.ccr & CCR_STKALIGN) != 0 && (core->r[CORE_SP] & 4U) != 0;
    uint32_t xpsr = (core_get_xpsr(core) & ~FRAME_ALIGNED) | (realign ? FRAME_ALIGNED : 0);
    /* Bit 9 of the pushed xPSR belongs to the frame; an IT state never reaches it. */
    const uint32_t frame[FRAME_WORDS] = {core->r[0],  core->r[1],       core->r[2],       core->r[3],
                                         core->r[12], core->r[CORE_LR], core->r[CORE_PC], xpsr};
    core->r[CORE_SP] -= FRAME_SIZE + (realign ? 4U : 0U);
    for (uint32_t i = 0; i < FRAME_WORDS; i++) {
        if (core_store(board, core->r[CORE_SP] + 4 * i, 4, true, frame[i]) != CORE_FAULT_NONE) {
            return false;
        }
    }
    return true;
}

static void exception_enter(struct board *board, uint32_t exception)
{
    struct core *core = &board->core;
    struct nvic *nvic = &board->nvic;
    uint32_t handler;
    uint32_t link = core->exception != 0 ? RETURN_HANDLER
                    : core->uses_psp     ? RETURN_THREAD_PSP
                                         : RETURN_THREAD_MSP;
    nvic_set_pending(nvic, exception, false);
    if (!exception_push_frame(board)) {
        board->scs.cfsr |= CFSR_STKERR;
        if (exception > NVIC_HARD_FAULT) {
            board->scs.hfsr |= HFSR_FORCED;
            exception = NVIC_HARD_FAULT;
        }
    }
    nvic_set(nvic->active, exception, true);
    core->exception = exception;
    core->control &= (uint8_t)~CORE_CONTROL_SPSEL;
    core_update_stack(core);
    core->r[CORE_LR] = link;
    core->itstate = 0;
    core->exclusive = false;
    core->event = true;
    core->watch_hit = false;
    if (!bus_read(board, BUS_CORE, board->scs.vtor + 4 * exception, 4, &handler)) {
        board->scs.hfsr |= HFSR_VECTTBL;
        if (exception == NVIC_HARD_FAULT) {
            exception_lock_up(board);
        } else {
            exception_take_fault(board, CORE_FAULT_VECTOR);
        }
        return;
    }
    core->r[CORE_PC] = handler & ~1U;
    core->thumb = (handler & 1U) != 0;
}

bool exception_take_pending(struct board *board)
{
    uint32_t exception = nvic_find_pending(board);
    board->nvic.recheck = false;
    if (exception == 0 ||
        nvic_get_group_priority(&board->nvic, exception) >= nvic_get_execution_priority(board, true)) {
        return false;
    }
    board->core.noisy = true;
    exception_enter(board, exception);
    return true;
}

static bool exception_is_fault_enabled(const struct board *board, uint32_t exception)
{
    return (board->scs.shcsr >> (16 + exception - NVIC_MEM_MANAGE) & 1U) != 0;
}

void exception_take_fault(struct board *board, enum core_fault fault)
{
    const struct exception_fault *entry = &exception_faults[fault];
    struct core *core = &board->core;
    uint32_t exception = entry->exception;
    int running = nvic_get_execution_priority(board, true);
    board->scs.cfsr |= entry->cfsr;
    core->noisy = true;
    log_debug("core: fault %d at 0x%08x", (int)fault, core->r[CORE_PC]);
    if (exception != NVIC_HARD_FAULT && (!exception_is_fault_enabled(board, exception) ||
                                         nvic_get_group_priority(&board->nvic, exception) >= running)) {
        exception = NVIC_HARD_FAULT;
        board->scs.hfsr |= HFSR_FORCED;
    }
    if (fault == CORE_FAULT_DEBUG) {
        board->scs.hfsr |= HFSR_DEBUGEVT;
    }
    if (exception == NVIC_HARD_FAULT && running <= -1) {
        exception_lock_up(board);
        return;
    }
    exception_enter(board, exception);
    uint32_t catches = entry->catch | (exception == NVIC_HARD_FAULT ? CORE_DEMCR_VC_HARDERR : 0);
    if (core->debug_enabled && core->state == CORE_RUNNING && (core->demcr & catches) != 0) {
        core_halt(core, CORE_DFSR_VCATCH);
    }
}

enum core_fault exception_call_supervisor(struct board *board)
{
    struct nvic *nvic = &board->nvic;
    int running = nvic_get_execution_priority(board, true);
    if (nvic_get_group_priority(nvic, NVIC_SVCALL) < running) {
        nvic_set_pending(nvic, NVIC_SVCALL, true);
        return CORE_FAULT_NONE;
    }
    board->scs.hfsr |= HFSR_FORCED;
    if (running <= -1) {
        exception_lock_up(board);
    } else {
        nvic_set_pending(nvic, NVIC_HARD_FAULT, true);
    }
    return CORE_FAULT_NONE;
}

static unsigned exception_count_active(const struct nvic *nvic)
{
    unsigned count = 0;
    for (uint32_t word = 0; word < NVIC_WORDS; word++) {
        count += (unsigned)__builtin_popcount(nvic->active[word]);
    }
    return count;
}

/* Whether the magic value fits what is active. */
static bool exception_may_return(const struct board *board, uint32_t value)
{
    unsigned active = exception_count_active(&board->nvic);
    if ((value & RETURN_FIXED) != RETURN_FIXED || !nvic_is_set(board->nvic.active, board->core.exception)) {
        return false;
    }
    switch (value & 0xFU) {
    case RETURN_HANDLER & 0xFU:
        return active > 1;
    case RETURN_THREAD_MSP & 0xFU:
    case RETURN_THREAD_PSP & 0xFU:
        return active == 1 || (board->scs.ccr & CCR_NONBASETHRDENA) != 0;
    default:
        return false;
    }
}

static void exception_restore(struct core *core, const uint32_t *frame, bool to_thread, bool psp)
{
    uint32_t xpsr = frame[7];
    core_set_xpsr(core, xpsr & ~FRAME_ALIGNED);
    if (to_thread) {
        core->control = (uint8_t)((core->control & CORE_CONTROL_NPRIV) | (psp ? CORE_CONTROL_SPSEL : 0));
    }
    core_update_stack(core);
    core->r[CORE_SP] += FRAME_SIZE + ((xpsr & FRAME_ALIGNED) != 0 ? 4U : 0U);
    for (uint32_t i = 0; i < 4; i++) {
        core->r[i] = frame[i];
    }
    core->r[12] = frame[4];
    core->r[CORE_LR] = frame[5];
    core->r[CORE_PC] = frame[6] & ~1U;
    core->exclusive = false;
}

enum core_fault exception_return(struct board *board, uint32_t value)
{
    struct core *core = &board->core;
    uint32_t frame[FRAME_WORDS];
    if (!exception_may_return(board, value)) {
        return CORE_FAULT_RETURN;
    }
    bool to_thread = (value & 0x8U) != 0;
    bool psp = (value & 0x4U) != 0;
    uint32_t address = *core_find_stack_pointer(core, psp);
    for (uint32_t i = 0; i < FRAME_WORDS; i++) {
        if (core_load(board, address + 4 * i, 4, true, &frame[i]) != CORE_FAULT_NONE) {
            return CORE_FAULT_UNSTACKING;
        }
    }
    if (((frame[7] & 0x1FFU) == 0) != to_thread) {
        return CORE_FAULT_RETURN;
    }
    nvic_set(board->nvic.active, core->exception, false);
    if (core->exception != NVIC_NMI) {
        core->faultmask = 0;
    }
    exception_restore(core, frame, to_thread, psp);
    board->nvic.recheck = true;
    core->noisy = true;
    core->event = true;
    if (to_thread && (board->scs.scr & SCR_SLEEPONEXIT) != 0) {
        core->state = CORE_SLEEPING;
        core->woken_by_event = false;
    }
    return CORE_FAULT_NONE;
}

bool exception_wakes(struct board *board)
{
    struct core *core = &board->core;
    if (core->woken_by_event && core->event) {
        core->event = false;
        return true;
    }
    uint32_t exception = nvic_find_pending(board);
    /* PRIMASK keeps an interrupt from being taken, not from waking the core. */
    return exception != 0 &&
           nvic_get_group_priority(&board->nvic, exception) < nvic_get_execution_priority(board, false);
}
