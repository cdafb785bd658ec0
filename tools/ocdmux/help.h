/* The help, made from the table of commands. */
#ifndef OCDMUX_TOOL_HELP_H
#define OCDMUX_TOOL_HELP_H

#include "command.h"

/* `commands` ends with a name of NULL. */
void help_print(const struct command *commands);
void help_print_command(const struct command *command);

#endif
