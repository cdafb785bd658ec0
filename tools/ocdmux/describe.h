/* One-line descriptions of what several commands show. Everything that a server wrote is escaped when it is
 * printed. */
#ifndef OCDMUX_TOOL_DESCRIBE_H
#define OCDMUX_TOOL_DESCRIBE_H

#include "base/strbuf.h"
#include "client/ocdmux.h"

/* Appends "program 16384 of 65536 bytes"; nothing for NULL and for what is no progress. */
void describe_progress(struct strbuf *out, const cJSON *progress);

/* Prints "name: value" for each member that is text, a number or a truth value, except those in the list
 * `skip`. */
void describe_print_members(const cJSON *object, const char *const *skip);

#endif
