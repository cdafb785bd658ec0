/*
 * One call of a client, from its parameters to its one reply. Handlers (methods/) get one and either answer
 * it at once or make it an operation.
 */
#ifndef OCDMUX_SERVER_REQUEST_H
#define OCDMUX_SERVER_REQUEST_H

#include "rpc/json_write.h"
#include "rpc/methods_gen.h"
#include "server/audit.h"
#include "server/client.h"

struct reply_batch;
struct request;

/* Adds the members of the result that belong to the method; the object is open already. */
typedef void request_result(struct request *request, struct op *op, struct json_writer *json);

struct request {
    struct list node; /* in client.requests */
    struct client *client;
    struct server *server;
    const struct rpc_method *method;
    char *id;                  /* JSON text */
    size_t held_bytes;         /* of parameters */
    size_t loaded_bytes;       /* by request_load() */
    bool orphaned;             /* its client has gone */
    struct reply_batch *batch; /* NULL: answered by a line of its own */

    struct board *board;  /* methods that run on one */
    uint64_t timeout_ms;  /* 0: none */
    char *progress_token; /* JSON text; NULL: no progress asked for */
    char *target;         /* "" for the current one */

    struct audit_call audit; /* what is written of it */

    struct stage *stage; /* pinned until the request ends; NULL: none */

    struct op *op; /* NULL until request_run() */
    request_result *write_result;
    struct operation *operation; /* its record, for long ones */
    uint64_t progress_us;        /* when progress was last sent */
    struct op_progress progress_sent;

    uint64_t lease_number;             /* that it was admitted under; 0: none */
    struct lease_waiter *lease_waiter; /* lease.acquire, while it waits; its own */

    struct loop_timer *wait_timer; /* operation.wait, target.wait */
    struct list wait_node;         /* in operation.waiters or in server.target_waits */
    const char *wait_state;        /* target.wait */

    struct strbuf reply;   /* under construction */
    enum err_kind outcome; /* what it is counted as */
    struct json_writer json;
};

/*
 * For handlers of methods that take `board` themselves: finds it and checks the client's role there. Fails
 * with invalid_params, not_found or forbidden. `name` NULL: the only board.
 */
bool request_find_board(struct request *request, const char *name, struct board **ret_board, struct err *err)
    __attribute__((warn_unused_result));

/* Whether the client may name the lease with this `id`, which may be NULL or that of no lease: its own
 * identity's, or anybody's for an admin of the board. Fails with forbidden. */
bool request_check_lease(const struct request *request, const struct board *board, const char *id,
                         struct err *err) __attribute__((warn_unused_result));

/* For handlers: counts bytes that were not in the line, and are about to be allocated, as held by the request
 * until it ends. limit_exceeded if all requests together would hold too many. */
bool request_load(struct request *request, size_t bytes, struct err *err) __attribute__((warn_unused_result));

/* For handlers: opens the reply with its result object; write the members, then request_reply_end(). */
struct json_writer *request_reply_begin(struct request *request);
/* Sends it and frees the request. */
void request_reply_end(struct request *request);
/* Answers with a result that is JSON text already, and frees the request. Takes the buffer over. */
void request_reply_whole(struct request *request, struct strbuf *take_json);
/* Answers with an error and frees the request. */
void request_fail(struct request *request, const struct err *err);

/*
 * Makes it an operation on its board, for the request's target where the operation has none of its own. Where
 * the operation's class says so, `operation` and `disturbed` are added to what `write_result` wrote. Where
 * too many wait there already it is answered with limit_exceeded, and nothing is run. Always returns true:
 * handlers end with `return request_run(...)`.
 */
bool request_run(struct request *request, struct op *take_op, request_result *write_result);

/* The operation's client has gone: cancels, unless it is detached and has begun. */
void request_orphan(struct request *request);
/* request.cancel. A refusal of a token that waits goes on waiting. `reason` is static, NULL: none is told. */
void request_cancel(struct request *request, const char *reason);
/* NULL if no request of that id (JSON text) is in flight. */
struct request *request_find(struct client *client, const char *id);

/* The request that an operation belongs to. */
struct request *request_of(const struct op *op);

extern const struct op_owner request_op_owner;

#endif
