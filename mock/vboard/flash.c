/*
 * The STM32F1 flash controller: key locks, page and mass erase, half-word programming that can only clear
 * bits of erased cells, write and read-out protection, option bytes that take effect at reset.
 */
#include "flash.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

#define KEY1 0x45670123U
#define KEY2 0xCDEF89ABU

#define REG_ACR 0x00U
#define REG_KEYR 0x04U
#define REG_OPTKEYR 0x08U
#define REG_SR 0x0CU
#define REG_CR 0x10U
#define REG_AR 0x14U
#define REG_OBR 0x1CU
#define REG_WRPR 0x20U

#define SR_PGERR (1U << 2)
#define SR_WRPRTERR (1U << 4)
#define SR_EOP (1U << 5)

#define CR_PG (1U << 0)
#define CR_PER (1U << 1)
#define CR_MER (1U << 2)
#define CR_OPTPG (1U << 4)
#define CR_OPTER (1U << 5)
#define CR_STRT (1U << 6)
#define CR_LOCK (1U << 7)
#define CR_OPTWRE (1U << 9)
#define CR_ERRIE (1U << 10)
#define CR_EOPIE (1U << 12)
#define CR_OPERATIONS (CR_PG | CR_PER | CR_MER | CR_OPTPG | CR_OPTER)
#define CR_KEPT (CR_OPERATIONS | CR_ERRIE | CR_EOPIE)

#define ACR_RESET 0x30U
#define ACR_WRITABLE 0x1FU
#define ACR_PRFTBS (1U << 5)

#define OBR_OPTERR (1U << 0)
#define OBR_RDPRT (1U << 1)

#define RDP_OPEN 0xA5U
#define BLOCK_SIZE 4096U
#define BLOCKS_MAX 32U
#define FLASH_BASE 0x08000000U

/* Indexes of the option bytes; each takes two cells, the value and its complement. */
#define OPTION_RDP 0U
#define OPTION_USER 1U
#define OPTION_DATA0 2U
#define OPTION_DATA1 3U
#define OPTION_WRP0 4U
#define OPTIONS (FLASH_OPTION_BYTES / 2U)

bool flash_init(struct flash *flash, uint32_t size)
{
    uint8_t *cells = malloc(size);
    if (cells == NULL) {
        return false;
    }
    memset(flash, 0, sizeof(*flash));
    memset(cells, 0xFF, size);
    flash->cells = cells;
    flash->size = size;
    flash->page_size = size <= 128U * 1024U ? 1024U : 2048U;
    flash_set_default_options(flash);
    flash_reset(flash);
    return true;
}

void flash_fini(struct flash *flash)
{
    free(flash->cells);
    flash->cells = NULL;
}

void flash_set_default_options(struct flash *flash)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        flash->options[2 * i] = i == OPTION_RDP ? RDP_OPEN : 0xFF;
        flash->options[2 * i + 1] = (uint8_t)~flash->options[2 * i];
    }
}

/* One option byte as the loader sees it: a pair that does not match counts as 0xFF and sets OPTERR, but an
 * erased pair (0xFF twice) is not an error. */
static uint8_t flash_load_option(const struct flash *flash, unsigned index, uint32_t *obr)
{
    uint8_t value = flash->options[2 * index];
    uint8_t complement = flash->options[2 * index + 1];
    if (value == 0xFF && complement == 0xFF) {
        return 0xFF;
    }
    if ((value ^ complement) != 0xFF) {
        *obr |= OBR_OPTERR;
        return 0xFF;
    }
    return value;
}

static void flash_load_options(struct flash *flash)
{
    uint32_t obr = 0;
    if (flash_load_option(flash, OPTION_RDP, &obr) != RDP_OPEN) {
        obr |= OBR_RDPRT;
    }
    obr |= (uint32_t)flash_load_option(flash, OPTION_USER, &obr) << 2;
    obr |= (uint32_t)flash_load_option(flash, OPTION_DATA0, &obr) << 10;
    obr |= (uint32_t)flash_load_option(flash, OPTION_DATA1, &obr) << 18;
    uint32_t wrpr = 0;
    for (unsigned i = 0; i < 4; i++) {
        wrpr |= (uint32_t)flash_load_option(flash, OPTION_WRP0 + i, &obr) << (8 * i);
    }
    flash->obr = obr;
    flash->wrpr = wrpr;
}

