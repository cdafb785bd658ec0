/*
 * Colour: only on a terminal that can show it ($TERM), and not where $NO_COLOR or "never" forbids it.
 * https://no-color.org
 */
#ifndef OCDMUX_TOOL_COLOR_H
#define OCDMUX_TOOL_COLOR_H

#include <stdbool.h>
#include <stdio.h>

enum color { COLOR_NONE, COLOR_BOLD, COLOR_RED, COLOR_GREEN, COLOR_YELLOW };

extern const char *const color_choices[];

/* "auto", "always" or "never"; NULL is auto. "always" counts against $NO_COLOR and where there is no
 * terminal. */
void color_choose(const char *choice);
/* What is written to the stream in between is in that colour; both do nothing where there is none. */
void color_begin(FILE *stream, enum color color);
void color_end(FILE *stream, enum color color);
/* The colour of a word that says how something is ("running", "failed"). */
enum color color_of_state(const char *word);

#endif
