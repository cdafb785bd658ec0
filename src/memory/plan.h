/*
 * How a byte range is cut into accesses: byte accesses only where the ends are not aligned, the widest
 * allowed width between them, and never more than MEMORY_PLAN_MAX_ELEMENTS elements in one access. Pure
 * arithmetic.
 */
#ifndef OCDMUX_MEMORY_PLAN_H
#define OCDMUX_MEMORY_PLAN_H

#include <stdint.h>

/* More than this in one `read_memory` is slow on newer OpenOCDs, whose time grows with the square. */
#define MEMORY_PLAN_MAX_ELEMENTS 4096u

struct memory_access {
    uint64_t address; /* aligned to width / 8 */
    unsigned width;   /* bits: 8, 16, 32 or 64 */
    uint32_t count;   /* elements, 1 to MEMORY_PLAN_MAX_ELEMENTS */
};

/*
 * The first access of the range that starts at `address` and has `size` bytes (1 or more; address + size does
 * not pass 2^64), covering at most about `budget` bytes (at least one element is always taken), no access
 * wider than `max_width` bits. Unaligned ends use the narrower widths that fit (a range from 1 to 8 with
 * max_width 32 is an 8-bit, a 16-bit and a 32-bit access); a caller who wants only byte accesses passes
 * max_width 8.
 */
struct memory_access memory_plan_first(uint64_t address, uint64_t size, unsigned max_width, uint64_t budget);

/* The bytes that an access covers. */
uint64_t memory_access_size(const struct memory_access *access);

#endif
