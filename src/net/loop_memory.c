/* Blocks of 16 bytes out of one array, and malloc() for all that is larger, or when the array is used up. */
#include "net/loop_memory.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* As large as libevent's struct evmap_io is on 64 bits. */
#define BLOCK_BYTES 16u
/* Descriptor numbers of 100,000 clients and of what is beside them. Pages that were never used cost nothing.
 */
#define BLOCK_COUNT 131072u

union block {
    _Alignas(max_align_t) unsigned char bytes[BLOCK_BYTES];
    union block *next; /* of the free ones */
};

static union block blocks[BLOCK_COUNT];
static size_t used;
static union block *freed;

static bool is_block(const void *memory)
{
    uintptr_t place = (uintptr_t)memory;
    return place >= (uintptr_t)blocks && place < (uintptr_t)(blocks + BLOCK_COUNT);
}

static void *take(size_t size)
{
    if (size > BLOCK_BYTES || (freed == NULL && used == BLOCK_COUNT)) {
        return malloc(size);
    }
    union block *block = freed;
    if (block == NULL) {
        return &blocks[used++];
    }
    freed = block->next;
    return block;
}

static void give(void *memory)
{
    if (!is_block(memory)) {
        free(memory);
        return;
    }
    union block *block = memory;
    block->next = freed;
    freed = block;
}

static void *resize(void *memory, size_t size)
{
    if (memory == NULL) {
        return take(size);
    }
    if (!is_block(memory)) {
        return realloc(memory, size);
    }
    if (size <= BLOCK_BYTES) {
        return memory;
    }
    void *larger = malloc(size);
    if (larger != NULL) {
        memcpy(larger, memory, BLOCK_BYTES);
        give(memory);
    }
    return larger;
}

void loop_memory_init(void)
{
    static bool done;
    if (!done) {
        done = true;
        event_set_mem_functions(take, resize, give);
    }
}
