/* What is in stages. Files are opened for one call at a time, so that many stages hold no descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/stage.h"

#define COMPARE_BYTES 65536u

static bool refused(const struct stage *stage, struct err *err)
{
    err_prefix(err, "stage %s", stage->id);
    err_add_text(err, "stage", stage->id);
    return false;
}

/* From errno. */
static bool system_failed(const struct stage *stage, const char *what, struct err *err)
{
    int reason = errno;
    err_set(err, ERR_STAGE_ERROR, "cannot be %s: %s", what, strerror(reason));
    return refused(stage, err);
}

/* All of it, or false with errno set; a file that is too short gives EIO. */
static bool read_all(int fd, uint64_t offset, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = pread(fd, bytes, length, (off_t)offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            errno = count == 0 ? EIO : errno;
            return false;
        }
        bytes += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return true;
}

static bool write_all(int fd, uint64_t offset, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = pwrite(fd, bytes, length, (off_t)offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            errno = count == 0 ? ENOSPC : errno;
            return false;
        }
        bytes += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return true;
}

/* Whether the file's bytes from `offset` are these. */
static bool check_same(const struct stage *stage, int fd, uint64_t offset, const uint8_t *bytes,
                       size_t length, struct err *err)
{
    uint8_t there[COMPARE_BYTES];
    while (length > 0) {
        size_t piece = length < sizeof there ? length : sizeof there;
        if (!read_all(fd, offset, there, piece)) {
            return system_failed(stage, "read", err);
        }
        if (memcmp(there, bytes, piece) != 0) {
            err_set(err, ERR_STAGE_ERROR, "other bytes are there already: they cannot be replaced");
            return refused(stage, err);
        }
        bytes += piece;
        offset += piece;
        length -= piece;
    }
    return true;
}

/* Some file systems say only with a close() that what was written has no room. */
static bool flush(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy >= 0 && close(copy) == 0;
}

/* Adds them at the end. What a full disk took of them is cut off again. */
static bool append(struct stage *stage, int fd, const uint8_t *bytes, size_t length, struct err *err)
{
    if (!write_all(fd, stage->offset, bytes, length) || !flush(fd)) {
        system_failed(stage, "written", err);
        if (ftruncate(fd, (off_t)stage->offset) != 0) {
            system_failed(stage, "written, nor cut to what it had before", err);
        }
        return false;
    }
    sha256_add(stage->sha, bytes, length);
    stage->offset += length;
    return true;
}

static void take_hash(struct stage *stage, char hash[SHA256_TEXT_SIZE])
{
    sha256_finish(stage->sha, hash);
    sha256_free(stage->sha);
    stage->sha = NULL;
}

/* All bytes are there: are they what was announced? */
static bool complete_upload(struct stage *stage, int fd, struct err *err)
{
    char hash[SHA256_TEXT_SIZE];
    take_hash(stage, hash);
    if (stage->sha256[0] == '\0' || strcmp(stage->sha256, hash) == 0) {
        memcpy(stage->sha256, hash, sizeof hash);
        stage_set_state(stage, STAGE_COMPLETE);
        return true;
    }
    stage->sha = sha256_new();
    stage->offset = 0;
    if (ftruncate(fd, 0) != 0) {
        return system_failed(stage, "emptied", err);
    }
    err_set(err, ERR_STAGE_ERROR,
            "the content has the SHA-256 %s instead of %s: it was thrown away, and the upload begins anew at "
            "offset 0",
            hash, stage->sha256);
    return refused(stage, err);
}

static bool bad_parameter(struct err *err, const char *parameter)
{
    err_add_text(err, "parameter", parameter);
    return false;
}

static bool check_place(const struct stage *stage, uint64_t offset, size_t length, struct err *err)
{
    if (stage->state == STAGE_MAKING) {
        err_set(err, ERR_STAGE_ERROR, "is being filled by the daemon");
        return refused(stage, err);
    }
    if (offset > stage->size || length > stage->size - offset) {
        err_set(err, ERR_INVALID_PARAMS,
                "data: %zu bytes at offset %" PRIu64 " would end behind the stage's %" PRIu64 " bytes",
                length, offset, stage->size);
        return bad_parameter(err, "data");
    }
    if (offset > stage->offset) {
        err_set(err, ERR_INVALID_PARAMS,
                "offset: the stage has %" PRIu64 " bytes so far: go on there, without a hole", stage->offset);
        return bad_parameter(err, "offset");
    }
    return true;
}

bool stage_write(struct stage *stage, uint64_t offset, const uint8_t *bytes, size_t length, struct err *err)
{
    if (!check_place(stage, offset, length, err)) {
        return false;
    }
    int fd = private_dir_open(stage->store->dir, &stage->file, true, err);
    if (fd < 0) {
        return refused(stage, err);
    }
    size_t there = length;
    if (length > stage->offset - offset) {
        there = (size_t)(stage->offset - offset);
    }
    bool ok = check_same(stage, fd, offset, bytes, there, err);
    if (ok && length > there) {
        ok = append(stage, fd, bytes + there, length - there, err) &&
             (stage->offset < stage->size || complete_upload(stage, fd, err));
    }
    close(fd);
    return ok;
}

bool stage_check_complete(const struct stage *stage, struct err *err)
{
    if (stage->state == STAGE_COMPLETE) {
        return true;
    }
    err_set(err, ERR_STAGE_ERROR, "is not complete: %" PRIu64 " of its %" PRIu64 " bytes are there",
            stage->offset, stage->size);
    return refused(stage, err);
}

bool stage_read(struct stage *stage, uint64_t offset, uint8_t *ret_bytes, size_t length, struct err *err)
{
    int fd = private_dir_open(stage->store->dir, &stage->file, false, err);
    if (fd < 0) {
        return refused(stage, err);
    }
    bool ok = read_all(fd, offset, ret_bytes, length) || system_failed(stage, "read", err);
    close(fd);
    return ok;
}

/* What the daemon makes itself. */

static bool check_making(const struct stage *stage, struct err *err)
{
    if (stage->state == STAGE_MAKING) {
        return true;
    }
    err_set(err, ERR_STAGE_ERROR, "was deleted before all was in it");
    return refused(stage, err);
}

bool stage_make_write(struct stage *stage, const uint8_t *bytes, size_t length, struct err *err)
{
    if (!check_making(stage, err)) {
        return false;
    }
    if (length > stage->size - stage->offset) {
        err_set(err, ERR_STAGE_ERROR, "would have more than its %" PRIu64 " bytes", stage->size);
        return refused(stage, err);
    }
    int fd = private_dir_open(stage->store->dir, &stage->file, true, err);
    if (fd < 0) {
        return refused(stage, err);
    }
    bool ok = append(stage, fd, bytes, length, err);
    close(fd);
    return ok;
}

bool stage_make_finish(struct stage *stage, struct err *err)
{
    if (!check_making(stage, err)) {
        return false;
    }
    if (stage->offset != stage->size) {
        return stage_check_complete(stage, err);
    }
    take_hash(stage, stage->sha256);
    stage_set_state(stage, STAGE_COMPLETE);
    stage_unpin(stage);
    return true;
}

void stage_make_drop(struct stage *stage)
{
    if (stage->state != STAGE_GONE) {
        stage_delete(stage);
    }
    stage_unpin(stage);
}
