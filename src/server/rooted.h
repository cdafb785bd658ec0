/*
 * Paths that clients give below a root directory. Each directory on the way is opened on its own, without
 * following links, so that nothing leads out, whatever changes meanwhile.
 */
#ifndef OCDMUX_SERVER_ROOTED_H
#define OCDMUX_SERVER_ROOTED_H

#include <stdbool.h>

#include "base/err.h"

/* forbidden unless `path` is relative, with plain names between its slashes: no "..", ".", or empty one. */
bool rooted_check(const char *path, struct err *err) __attribute__((warn_unused_result));

/*
 * Opens the directory (O_PATH) of the last name of `path`, which rooted_check() has let through, and points
 * `*ret_name` into `path`. -1 with errno set: ELOOP or ENOTDIR for a symbolic link or something else that is
 * no directory on the way.
 */
int rooted_open_directory(const char *root, const char *path, const char **ret_name);

/* The error for errno, `what` being what could not be done: forbidden for ELOOP and ENOTDIR, else
 * stage_error. Returns false. */
bool rooted_failed(struct err *err, const char *what, const char *path);
/* forbidden: `path` and why. Returns false. */
bool rooted_forbidden(struct err *err, const char *path, const char *why);

#endif
