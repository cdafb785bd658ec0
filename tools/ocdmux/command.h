/* What the table in main.c says about each command, and what was given on the command line. */
#ifndef OCDMUX_TOOL_COMMAND_H
#define OCDMUX_TOOL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct session;

enum status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_NO_CONNECTION = 3, /* also one that broke, or a server that does not speak the protocol */
};

struct option {
    const char *name;  /* without "--"; NULL ends a table */
    const char *value; /* what the value is called in the help; NULL: the option takes none */
    const char *help;
    const char *const *choices; /* the values that it may have, NULL-terminated; NULL: any */
};

enum command_flag {
    COMMAND_TAKES_BOARD = 1,
    COMMAND_TAKES_TARGET = 2,
    COMMAND_REST = 4, /* what stands behind the first argument is never an option */
};

struct command {
    const char *name;
    const char *arguments; /* "ADDRESS [COUNT]": brackets for what may be left out, "..." for one or more */
    unsigned flags;        /* of enum command_flag */
    const struct option *options; /* NULL: none of its own */
    const char *summary;
    const char *details; /* NULL: nothing more to say */
    enum status (*run)(struct session *session);
};

/* The options that stand before the command or behind it. */
extern const struct option command_globals[];

#endif
