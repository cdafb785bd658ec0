/* Dump files: each directory of the path is opened on its own, without following links, so that nothing leads
 * out. */
#include "server/dump_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

struct dump_file {
    int directory;
    int fd;
    char *name;    /* the final one, in `directory` */
    char part[64]; /* the present one; "" once it is committed */
};

static bool leaves(struct err *err, const char *path, const char *why)
{
    return err_set(err, ERR_FORBIDDEN, "path: \"%.200s\" %s", path, why);
}

static bool system_failed(struct err *err, const char *what, const char *path)
{
    int reason = errno;
    if (reason == ELOOP || reason == ENOTDIR) {
        return leaves(err, path, "goes through a symbolic link or something that is no directory");
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

/* Opens the directories of a plain `path` but its last component, which `*ret_name` points to. -1 with `err`
 * set. */
static int open_directories(const char *root, const char *path, const char **ret_name, struct err *err)
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
    system_failed(err, "open the directory of", path);
    return -1;
}

bool dump_file_open(struct dump_file **ret_file, const char *root, const char *path, struct err *err)
{
    const char *name = NULL;
    struct stat status;
    if (!is_plain(path)) {
        return leaves(err, path, "must be relative, with plain names between its slashes");
    }
    int directory = open_directories(root, path, &name, err);
    if (directory < 0) {
        return false;
    }
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode)) {
        close(directory);
        return leaves(err, path, "is there already, and no regular file");
    }
    struct dump_file *file = xcalloc(1, sizeof *file);
    file->directory = directory;
    file->name = xstrdup(name);
    snprintf(file->part, sizeof file->part, ".ocdmux-%ld-%llu.part", (long)getpid(),
             (unsigned long long)clock_now_us());
    file->fd = openat(directory, file->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file->fd < 0) {
        system_failed(err, "create", path);
        file->part[0] = '\0';
        dump_file_free(file);
        return false;
    }
    *ret_file = file;
    return true;
}

bool dump_file_write(struct dump_file *file, const uint8_t *bytes, size_t length, struct err *err)
{
    while (length > 0) {
        ssize_t wrote = write(file->fd, bytes, length);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return system_failed(err, "write", file->name);
        }
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

bool dump_file_commit(struct dump_file *file, struct err *err)
{
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0 || renameat(file->directory, file->part, file->directory, file->name) != 0) {
        return system_failed(err, "finish", file->name);
    }
    file->part[0] = '\0';
    return true;
}

void dump_file_free(struct dump_file *file)
{
    if (file == NULL) {
        return;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    if (file->part[0] != '\0') {
        unlinkat(file->directory, file->part, 0);
    }
    close(file->directory);
    free(file->name);
    free(file);
}
