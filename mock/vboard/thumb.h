#ifndef VBOARD_THUMB_H
#define VBOARD_THUMB_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

struct board;

/*
 * The Thumb instruction set of ARMv7-M without its DSP and floating-point extensions (ARM DDI 0403, chapter
 * A5 for the encodings, A7 for what they do), decoded afresh every time.
 *
 * On entry core->instruction_address is the instruction's own address and r[15] that of the next one. With a
 * fault, registers are as if the instruction had not been executed, except where the architecture itself
 * leaves load-multiple half done.
 */

/* One 16-bit instruction. */
enum core_fault thumb_execute_narrow(struct board *board, uint32_t insn) __attribute__((warn_unused_result));

/* One 32-bit instruction, by halves. */
enum core_fault thumb_execute_wide(struct board *board, uint32_t first, uint32_t second)
    __attribute__((warn_unused_result));

/* Whether the flags satisfy one of the sixteen conditions. */
bool thumb_passes(const struct core *core, uint32_t condition);

/* The parts of the 32-bit instruction set. */
enum core_fault thumb_wide_load_store(struct board *board, uint32_t first, uint32_t second)
    __attribute__((warn_unused_result));
enum core_fault thumb_wide_multiple(struct board *board, uint32_t first, uint32_t second)
    __attribute__((warn_unused_result));
enum core_fault thumb_wide_dual(struct board *board, uint32_t first, uint32_t second)
    __attribute__((warn_unused_result));
enum core_fault thumb_wide_branch(struct board *board, uint32_t first, uint32_t second)
    __attribute__((warn_unused_result));

/* Shared by the narrow and the wide forms. Register lists are bit masks. */
enum core_fault thumb_load_multiple(struct board *board, uint32_t address, uint32_t list)
    __attribute__((warn_unused_result));
enum core_fault thumb_store_multiple(struct board *board, uint32_t address, uint32_t list)
    __attribute__((warn_unused_result));

/* Branch as BX does: bit 0 selects the instruction set, and the magic values return from exceptions. */
enum core_fault thumb_branch_exchange(struct board *board, uint32_t target)
    __attribute__((warn_unused_result));

/* NOP, YIELD, WFE, WFI, SEV by number; others do nothing. */
void thumb_hint(struct board *board, uint32_t number);

#endif
