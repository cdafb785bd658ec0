/* The reading that ends in a file below the dump root, or in a stage. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "methods/range.h"
#include "server/dump_file.h"
#include "server/stage.h"

struct range_file {
    struct request *request;
    char *path; /* NULL: into a stage */
    struct dump_file *file;
    struct sha256 *sha;  /* of the file; a stage computes its own */
    char *name;          /* of the stage */
    struct stage *stage; /* while it is made */
    char stage_id[STAGE_ID_SIZE];
    char digest[SHA256_TEXT_SIZE];
};

static bool file_sized(void *context, uint64_t size, struct err *err)
{
    struct range_file *self = context;
    const struct request *request = self->request;
    return self->path != NULL || stage_make(&request->server->stages, request->client->identity, self->name,
                                            size, &self->stage, err);
}

static bool open_path(struct range_file *self, struct err *err)
{
    self->sha = sha256_new();
    return dump_file_open(&self->file, self->request->server->config->dump_root, self->path, err);
}

static enum range_flow file_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                 struct err *err)
{
    struct range_file *self = context;
    if (self->path == NULL) {
        return stage_make_write(self->stage, bytes, length, err) ? RANGE_MORE : RANGE_FAILED;
    }
    if (offset == 0 && !open_path(self, err)) {
        return RANGE_FAILED;
    }
    sha256_add(self->sha, bytes, length);
    return dump_file_write(self->file, bytes, length, err) ? RANGE_MORE : RANGE_FAILED;
}

/* The stage is others' to use, and to delete, from here on: what the reply needs of it is kept. */
static bool finish_stage(struct range_file *self, struct err *err)
{
    struct stage *stage = self->stage;
    if (!stage_make_finish(stage, err)) {
        return false;
    }
    memcpy(self->stage_id, stage->id, sizeof self->stage_id);
    memcpy(self->digest, stage->sha256, sizeof self->digest);
    self->stage = NULL;
    return true;
}

static bool file_finish(void *context, struct err *err)
{
    struct range_file *self = context;
    if (self->path == NULL) {
        return finish_stage(self, err);
    }
    sha256_finish(self->sha, self->digest);
    return dump_file_commit(self->file, err);
}

static void file_free(void *context)
{
    struct range_file *self = context;
    if (self->stage != NULL) {
        stage_make_drop(self->stage);
    }
    dump_file_free(self->file);
    sha256_free(self->sha);
    free(self->name);
    free(self->path);
    free(self);
}

static void file_write(struct request *request, struct op *op, struct json_writer *json)
{
    const struct range_read *read = (const struct range_read *)op;
    const struct range_file *self = read->consumer_context;
    (void)request;
    if (self->path != NULL) {
        json_text(json, "path", self->path);
    } else {
        json_text(json, "stage", self->stage_id);
    }
    json_u64(json, "size", read->size);
    json_text(json, "sha256", self->digest);
}

static const struct range_consumer file_consumer = {
    .take = file_take, .finish = file_finish, .free = file_free, .sized = file_sized};

/* A look, so that a bad path is told at once; what waits for its turn holds no descriptors. */
static bool check_path(const struct request *request, const char *path, struct err *err)
{
    const char *root = request->server->config->dump_root;
    struct dump_file *file = NULL;
    if (root == NULL) {
        return err_set(err, ERR_FORBIDDEN,
                       "path: this daemon writes no files of its host: it has no dump_root; without `path` "
                       "the bytes become a stage");
    }
    if (!dump_file_open(&file, root, path, err)) {
        return false;
    }
    dump_file_free(file);
    return true;
}

bool range_file_run(struct request *request, const struct range_read_source *source, struct rpc_text *path,
                    const char *name, struct err *err)
{
    if (path->text != NULL && !check_path(request, path->text, err)) {
        return false;
    }
    struct range_file *self = xcalloc(1, sizeof *self);
    self->request = request;
    self->path = path->text;
    path->text = NULL;
    self->name = xstrdup(name);
    if (!source->to_end && !file_sized(self, source->size, err)) {
        file_free(self);
        return false;
    }
    return request_run(request, range_read_new(source, "read", &file_consumer, self), file_write);
}
