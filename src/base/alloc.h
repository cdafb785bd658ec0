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
/* Copies `length` bytes and ends them with a NUL. */
char *xstrndup(const char *text, size_t length);

#endif
