/* Directories and files of what must survive the daemon. */
#include "board/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

/* Boards and addresses as part of a file name: anything unusual becomes "%XX". */
static void append_safe(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
                     (byte == '.' && out->length > 0 && out->data[out->length - 1] != '/');
        if (plain) {
            strbuf_append_byte(out, (char)byte);
        } else {
            strbuf_appendf(out, "%%%02X", byte);
        }
    }
}

char *state_dir_path(const char *state_dir, const char *board, const char *openocd)
{
    struct strbuf path = STRBUF_INIT;
    strbuf_appendf(&path, "%s/", state_dir);
    append_safe(&path, board);
    strbuf_append_byte(&path, '@');
    append_safe(&path, openocd);
    return strbuf_steal(&path);
}

int state_dir_open(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

bool state_dir_read(int directory, const char *file, size_t most, struct strbuf *out)
{
    struct stat status;
    int fd = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool ok = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= (off_t)most;
    while (ok) {
        char *room = strbuf_extend(out, 65536);
        ssize_t got = read(fd, room, 65536);
        strbuf_truncate(out, out->length - 65536 + (got > 0 ? (size_t)got : 0));
        ok = got >= 0 && out->length <= most;
        if (got <= 0) {
            break;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/* A new directory survives a crash once the one that holds it is on the disk. */
static bool make_one(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST;
    }
    struct strbuf parent = STRBUF_INIT;
    strbuf_appendf(&parent, "%s/..", path);
    int fd = open(strbuf_text(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strbuf_fini(&parent);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool state_dir_make(const char *directory)
{
    char *path = xstrdup(directory);
    bool ok = true;
    for (char *slash = strchr(path + 1, '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = make_one(path);
        *slash = '/';
    }
    ok = ok && make_one(path);
    int reason = errno;
    free(path);
    errno = reason;
    return ok;
}

static bool write_all(int fd, const struct strbuf *text)
{
    size_t done = 0;
    while (done < text->length) {
        ssize_t wrote = write(fd, text->data + done, text->length - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        done += (size_t)wrote;
    }
    return true;
}

/* Under a name of its own first, so that a crash leaves the old record or the new one. */
static bool write_file(int directory, const char *file, const struct strbuf *text)
{
    int fd =
        openat(directory, STATE_DIR_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool ok = write_all(fd, text) && fsync(fd) == 0;
    int reason = errno;
    close(fd);
    errno = reason;
    ok = ok && renameat(directory, STATE_DIR_TEMPORARY, directory, file) == 0 && fsync(directory) == 0;
    if (!ok) {
        reason = errno;
        unlinkat(directory, STATE_DIR_TEMPORARY, 0);
        errno = reason;
    }
    return ok;
}

bool state_dir_write(const char *path, const char *file, const struct strbuf *text)
{
    if (!state_dir_make(path)) {
        return false;
    }
    int directory = state_dir_open(path);
    bool ok = directory >= 0 && write_file(directory, file, text);
    int reason = errno;
    if (directory >= 0) {
        close(directory);
    }
    errno = reason;
    return ok;
}
