/* Running the core: reset, instruction by instruction, and in slices that leave room for the adapter. */
#include "core.h"

#include <string.h>

#include "board.h"
#include "exception.h"
#include "log.h"
#include "thumb.h"
#include "thumb_alu.h"

/* A loop is looked for only after this many instructions in a row without a store or a device read. */
#define SETTLE_INSTRUCTIONS 64U

void core_init(struct core *core)
{
    memset(core, 0, sizeof(*core));
    core->transfer_done = true;
}

uint32_t *core_find_stack_pointer(struct core *core, bool psp)
{
    return core->uses_psp == psp ? &core->r[CORE_SP] : &core->inactive_sp;
}

void core_update_stack(struct core *core)
{
    bool psp = core->exception == 0 && (core->control & CORE_CONTROL_SPSEL) != 0;
    if (core->uses_psp != psp) {
        uint32_t sp = core->r[CORE_SP];
        core->r[CORE_SP] = core->inactive_sp;
        core->inactive_sp = sp;
        core->uses_psp = psp;
    }
}

void core_halt(struct core *core, uint32_t reason)
{
    core->dfsr |= reason;
    core->halt_requested = true;
    core->state = CORE_HALTED;
}

enum core_fault core_breakpoint(struct core *core)
{
    if (!core->debug_enabled) {
        core->dfsr |= CORE_DFSR_BKPT;
        return CORE_FAULT_DEBUG;
    }
    core->r[CORE_PC] = core->instruction_address;
    core_halt(core, CORE_DFSR_BKPT);
    return CORE_FAULT_NONE;
}

void core_disturb(struct core *core)
{
    core->settled = false;
}

static void core_load_reset_state(struct core *core)
{
    memset(core->r, 0, sizeof(core->r));
    core->r[CORE_LR] = 0xFFFFFFFFU;
    core->inactive_sp = 0;
    core->uses_psp = false;
    core_set_apsr(core, 0);
    core->thumb = true;
    core->itstate = 0;
    core->exception = 0;
    core->primask = 0;
    core->faultmask = 0;
    core->basepri = 0;
    core->control = 0;
    core->event = false;
    core->exclusive = false;
    core->settled = false;
    core->reset_seen = true;
    core->step = false;
    core->halt_requested = false;
}

void core_hold(struct board *board)
{
    core_load_reset_state(&board->core);
    board->core.state = CORE_RUNNING; /* as soon as the line is released */
}

void core_reset(struct board *board)
{
    struct core *core = &board->core;
    uint32_t stack = 0;
    uint32_t entry = 0;
    core_load_reset_state(core);
    bool loaded = bus_read(board, BUS_CORE, board->scs.vtor, 4, &stack) &&
                  bus_read(board, BUS_CORE, board->scs.vtor + 4, 4, &entry);
    core->r[CORE_SP] = stack & ~3U;
    core->r[CORE_PC] = entry & ~1U;
    core->thumb = (entry & 1U) != 0;
    core->state = loaded ? CORE_RUNNING : CORE_LOCKED_UP;
    if (core->debug_enabled && (core->demcr & CORE_DEMCR_VC_CORERESET) != 0) {
        core_halt(core, CORE_DFSR_VCATCH);
    } else if (core->debug_enabled && core->halt_after_reset) {
        core_halt(core, CORE_DFSR_HALTED);
    }
    core->halt_after_reset = false;
    log_debug("core: reset, PC 0x%08x SP 0x%08x%s", core->r[CORE_PC], core->r[CORE_SP],
              core->state == CORE_HALTED ? ", halted" : "");
}

/* Any instruction, as the IT state wants it; the fault, if any, is the caller's. */
static __attribute__((noinline)) enum core_fault core_execute(struct board *board)
{
    struct core *core = &board->core;
    const struct thumb_insn *insn = code_find(&board->code, core->instruction_address);
    uint8_t it = core->itstate;
    enum core_fault fault = CORE_FAULT_NONE;
    if (!core->thumb) {
        return CORE_FAULT_STATE;
    }
    if (insn->address != core->instruction_address) {
        fault = code_decode(board, core->instruction_address);
        if (fault != CORE_FAULT_NONE) {
            return fault;
        }
    }
    core->r[CORE_PC] = core->instruction_address + thumb_get_size(insn);
    /* BKPT inside an IT block stops whatever its condition. */
    if (it == 0 || thumb_passes(core, it >> 4) || (insn->first & 0xFF00U) == 0xBE00U) {
        fault = insn->execute(board, insn);
    }
    if (it != 0 && fault == CORE_FAULT_NONE && core->state != CORE_HALTED && core->itstate == it) {
        core->itstate = (it & 7U) == 0 ? 0 : (uint8_t)((it & 0xE0U) | (((uint32_t)it << 1) & 0x1FU));
    }
    return fault;
}

