/* Dump files: a hidden part beside where the whole will be. It is locked while its daemon lives, so that what
 * one that was killed left is told from what another writes. */
#include "server/dump_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/rooted.h"

#define PART_PREFIX ".ocdmux-"
#define PART_SUFFIX ".part"
/* A new part may be taken for a leftover in the moment before it is locked. */
#define TRIES 16
/* Nobody waits for a look through more of a directory than this. */
#define MOST_ENTRIES 4096u

struct dump_file {
    int directory;
    int fd;
    char *name;    /* the final one, in `directory` */
    char part[64]; /* the present one; "" once it is committed */
};

/* Leftovers. */

static bool is_part(const char *name)
{
    size_t length = strlen(name);
    size_t suffix = strlen(PART_SUFFIX);
    return strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) == 0 && length > suffix &&
           strcmp(name + length - suffix, PART_SUFFIX) == 0;
}

/* One of this user's that nobody has locked. */
static void remove_leftover(int directory, const char *name)
{
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(directory, name, 0) == 0) {
        log_info("removed %s, which a process that has ended left behind", name);
    }
    close(fd);
}

static void remove_leftovers(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    if (list == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return;
    }
    for (size_t i = 0; i < MOST_ENTRIES && (entry = readdir(list)) != NULL; i++) {
        if (is_part(entry->d_name)) {
            remove_leftover(directory, entry->d_name);
        }
    }
    closedir(list);
}

/* Locks the new part; false where another process took it for a leftover. A file system without locks has no
 * leftovers that could be told from others. */
static bool lock_part(const struct dump_file *file)
{
    struct stat own;
    struct stat named;
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return false;
    }
    return fstat(file->fd, &own) == 0 &&
           fstatat(file->directory, file->part, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

static bool make_part(struct dump_file *file)
{
    for (int i = 0; i < TRIES; i++) {
        snprintf(file->part, sizeof file->part, PART_PREFIX "%ld-%llu-%d" PART_SUFFIX, (long)getpid(),
                 (unsigned long long)clock_now_us(), i);
        file->fd =
            openat(file->directory, file->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (file->fd < 0) {
            break;
        }
        if (lock_part(file)) {
            return true;
        }
        unlinkat(file->directory, file->part, 0);
        close(file->fd);
        file->fd = -1;
        errno = EBUSY;
    }
    file->part[0] = '\0';
    return false;
}

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
    remove_leftovers(directory);
    if (!make_part(file)) {
        rooted_failed(err, "create", path);
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
    int locked = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* until it has its name */
    bool ok = close(fd) == 0 && renameat(file->directory, file->part, file->directory, file->name) == 0;
    if (ok) {
        file->part[0] = '\0';
    } else {
        rooted_failed(err, "finish", file->name);
    }
    if (locked >= 0) {
        close(locked);
    }
    return ok;
}

void dump_file_free(struct dump_file *file)
{
    if (file == NULL) {
        return;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    if (file->part[0] != '\0' && unlinkat(file->directory, file->part, 0) != 0) {
        log_warn("cannot remove %s, a part of a dump: %s", file->part, strerror(errno));
    }
    close(file->directory);
    free(file->name);
    free(file);
}
