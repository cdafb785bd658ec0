/* Which methods of the protocol each command calls. */
#ifndef OCDMUX_TOOL_METHODS_H
#define OCDMUX_TOOL_METHODS_H

struct method_row {
    const char *name;    /* a command's, or a method's where no command is for it alone; NULL ends a table */
    const char *methods; /* words; or why there is no command */
};

/* Each command, with what it may call; "" where it asks no server. */
extern const struct method_row methods_of_commands[];
/* The methods that no command is for. */
extern const struct method_row methods_without_commands[];

/* The methods of a command; "" for one that is not in the table. */
const char *methods_of(const char *command);

#endif
