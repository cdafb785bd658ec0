/* `boards` of the configuration. */
#ifndef OCDMUX_SERVER_CONFIG_BOARDS_H
#define OCDMUX_SERVER_CONFIG_BOARDS_H

#include "server/config.h"

/* What a board has where nothing else is said; the name and the address are still to come. */
void config_boards_preset(struct config_board *board);
/* The member `boards` of the file, where it is there: adds each. Fails with invalid_params. */
bool config_boards_take(struct config *config, struct json_span root, const char *path, struct err *err)
    __attribute__((warn_unused_result));

#endif