void flash_reset(struct flash *flash)
{
    flash->lock = FLASH_LOCKED;
    flash->option_lock = FLASH_LOCKED;
    flash->acr = ACR_RESET;
    flash->sr = 0;
    flash->cr = 0;
    flash->ar = 0;
    flash_load_options(flash);
}

bool flash_is_blank(const struct flash *flash)
{
    static const uint8_t erased[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    return memcmp(flash->cells, erased, sizeof(erased)) == 0;
}

uint32_t flash_get_device_id(const struct flash *flash)
{
    return flash->page_size == 1024U ? 0x20036410U : 0x10036414U;
}

bool flash_is_read_protected(const struct flash *flash)
{
    return (flash->obr & OBR_RDPRT) != 0;
}

static bool flash_is_write_protected(const struct flash *flash, uint32_t offset)
{
    uint32_t block = offset / BLOCK_SIZE;
    if (block >= BLOCKS_MAX) {
        block = BLOCKS_MAX - 1; /* bit 31 stands for everything from there on */
    }
    /* Read-out protection also write-protects the first block. */
    if (block == 0 && flash_is_read_protected(flash)) {
        return true;
    }
    return (flash->wrpr & (1U << block)) == 0;
}

static bool flash_has_write_protection(const struct flash *flash)
{
    for (uint32_t offset = 0; offset < flash->size; offset += BLOCK_SIZE) {
        if (flash_is_write_protected(flash, offset)) {
            return true;
        }
    }
    return false;
}

bool flash_read_register(const struct flash *flash, uint32_t offset, uint32_t *ret_value)
{
    switch (offset) {
    case REG_ACR:
        *ret_value = flash->acr;
        return true;
    case REG_SR:
        *ret_value = flash->sr;
        return true;
    case REG_CR:
        *ret_value = flash->cr | (flash->lock == FLASH_UNLOCKED ? 0 : CR_LOCK) |
                     (flash->option_lock == FLASH_UNLOCKED ? CR_OPTWRE : 0);
        return true;
    case REG_OBR:
        *ret_value = flash->obr;
        return true;
    case REG_WRPR:
        *ret_value = flash->wrpr;
        return true;
    default: /* the write-only registers and the holes between */
        *ret_value = 0;
        return true;
    }
}

/* The right keys on an open lock change nothing; a wrong key shuts the lock until reset with a bus error. */
static bool flash_take_key(enum flash_lock *lock, uint32_t key)
{
    switch (*lock) {
    case FLASH_LOCKED:
        if (key == KEY1) {
            *lock = FLASH_KEY1_SEEN;
            return true;
        }
        break;
    case FLASH_KEY1_SEEN:
        if (key == KEY2) {
            *lock = FLASH_UNLOCKED;
            return true;
        }
        break;
    case FLASH_UNLOCKED:
        if (key == KEY1 || key == KEY2) {
            return true;
        }
        break;
    case FLASH_LOCKED_OUT:
        break;
    }
    *lock = FLASH_LOCKED_OUT;
    return false;
}

static void flash_erase_main(struct flash *flash, uint32_t offset, uint32_t length)
{
    memset(flash->cells + offset, 0xFF, length);
    flash->erases++;
    flash->sr |= SR_EOP;
}

static void flash_erase_page(struct flash *flash)
{
    uint32_t offset = flash->ar - FLASH_BASE;
    if (offset >= flash->size) {
        return;
    }
    offset -= offset % flash->page_size;
    if (flash_is_write_protected(flash, offset)) {
        flash->sr |= SR_WRPRTERR;
        return;
    }
    log_debug("flash: erase page at 0x%08x", FLASH_BASE + offset);
    flash_erase_main(flash, offset, flash->page_size);
}

/* Nothing is erased while another operation is selected as well, PG left set above all. */
static void flash_start(struct flash *flash)
{
    uint32_t selected = flash->cr & CR_OPERATIONS;
    if (selected == CR_MER) {
        if (flash_has_write_protection(flash)) {
            flash->sr |= SR_WRPRTERR;
            return;
        }
        log_debug("flash: mass erase");
        flash_erase_main(flash, 0, flash->size);
    } else if (selected == CR_PER) {
        flash_erase_page(flash);
    } else if (selected == CR_OPTER && flash->option_lock == FLASH_UNLOCKED) {
        log_debug("flash: erase option bytes");
        memset(flash->options, 0xFF, sizeof(flash->options));
        flash->erases++;
        flash->sr |= SR_EOP;
    }
}

static void flash_write_control(struct flash *flash, uint32_t value)
{
    if (flash->lock != FLASH_UNLOCKED) {
        return; /* read-only while locked */
    }
    flash->cr = value & CR_KEPT;
    if ((value & CR_OPTWRE) == 0 && flash->option_lock == FLASH_UNLOCKED) {
        flash->option_lock = FLASH_LOCKED;
    }
    if ((value & CR_STRT) != 0) {
        flash_start(flash);
    }
    if ((value & CR_LOCK) != 0) {
        flash->lock = FLASH_LOCKED;
    }
}

bool flash_write_register(struct flash *flash, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case REG_ACR:
        flash->acr = (value & ACR_WRITABLE) | ((value & (1U << 4)) != 0 ? ACR_PRFTBS : 0);
        return true;
    case REG_KEYR:
        return flash_take_key(&flash->lock, value);
    case REG_OPTKEYR:
        return flash_take_key(&flash->option_lock, value);
    case REG_SR:
        flash->sr &= ~(value & (SR_PGERR | SR_WRPRTERR | SR_EOP));
        return true;
    case REG_CR:
        flash_write_control(flash, value);
        return true;
    case REG_AR:
        flash->ar = value;
        return true;
    default: /* read-only registers and holes ignore writes */
        return true;
    }
}

