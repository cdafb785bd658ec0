/* vboard: a virtual STM32F1 board behind OpenOCD's remote_bitbang adapter. Options, power-on, serving. */
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "log.h"
#include "options.h"
#include "server.h"
#include "storage.h"

static bool main_load(struct board *board, const struct options *options)
{
    if (options->state != NULL && !storage_load_state(&board->flash, options->state)) {
        return false;
    }
    return options->image == NULL || storage_load_image(&board->flash, options->image);
}

static bool main_run(struct board *board, const struct options *options)
{
    memcpy(board->faults, options->faults, sizeof(board->faults));
    board->fault_count = options->fault_count;
    board->boot_flash = options->boot_flash;
    board->access_delay_us = options->access_delay_us;
    if (!main_load(board, options)) {
        return false;
    }
    board_power_on(board);
    if (!server_run(board, &options->server)) {
        return false;
    }
    return options->state == NULL || storage_save_state(&board->flash, options->state);
}

int main(int argc, char **argv)
{
    struct options options;
    static struct board board;
    switch (options_parse(argc, argv, &options)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_EXIT_OK:
        return EXIT_SUCCESS;
    case OPTIONS_EXIT_ERROR:
        return EXIT_FAILURE;
    }
    log_set_verbose(options.verbose);
    if (!board_init(&board, options.flash_size, options.ram_size)) {
        log_error("out of memory");
        return EXIT_FAILURE;
    }
    bool ok = main_run(&board, &options);
    board_fini(&board);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
