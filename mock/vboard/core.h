#ifndef VBOARD_CORE_H
#define VBOARD_CORE_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* A Cortex-M3 core with its debug registers (ARM DDI 0403, chapters B1 and C1). */

enum core_state { CORE_RUNNING, CORE_SLEEPING, CORE_LOCKED_UP, CORE_HALTED };

/* What an instruction or an exception entry may run into. */
enum core_fault {
    CORE_FAULT_NONE,
    CORE_FAULT_FETCH,       /* BusFault, IBUSERR */
    CORE_FAULT_NO_EXECUTE,  /* MemManage, IACCVIOL */
    CORE_FAULT_DATA,        /* BusFault, PRECISERR; BFAR is set where it happens */
    CORE_FAULT_STACKING,    /* BusFault, STKERR */
    CORE_FAULT_UNSTACKING,  /* BusFault, UNSTKERR */
    CORE_FAULT_UNDEFINED,   /* UsageFault, UNDEFINSTR */
    CORE_FAULT_STATE,       /* UsageFault, INVSTATE */
    CORE_FAULT_RETURN,      /* UsageFault, INVPC */
    CORE_FAULT_COPROCESSOR, /* UsageFault, NOCP */
    CORE_FAULT_UNALIGNED,   /* UsageFault, UNALIGNED */
    CORE_FAULT_DIVIDE,      /* UsageFault, DIVBYZERO */
    CORE_FAULT_VECTOR,      /* HardFault, VECTTBL */
    CORE_FAULT_DEBUG        /* HardFault, DEBUGEVT: BKPT without a debugger */
};

#define CORE_SP 13U
#define CORE_LR 14U
#define CORE_PC 15U

#define CORE_N (1U << 31)
#define CORE_Z (1U << 30)
#define CORE_C (1U << 29)
#define CORE_V (1U << 28)
#define CORE_Q (1U << 27)
#define CORE_APSR_MASK 0xF8000000U
#define CORE_EPSR_T (1U << 24)

#define CORE_CONTROL_NPRIV 1U
#define CORE_CONTROL_SPSEL 2U

#define CORE_DFSR_HALTED (1U << 0)
#define CORE_DFSR_BKPT (1U << 1)
#define CORE_DFSR_DWTTRAP (1U << 2)
#define CORE_DFSR_VCATCH (1U << 3)

#define CORE_DEMCR_VC_CORERESET (1U << 0)
#define CORE_DEMCR_VC_MMERR (1U << 4)
#define CORE_DEMCR_VC_NOCPERR (1U << 5)
#define CORE_DEMCR_VC_CHKERR (1U << 6)
#define CORE_DEMCR_VC_STATERR (1U << 7)
#define CORE_DEMCR_VC_BUSERR (1U << 8)
#define CORE_DEMCR_VC_INTERR (1U << 9)
#define CORE_DEMCR_VC_HARDERR (1U << 10)
#define CORE_DEMCR_TRCENA (1U << 24)

/* One instruction takes one cycle; a sleeping core's time passes at this rate. */
#define CORE_CYCLES_PER_US 8U

/* The flags as the last operations left them; putting them into APSR's place takes longer than most
 * instructions. */
struct core_flags {
    uint32_t n; /* its bit 31 */
    uint32_t z; /* set where this is zero */
    uint32_t c; /* 0 or 1 */
    uint32_t v; /* its bit 31 */
    bool q;
};

struct core {
    enum core_state state;
    uint32_t r[16]; /* r[13] is the stack pointer in use; r[15] the address of the next instruction */
    uint32_t instruction_address; /* of the instruction being executed */
    uint32_t inactive_sp;         /* the stack pointer not in use */
    bool uses_psp;
    struct core_flags flags;
    bool thumb;
    uint8_t itstate;
    uint32_t exception; /* IPSR; 0 in thread mode */
    uint8_t primask;
    uint8_t faultmask;
    uint8_t basepri;
    uint8_t control;
    bool event;          /* the event register of WFE */
    bool exclusive;      /* local monitor: a LDREX waits for its STREX */
    bool woken_by_event; /* the sleep is a WFE's */
    bool held_in_reset;  /* nRST is asserted */
    bool halt_after_reset;
    bool settled; /* runs in a loop that only something from outside can end */
    bool noisy;   /* stored, or read a device, since this was last cleared: no such loop */
    uint64_t cycles;
    uint64_t run_until; /* the cycle at which somebody has to look at the time */
    /* DHCSR */
    bool debug_enabled;
    bool halt_requested; /* C_HALT; also set when the core stops by itself */
    bool step;
    bool mask_interrupts;
    bool reset_seen;    /* S_RESET_ST */
    bool retired;       /* S_RETIRE_ST */
    bool transfer_done; /* S_REGRDY */
    bool watch_hit;     /* a watchpoint matched in this instruction */
    uint32_t dcrdr;
    uint32_t demcr;
    uint32_t dfsr;
};

void core_init(struct core *core);

/* Core reset: registers from the vector table, then run, or halt where DEMCR.VC_CORERESET asks for it. */
void core_reset(struct board *board);

/* Stop for as long as nRST is asserted. */
void core_hold(struct board *board);

/* Enter debug state for a reason (CORE_DFSR_ bits). Only with debug enabled. */
void core_halt(struct core *core, uint32_t reason);

/* BKPT, or a breakpoint comparator's match, at the current instruction. */
enum core_fault core_breakpoint(struct core *core) __attribute__((warn_unused_result));

/* Take a pending exception, or run one instruction, of a running core. */
void core_step(struct board *board);

#define CORE_WAIT_FOREVER UINT64_MAX

/* Run up to `budget` instructions. Returns for how many microseconds nothing will happen unless something
 * comes from outside: 0 for a core at work, CORE_WAIT_FOREVER for one that is halted, asleep without a timer,
 * locked up, or in a loop that only the debugger can end. */
uint64_t core_run(struct board *board, unsigned budget);

/* Time that passed while the core waited. */
void core_pass_time(struct board *board, uint64_t microseconds);

/* Something changed that a waiting loop may look at. */
void core_disturb(struct core *core);

/* The debug registers; DHCSR reads clear its sticky bits. */
uint32_t core_read_dhcsr(struct core *core);
void core_write_dhcsr(struct board *board, uint32_t value);
void core_write_dcrsr(struct board *board, uint32_t value);

uint32_t core_get_apsr(const struct core *core);
void core_set_apsr(struct core *core, uint32_t value);
uint32_t core_get_xpsr(const struct core *core);
void core_set_xpsr(struct core *core, uint32_t value);

/* MSP (false) or PSP (true), whichever of them is in use. */
uint32_t *core_find_stack_pointer(struct core *core, bool psp);

/* Put MSP or PSP into r[13], as CONTROL and the mode say. */
void core_update_stack(struct core *core);

static inline bool core_is_privileged(const struct core *core)
{
    return core->exception != 0 || (core->control & CORE_CONTROL_NPRIV) == 0;
}

#endif
