/* Elements to bytes and back. */
#include "memory/values.h"

void memory_value_to_bytes(uint64_t value, unsigned width, bool big_endian, uint8_t *bytes)
{
    unsigned count = width / 8;
    for (unsigned i = 0; i < count; i++) {
        unsigned place = big_endian ? count - 1 - i : i;
        bytes[place] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t memory_value_from_bytes(const uint8_t *bytes, unsigned width, bool big_endian)
{
    unsigned count = width / 8;
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned place = big_endian ? count - 1 - i : i;
        value |= (uint64_t)bytes[place] << (8 * i);
    }
    return value;
}
