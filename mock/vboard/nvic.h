#ifndef VBOARD_NVIC_H
#define VBOARD_NVIC_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* Exception state and priorities (ARM DDI 0403, sections B1.5.4 and B3.4): 15 system exceptions, 60 lines. */

#define NVIC_EXCEPTIONS 76U
#define NVIC_WORDS 3U

#define NVIC_NMI 2U
#define NVIC_HARD_FAULT 3U
#define NVIC_MEM_MANAGE 4U
#define NVIC_BUS_FAULT 5U
#define NVIC_USAGE_FAULT 6U
#define NVIC_SVCALL 11U
#define NVIC_PENDSV 14U
#define NVIC_SYSTICK 15U
#define NVIC_FIRST_LINE 16U

struct nvic {
    uint32_t enabled[NVIC_WORDS]; /* by exception number; system exceptions other than faults always are */
    uint32_t pending[NVIC_WORDS];
    uint32_t active[NVIC_WORDS];
    uint8_t priority[NVIC_EXCEPTIONS]; /* four bits are there: the upper ones */
    uint32_t group;                    /* AIRCR.PRIGROUP */
    bool recheck;                      /* something changed that may let a pending exception in */
};

void nvic_reset(struct nvic *nvic);

bool nvic_is_set(const uint32_t *bits, uint32_t exception);
void nvic_set(uint32_t *bits, uint32_t exception, bool value);

void nvic_set_pending(struct nvic *nvic, uint32_t exception, bool pending);

/* Priority for preemption; lower is more urgent, negative ones are fixed. */
int nvic_get_group_priority(const struct nvic *nvic, uint32_t exception);

/* What an exception must undercut to be taken: the active ones and, with `masks`, PRIMASK, FAULTMASK and
 * BASEPRI. 256 when nothing is in the way. */
int nvic_get_execution_priority(const struct board *board, bool masks);

/* The most urgent exception that is pending and enabled, 0 for none. */
uint32_t nvic_find_pending(const struct board *board);

/* Registers from 0x100 to 0x4ff of the System Control Space. */
uint32_t nvic_read(const struct nvic *nvic, uint32_t offset);
void nvic_write(struct nvic *nvic, uint32_t offset, uint32_t value);

/* Four priorities in one word, from exception number `first` on. */
uint32_t nvic_read_priorities(const struct nvic *nvic, uint32_t first);
void nvic_write_priorities(struct nvic *nvic, uint32_t first, uint32_t value);

#endif
