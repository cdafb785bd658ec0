/* Paths below a root. */
#include "server/rooted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

bool rooted_forbidden(struct err *err, const char *path, const char *why)
{
    return err_set(err, ERR_FORBIDDEN, "path: \"%.200s\" %s", path, why);
}

bool rooted_failed(struct err *err, const char *what, const char *path)
{
    int reason = errno;
    if (reason == ELOOP || reason == ENOTDIR) {
        return rooted_forbidden(err, path, "goes through a symbolic link or something that is no directory");
    }
    err_set(err, ERR_STAGE_ERROR, "cannot %s \"%.200s\": %s", what, path, strerror(reason));
    err_add_text(err, "path", path);
    return false;
}

/* Looked at before any directory is, so that the answer does not depend on what is there. */
static bool is_plain(const char *path)
{
    const char *rest = path;
    for (;;) {
        size_t length = strcspn(rest, "/");
        bool is_dots = length <= 2 && strncmp(rest, "..", length) == 0;
        if (length == 0 || length > NAME_MAX || is_dots) {
            return false;
        }
        if (rest[length] == '\0') {
            return true;
        }
        rest += length + 1;
    }
}

bool rooted_check(const char *path, struct err *err)
{
    return is_plain(path) ||
           rooted_forbidden(err, path, "must be relative, with plain names between its slashes");
}

int rooted_open_directory(const char *root, const char *path, const char **ret_name)
{
    char component[NAME_MAX + 1];
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *rest = path;

    while (directory >= 0) {
        size_t length = strcspn(rest, "/");
        if (rest[length] == '\0') {
            *ret_name = rest;
            return directory;
        }
        memcpy(component, rest, length);
        component[length] = '\0';
        int next = openat(directory, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int reason = errno;
        close(directory);
        errno = reason;
        directory = next;
        rest += length + 1;
    }
    return -1;
}
