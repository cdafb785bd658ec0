/* Reading and writing files. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "print.h"

#define FILE_READ_BYTES ((size_t)64 << 10)

static bool file_complain(const char *path, const char *reason)
{
    fputs("ocdmux: ", stderr);
    print_field(stderr, strcmp(path, "-") == 0 ? "standard input" : path);
    fprintf(stderr, ": %s\n", reason);
    return false;
}

static bool file_read_all(int fd, const char *path, struct strbuf *out)
{
    size_t start = out->length;
    for (;;) {
        char *place = strbuf_extend(out, FILE_READ_BYTES);
        ssize_t got = read(fd, place, FILE_READ_BYTES);
        strbuf_truncate(out, out->length - FILE_READ_BYTES + (got > 0 ? (size_t)got : 0));
        if (got < 0 && errno != EINTR) {
            return file_complain(path, strerror(errno));
        }
        if (got == 0) {
            break;
        }
        if (out->length - start > FILE_MAX_BYTES) {
            return file_complain(path, "larger than 256 MiB");
        }
    }
    return out->length > start || file_complain(path, "is empty");
}

bool file_read(const char *path, struct strbuf *out)
{
    if (strcmp(path, "-") == 0) {
        return file_read_all(STDIN_FILENO, path, out);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_complain(path, strerror(errno));
    }
    bool good = file_read_all(fd, path, out);
    close(fd);
    return good;
}

static bool file_output_complain(const struct file_output *output)
{
    int reason = errno;
    const char *path = strcmp(output->path, "-") == 0 ? "standard output" : output->path;
    return file_complain(output->part != NULL ? output->part : path, strerror(reason));
}

enum file_place { FILE_PLACE_REGULAR, FILE_PLACE_DIRECTORY, FILE_PLACE_SPECIAL };

static enum file_place file_look(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) {
        return FILE_PLACE_REGULAR;
    }
    return S_ISDIR(status.st_mode) ? FILE_PLACE_DIRECTORY : FILE_PLACE_SPECIAL;
}

bool file_output_open(struct file_output *output, const char *path)
{
    *output = (struct file_output){.path = path, .fd = STDOUT_FILENO};
    if (strcmp(path, "-") == 0) {
        return true;
    }
    switch (file_look(path)) {
    case FILE_PLACE_DIRECTORY:
        return file_complain(path, strerror(EISDIR));
    case FILE_PLACE_SPECIAL:
        /* Renaming over a device would replace the device. */
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        return output->fd >= 0 || file_output_complain(output);
    case FILE_PLACE_REGULAR:
        break;
    }
    struct strbuf part = STRBUF_INIT;
    strbuf_appendf(&part, "%s.part", path);
    output->part = strbuf_steal(&part);
    output->fd = open(output->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd >= 0) {
        return true;
    }
    if (errno == EEXIST) {
        (void)file_complain(output->part,
                            "is there already: another dump is at work, or one was killed; remove it");
    } else {
        (void)file_output_complain(output);
    }
    free(output->part);
    return false;
}

bool file_output_write(struct file_output *output, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(output->fd, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return file_output_complain(output);
        }
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

bool file_output_commit(struct file_output *output)
{
    bool good = true;
    if (output->fd != STDOUT_FILENO) {
        good = close(output->fd) == 0;
    }
    if (output->part == NULL) {
        return good || file_output_complain(output);
    }
    if (!good || rename(output->part, output->path) != 0) {
        (void)file_output_complain(output);
        (void)unlink(output->part);
        good = false;
    }
    free(output->part);
    output->part = NULL;
    return good;
}

void file_output_abort(struct file_output *output)
{
    if (output->fd != STDOUT_FILENO) {
        close(output->fd);
    }
    if (output->part != NULL) {
        (void)unlink(output->part);
        free(output->part);
        output->part = NULL;
    }
}
