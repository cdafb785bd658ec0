/*
 * Private directories. The lock is a flock() on the directory itself: it ends with the process, however that
 * ends, and programs that clean up temporary directories leave locked ones alone (tmpfiles.d(5)).
 */
#include "base/private_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

#define NAME_RANDOM_BYTES 16u
/* A new directory may be taken for a leftover in the moment before it is locked. */
#define TRIES 16
#define GROUP_BUFFER_MOST (1024u * 1024u)

struct private_dir {
    int parent; /* descriptors */
    int fd;
    char *path;
    const char *name; /* the last part of `path` */
    bool has_group;
    bool group_reads; /* and no more */
    gid_t group;
};

static bool failed(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_STAGE_ERROR, "cannot %s %.200s: %s", what, path, strerror(errno));
}

static bool random_name(char name[PRIVATE_DIR_NAME_SIZE], struct err *err)
{
    uint8_t bytes[NAME_RANDOM_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return failed(err, "make", "a random name");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

/* Leftovers. */

/* A list of the directory, for closedir(); `fd` stays open. NULL where there is none. */
static DIR *open_list(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    if (list == NULL && copy >= 0) {
        close(copy);
    }
    return list;
}

/* Empties a directory that has no directories in it. */
static void remove_files(int fd)
{
    DIR *list = open_list(fd);
    const struct dirent *entry;
    if (list == NULL) {
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        unlinkat(fd, entry->d_name, 0);
    }
    closedir(list);
}

/* Removes the directory of a process that is no more: one of this user's that nobody has locked. */
static void remove_leftover(int parent, const char *name)
{
    struct stat status;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        remove_files(fd);
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0) {
            log_info("removed %s, which a process that has ended left behind", name);
        }
    }
    close(fd);
}

static void remove_leftovers(int parent, const char *prefix)
{
    char start[96];
    DIR *list = open_list(parent);
    const struct dirent *entry;
    if (list == NULL) {
        return;
    }
    snprintf(start, sizeof start, "%s-%lu-", prefix, (unsigned long)geteuid());
    while ((entry = readdir(list)) != NULL) {
        if (strncmp(entry->d_name, start, strlen(start)) == 0) {
            remove_leftover(parent, entry->d_name);
        }
    }
    closedir(list);
}

/* Making one. */

static bool open_parent(struct private_dir *dir, const char *path, struct err *err)
{
    struct stat status;
    if (path[0] != '/') {
        return err_set(err, ERR_STAGE_ERROR, "%.200s is no absolute path", path);
    }
    dir->parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->parent < 0 || fstat(dir->parent, &status) != 0) {
        return failed(err, "open the directory", path);
    }
    if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
        return err_set(err, ERR_STAGE_ERROR, "%.200s lets everybody rename what is in it", path);
    }
    return true;
}

/* Whether the locked directory is still what its name leads to. */
static bool is_linked(const struct private_dir *dir)
{
    struct stat own;
    struct stat named;
    return fstat(dir->fd, &own) == 0 && fstatat(dir->parent, dir->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

static bool open_locked(struct private_dir *dir)
{
    dir->fd = openat(dir->parent, dir->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir->fd < 0) {
        return false;
    }
    if (flock(dir->fd, LOCK_EX | LOCK_NB) == 0 && is_linked(dir)) {
        return true;
    }
    close(dir->fd);
    dir->fd = -1;
    return false;
}

static bool set_group(struct private_dir *dir, struct err *err)
{
    if (!dir->has_group) {
        return true;
    }
    if (fchown(dir->fd, (uid_t)-1, dir->group) != 0 || fchmod(dir->fd, dir->group_reads ? 0750 : 0710) != 0) {
        return failed(err, "give to its group", dir->path);
    }
    return true;
}

static bool make_directory(struct private_dir *dir, const char *parent, const char *prefix, struct err *err)
{
    char random[PRIVATE_DIR_NAME_SIZE];
    for (int i = 0; i < TRIES; i++) {
        struct strbuf path = STRBUF_INIT;
        if (!random_name(random, err)) {
            return false;
        }
        strbuf_appendf(&path, "%s/%s-%lu-%s", parent, prefix, (unsigned long)geteuid(), random);
        free(dir->path);
        dir->path = strbuf_steal(&path);
        dir->name = strrchr(dir->path, '/') + 1;
        if (mkdirat(dir->parent, dir->name, 0700) != 0) {
            if (errno == EEXIST) {
                continue;
            }
            return failed(err, "make the directory", dir->path);
        }
        if (open_locked(dir)) {
            return set_group(dir, err);
        }
        unlinkat(dir->parent, dir->name, AT_REMOVEDIR);
    }
    return err_set(err, ERR_STAGE_ERROR, "cannot lock a new directory in %.200s", parent);
}

static bool make_under(struct private_dir *dir, const char *parent, const char *prefix, struct err *err)
{
    if (!open_parent(dir, parent, err)) {
        return false;
    }
    remove_leftovers(dir->parent, prefix);
    return make_directory(dir, parent, prefix, err);
}

static bool find_group(const char *name, gid_t *ret_group, struct err *err)
{
    struct group entry;
    struct group *found = NULL;
    size_t size = 1024;
    char *buffer = NULL;
    int reason = ERANGE;
    while (reason == ERANGE && size <= GROUP_BUFFER_MOST) {
        size *= 2;
        buffer = xrealloc(buffer, size);
        reason = getgrnam_r(name, &entry, buffer, size, &found);
    }
    if (found != NULL) {
        *ret_group = entry.gr_gid;
    } else {
        err_set(err, ERR_STAGE_ERROR, "there is no group \"%.100s\"", name);
    }
    free(buffer);
    return found != NULL;
}

static struct private_dir *new_empty(const struct private_dir *like)
{
    struct private_dir *dir = xcalloc(1, sizeof *dir);
    *dir = *like;
    dir->parent = -1;
    dir->fd = -1;
    return dir;
}

static bool try_parent(struct private_dir **ret_dir, const struct private_dir *like, const char *parent,
                       const char *prefix, struct err *err)
{
    struct private_dir *dir = new_empty(like);
    if (!make_under(dir, parent, prefix, err)) {
        private_dir_free(dir);
        return false;
    }
    *ret_dir = dir;
    return true;
}

bool private_dir_new(struct private_dir **ret_dir, const struct private_dir_options *options, struct err *err)
{
    struct private_dir like = {.has_group = options->group != NULL, .group_reads = options->group_reads};
    if (like.has_group && !find_group(options->group, &like.group, err)) {
        return false;
    }
    if (options->parent != NULL) {
        return try_parent(ret_dir, &like, options->parent, options->prefix, err);
    }
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] != '\0' && !like.has_group &&
        try_parent(ret_dir, &like, runtime, options->prefix, err)) {
        return true;
    }
    return try_parent(ret_dir, &like, "/dev/shm", options->prefix, err) ||
           try_parent(ret_dir, &like, "/tmp", options->prefix, err);
}

