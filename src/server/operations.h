/*
 * The record of every long operation: it outlives the connection, so that a client that was cut off can ask
 * for its result. Kept for 10 minutes after the end, as far as OPERATIONS_MAX_ENDED records and
 * OPERATIONS_MAX_RESULT_BYTES reach; beyond that the oldest reads go first, then the oldest changes.
 */
#ifndef OCDMUX_SERVER_OPERATIONS_H
#define OCDMUX_SERVER_OPERATIONS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "net/loop.h"
#include "ops/op.h"
#include "rpc/json_write.h"

#define OPERATIONS_ID_SIZE 17
#define OPERATIONS_KEEP_MS 600000u
#define OPERATIONS_MAX_ENDED 4096u
#define OPERATIONS_MAX_RESULT_BYTES (32u * 1024u * 1024u)

enum operation_state {
    OPERATION_QUEUED,
    OPERATION_RUNNING,
    OPERATION_DONE,
    OPERATION_FAILED,
    OPERATION_CANCELLED
};

struct operation {
    struct list node;            /* in operations.active or operations.ended */
    char id[OPERATIONS_ID_SIZE]; /* 16 hex digits, not to be guessed */
    const char *board;           /* the board's own name */
    const char *method;          /* static */
    char *identity;              /* whose it is */
    char client[129];
    enum operation_state state;
    bool changes; /* the board: the last to be forgotten for lack of room */
    char created[CLOCK_TEXT_SIZE];
    struct op_progress progress;
    uint64_t event_us;    /* when an event told of it last */
    struct op *op;        /* while it has not ended */
    struct strbuf result; /* JSON; empty: none, or dropped for lack of room */
    struct strbuf error;  /* JSON */
    uint64_t expires_us;  /* ended ones */
    struct list waiters;  /* struct request by wait_node */
};

struct operations {
    struct loop *loop;
    struct list active;
    struct list ended; /* oldest first */
    size_t ended_count;
    size_t result_bytes;
    struct loop_timer *expiry;
};

void operations_init(struct operations *operations, struct loop *loop);
void operations_fini(struct operations *operations);

struct operation *operations_add(struct operations *operations, const char *board, const char *method,
                                 const char *identity, const char *client, struct op *op);
/* NULL if there is none, or no more. */
struct operation *operations_find(struct operations *operations, const char *id);
/* Moves it to the ended ones. Both texts may be NULL; they are copied as far as there is room. */
void operations_end(struct operations *operations, struct operation *operation, enum operation_state state,
                    const struct strbuf *result, const struct strbuf *error);

const char *operation_state_name(enum operation_state state);
/* Members of an object that is open already. */
void operation_write(const struct operation *operation, struct json_writer *json, bool with_result);
/* {"phase", "done", "total", "unit"} */
void operation_write_progress(struct json_writer *json, const char *key, const struct op_progress *progress);

#endif
