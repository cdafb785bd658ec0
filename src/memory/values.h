/*
 * Between the elements that a target gives and the bytes that they stand for: an element of width W in memory
 * of a little- or big-endian target. Pure.
 */
#ifndef OCDMUX_MEMORY_VALUES_H
#define OCDMUX_MEMORY_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `width` is 8, 16, 32 or 64 bits. `bytes` has width / 8 bytes. */
void memory_value_to_bytes(uint64_t value, unsigned width, bool big_endian, uint8_t *bytes);
uint64_t memory_value_from_bytes(const uint8_t *bytes, unsigned width, bool big_endian);

#endif
