/* Which exceptions are enabled, pending and active, and which of them goes first. */
#include "nvic.h"

#include <string.h>

#include "board.h"

#define PRIORITY_NONE 256
#define PRIORITY_BITS 0xF0U

#define ISER 0x100U
#define ICER 0x180U
#define ISPR 0x200U
#define ICPR 0x280U
#define IABR 0x300U
#define IPR 0x400U
#define REGISTER_BANK 0x80U

void nvic_reset(struct nvic *nvic)
{
    memset(nvic, 0, sizeof(*nvic));
    nvic->recheck = true;
}

bool nvic_is_set(const uint32_t *bits, uint32_t exception)
{
    /* The debugger may put any nine bits into IPSR. */
    return exception < NVIC_EXCEPTIONS && (bits[exception / 32] >> (exception % 32) & 1U) != 0;
}

void nvic_set(uint32_t *bits, uint32_t exception, bool value)
{
    uint32_t mask = 1U << (exception % 32);
    bits[exception / 32] = value ? bits[exception / 32] | mask : bits[exception / 32] & ~mask;
}

void nvic_set_pending(struct nvic *nvic, uint32_t exception, bool pending)
{
    nvic_set(nvic->pending, exception, pending);
    nvic->recheck = true;
}

static int nvic_get_priority(const struct nvic *nvic, uint32_t exception)
{
    if (exception == NVIC_NMI) {
        return -2;
    }
    return exception == NVIC_HARD_FAULT ? -1 : nvic->priority[exception];
}

static int nvic_mask_subpriority(const struct nvic *nvic, int priority)
{
    return priority < 0 ? priority : priority & ~((2 << nvic->group) - 1);
}

int nvic_get_group_priority(const struct nvic *nvic, uint32_t exception)
{
    return nvic_mask_subpriority(nvic, nvic_get_priority(nvic, exception));
}

int nvic_get_execution_priority(const struct board *board, bool masks)
{
    const struct nvic *nvic = &board->nvic;
    const struct core *core = &board->core;
    int lowest = PRIORITY_NONE;
    for (uint32_t word = 0; word < NVIC_WORDS; word++) {
        for (uint32_t left = nvic->active[word]; left != 0; left &= left - 1) {
            uint32_t exception = word * 32 + (uint32_t)__builtin_ctz(left);
            int priority = nvic_get_group_priority(nvic, exception);
            lowest = priority < lowest ? priority : lowest;
        }
    }
    if (!masks) {
        return lowest;
    }
    if (core->basepri != 0) {
        int base = nvic_mask_subpriority(nvic, core->basepri);
        lowest = base < lowest ? base : lowest;
    }
    if (core->primask != 0 && lowest > 0) {
        lowest = 0;
    }
    return core->faultmask != 0 && lowest > -1 ? -1 : lowest;
}

/* C_MASKINTS holds back everything that comes from outside the program. */
static bool nvic_is_masked_by_debugger(const struct core *core, uint32_t exception)
{
    return core->debug_enabled && core->mask_interrupts &&
           (exception == NVIC_PENDSV || exception >= NVIC_SYSTICK);
}

uint32_t nvic_find_pending(const struct board *board)
{
    const struct nvic *nvic = &board->nvic;
    uint32_t best = 0;
    for (uint32_t word = 0; word < NVIC_WORDS; word++) {
        uint32_t ready = nvic->pending[word];
        ready &= word == 0 ? nvic->enabled[0] | 0xFFFFU : nvic->enabled[word];
        for (; ready != 0; ready &= ready - 1) {
            uint32_t exception = word * 32 + (uint32_t)__builtin_ctz(ready);
            if (!nvic_is_masked_by_debugger(&board->core, exception) &&
                (best == 0 || nvic_get_priority(nvic, exception) < nvic_get_priority(nvic, best))) {
                best = exception;
            }
        }
    }
    return best;
}

/* 32 lines as one register, though they start in the middle of a word of exceptions. */
static uint32_t nvic_get_lines(const uint32_t *bits, uint32_t index)
{
    uint32_t low = bits[index] >> 16;
    return low | (index + 1 < NVIC_WORDS ? bits[index + 1] << 16 : 0);
}

static void nvic_change_lines(uint32_t *bits, uint32_t index, uint32_t lines, bool value)
{
    for (; lines != 0; lines &= lines - 1) {
        uint32_t exception = NVIC_FIRST_LINE + 32 * index + (uint32_t)__builtin_ctz(lines);
        if (exception < NVIC_EXCEPTIONS) {
            nvic_set(bits, exception, value);
        }
    }
}

uint32_t nvic_read_priorities(const struct nvic *nvic, uint32_t first)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4 && first + i < NVIC_EXCEPTIONS; i++) {
        value |= (uint32_t)nvic->priority[first + i] << (8 * i);
    }
    return value;
}

void nvic_write_priorities(struct nvic *nvic, uint32_t first, uint32_t value)
{
    for (uint32_t i = 0; i < 4 && first + i < NVIC_EXCEPTIONS; i++) {
        nvic->priority[first + i] = (uint8_t)(value >> (8 * i)) & PRIORITY_BITS;
    }
    nvic->recheck = true;
}

uint32_t nvic_read(const struct nvic *nvic, uint32_t offset)
{
    if (offset >= IPR) {
        return nvic_read_priorities(nvic, NVIC_FIRST_LINE + (offset - IPR));
    }
    uint32_t index = (offset % REGISTER_BANK) / 4;
    if (index >= NVIC_WORDS - 1) {
        return 0;
    }
    switch (offset - offset % REGISTER_BANK) {
    case ISER:
    case ICER:
        return nvic_get_lines(nvic->enabled, index);
    case ISPR:
    case ICPR:
        return nvic_get_lines(nvic->pending, index);
    case IABR:
        return nvic_get_lines(nvic->active, index);
    default:
        return 0;
    }
}

void nvic_write(struct nvic *nvic, uint32_t offset, uint32_t value)
{
    if (offset >= IPR) {
        nvic_write_priorities(nvic, NVIC_FIRST_LINE + (offset - IPR), value);
        return;
    }
    uint32_t index = (offset % REGISTER_BANK) / 4;
    if (index >= NVIC_WORDS - 1) {
        return;
    }
    switch (offset - offset % REGISTER_BANK) {
    case ISER:
        nvic_change_lines(nvic->enabled, index, value, true);
        break;
    case ICER:
        nvic_change_lines(nvic->enabled, index, value, false);
        break;
    case ISPR:
        nvic_change_lines(nvic->pending, index, value, true);
        break;
    case ICPR:
        nvic_change_lines(nvic->pending, index, value, false);
        break;
    default:
        break;
    }
    nvic->recheck = true;
}
