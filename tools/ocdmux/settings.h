/*
 * The user's configuration: "KEY = VALUE" lines, "#" comments. What it says counts where neither an option
 * nor a variable of the environment does: each key becomes its variable if that is not set.
 */
#ifndef OCDMUX_TOOL_SETTINGS_H
#define OCDMUX_TOOL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SETTINGS_MAX_BYTES ((size_t)64 << 10)
#define SETTINGS_TOKEN_MAX ((size_t)4 << 10)

/* The keys, with their variables; ends with a key of NULL. */
struct setting {
    const char *key;
    const char *variable;
    bool is_secret;
};
extern const struct setting settings_known[];

typedef void settings_take_fn(void *arg, const struct setting *setting, const char *value);

/*
 * Reads a file's text and hands out each setting, NUL-terminated, in the order of the lines. Pure. Fails with
 * `invalid_params` and "LINE: reason" for anything that is not understood; what stands before it has been
 * handed out.
 */
bool settings_read(const char *text, size_t length, settings_take_fn *take, void *arg, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Finds the file ($OCDMUX_CONFIG, where an empty one is none, else $XDG_CONFIG_HOME/ocdmux/config, else
 * ~/.config/ocdmux/config; the last two need not be there), and sets the variables that are not set. A file
 * that others may write, or read where it holds a token, is refused. False after a message.
 */
bool settings_load(void) __attribute__((warn_unused_result));

/*
 * Puts the token in the file at `path` into $OCDMUX_TOKEN, whatever that holds. The file must be the user's
 * own, and nobody else's to read. False after a message.
 */
bool settings_load_token(const char *path) __attribute__((warn_unused_result));

#endif
