#ifndef VBOARD_SYSTICK_H
#define VBOARD_SYSTICK_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* The SysTick timer (ARM DDI 0403, section B3.3), counting the core's cycles. */
struct systick {
    uint32_t control; /* ENABLE, TICKINT, CLKSOURCE */
    uint32_t reload;
    uint32_t stopped_at; /* the count while not enabled */
    uint64_t deadline;   /* the cycle at which the count reaches zero, while enabled */
    bool counted;        /* COUNTFLAG */
};

#define SYSTICK_NEVER UINT64_MAX

void systick_reset(struct systick *systick);

/* Cycles until the count reaches zero, at least 1; SYSTICK_NEVER where it does not run. */
uint64_t systick_get_cycles_left(const struct board *board);

/* Let the timer see the core's cycle count; pends the exception. */
void systick_advance(struct board *board);

/* Registers at 0x010 to 0x01c of the System Control Space; reading the first clears COUNTFLAG. */
uint32_t systick_read(struct board *board, uint32_t offset);
void systick_write(struct board *board, uint32_t offset, uint32_t value);

#endif
