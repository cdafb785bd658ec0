/* The terminal of `ocdmux top`, by curses: the alternate screen, keys, and lines in styles. There is one. */
#ifndef OCDMUX_TOOL_TOP_SCREEN_H
#define OCDMUX_TOOL_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "top_layout.h"

enum top_key {
    TOP_KEY_NONE,
    TOP_KEY_QUIT,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_SORT,
    TOP_KEY_REFRESH,
    TOP_KEY_DRAW
};

/* Before the first look at the locale's characters: whether the terminal shows UTF-8. */
bool top_screen_is_utf8(void);
/* top_term.c: whether $TERM names a terminal that curses knows and can draw on. */
bool top_term_is_known(void);
/* False where $TERM names no terminal that curses knows. */
bool top_screen_open(void) __attribute__((warn_unused_result));
/* The terminal is as it was before. Safe where it is not open. */
void top_screen_close(void);
void top_screen_size(size_t *ret_rows, size_t *ret_columns);
void top_screen_draw(const struct top_view *view);
/* The next key, or TOP_KEY_NONE after `wait_ms`. TOP_KEY_DRAW: the terminal has another size, or was used by
 * somebody else. */
enum top_key top_screen_key(uint32_t wait_ms);

#endif
