/* Cutting a range into accesses, one at a time, for the caller does not know the next budget yet. */
#include "memory/plan.h"

/* The widest access, in bytes, that is aligned at `address`, fits `size` bytes and is not over `max_bytes`.
 */
static uint64_t widest_at(uint64_t address, uint64_t size, uint64_t max_bytes)
{
    uint64_t bytes = max_bytes;
    while (bytes > 1 && (address % bytes != 0 || bytes > size)) {
        bytes /= 2;
    }
    return bytes;
}

/* How many elements of `bytes` follow each other from `address` before a wider access can take over. */
static uint64_t run_length(uint64_t address, uint64_t size, uint64_t bytes, uint64_t max_bytes)
{
    if (bytes == max_bytes) {
        return size / bytes;
    }
    /* Behind one narrow element either a wider one fits or the rest is too short for one. */
    uint64_t rest = size - bytes;
    return rest >= bytes && widest_at(address + bytes, rest, max_bytes) == bytes ? 2 : 1;
}

struct memory_access memory_plan_first(uint64_t address, uint64_t size, unsigned max_width, uint64_t budget)
{
    uint64_t max_bytes = max_width / 8;
    uint64_t bytes = widest_at(address, size, max_bytes);
    uint64_t count = run_length(address, size, bytes, max_bytes);
    if (count > budget / bytes) {
        count = budget / bytes;
    }
    if (count > MEMORY_PLAN_MAX_ELEMENTS) {
        count = MEMORY_PLAN_MAX_ELEMENTS;
    }
    if (count == 0) {
        count = 1;
    }
    return (struct memory_access){address, (unsigned)bytes * 8, (uint32_t)count};
}

uint64_t memory_access_size(const struct memory_access *access)
{
    return (uint64_t)access->count * (access->width / 8);
}
