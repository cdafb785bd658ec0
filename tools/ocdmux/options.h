/* The command line, read by the table of commands. Everything that is wrong with it is reported here, once.
 */
#ifndef OCDMUX_TOOL_OPTIONS_H
#define OCDMUX_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "numbers.h"

#define OPTIONS_MAX 32u

struct given_option {
    const struct option *option;
    const char *value; /* NULL where it takes none */
};

struct arguments {
    const struct command *commands; /* the table */
    const struct command *command;  /* NULL: none was given */
    const char **words;             /* owned; the words point into argv */
    size_t count;
    struct given_option options[OPTIONS_MAX];
    size_t option_count;
};

/* False after a message on stderr. `commands` ends with a name of NULL. With --help or --version nothing else
 * is required. */
bool options_parse(struct arguments *arguments, const struct command *commands, int argc, char **argv)
    __attribute__((warn_unused_result));
void options_fini(struct arguments *arguments);

/* Whether an option was given. */
bool options_has(const struct arguments *arguments, const char *name);
/* An option's value, of several the last; NULL if it was not given. */
const char *options_value(const struct arguments *arguments, const char *name);

/* Whether `value` is one of the option's choices; true if it has none. */
bool options_is_choice(const struct option *option, const char *value);

/* An option that is a number; `ret_value` keeps what it has if it was not given. False after a message. */
bool options_number(const struct arguments *arguments, const char *name, enum number_kind kind,
                    uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
    __attribute__((warn_unused_result));
/* The word at `index` as a number; `ret_value` keeps what it has if there is none. False after a message. */
bool options_word_number(const struct arguments *arguments, size_t index, enum number_kind kind,
                         uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
    __attribute__((warn_unused_result));

/* Writes "ocdmux: bad usage: TEXT" and where to find help to stderr. Returns false. */
bool options_complain(const struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
