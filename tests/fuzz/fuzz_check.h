/* What fuzz targets check with. */
#ifndef OCDMUX_TESTS_FUZZ_CHECK_H
#define OCDMUX_TESTS_FUZZ_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Whether an output is as it was filled before a call that failed: with 0x55. */
static inline bool is_filled(const void *memory, size_t size)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0x55) {
            return false;
        }
    }
    return true;
}

#endif
