/* What an error means for the flash, in words, on stderr below the error's details. */
#ifndef OCDMUX_TOOL_OUTCOME_H
#define OCDMUX_TOOL_OUTCOME_H

#include <stdbool.h>

#include "client/ocdmux.h"

/* Whether the error says what state the flash is in. */
bool outcome_has_flash_state(const struct ocdmux_error *error);
/* Says it, with how far the work came, and where it is known that the target was left halted. Nothing for an
 * error that does not say. */
void outcome_print_flash(const struct ocdmux_error *error);

#endif
