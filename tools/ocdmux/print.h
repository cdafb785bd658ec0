/*
 * Text that others wrote, made safe to show: control characters (C0, DEL, C1), characters that turn the
 * direction of text, and bytes that are not UTF-8 would let a target, an OpenOCD or a server play with the
 * user's terminal or forge lines.
 */
#ifndef OCDMUX_TOOL_PRINT_H
#define OCDMUX_TOOL_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/strbuf.h"

/* Appends `text` with everything of that kind as \xNN or \uNNNN; also line breaks and tabs where `one_line`
 * is true. */
void print_escape(struct strbuf *out, const char *text, size_t length, bool one_line);

/* A name or a message, which is part of a line: always escaped. */
void print_field(FILE *stream, const char *text);
/* Several lines of text: escaped on a terminal, else as it is. Ends with a line break if `text` is not empty.
 */
void print_block(FILE *stream, const char *text);
/* JSON and a line break: on a terminal the characters above as JSON escapes, else as it is. */
void print_json(FILE *stream, const char *text, size_t length);

#endif