/* Every loop goes through here: the way of an instruction that ran before must be short. */
static inline void core_advance(struct board *board)
{
    struct core *core = &board->core;
    enum core_fault fault;
    core->cycles++;
    if (board->nvic.recheck && exception_take_pending(board)) {
        return;
    }
    core->instruction_address = core->r[CORE_PC];
    const struct thumb_insn *insn = code_find(&board->code, core->instruction_address);
    if (insn->address == core->instruction_address && core->thumb && core->itstate == 0) {
        core->r[CORE_PC] = core->instruction_address + thumb_get_size(insn);
        fault = insn->execute(board, insn);
    } else {
        fault = core_execute(board);
    }
    if (fault != CORE_FAULT_NONE) {
        core->r[CORE_PC] = core->instruction_address;
        exception_take_fault(board, fault);
        return;
    }
    core->retired = true;
    if (core->watch_hit) {
        core->watch_hit = false;
        if (core->debug_enabled && core->state != CORE_HALTED) {
            core_halt(core, CORE_DFSR_DWTTRAP);
        }
    }
}

void core_step(struct board *board)
{
    core_advance(board);
}

/* Where registers and memory come back to what they were and nothing was stored or read from a device, the
 * loop goes on for ever: there is no need to execute it. */
static bool core_finds_loop(struct board *board)
{
    struct core *core = &board->core;
    uint32_t before[16];
    uint32_t apsr = core_get_apsr(core);
    uint8_t it = core->itstate;
    memcpy(before, core->r, sizeof(before));
    for (unsigned i = 0; i < SETTLE_INSTRUCTIONS; i++) {
        core_step(board);
        if (core->state != CORE_RUNNING || core->noisy) {
            return false;
        }
        if (core->r[CORE_PC] == before[CORE_PC] && core_get_apsr(core) == apsr && core->itstate == it &&
            memcmp(before, core->r, sizeof(before)) == 0) {
            return true;
        }
    }
    return false;
}

/* How long a core with nothing to do may be left alone. */
static uint64_t core_get_wait(const struct board *board)
{
    uint64_t cycles = systick_get_cycles_left(board);
    if (cycles == SYSTICK_NEVER) {
        return CORE_WAIT_FOREVER;
    }
    return cycles / CORE_CYCLES_PER_US + 1;
}

uint64_t core_run(struct board *board, unsigned budget)
{
    struct core *core = &board->core;
    if (core->held_in_reset || core->state == CORE_HALTED || core->state == CORE_LOCKED_UP) {
        return CORE_WAIT_FOREVER;
    }
    if (core->state == CORE_SLEEPING && !exception_wakes(board)) {
        return core_get_wait(board);
    }
    if (core->settled && !board->nvic.recheck) {
        return core_get_wait(board);
    }
    core->state = CORE_RUNNING;
    core->settled = false;
    core->noisy = false;
    uint64_t end = core->cycles + budget;
    while (core->cycles < end && core->state == CORE_RUNNING) {
        uint64_t tick = systick_get_cycles_left(board);
        core->run_until = tick < end - core->cycles ? core->cycles + tick : end;
        while (core->cycles < core->run_until && core->state == CORE_RUNNING) {
            core_advance(board);
        }
        systick_advance(board);
    }
    if (core->state == CORE_RUNNING && !core->noisy && core_finds_loop(board)) {
        core->settled = true;
    }
    return 0;
}

void core_pass_time(struct board *board, uint64_t microseconds)
{
    struct core *core = &board->core;
    if (core->state == CORE_SLEEPING || core->settled) {
        uint64_t cycles = microseconds * CORE_CYCLES_PER_US;
        uint64_t tick = systick_get_cycles_left(board);
        core->cycles += cycles < tick ? cycles : tick;
        systick_advance(board);
    }
}
