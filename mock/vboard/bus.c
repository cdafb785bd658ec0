/* The address map. Memory comes first and short: the debugger and the core both live on it. */
#include "bus.h"

#include "board.h"

#define FLASH_REGISTERS 0x40022000U
#define FLASH_REGISTERS_SIZE 0x400U
#define SYSTEM_MEMORY 0x1FFFF000U
#define SYSTEM_MEMORY_SIZE 0x800U
#define OPTION_BYTES 0x1FFFF800U
#define SIZE_WORD 0x1FFFF7E0U
#define UNIQUE_ID 0x1FFFF7E8U
#define UNIQUE_ID_SIZE 12U
#define LOADER_STACK 0x20000200U
#define LOADER_ENTRY (SYSTEM_MEMORY + 0x200U)
#define BRANCH_TO_ITSELF 0xE7FEU
#define DWT_PAGE 0xE0001000U
#define FPB_PAGE 0xE0002000U
#define SCS_PAGE 0xE000E000U
#define DBGMCU_IDCODE 0xE0042000U
#define DBGMCU_CR 0xE0042004U
#define DBGMCU_CR_WRITABLE 0x007FFFE7U
#define ROM_TABLE_PAGE 0xE00FF000U
#define PAGE_MASK 0xFFFFF000U
#define EXECUTE_NEVER_FROM 0x40000000U

static bool bus_hits_fault_range(const struct board *board, uint32_t address, unsigned size)
{
    for (unsigned i = 0; i < board->fault_count; i++) {
        if (address + (size - 1) >= board->faults[i].first && address <= board->faults[i].last) {
            return true;
        }
    }
    return false;
}

static bool bus_is_refused(const struct board *board, uint32_t address, unsigned size)
{
    return (address & (size - 1)) != 0 ||
           (board->fault_count != 0 && bus_hits_fault_range(board, address, size));
}

/* The boot loader: every vector leads to a branch to itself. */
static uint8_t bus_read_loader_byte(uint32_t offset)
{
    uint32_t word = LOADER_ENTRY | 1U;
    if (offset < 4) {
        word = LOADER_STACK;
    } else if (offset - (LOADER_ENTRY - SYSTEM_MEMORY) < 2) {
        word = BRANCH_TO_ITSELF;
    } else if (offset >= LOADER_ENTRY - SYSTEM_MEMORY) {
        word = ~0U;
    }
    return (uint8_t)(word >> (8 * (offset & 3U)));
}

/* Factory-programmed bytes: boot loader, flash size in KiB, a unique id. */
static uint8_t bus_read_system_byte(const struct board *board, uint32_t offset)
{
    uint32_t address = SYSTEM_MEMORY + offset;
    if (address - SIZE_WORD < 2) {
        return (uint8_t)((board->flash.size / 1024U) >> (8 * (address - SIZE_WORD)));
    }
    if (address - UNIQUE_ID < UNIQUE_ID_SIZE) {
        return (uint8_t)(0x10U + (address - UNIQUE_ID));
    }
    return bus_read_loader_byte(offset);
}

/* At its own address and, when the board booted from it, at 0. */
static bool bus_find_system_memory(const struct board *board, uint32_t address, uint32_t *ret_offset)
{
    if (address - SYSTEM_MEMORY < SYSTEM_MEMORY_SIZE) {
        *ret_offset = address - SYSTEM_MEMORY;
        return true;
    }
    if (board->boots_loader && address < SYSTEM_MEMORY_SIZE) {
        *ret_offset = address;
        return true;
    }
    return false;
}

/* Word registers; narrower reads take their lanes out of the word. */
static bool bus_read_register(struct board *board, uint32_t address, uint32_t *ret_value)
{
    switch (address & PAGE_MASK) {
    case SCS_PAGE:
        *ret_value = scs_read(board, address - SCS_PAGE);
        return true;
    case FPB_PAGE:
        *ret_value = debugunits_read_fpb(&board->debugunits, address - FPB_PAGE);
        return true;
    case DWT_PAGE:
        *ret_value = debugunits_read_dwt(board, address - DWT_PAGE);
        return true;
    case ROM_TABLE_PAGE:
        *ret_value = debugunits_read_rom_table(address - ROM_TABLE_PAGE);
        return true;
    default:
        break;
    }
    if (address - FLASH_REGISTERS < FLASH_REGISTERS_SIZE) {
        return flash_read_register(&board->flash, address - FLASH_REGISTERS, ret_value);
    }
    if (address == DBGMCU_IDCODE) {
        *ret_value = flash_get_device_id(&board->flash);
        return true;
    }
    if (address == DBGMCU_CR) {
        *ret_value = board->dbgmcu_cr;
        return true;
    }
    return false;
}

/* An erase changes what is in flash without a write to it. */
static bool bus_write_flash_register(struct board *board, uint32_t offset, uint32_t value)
{
    uint32_t erases = board->flash.erases;
    bool taken = flash_write_register(&board->flash, offset, value);
    if (board->flash.erases != erases) {
        code_flush(&board->code);
    }
    return taken;
}

