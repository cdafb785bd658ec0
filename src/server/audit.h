/*
 * The audit file: who did what, from where, on which board, and how it ended; for people who must find out
 * afterwards. Each line is one JSON object, written whole with one write(), never with tokens, lease ids or
 * the bytes that were moved:
 *
 *   {"time", "event": "begun", "call", "method", "board", "target"?, "identity", "client"?, "peer",
 *    "params": {...}, "image": {"sha256", "size"}?}           a changing call goes to its board
 *   {"time", "event": "ended", "call", ..., "outcome": "done", "duration_ms", "result": {...}}
 *   {"time", "event": "ended", "call", ..., "outcome": "failed", "duration_ms", "error": {"kind", "message"}}
 *   {"time", "event": "refused", "method", ..., "error": {...}} before anything was done
 *   {"time", "event": "done", "method", ..., "result": {...}}   a call about a lease: who asked for what
 * follows
 *   {"time", "event": "lease", "kind", "board", "identity", "client"?, "reason"?}
 *   {"time", "event": "gdb", "kind", "board", "target", "identity", "peer"}
 *   {"time", "event": "login", "identity", "peer", "by"}, or without "identity" and with "error"
 *
 * `call` numbers the calls of one daemon's life; a "begun" without its "ended" is one that the daemon did not
 * live to see the end of. `params` and `result` have numbers, truth values, short texts and names of
 * registers only. A line that is no JSON was cut off by the end of the daemon or of its machine.
 */
#ifndef OCDMUX_SERVER_AUDIT_H
#define OCDMUX_SERVER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "board/lease.h"
#include "rpc/json.h"

struct audit;
struct board;
struct client;
struct request;
struct rpc_method;

/* What a call's lines have in common, from when it was let in. Zeros: nothing is written of it. */
struct audit_call {
    uint64_t number; /* 0: not begun */
    uint64_t begun_us;
    struct strbuf params; /* JSON; empty: this call is not for the audit */
    char image_sha256[65];
    uint64_t image_size;
};

/* Appends to `path`, which is made with mode 0600 where it is missing. internal_error, with the system's
 * words, where it cannot be opened. `required`: see audit_begin(). */
bool audit_new(struct audit **ret_audit, const char *path, bool required, struct err *err)
    __attribute__((warn_unused_result));
void audit_free(struct audit *audit);
/* Opens the path anew, for those who rotate files; the old file stays in use where that fails. */
void audit_reopen(struct audit *audit);
/* Lines that could not be written, since the start; 0 where `audit` is NULL. */
uint64_t audit_missing(const struct audit *audit);

/* All of the following do nothing where `audit` is NULL. What cannot be written is logged once until writing
 * works again, and then how many lines are missing is written before the next one. */

/* Whether calls of it are written of: those that change a board, and those that give, take or end a lease. */
bool audit_wants(const struct rpc_method *method);
/* Looks at such a call's parameters: it will be written of. */
void audit_take(struct audit *audit, struct request *request, struct json_span params);
/* The image that it brings; `sha256` "" or NULL: made here. */
void audit_image(struct audit *audit, struct request *request, const uint8_t *bytes, size_t size,
                 const char *sha256);
/* The call goes to its board. internal_error where the audit is required and cannot be written: then nothing
 * may be changed. */
bool audit_begin(struct audit *audit, struct request *request, struct err *err)
    __attribute__((warn_unused_result));
/* It has ended, or was refused: `err` NULL is success, with its `result` as JSON text. */
void audit_end(struct audit *audit, struct request *request, const struct err *err, struct json_span result);
/* A changing call, or a lease's, that the client's role does not allow. */
void audit_refused(struct audit *audit, const struct client *client, const char *method,
                   const struct err *err);

void audit_lease(struct audit *audit, const struct board *board, const char *kind,
                 const struct lease_terms *terms);
/* gdb, which changes the board without calls, has "attached" or "detached". */
void audit_gdb(struct audit *audit, const struct board *board, const char *kind, const char *identity,
               const char *peer, const char *target);
/* The client is known as somebody: by "token", "user" or "certificate". */
void audit_login(struct audit *audit, const struct client *client, const char *by);
/* It tried, and is not. */
void audit_login_failed(struct audit *audit, const struct client *client, const char *by, const char *reason);

#endif
