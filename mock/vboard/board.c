/* The board as a whole: power-on, system reset, and the reset line. */
#include "board.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

bool board_init(struct board *board, uint32_t flash_size, uint32_t ram_size)
{
    memset(board, 0, sizeof(*board));
    if (!flash_init(&board->flash, flash_size)) {
        return false;
    }
    board->ram = calloc(1, ram_size);
    if (board->ram == NULL) {
        flash_fini(&board->flash);
        return false;
    }
    board->ram_size = ram_size;
    return true;
}

void board_fini(struct board *board)
{
    flash_fini(&board->flash);
    free(board->ram);
    board->ram = NULL;
}

void board_power_on(struct board *board)
{
    board->dbgmcu_cr = 0;
    jtag_init(&board->jtag);
    dap_init(&board->dap);
    debugunits_init(&board->debugunits);
    core_init(&board->core);
    board_system_reset(board);
}

static void board_reset_private_peripherals(struct board *board)
{
    nvic_reset(&board->nvic);
    scs_reset(&board->scs);
    systick_reset(&board->systick);
}

void board_core_reset(struct board *board)
{
    board_reset_private_peripherals(board);
    core_reset(board);
}

void board_system_reset(struct board *board)
{
    flash_reset(&board->flash);
    board->boots_loader = !board->boot_flash && flash_is_blank(&board->flash);
    code_flush(&board->code); /* other memory may be at 0 now */
    log_debug("board: system reset, boots from %s", board->boots_loader ? "the boot loader" : "flash");
    board_core_reset(board);
}

void board_set_srst(struct board *board, bool asserted)
{
    if (asserted == board->core.held_in_reset) {
        return;
    }
    log_debug("board: nRST %s", asserted ? "asserted" : "released");
    board->core.held_in_reset = asserted;
    if (asserted) {
        flash_reset(&board->flash);
        board_reset_private_peripherals(board);
        core_hold(board);
    } else {
        board_system_reset(board);
    }
}
