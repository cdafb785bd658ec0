#ifndef VBOARD_BUS_H
#define VBOARD_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

struct board;

/* Who asks: read-out protection shuts flash to the debugger only. */
enum bus_master { BUS_CORE, BUS_DEBUG };

/* One range in which every access faults, for tests. */
struct bus_fault {
    uint32_t first;
    uint32_t last; /* inclusive */
};

#define BUS_FAULTS_MAX 32U

#define BUS_FLASH_BASE 0x08000000U
#define BUS_RAM_BASE 0x20000000U

/*
 * One access of 1, 2 or 4 bytes at a naturally aligned address; the value is in the low bits. False is a
 * bus fault: nothing there, misaligned, or refused by the device; the output is then untouched. Reads may
 * have side effects (DHCSR), so they are made once and never speculatively.
 */
bool bus_read(struct board *board, enum bus_master master, uint32_t address, unsigned size,
              uint32_t *ret_value) __attribute__((warn_unused_result));
bool bus_write(struct board *board, enum bus_master master, uint32_t address, unsigned size, uint32_t value)
    __attribute__((warn_unused_result));

/* Memory is little-endian. With `size` a constant each is a single access. */
static inline uint32_t bus_load(const uint8_t *bytes, unsigned size)
{
    switch (size) {
    case 1:
        return bytes[0];
    case 2:
        return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    default:
        return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
               (uint32_t)bytes[3] << 24;
    }
}

static inline void bus_store(uint8_t *bytes, unsigned size, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    if (size >= 2) {
        bytes[1] = (uint8_t)(value >> 8);
    }
    if (size == 4) {
        bytes[2] = (uint8_t)(value >> 16);
        bytes[3] = (uint8_t)(value >> 24);
    }
}

/* Half a word of program. Only memory below 0x40000000 may be executed. */
enum core_fault bus_fetch(struct board *board, uint32_t address, uint32_t *ret_value)
    __attribute__((warn_unused_result));

#endif
