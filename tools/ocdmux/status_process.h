/* The OpenOCD that the daemon starts, and what is wrong with a board, for people. */
#ifndef OCDMUX_TOOL_STATUS_PROCESS_H
#define OCDMUX_TOOL_STATUS_PROCESS_H

#include "client/ocdmux.h"

/* `problem` and `process` of board.status; of its output's last lines only where there is a problem. */
void status_process_print(const cJSON *board);

#endif
