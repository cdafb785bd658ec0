/* Records of operations: active ones, then the ended ones in the order of their end. */
#include "server/operations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"

static void drop(struct operations *operations, struct operation *operation)
{
    operations->result_bytes -= operation->result.length + operation->error.length;
    operations->ended_count--;
    list_remove(&operation->node);
    strbuf_fini(&operation->result);
    strbuf_fini(&operation->error);
    free(operation->identity);
    free(operation);
}

static struct operation *oldest(struct operations *operations)
{
    return list_is_empty(&operations->ended) ? NULL
                                             : list_entry(operations->ended.next, struct operation, node);
}

static void arm_expiry(struct operations *operations)
{
    const struct operation *first = oldest(operations);
    if (first == NULL) {
        loop_timer_cancel(operations->expiry);
        return;
    }
    uint64_t now = clock_now_us();
    loop_timer_set(operations->expiry, first->expires_us <= now ? 0 : (first->expires_us - now) / 1000 + 1);
}

static void on_expiry(void *context)
{
    struct operations *operations = context;
    struct operation *first;
    while ((first = oldest(operations)) != NULL && first->expires_us <= clock_now_us()) {
        drop(operations, first);
    }
    arm_expiry(operations);
}

void operations_init(struct operations *operations, struct loop *loop)
{
    memset(operations, 0, sizeof *operations);
    operations->loop = loop;
    list_init(&operations->active);
    list_init(&operations->ended);
    operations->expiry = loop_timer_new(loop, on_expiry, operations);
}

void operations_fini(struct operations *operations)
{
    struct operation *first;
    while ((first = oldest(operations)) != NULL) {
        drop(operations, first);
    }
    loop_timer_free(operations->expiry);
}

struct operation *operations_add(struct operations *operations, const char *board, const char *method,
                                 const char *identity, const char *client, struct op *op)
{
    struct operation *operation = xcalloc(1, sizeof *operation);
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        random = clock_now_us() * 0x9e3779b97f4a7c15u;
    }
    snprintf(operation->id, sizeof operation->id, "%016" PRIx64, random);
    operation->board = board;
    operation->method = method;
    operation->identity = xstrdup(identity);
    snprintf(operation->client, sizeof operation->client, "%s", client);
    operation->state = OPERATION_QUEUED;
    clock_wall_text(operation->created);
    operation->op = op;
    list_init(&operation->waiters);
    list_append(&operations->active, &operation->node);
    return operation;
}

static struct operation *find_in(struct list *list, const char *id)
{
    list_for_each (node, list) {
        struct operation *operation = list_entry(node, struct operation, node);
        if (strcmp(operation->id, id) == 0) {
            return operation;
        }
    }
    return NULL;
}

struct operation *operations_find(struct operations *operations, const char *id)
{
    struct operation *operation = find_in(&operations->active, id);
    return operation != NULL ? operation : find_in(&operations->ended, id);
}

/* Many short reads of one client must not take the record of another's flash write. */
static struct operation *to_forget(struct operations *operations)
{
    list_for_each (node, &operations->ended) {
        struct operation *operation = list_entry(node, struct operation, node);
        if (!operation->changes) {
            return operation;
        }
    }
    return oldest(operations);
}

static bool over_limit(const struct operations *operations)
{
    return operations->ended_count > OPERATIONS_MAX_ENDED ||
           operations->result_bytes > OPERATIONS_MAX_RESULT_BYTES;
}

void operations_end(struct operations *operations, struct operation *operation, enum operation_state state,
                    const struct strbuf *result, const struct strbuf *error)
{
    operation->state = state;
    operation->op = NULL;
    operation->expires_us = clock_now_us() + OPERATIONS_KEEP_MS * 1000ull;
    if (result != NULL && result->length <= OPERATIONS_MAX_RESULT_BYTES / 8) {
        strbuf_append(&operation->result, result->data, result->length);
    }
    if (error != NULL) {
        strbuf_append(&operation->error, error->data, error->length);
    }
    list_move_to_end(&operations->ended, &operation->node);
    operations->ended_count++;
    operations->result_bytes += operation->result.length + operation->error.length;
    while (over_limit(operations) && operations->ended_count > 1) {
        struct operation *victim = to_forget(operations);
        if (victim == operation) {
            victim = oldest(operations); /* the newest is what its client may still ask for */
        }
        drop(operations, victim);
    }
    arm_expiry(operations);
}

const char *operation_state_name(enum operation_state state)
{
    switch (state) {
    case OPERATION_QUEUED:
        return "queued";
    case OPERATION_RUNNING:
        return "running";
    case OPERATION_DONE:
        return "done";
    case OPERATION_FAILED:
        return "failed";
    case OPERATION_CANCELLED:
        return "cancelled";
    }
    return "?";
}

void operation_write_progress(struct json_writer *json, const char *key, const struct op_progress *progress)
{
    json_open_object(json, key);
    json_text(json, "phase", progress->phase);
    json_u64(json, "done", progress->done);
    if (progress->total > 0) {
        json_u64(json, "total", progress->total);
    }
    json_text(json, "unit", progress->unit);
    json_close_object(json);
}

void operation_write(const struct operation *operation, struct json_writer *json, bool with_result)
{
    json_text(json, "operation", operation->id);
    json_text(json, "board", operation->board);
    json_text(json, "method", operation->method);
    if (operation->client[0] != '\0') {
        json_text(json, "client", operation->client);
    }
    json_text(json, "state", operation_state_name(operation->state));
    json_text(json, "created", operation->created);
    if (operation->progress.phase != NULL) {
        operation_write_progress(json, "progress", &operation->progress);
    }
    if (with_result && operation->result.length > 0) {
        json_raw(json, "result", operation->result.data, operation->result.length);
    }
    if (with_result && operation->error.length > 0) {
        json_raw(json, "error", operation->error.data, operation->error.length);
    }
}
