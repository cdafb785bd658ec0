/* Appending lines that are whole or not there. */
#include "server/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

static int open_path(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) {
        err_set(err, ERR_INTERNAL_ERROR, "audit file %s: %s", path, strerror(errno));
    }
    return fd;
}

/* Whether a machine or a daemon that ended in the middle of it left a part of a line at the end: the next one
 * must not be joined to it. Who may not read the file cannot know. */
static bool ends_torn(int fd, const char *path)
{
    struct stat own;
    struct stat named;
    char last = '\n';
    if (fstat(fd, &own) != 0 || !S_ISREG(own.st_mode) || own.st_size == 0) {
        return false;
    }
    int reading = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (reading < 0) {
        return false;
    }
    bool same = fstat(reading, &named) == 0 && named.st_dev == own.st_dev && named.st_ino == own.st_ino;
    bool torn = same && pread(reading, &last, 1, own.st_size - 1) == 1 && last != '\n';
    close(reading);
    return torn;
}

bool audit_file_open(struct audit_file *file, const char *path, struct err *err)
{
    int fd = open_path(path, err);
    if (fd < 0) {
        return false;
    }
    *file = (struct audit_file){.path = xstrdup(path), .fd = fd, .torn = ends_torn(fd, path)};
    return true;
}

void audit_file_close(struct audit_file *file)
{
    if (file->path != NULL) {
        close(file->fd);
        free(file->path);
        file->path = NULL;
    }
}

void audit_file_reopen(struct audit_file *file)
{
    struct err err;
    err_reset(&err);
    int fd = open_path(file->path, &err);
    if (fd < 0) {
        log_error("%s: the old file stays in use", err.message);
        return;
    }
    close(file->fd);
    file->fd = fd;
    file->torn = ends_torn(fd, file->path);
    log_info("audit file %s: opened anew", file->path);
}

/* Takes back what was written of a line that did not fit. */
static void take_back(struct audit_file *file, size_t written)
{
    struct stat status;
    file->torn = fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode) ||
                 status.st_size < (off_t)written || ftruncate(file->fd, status.st_size - (off_t)written) != 0;
}

/* One write(), so that another process that appends cannot come between. Returns 0 or an errno. */
static int write_whole(struct audit_file *file, const struct strbuf *text)
{
    ssize_t written;
    do {
        written = write(file->fd, text->data, text->length);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)text->length) {
        file->torn = false;
        return 0;
    }
    int reason = written < 0 ? errno : ENOSPC;
    if (written > 0) {
        take_back(file, (size_t)written);
    }
    return reason;
}

bool audit_file_append(struct audit_file *file, const struct strbuf *line, struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    if (file->torn) {
        strbuf_append_byte(&text, '\n');
    }
    if (file->missing > 0) {
        char now[CLOCK_TEXT_SIZE];
        clock_wall_text(now);
        strbuf_appendf(&text, "{\"time\":\"%s\",\"event\":\"gap\",\"lines\":%" PRIu64 "}\n", now,
                       file->missing);
    }
    strbuf_append(&text, line->data, line->length);
    strbuf_append_byte(&text, '\n');
    int reason = write_whole(file, &text);
    strbuf_fini(&text);
    if (reason != 0) {
        file->missing_ever++;
        if (file->missing++ == 0) {
            log_error("audit file %s: %s: what happens is not written down", file->path, strerror(reason));
        }
        return err_set(err, ERR_INTERNAL_ERROR, "audit file %s: %s", file->path, strerror(reason));
    }
    if (file->missing > 0) {
        log_warn("audit file %s: is written again; %" PRIu64 " lines are missing", file->path, file->missing);
        file->missing = 0;
    }
    return true;
}
