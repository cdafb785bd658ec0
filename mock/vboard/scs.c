/* System control registers, and who answers for the other parts of the System Control Space. */
#include "scs.h"

#include <string.h>

#include "board.h"

#define REG_ICTR 0x004U
#define REG_SYSTICK 0x010U
#define REG_SYSTICK_END 0x020U
#define REG_NVIC 0x100U
#define REG_NVIC_END 0x500U
#define REG_CPUID 0xD00U
#define REG_ICSR 0xD04U
#define REG_VTOR 0xD08U
#define REG_AIRCR 0xD0CU
#define REG_SCR 0xD10U
#define REG_CCR 0xD14U
#define REG_SHPR1 0xD18U
#define REG_SHPR3 0xD20U
#define REG_SHCSR 0xD24U
#define REG_CFSR 0xD28U
#define REG_HFSR 0xD2CU
#define REG_DFSR 0xD30U
#define REG_BFAR 0xD38U
#define REG_DHCSR 0xDF0U
#define REG_DCRSR 0xDF4U
#define REG_DCRDR 0xDF8U
#define REG_DEMCR 0xDFCU
#define REG_STIR 0xF00U

#define CPUID_CORTEX_M3_R1P1 0x411FC231U
#define ICTR_LINES 1U /* 33 to 64 interrupt lines */
#define AIRCR_KEY 0x05FAU
#define AIRCR_KEY_READ 0xFA050000U
#define AIRCR_VECTRESET (1U << 0)
#define AIRCR_VECTCLRACTIVE (1U << 1)
#define AIRCR_SYSRESETREQ (1U << 2)
#define AIRCR_PRIGROUP_SHIFT 8U
#define SCR_WRITABLE 0x16U
#define CCR_WRITABLE 0x31BU
#define DEMCR_WRITABLE 0x010F07F1U
#define VTOR_WRITABLE 0x3FFFFF80U
#define SHCSR_ENABLES 0x00070000U

#define ICSR_NMIPENDSET (1U << 31)
#define ICSR_PENDSVSET (1U << 28)
#define ICSR_PENDSVCLR (1U << 27)
#define ICSR_PENDSTSET (1U << 26)
#define ICSR_PENDSTCLR (1U << 25)
#define ICSR_ISRPENDING (1U << 22)

/* Exceptions whose active and pending bits SHCSR shows, by bit. */
struct scs_shcsr_bit {
    uint32_t bit;
    uint32_t exception;
    bool pending;
};

static const struct scs_shcsr_bit scs_shcsr_bits[] = {
    {0, NVIC_MEM_MANAGE, false},  {1, NVIC_BUS_FAULT, false},  {3, NVIC_USAGE_FAULT, false},
    {7, NVIC_SVCALL, false},      {10, NVIC_PENDSV, false},    {11, NVIC_SYSTICK, false},
    {12, NVIC_USAGE_FAULT, true}, {13, NVIC_MEM_MANAGE, true}, {14, NVIC_BUS_FAULT, true},
    {15, NVIC_SVCALL, true},
};

#define SHCSR_BITS (sizeof(scs_shcsr_bits) / sizeof(scs_shcsr_bits[0]))

void scs_reset(struct scs *scs)
{
    memset(scs, 0, sizeof(*scs));
}

static uint32_t scs_read_shcsr(const struct board *board)
{
    uint32_t value = board->scs.shcsr;
    for (size_t i = 0; i < SHCSR_BITS; i++) {
        const struct scs_shcsr_bit *entry = &scs_shcsr_bits[i];
        const uint32_t *bits = entry->pending ? board->nvic.pending : board->nvic.active;
        value |= nvic_is_set(bits, entry->exception) ? 1U << entry->bit : 0;
    }
    return value;
}

static void scs_write_shcsr(struct board *board, uint32_t value)
{
    board->scs.shcsr = value & SHCSR_ENABLES;
    for (size_t i = 0; i < SHCSR_BITS; i++) {
        const struct scs_shcsr_bit *entry = &scs_shcsr_bits[i];
        uint32_t *bits = entry->pending ? board->nvic.pending : board->nvic.active;
        nvic_set(bits, entry->exception, (value >> entry->bit & 1U) != 0);
    }
    board->nvic.recheck = true;
}

static uint32_t scs_read_icsr(const struct board *board)
{
    const struct nvic *nvic = &board->nvic;
    bool line = (nvic->pending[0] >> 16 | nvic->pending[1] | nvic->pending[2]) != 0;
    return board->core.exception | nvic_find_pending(board) << 12 | (line ? ICSR_ISRPENDING : 0) |
           (nvic_is_set(nvic->pending, NVIC_SYSTICK) ? ICSR_PENDSTSET : 0) |
           (nvic_is_set(nvic->pending, NVIC_PENDSV) ? ICSR_PENDSVSET : 0) |
           (nvic_is_set(nvic->pending, NVIC_NMI) ? ICSR_NMIPENDSET : 0);
}

