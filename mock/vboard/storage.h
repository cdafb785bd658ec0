#ifndef VBOARD_STORAGE_H
#define VBOARD_STORAGE_H

#include <stdbool.h>

struct flash;

/* All three print a message when they fail, and change nothing then. */

/* A binary to the start of flash; at most as long as the flash. The rest stays as it is. */
bool storage_load_image(struct flash *flash, const char *path) __attribute__((warn_unused_result));

/* Flash and option bytes of an earlier run. A file that does not exist is a new board, and no failure. */
bool storage_load_state(struct flash *flash, const char *path) __attribute__((warn_unused_result));

/* Written beside and renamed. */
bool storage_save_state(const struct flash *flash, const char *path) __attribute__((warn_unused_result));

#endif
