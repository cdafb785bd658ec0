#ifndef VBOARD_CODE_H
#define VBOARD_CODE_H

#include <stdint.h>

#include "core.h"
#include "thumb.h"

struct board;

/*
 * Instructions that were decoded before, by address: a loop is fetched and decoded once, and breakpoint
 * comparators are looked at only then. What changes the program must therefore be told here: every write to
 * memory that may be executed, by whomever, and every write to the breakpoint unit.
 */

#define CODE_SLOTS 4096U

struct code {
    /* By address / 2, modulo the size. What is found there is another instruction unless it has the address.
     */
    struct thumb_insn slots[CODE_SLOTS];
};

/* Forget everything. */
void code_flush(struct code *code);

/* Fetch and decode the instruction at this address into its slot. With a fault there is none. */
enum core_fault code_decode(struct board *board, uint32_t address) __attribute__((warn_unused_result));

/* Where the instruction at this address is, if it is there. */
static inline struct thumb_insn *code_find(struct code *code, uint32_t address)
{
    return &code->slots[(address / 2) % CODE_SLOTS];
}

/* The address in an empty slot is one that is looked for in another slot. Nothing else would do: an
 * instruction with unpredictable results may leave any address in PC, odd ones too. */
static inline void code_empty(struct thumb_insn *insn, uint32_t address)
{
    insn->address = address + 2;
}

static inline void code_forget_insn(struct code *code, uint32_t address)
{
    struct thumb_insn *insn = code_find(code, address);
    if (insn->address == address) {
        code_empty(insn, address);
    }
}

/* An aligned write of 1, 2 or 4 bytes: a 32-bit instruction may have begun half a word earlier. */
static inline void code_forget(struct code *code, uint32_t address, unsigned size)
{
    uint32_t half = address & ~1U;
    code_forget_insn(code, half - 2);
    code_forget_insn(code, half);
    if (size == 4) {
        code_forget_insn(code, half + 2);
    }
}

#endif