static bool bus_write_register(struct board *board, uint32_t address, uint32_t value)
{
    switch (address & PAGE_MASK) {
    case SCS_PAGE:
        scs_write(board, address - SCS_PAGE, value);
        return true;
    case FPB_PAGE:
        debugunits_write_fpb(&board->debugunits, address - FPB_PAGE, value);
        code_flush(&board->code);
        return true;
    case DWT_PAGE:
        debugunits_write_dwt(board, address - DWT_PAGE, value);
        return true;
    case ROM_TABLE_PAGE:
        return true; /* read-only */
    default:
        break;
    }
    if (address - FLASH_REGISTERS < FLASH_REGISTERS_SIZE) {
        return bus_write_flash_register(board, address - FLASH_REGISTERS, value);
    }
    if (address == DBGMCU_IDCODE) {
        return true;
    }
    if (address == DBGMCU_CR) {
        board->dbgmcu_cr = value & DBGMCU_CR_WRITABLE;
        return true;
    }
    return false;
}

/* At its own address and, unless the board booted from the loader, at 0. */
static bool bus_find_flash(const struct board *board, uint32_t address, uint32_t *ret_offset)
{
    if (address - BUS_FLASH_BASE < board->flash.size) {
        *ret_offset = address - BUS_FLASH_BASE;
        return true;
    }
    if (!board->boots_loader && address < board->flash.size) {
        *ret_offset = address;
        return true;
    }
    return false;
}

bool bus_read(struct board *board, enum bus_master master, uint32_t address, unsigned size,
              uint32_t *ret_value)
{
    if (bus_is_refused(board, address, size)) {
        return false;
    }
    if (address - BUS_RAM_BASE < board->ram_size) {
        *ret_value = bus_load(board->ram + (address - BUS_RAM_BASE), size);
        return true;
    }
    uint32_t offset;
    if (bus_find_flash(board, address, &offset)) {
        if (master == BUS_DEBUG && flash_is_read_protected(&board->flash)) {
            return false;
        }
        *ret_value = bus_load(board->flash.cells + offset, size);
        return true;
    }
    if (address - OPTION_BYTES < FLASH_OPTION_BYTES) {
        *ret_value = bus_load(board->flash.options + (address - OPTION_BYTES), size);
        return true;
    }
    if (bus_find_system_memory(board, address, &offset)) {
        uint8_t bytes[4];
        for (unsigned i = 0; i < size; i++) {
            bytes[i] = bus_read_system_byte(board, offset + i);
        }
        *ret_value = bus_load(bytes, size);
        return true;
    }
    uint32_t word;
    if (!bus_read_register(board, address & ~3U, &word)) {
        return false;
    }
    *ret_value = (word >> (8 * (address & 3U))) & (size == 4 ? ~0U : (1U << (8 * size)) - 1U);
    return true;
}

bool bus_write(struct board *board, enum bus_master master, uint32_t address, unsigned size, uint32_t value)
{
    if (bus_is_refused(board, address, size)) {
        return false;
    }
    if (master == BUS_DEBUG) {
        core_disturb(&board->core); /* what a waiting loop waits for may be this */
    }
    if (address - BUS_RAM_BASE < board->ram_size) {
        bus_store(board->ram + (address - BUS_RAM_BASE), size, value);
        code_forget(&board->code, address, size);
        return true;
    }
    uint32_t offset;
    if (bus_find_flash(board, address, &offset)) {
        if (master == BUS_DEBUG && flash_is_read_protected(&board->flash)) {
            return false;
        }
        code_forget(&board->code, BUS_FLASH_BASE + offset, size);
        code_forget(&board->code, offset, size); /* where the flash is at 0 as well */
        return flash_program(&board->flash, offset, size, value);
    }
    if (address - OPTION_BYTES < FLASH_OPTION_BYTES) {
        code_flush(&board->code); /* opening a read-protected part erases it */
        return flash_program_option(&board->flash, address - OPTION_BYTES, size, value);
    }
    if (size == 4) {
        return bus_write_register(board, address, value);
    }
    /* Narrow writes replace their lanes, where the register can be read without a side effect. */
    uint32_t word;
    if ((address & ~3U) == SCS_PAGE + 0xDF0U || !bus_read_register(board, address & ~3U, &word)) {
        return false;
    }
    uint32_t lane = 8 * (address & 3U);
    uint32_t mask = (size == 1 ? 0xFFU : 0xFFFFU) << lane;
    return bus_write_register(board, address & ~3U, (word & ~mask) | ((value << lane) & mask));
}

enum core_fault bus_fetch(struct board *board, uint32_t address, uint32_t *ret_value)
{
    if (address >= EXECUTE_NEVER_FROM) {
        return CORE_FAULT_NO_EXECUTE;
    }
    return bus_read(board, BUS_CORE, address, 2, ret_value) ? CORE_FAULT_NONE : CORE_FAULT_FETCH;
}
