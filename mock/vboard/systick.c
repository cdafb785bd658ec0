/* SysTick keeps no counter of its own: it knows at which core cycle the count will be zero. */
#include "systick.h"

#include <string.h>

#include "board.h"

#define CSR 0x010U
#define RVR 0x014U
#define CVR 0x018U

#define CSR_ENABLE (1U << 0)
#define CSR_TICKINT (1U << 1)
#define CSR_CLKSOURCE (1U << 2)
#define CSR_COUNTFLAG (1U << 16)
#define CSR_WRITABLE (CSR_ENABLE | CSR_TICKINT | CSR_CLKSOURCE)
#define COUNT_MASK 0x00FFFFFFU
#define EXTERNAL_DIVIDER 8U

void systick_reset(struct systick *systick)
{
    memset(systick, 0, sizeof(*systick));
}

/* Core cycles per count. */
static uint32_t systick_get_scale(const struct systick *systick)
{
    return (systick->control & CSR_CLKSOURCE) != 0 ? 1 : EXTERNAL_DIVIDER;
}

static bool systick_runs(const struct systick *systick)
{
    return (systick->control & CSR_ENABLE) != 0 && systick->reload != 0;
}

static uint64_t systick_get_period(const struct systick *systick)
{
    return (uint64_t)(systick->reload + 1) * systick_get_scale(systick);
}

static uint32_t systick_get_count(const struct board *board)
{
    const struct systick *systick = &board->systick;
    if (!systick_runs(systick)) {
        return systick->stopped_at;
    }
    uint64_t left = systick->deadline > board->core.cycles ? systick->deadline - board->core.cycles : 0;
    return (uint32_t)(left / systick_get_scale(systick)) & COUNT_MASK;
}

/* Count down from `count`; from zero the reload comes first. */
static void systick_start(struct board *board, uint32_t count)
{
    struct systick *systick = &board->systick;
    systick->stopped_at = count;
    systick->deadline = board->core.cycles + (count != 0 ? (uint64_t)count * systick_get_scale(systick)
                                                         : systick_get_period(systick));
}

uint64_t systick_get_cycles_left(const struct board *board)
{
    const struct systick *systick = &board->systick;
    if (!systick_runs(systick)) {
        return SYSTICK_NEVER;
    }
    return systick->deadline > board->core.cycles ? systick->deadline - board->core.cycles : 1;
}

void systick_advance(struct board *board)
{
    struct systick *systick = &board->systick;
    if (!systick_runs(systick) || board->core.cycles < systick->deadline) {
        return;
    }
    uint64_t period = systick_get_period(systick);
    systick->deadline += ((board->core.cycles - systick->deadline) / period + 1) * period;
    systick->counted = true;
    if ((systick->control & CSR_TICKINT) != 0) {
        nvic_set_pending(&board->nvic, NVIC_SYSTICK, true);
    }
}

uint32_t systick_read(struct board *board, uint32_t offset)
{
    struct systick *systick = &board->systick;
    switch (offset) {
    case CSR: {
        uint32_t value = systick->control | (systick->counted ? CSR_COUNTFLAG : 0);
        systick->counted = false;
        return value;
    }
    case RVR:
        return systick->reload;
    case CVR:
        return systick_get_count(board);
    default: /* CALIB: no reference, no calibration value */
        return 0xC0000000U;
    }
}

void systick_write(struct board *board, uint32_t offset, uint32_t value)
{
    struct systick *systick = &board->systick;
    uint32_t count = systick_get_count(board);
    board->core.run_until = board->core.cycles; /* the next tick may be due earlier now */
    switch (offset) {
    case CSR:
        systick->control = value & CSR_WRITABLE;
        systick_start(board, count);
        break;
    case RVR: /* taken up at the next reload */
        systick->reload = value & COUNT_MASK;
        if (count == 0) {
            systick_start(board, 0);
        }
        break;
    case CVR: /* any write clears */
        systick->counted = false;
        systick_start(board, 0);
        break;
    default:
        break;
    }
}
