#ifndef VBOARD_BOARD_H
#define VBOARD_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "code.h"
#include "core.h"
#include "dap.h"
#include "debugunits.h"
#include "flash.h"
#include "jtag.h"
#include "nvic.h"
#include "scs.h"
#include "systick.h"

/* Everything that keeps its state while the board has power: adapters come and go, this stays. */
struct board {
    struct flash flash;
    uint8_t *ram; /* owned */
    uint32_t ram_size;
    struct bus_fault faults[BUS_FAULTS_MAX];
    unsigned fault_count;
    bool boot_flash;   /* boot from flash even when it is blank */
    bool boots_loader; /* address 0 is the boot loader's, not the flash's; decided at system reset */
    uint32_t dbgmcu_cr;
    uint32_t access_delay_us; /* per MEM-AP access */
    uint64_t delay_owed_us;   /* delays not yet slept; the server sleeps before it replies */
    struct core core;
    struct code code;
    struct nvic nvic;
    struct scs scs;
    struct systick systick;
    struct debugunits debugunits;
    struct dap dap;
    struct jtag jtag;
};

/* Blank flash, zeroed RAM, no power-on reset yet: call board_power_on() once memory is loaded. */
bool board_init(struct board *board, uint32_t flash_size, uint32_t ram_size)
    __attribute__((warn_unused_result));
void board_fini(struct board *board);

void board_power_on(struct board *board);

/* SYSRESETREQ or nRST: peripherals and core, not the debug units. */
void board_system_reset(struct board *board);

/* VECTRESET: the core and its private peripherals only. */
void board_core_reset(struct board *board);

/* The nRST line; the core stands still while it is asserted. */
void board_set_srst(struct board *board, bool asserted);

#endif
