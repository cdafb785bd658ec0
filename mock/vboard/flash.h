#ifndef VBOARD_FLASH_H
#define VBOARD_FLASH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * STM32F1 embedded flash and its controller (FPEC), as in ST's PM0075 and RM0008 section 3.3.
 * Every operation is complete when the write that starts it returns: BSY is never seen set.
 */

#define FLASH_OPTION_BYTES 16U

/* Smallest and largest main flash, in bytes; sizes are multiples of one 4 KiB protection block. */
#define FLASH_SIZE_MIN 4096U
#define FLASH_SIZE_MAX (512U * 1024U)
#define FLASH_SIZE_STEP 4096U

/* What one key register has seen; a wrong key locks it until the next reset. */
enum flash_lock { FLASH_LOCKED, FLASH_KEY1_SEEN, FLASH_UNLOCKED, FLASH_LOCKED_OUT };

struct flash {
    uint8_t *cells; /* owned; `size` bytes of main flash */
    uint32_t size;
    uint32_t page_size;
    uint8_t options[FLASH_OPTION_BYTES]; /* the option cells: value, complement, eight times */
    enum flash_lock lock;
    enum flash_lock option_lock;
    uint32_t acr;
    uint32_t sr;
    uint32_t cr; /* without LOCK and OPTWRE, which are derived from the two locks */
    uint32_t ar;
    uint32_t obr;    /* loaded from the option cells at reset only */
    uint32_t wrpr;   /* likewise */
    uint32_t erases; /* how often cells, of options too, were erased */
};

/* All cells erased, option bytes as shipped (no protection). False when memory is short. */
bool flash_init(struct flash *flash, uint32_t size) __attribute__((warn_unused_result));
void flash_fini(struct flash *flash);

/* System reset: registers to their reset values, both locks closed, option bytes loaded. */
void flash_reset(struct flash *flash);

/* The option bytes as they leave the factory. */
void flash_set_default_options(struct flash *flash);

/* Whether the first word, a program's stack pointer, is erased. */
bool flash_is_blank(const struct flash *flash);

/* DBGMCU_IDCODE of the part with this much flash. */
uint32_t flash_get_device_id(const struct flash *flash);

/* True while read-out protection is in force (loaded at reset). */
bool flash_is_read_protected(const struct flash *flash);

/* Controller registers; offset from 0x40022000, a multiple of 4 below 0x400. False: bus error. */
bool flash_read_register(const struct flash *flash, uint32_t offset, uint32_t *ret_value)
    __attribute__((warn_unused_result));
bool flash_write_register(struct flash *flash, uint32_t offset, uint32_t value)
    __attribute__((warn_unused_result));

/* A bus write of `size` bytes (1, 2, 4) into main flash, or into the option cells. False: bus error. */
bool flash_program(struct flash *flash, uint32_t offset, unsigned size, uint32_t value)
    __attribute__((warn_unused_result));
bool flash_program_option(struct flash *flash, uint32_t offset, unsigned size, uint32_t value)
    __attribute__((warn_unused_result));

#endif
