#ifndef VBOARD_EXCEPTION_H
#define VBOARD_EXCEPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

struct board;

/* Exception entry and return (ARM DDI 0403, sections B1.5.6 to B1.5.15). */

/* Enter the most urgent pending exception if it may preempt. False: go on with the program. */
bool exception_take_pending(struct board *board);

/* Enter the fault's exception, or HardFault where that is not possible, or lock up where nothing is. r[15] is
 * the address to return to. */
void exception_take_fault(struct board *board, enum core_fault fault);

/* SVC. */
enum core_fault exception_call_supervisor(struct board *board) __attribute__((warn_unused_result));

/* A branch to one of the magic values in handler mode. */
enum core_fault exception_return(struct board *board, uint32_t value) __attribute__((warn_unused_result));

/* Whether a sleeping core has a reason to go on. */
bool exception_wakes(struct board *board);

#endif