bool flash_program(struct flash *flash, uint32_t offset, unsigned size, uint32_t value)
{
    /* Only half-words, only with PG set: anything else is answered with a bus error. LOCK guards the control
     * register, not the cells: where PG was left set, programming goes on working. */
    if (size != 2 || (flash->cr & CR_PG) == 0) {
        return false;
    }
    if (flash_is_write_protected(flash, offset)) {
        flash->sr |= SR_WRPRTERR;
        return true;
    }
    uint8_t *cell = flash->cells + offset;
    bool erased = cell[0] == 0xFF && cell[1] == 0xFF;
    if (!erased && (value & 0xFFFFU) != 0) { /* all zeros may be programmed over anything */
        flash->sr |= SR_PGERR;
        return true;
    }
    cell[0] = (uint8_t)(value & 0xFFU);
    cell[1] = (uint8_t)((value >> 8) & 0xFFU);
    flash->sr |= SR_EOP;
    return true;
}

bool flash_program_option(struct flash *flash, uint32_t offset, unsigned size, uint32_t value)
{
    if (size != 2 || (flash->cr & CR_OPTPG) == 0) {
        return false;
    }
    if (flash->option_lock != FLASH_UNLOCKED) {
        flash->sr |= SR_WRPRTERR;
        return true;
    }
    uint8_t *cell = flash->options + offset;
    if (cell[0] != 0xFF || cell[1] != 0xFF) {
        flash->sr |= SR_PGERR;
        return true;
    }
    uint8_t byte = (uint8_t)(value & 0xFFU);
    /* Opening a read-protected part first erases what was protected. */
    if (offset == 2 * OPTION_RDP && byte == RDP_OPEN && flash_is_read_protected(flash)) {
        log_debug("flash: read-out protection removed, mass erase");
        flash_erase_main(flash, 0, flash->size);
    }
    cell[0] = byte;
    cell[1] = (uint8_t)~byte; /* the controller computes the complement itself */
    flash->sr |= SR_EOP;
    return true;
}