static void scs_write_icsr(struct nvic *nvic, uint32_t value)
{
    if ((value & ICSR_NMIPENDSET) != 0) {
        nvic_set_pending(nvic, NVIC_NMI, true);
    }
    if ((value & (ICSR_PENDSVSET | ICSR_PENDSVCLR)) != 0) {
        nvic_set_pending(nvic, NVIC_PENDSV, (value & ICSR_PENDSVSET) != 0);
    }
    if ((value & (ICSR_PENDSTSET | ICSR_PENDSTCLR)) != 0) {
        nvic_set_pending(nvic, NVIC_SYSTICK, (value & ICSR_PENDSTSET) != 0);
    }
}

static void scs_write_aircr(struct board *board, uint32_t value)
{
    if ((value >> 16) != AIRCR_KEY) {
        return;
    }
    board->nvic.group = (value >> AIRCR_PRIGROUP_SHIFT) & 7U;
    board->nvic.recheck = true;
    if ((value & AIRCR_SYSRESETREQ) != 0) {
        board_system_reset(board);
    } else if ((value & AIRCR_VECTRESET) != 0) {
        board_core_reset(board);
    } else if ((value & AIRCR_VECTCLRACTIVE) != 0) {
        for (uint32_t exception = 0; exception < NVIC_EXCEPTIONS; exception++) {
            nvic_set(board->nvic.active, exception, false);
        }
        board->core.exception = 0;
        core_update_stack(&board->core);
    }
}

uint32_t scs_read(struct board *board, uint32_t offset)
{
    const struct scs *scs = &board->scs;
    if (offset >= REG_NVIC && offset < REG_NVIC_END) {
        return nvic_read(&board->nvic, offset);
    }
    if (offset >= REG_SYSTICK && offset < REG_SYSTICK_END) {
        return systick_read(board, offset);
    }
    if (offset >= REG_SHPR1 && offset <= REG_SHPR3) {
        return nvic_read_priorities(&board->nvic, NVIC_MEM_MANAGE + (offset - REG_SHPR1));
    }
    switch (offset) {
    case REG_ICTR:
        return ICTR_LINES;
    case REG_CPUID:
        return CPUID_CORTEX_M3_R1P1;
    case REG_ICSR:
        return scs_read_icsr(board);
    case REG_VTOR:
        return scs->vtor;
    case REG_AIRCR:
        return AIRCR_KEY_READ | board->nvic.group << AIRCR_PRIGROUP_SHIFT;
    case REG_SCR:
        return scs->scr;
    case REG_CCR:
        return scs->ccr;
    case REG_SHCSR:
        return scs_read_shcsr(board);
    case REG_CFSR:
        return scs->cfsr;
    case REG_HFSR:
        return scs->hfsr;
    case REG_DFSR:
        return board->core.dfsr;
    case REG_BFAR:
        return scs->bfar;
    case REG_DHCSR:
        return core_read_dhcsr(&board->core);
    case REG_DCRDR:
        return board->core.dcrdr;
    case REG_DEMCR:
        return board->core.demcr;
    default:
        return 0;
    }
}

static void scs_write_control(struct board *board, uint32_t offset, uint32_t value)
{
    struct scs *scs = &board->scs;
    switch (offset) {
    case REG_ICSR:
        scs_write_icsr(&board->nvic, value);
        break;
    case REG_VTOR:
        scs->vtor = value & VTOR_WRITABLE;
        break;
    case REG_AIRCR:
        scs_write_aircr(board, value);
        break;
    case REG_SCR:
        scs->scr = value & SCR_WRITABLE;
        break;
    case REG_CCR:
        scs->ccr = value & CCR_WRITABLE;
        break;
    case REG_SHCSR:
        scs_write_shcsr(board, value);
        break;
    case REG_CFSR:
        scs->cfsr &= ~value;
        break;
    case REG_HFSR:
        scs->hfsr &= ~value;
        break;
    case REG_STIR:
        if (NVIC_FIRST_LINE + (value & 0x1FFU) < NVIC_EXCEPTIONS) {
            nvic_set_pending(&board->nvic, NVIC_FIRST_LINE + (value & 0x1FFU), true);
        }
        break;
    default:
        break;
    }
}

void scs_write(struct board *board, uint32_t offset, uint32_t value)
{
    if (offset >= REG_NVIC && offset < REG_NVIC_END) {
        nvic_write(&board->nvic, offset, value);
        return;
    }
    if (offset >= REG_SYSTICK && offset < REG_SYSTICK_END) {
        systick_write(board, offset, value);
        return;
    }
    if (offset >= REG_SHPR1 && offset <= REG_SHPR3) {
        nvic_write_priorities(&board->nvic, NVIC_MEM_MANAGE + (offset - REG_SHPR1), value);
        return;
    }
    switch (offset) {
    case REG_DFSR:
        board->core.dfsr &= ~value;
        break;
    case REG_DHCSR:
        core_write_dhcsr(board, value);
        break;
    case REG_DCRSR:
        core_write_dcrsr(board, value);
        break;
    case REG_DCRDR:
        board->core.dcrdr = value;
        break;
    case REG_DEMCR:
        board->core.demcr = value & DEMCR_WRITABLE;
        break;
    default:
        scs_write_control(board, offset, value);
        break;
    }
}
