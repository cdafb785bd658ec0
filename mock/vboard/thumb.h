#ifndef VBOARD_THUMB_H
#define VBOARD_THUMB_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

struct board;

/*
 * The Thumb instruction set of ARMv7-M without its DSP and floating-point extensions (ARM DDI 0403, chapter
 * A5 for the encodings, A7 for what they do). Decoding finds the function that executes an instruction.
 *
 * On execution core->instruction_address is the instruction's own address and r[15] that of the next one.
 * With a fault, registers are as if the instruction had not been executed, except where the architecture
 * itself leaves load-multiple half done.
 */

struct thumb_insn;

typedef enum core_fault thumb_execute(struct board *board, const struct thumb_insn *insn);

struct thumb_insn {
    thumb_execute *execute;
    uint32_t address;
    uint16_t first;
    uint16_t second; /* of a 32-bit instruction; otherwise 0 */
};

/* A function for one instruction out of what executes a group of them; flattening makes the arguments that
 * are constant cost nothing. */
#define THUMB_VARIANT(name, call)                                                                            \
    __attribute__((flatten)) static enum core_fault name(struct board *board, const struct thumb_insn *insn) \
    {                                                                                                        \
        return call;                                                                                         \
    }

/* Whether this half-word begins a 32-bit instruction. */
static inline bool thumb_is_wide(uint32_t first)
{
    return first >= 0xE800U;
}

static inline uint32_t thumb_get_size(const struct thumb_insn *insn)
{
    return thumb_is_wide(insn->first) ? 4 : 2;
}

/* What executes an instruction, given by halves; never NULL. */
thumb_execute *thumb_decode(uint32_t first, uint32_t second);

/* Its parts, by encoding; each gets only what is its own. */
thumb_execute *thumb_decode_narrow(uint32_t first);
thumb_execute *thumb_decode_narrow_memory(uint32_t first);
thumb_execute *thumb_decode_wide(uint32_t first, uint32_t second);
thumb_execute *thumb_decode_wide_load_store(uint32_t first);
thumb_execute thumb_wide_multiple;
thumb_execute thumb_wide_dual;
thumb_execute thumb_wide_branch;
thumb_execute thumb_undefined;

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
