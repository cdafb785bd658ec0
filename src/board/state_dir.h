/*
 * A board's own directory below the daemon's state directory: small files, written so that a crash leaves
 * the old one or the new one.
 */
#ifndef OCDMUX_BOARD_STATE_DIR_H
#define OCDMUX_BOARD_STATE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* No file's name: what is written, before it has its own. What a crash left of it may be removed. */
#define STATE_DIR_TEMPORARY "new"

/* Its path, the caller's to free(). `board` and `openocd` (HOST:PORT) tell boards apart. Nothing is made. */
char *state_dir_path(const char *state_dir, const char *board, const char *openocd);
/* A descriptor of it, the caller's; -1 with errno. */
int state_dir_open(const char *path);
/* Appends what is in a file of the directory; false for more than `most` bytes, or anything but a file. */
bool state_dir_read(int directory, const char *file, size_t most, struct strbuf *out)
    __attribute__((warn_unused_result));
/* Makes the directory, mode 0700 with all above it that is missing; false with errno. */
bool state_dir_make(const char *path) __attribute__((warn_unused_result));
/* Makes or replaces the file, mode 0600, synced; false with errno, and what was there before. */
bool state_dir_write(const char *path, const char *file, const struct strbuf *text)
    __attribute__((warn_unused_result));

#endif
