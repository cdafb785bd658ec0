/* One character of a string or character constant. */
#ifndef OCDMUX_SHELL_SHOW_CHAR_H
#define OCDMUX_SHELL_SHOW_CHAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

/*
 * Appends a character, escaped where it is not printable ASCII. `*behind_hex` says, and is told, that a
 * "\x..." escape stands before, which a digit would seem to continue.
 */
void show_char(struct strbuf *out, uint32_t character, char quote, bool *behind_hex);

#endif
