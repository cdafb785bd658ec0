/*
 * A search for a byte pattern in a stream of chunks. Finds every match, overlapping ones and those across
 * chunk borders, while holding no more than the pattern's length less one of what went by. Pure.
 *
 * Without a mask, and with one where `align` is at least the pattern's length, the time is linear in the
 * stream, whatever pattern and stream are. With a mask and a smaller `align` the worst case is one word
 * operation for each byte of the stream and each 64 bytes of the pattern: about 60 ms for 1 MiB and the
 * longest pattern. Places that soon stop to match cost one word operation a byte.
 */
#ifndef OCDMUX_MEMORY_SEARCH_H
#define OCDMUX_MEMORY_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_SEARCH_MAX_PATTERN 4096u

struct memory_search;

/* Called for each match in rising order; false stops the search for good (a limit was reached). */
typedef bool memory_search_found(void *context, uint64_t address);

/*
 * `length` is 1 to MEMORY_SEARCH_MAX_PATTERN. `mask` is NULL or has `length` bytes: only bits that are set in
 * it are compared. Only matches whose address is a multiple of `align` (1 or more; a power of two is not
 * needed) count. The stream begins at address `start`. Pattern and mask are copied.
 */
struct memory_search *memory_search_new(const uint8_t *pattern, const uint8_t *mask, size_t length,
                                        uint64_t start, uint64_t align, memory_search_found *found,
                                        void *context);
void memory_search_free(struct memory_search *search);

/* The next bytes of the stream. False once `found` has said stop; further calls do nothing. */
bool memory_search_feed(struct memory_search *search, const uint8_t *bytes, size_t length);

#endif
