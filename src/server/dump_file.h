/*
 * A file under the dump root, written piece by piece. It has its name only once it is complete; until then it
 * is a hidden file beside it, which is removed if the dump fails, and with the next dump into its directory
 * where the daemon was killed.
 */
#ifndef OCDMUX_SERVER_DUMP_FILE_H
#define OCDMUX_SERVER_DUMP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct dump_file;

/*
 * `path` is relative to `root`, names no directory above it, and goes through no symbolic link; its
 * directories exist. Fails with forbidden (it leaves the root) or stage_error (the system's reason).
 */
bool dump_file_open(struct dump_file **ret_file, const char *root, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* Fails with stage_error. */
bool dump_file_write(struct dump_file *file, const uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
/* Gives it its name, replacing a file that has it. */
bool dump_file_commit(struct dump_file *file, struct err *err) __attribute__((warn_unused_result));
/* Removes what was not committed. */
void dump_file_free(struct dump_file *file);

#endif
