/*
 * Allocation that cannot fail: running out of memory ends the process with a message. Every size that an
 * outsider chooses is capped before it gets here.
 */
#ifndef OCDMUX_BASE_ALLOC_H
#define OCDMUX_BASE_ALLOC_H

#include <stddef.h>

/* Each returns memory that the caller owns and gives back with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);
/* Gives free memory back to the system, where the allocator can: worth its while when much was freed. */
void alloc_give_back(void);
/* Copies `length` bytes and ends them with a NUL. */
char *xstrndup(const char *text, size_t length);

#endif