void private_dir_free(struct private_dir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->fd >= 0) {
        remove_files(dir->fd);
        if (is_linked(dir)) {
            unlinkat(dir->parent, dir->name, AT_REMOVEDIR);
        }
        close(dir->fd);
    }
    if (dir->parent >= 0) {
        close(dir->parent);
    }
    free(dir->path);
    free(dir);
}

const char *private_dir_path(const struct private_dir *dir)
{
    return dir->path;
}

void private_dir_append_path(const struct private_dir *dir, const struct private_file *file,
                             struct strbuf *out)
{
    strbuf_appendf(out, "%s/%s", dir->path, file->name);
}

/* Files. */

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, bytes, size);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

static bool fill(const struct private_dir *dir, int fd, const uint8_t *bytes, size_t size,
                 struct private_file *file)
{
    struct stat status;
    mode_t mode = dir->group_reads ? 0640 : 0660;
    if (dir->has_group && (fchown(fd, (uid_t)-1, dir->group) != 0 || fchmod(fd, mode) != 0)) {
        return false;
    }
    if (!write_all(fd, bytes, size) || fstat(fd, &status) != 0) {
        return false;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return true;
}

bool private_dir_create(struct private_dir *dir, const uint8_t *bytes, size_t size,
                        struct private_file *ret_file, struct err *err)
{
    struct private_file file = {.name = ""};
    if (!random_name(file.name, err)) {
        return false;
    }
    int fd = openat(dir->fd, file.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(err, "make a file in", dir->path);
    }
    bool filled = fill(dir, fd, bytes, size, &file);
    int reason = errno;
    /* What was written may be refused only now. */
    if (close(fd) != 0 && filled) {
        reason = errno;
        filled = false;
    }
    if (!filled) {
        unlinkat(dir->fd, file.name, 0);
        errno = reason;
        return failed(err, "write a file in", dir->path);
    }
    *ret_file = file;
    return true;
}

int private_dir_open(const struct private_dir *dir, const struct private_file *file, bool writing,
                     struct err *err)
{
    struct stat status;
    int flags = (writing ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(dir->fd, file->name, flags);
    if (fd < 0) {
        failed(err, "open a file in", dir->path);
        return -1;
    }
    bool same = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_dev == file->device &&
                status.st_ino == file->inode;
    if (!same) {
        close(fd);
        err_set(err, ERR_STAGE_ERROR, "a file in %.200s was replaced", dir->path);
        return -1;
    }
    return fd;
}

bool private_dir_read(struct private_dir *dir, const struct private_file *file, size_t most,
                      struct strbuf *out, struct err *err)
{
    size_t before = out->length;
    size_t left = most + 1;
    struct stat status;
    int fd = private_dir_open(dir, file, false, err);
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &status) == 0 && status.st_size >= 0 && (uint64_t)status.st_size < left) {
        left = (size_t)status.st_size;
    }
    while (left > 0) {
        char *place = strbuf_extend(out, left);
        ssize_t got = read(fd, place, left);
        int reason = errno;
        strbuf_truncate(out, out->length - left + (got > 0 ? (size_t)got : 0));
        if (got < 0 && reason == EINTR) {
            continue;
        }
        if (got < 0) {
            strbuf_truncate(out, before);
            close(fd);
            errno = reason;
            return failed(err, "read a file in", dir->path);
        }
        if (got == 0) {
            break;
        }
        left -= (size_t)got;
    }
    close(fd);
    return true;
}

void private_dir_remove(struct private_dir *dir, struct private_file *file)
{
    if (file->name[0] == '\0') {
        return;
    }
    if (unlinkat(dir->fd, file->name, 0) != 0 && errno != ENOENT) {
        log_warn("cannot remove a file in %s, which stays until the end: %s", dir->path, strerror(errno));
    }
    file->name[0] = '\0';
}
