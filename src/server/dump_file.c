/* Dump files: a hidden part beside where the whole will be. */
#include "server/dump_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/rooted.h"

struct dump_file {
    int directory;
    int fd;
    char *name;    /* the final one, in `directory` */
    char part[64]; /* the present one; "" once it is committed */
};

bool dump_file_open(struct dump_file **ret_file, const char *root, const char *path, struct err *err)
{
    const char *name = NULL;
    struct stat status;
    if (!rooted_check(path, err)) {
        return false;
    }
    int directory = rooted_open_directory(root, path, &name);
    if (directory < 0) {
        return rooted_failed(err, "open the directory of", path);
    }
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode)) {
        close(directory);
        return rooted_forbidden(err, path, "is there already, and no regular file");
    }
    struct dump_file *file = xcalloc(1, sizeof *file);
    file->directory = directory;
    file->name = xstrdup(name);
    snprintf(file->part, sizeof file->part, ".ocdmux-%ld-%llu.part", (long)getpid(),
             (unsigned long long)clock_now_us());
    file->fd = openat(directory, file->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file->fd < 0) {
        rooted_failed(err, "create", path);
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
            return rooted_failed(err, "write", file->name);
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
        return rooted_failed(err, "finish", file->name);
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
