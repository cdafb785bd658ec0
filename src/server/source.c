/* Where a call's bytes come from. What is read counts as held by its request from before it is read. */
#include "server/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/rooted.h"
#include "server/stage.h"

static bool check_size(struct request *request, uint64_t size, struct err *err)
{
    uint64_t limit = request->server->config->limits.max_image_bytes;
    if (size > limit) {
        err_set(err, ERR_LIMIT_EXCEEDED,
                "%" PRIu64 " bytes are more than the %" PRIu64 " that one call takes", size, limit);
        err_add_text(err, "limit", "max_image_bytes");
        err_add_integer(err, "maximum", limit);
        return false;
    }
    return request_load(request, (size_t)size, err);
}

/* Stages. */

static bool read_stage(struct request *request, const char *id, uint8_t **ret_bytes, size_t *ret_length,
                       struct err *err)
{
    struct stage *stage = NULL;
    if (!stage_find(&request->server->stages, request->client->identity, id, &stage, err) ||
        !stage_check_complete(stage, err) || !check_size(request, stage->size, err)) {
        return false;
    }
    size_t length = (size_t)stage->size;
    uint8_t *bytes = xmalloc(length);
    if (!stage_read(stage, 0, bytes, length, err)) {
        free(bytes);
        return false;
    }
    stage_pin(stage);
    request->stage = stage;
    *ret_bytes = bytes;
    *ret_length = length;
    return true;
}

/* Files. */

/* Looked at before it is opened, since opening some devices does something, and afterwards, since another
 * file may have taken its place: a FIFO would never open, but for O_NONBLOCK. */
static int open_regular(int directory, const char *name, struct stat *ret_status)
{
    if (fstatat(directory, name, ret_status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(ret_status->st_mode)) {
        return -1;
    }
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, ret_status) != 0 || !S_ISREG(ret_status->st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The file below one root. -1 with `err` set; not_found where the next root may have it. */
static int open_below(const char *root, const char *path, struct stat *ret_status, struct err *err)
{
    const char *name = NULL;
    int directory = rooted_open_directory(root, path, &name);
    ret_status->st_mode = S_IFREG;
    int fd = directory < 0 ? -1 : open_regular(directory, name, ret_status);
    int reason = errno;
    if (directory >= 0) {
        close(directory);
    }
    errno = reason;
    if (fd >= 0) {
        return fd;
    }
    if (!S_ISREG(ret_status->st_mode)) {
        rooted_forbidden(err, path, "is no regular file");
    } else if (reason == ENOENT) {
        err_set(err, ERR_NOT_FOUND, "path: \"%.200s\" is under none of the image roots", path);
        err_add_text(err, "parameter", "path");
    } else {
        rooted_failed(err, "open", path);
    }
    return -1;
}

/* The file below the first root that has it. */
static int open_image(const struct config *config, const char *path, struct stat *ret_status, struct err *err)
{
    if (config->image_root_count == 0) {
        err_set(err, ERR_FORBIDDEN,
                "path: this daemon reads no files of its host: it has no image_roots; stage.create brings an "
                "image here");
        return -1;
    }
    if (!rooted_check(path, err)) {
        return -1;
    }
    for (size_t i = 0; i < config->image_root_count; i++) {
        int fd = open_below(config->image_roots[i], path, ret_status, err);
        if (fd >= 0 || err->kind != ERR_NOT_FOUND) {
            return fd;
        }
    }
    return -1;
}

static bool read_all(int fd, const char *path, uint8_t *bytes, size_t length, struct err *err)
{
    while (length > 0) {
        ssize_t count = read(fd, bytes, length);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return rooted_failed(err, "read", path);
        }
        if (count == 0) {
            err_set(err, ERR_STAGE_ERROR, "\"%.200s\" became shorter while it was read", path);
            err_add_text(err, "path", path);
            return false;
        }
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

static bool read_opened(struct request *request, int fd, const char *path, uint64_t size, uint8_t **ret_bytes,
                        size_t *ret_length, struct err *err)
{
    if (size == 0) {
        err_set(err, ERR_STAGE_ERROR, "\"%.200s\" is empty", path);
        err_add_text(err, "path", path);
        return false;
    }
    if (!check_size(request, size, err)) {
        return false;
    }
    uint8_t *bytes = xmalloc((size_t)size);
    if (!read_all(fd, path, bytes, (size_t)size, err)) {
        free(bytes);
        return false;
    }
    *ret_bytes = bytes;
    *ret_length = (size_t)size;
    return true;
}

static bool read_path(struct request *request, const char *path, uint8_t **ret_bytes, size_t *ret_length,
                      struct err *err)
{
    struct stat status;
    int fd = open_image(request->server->config, path, &status, err);
    if (fd < 0) {
        return false;
    }
    bool ok = read_opened(request, fd, path, (uint64_t)status.st_size, ret_bytes, ret_length, err);
    close(fd);
    return ok;
}

bool source_read(struct request *request, const struct rpc_text *stage, const struct rpc_text *path,
                 struct rpc_bytes *data, uint8_t **ret_bytes, size_t *ret_length, struct err *err)
{
    bool has_stage = stage != NULL && stage->text != NULL;
    bool has_path = path != NULL && path->text != NULL;
    if (has_stage + has_path + (data->bytes != NULL) != 1) {
        err_set(err, ERR_INVALID_PARAMS, "data: exactly one of %s%sdata is needed",
                stage != NULL ? "stage, " : "", path != NULL ? "path, " : "");
        err_add_text(err, "parameter", "data");
        return false;
    }
    if (has_stage) {
        if (!read_stage(request, stage->text, ret_bytes, ret_length, err)) {
            return false;
        }
    } else if (has_path) {
        if (!read_path(request, path->text, ret_bytes, ret_length, err)) {
            return false;
        }
    } else {
        *ret_bytes = data->bytes;
        *ret_length = data->length;
        data->bytes = NULL;
    }
    audit_image(request->server->audit, request, *ret_bytes, *ret_length,
                has_stage ? request->stage->sha256 : NULL);
    return true;
}
