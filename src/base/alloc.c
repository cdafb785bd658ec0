/* Allocation that ends the process where there is no memory, so that no caller carries a path that no test
 * can run. */
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static void *require(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "ocdmux: out of memory (%zu bytes wanted)\n", size);
        abort();
    }
    return memory;
}

/* malloc(0) may answer NULL, which would look like a failure. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *xmalloc(size_t size)
{
    return require(malloc(at_least_one(size)), size);
}

void *xcalloc(size_t count, size_t size)
{
    return require(calloc(at_least_one(count), at_least_one(size)), size);
}

void *xrealloc(void *memory, size_t size)
{
    return require(realloc(memory, at_least_one(size)), size);
}

void alloc_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t length)
{
    char *copy = xmalloc(length + 1);
    if (length > 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}
