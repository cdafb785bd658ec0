/*
 * libocdmux: the client side of ocdmux's protocol (JSON-RPC 2.0, one JSON text a line; proto/PROTOCOL.md)
 * over TCP, TLS, a Unix socket or ssh. A function blocks until it is done, or until its time limit, or until
 * it is interrupted; those of "an event loop of one's own" below never block.
 *
 * The library starts no threads, changes no signal handlers, raises no SIGPIPE and has no state but that of
 * its connections. One connection is used by one thread at a time. Nothing is written to standard output or
 * error, except by ssh, and that running out of memory ends the process with a message. A function that fails
 * returns false, fills its `error` and leaves its other outputs untouched. What a server may make it hold is
 * bounded: one line of OCDMUX_MAX_LINE_BYTES, and the answers to the calls that are in flight.
 *
 * Programs include <ocdmux.h> and ask pkg-config for `ocdmux`. Only names that begin with ocdmux_ are
 * exported. A change of a struct changes the name of the shared library (its soname).
 *
 *     struct ocdmux_error error = OCDMUX_ERROR_INIT;
 *     struct ocdmux *connection = NULL;
 *     struct ocdmux_result result = OCDMUX_RESULT_INIT;
 *     if (!ocdmux_open(NULL, 0, &connection, &error) ||
 *         !ocdmux_hello(connection, "example", NULL, 0, &result, &error)) {
 *         fprintf(stderr, "%s: %s\n", error.kind, error.message);
 *     }
 *     ocdmux_result_fini(&result);
 *     ocdmux_error_fini(&error);
 *     ocdmux_close(connection);
 */
#ifndef OCDMUX_CLIENT_OCDMUX_H
#define OCDMUX_CLIENT_OCDMUX_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The library's version, "0.1.0". */
const char *ocdmux_version(void);

/* The longest line that is taken from a server; a longer one ends the connection with OCDMUX_KIND_PROTOCOL.
 */
#define OCDMUX_MAX_LINE_BYTES ((size_t)64 << 20)
#define OCDMUX_DEFAULT_TCP_SERVER "tcp:127.0.0.1:6670"
#define OCDMUX_DEFAULT_CONNECT_TIMEOUT_MS 10000u
#define OCDMUX_DEFAULT_CANCEL_WAIT_MS 10000u
/* What `server.hello` answers as `protocol`. */
#define OCDMUX_PROTOCOL 1

/*
 * Errors. `kind` is what programs switch on: a kind of the protocol ("target_error", "timeout", ...; a newer
 * server may send one that this header does not know), or one of the library's own:
 */
#define OCDMUX_KIND_CONNECTION_FAILED "connection_failed" /* nobody there, or no answer in time */
#define OCDMUX_KIND_CONNECTION_LOST "connection_lost"     /* closed or broken after it was open */
#define OCDMUX_KIND_PROTOCOL "protocol_error"             /* the server does not speak the protocol; closed */
#define OCDMUX_KIND_UNKNOWN "unknown_error"               /* sent by a server that does not say which */
/* The protocol's kinds that the library also makes itself; `local` is then true. */
#define OCDMUX_KIND_TIMEOUT "timeout"
#define OCDMUX_KIND_CANCELLED "cancelled"
#define OCDMUX_KIND_INVALID_PARAMS "invalid_params"
#define OCDMUX_KIND_LINE_TOO_LONG "line_too_long"

struct ocdmux_error {
    char *kind;       /* NULL: no error */
    char *message;    /* for people; never NULL with a kind; may hold any character but NUL */
    bool local;       /* made by the library, not sent by the server */
    bool has_openocd; /* whether OpenOCD said something, in the next two */
    long openocd_code;
    char *openocd_text; /* NULL without has_openocd */
    cJSON *details;     /* an object: what `error.data` held besides these; NULL if nothing */
};
#define OCDMUX_ERROR_INIT                       \
    {                                           \
        NULL, NULL, false, false, 0, NULL, NULL \
    }

/* Frees what `error` holds and makes it OCDMUX_ERROR_INIT again. */
void ocdmux_error_fini(struct ocdmux_error *error);
bool ocdmux_error_is(const struct ocdmux_error *error, const char *kind);
/* Reads the protocol's error object ({"code", "message", "data"}), as in the `error` of an operation. */
void ocdmux_error_read(struct ocdmux_error *error, const cJSON *object);

/* A connection. */
struct ocdmux;

/*
 * The server to use where none is named: $OCDMUX_SERVER; else "unix:$XDG_RUNTIME_DIR/ocdmux.sock" if that
 * socket exists; else OCDMUX_DEFAULT_TCP_SERVER. The caller frees it.
 */
char *ocdmux_default_server(void);

/* For "tls:HOST:PORT": PEM files. NULL members, or no struct at all, are the defaults. */
struct ocdmux_tls {
    const char *ca;          /* whose signatures on the server's certificate count; NULL: the system's */
    const char *certificate; /* the client's own; NULL: none is shown */
    const char *key;         /* its key, without a pass phrase */
};

/*
 * Connects to "tcp:HOST:PORT" ("tcp:[::1]:6670" for IPv6), "tls:HOST:PORT" (HOST must be in the server's
 * certificate), "unix:PATH", or "ssh:HOST", which runs `ssh HOST ocdmux stdio` ($OCDMUX_SSH names another
 * program in the place of ssh); NULL: ocdmux_default_server().
 * `timeout_ms` of 0 is OCDMUX_DEFAULT_CONNECT_TIMEOUT_MS; looking up a host name is not part of it. Fails
 * with invalid_params for a text of another form, and with connection_failed. Nothing is sent yet.
 */
bool ocdmux_open(const char *server, uint64_t timeout_ms, struct ocdmux **ret_connection,
                 struct ocdmux_error *error) __attribute__((warn_unused_result));
/* The same with what TLS needs; files that cannot be used are invalid_params. */
bool ocdmux_open_tls(const char *server, const struct ocdmux_tls *tls, uint64_t timeout_ms,
                     struct ocdmux **ret_connection, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/*
 * Joins `in` and `out` to a connection, byte for byte: the end of `in` is passed on, the server's end ends
 * the call. Fails as ocdmux_open_tls(), and with connection_lost where one of the three breaks.
 */
bool ocdmux_relay(const char *server, const struct ocdmux_tls *tls, int in, int out,
                  struct ocdmux_error *error) __attribute__((warn_unused_result));
/*
 * The same behind an exchange of one line each way, as a board's gdb listener has it: sends `line`, which
 * ends in LF, and gives the line that comes, without its LF and at most OCDMUX_GREETING_BYTES long, to
 * `answered`; that returns false with `error` set to end it. Once that was given true, `out` is closed at the
 * end. Fails with connection_failed where none comes in `timeout_ms`, with protocol_error for a longer one.
 */
#define OCDMUX_GREETING_BYTES 16384u
typedef bool ocdmux_greeting_fn(void *arg, const char *line, struct ocdmux_error *error);
bool ocdmux_relay_after(const char *server, const struct ocdmux_tls *tls, const char *line,
                        ocdmux_greeting_fn *answered, void *arg, uint64_t timeout_ms, int in, int out,
                        struct ocdmux_error *error) __attribute__((warn_unused_result));
/* Calls in flight are left to the server; nobody is told. An ssh gets up to two seconds to end. NULL is
 * allowed. */
void ocdmux_close(struct ocdmux *connection);
/* As it was given or found by ocdmux_default_server(); lives as long as the connection. */
const char *ocdmux_server(const struct ocdmux *connection);

/*
 * `fd` is the read end of a pipe; -1: none (at the start). Each byte that arrives in it is one interrupt; the
 * library reads them. A signal handler that writes one byte is all that Ctrl-C needs. It must not block when
 * empty.
 */
void ocdmux_set_interrupt_fd(struct ocdmux *connection, int fd);

/* A notification. Everything in it is gone when the handler returns. */
struct ocdmux_notification {
    const char *method;  /* "progress", "data", "event", or what a newer server sends */
    const cJSON *params; /* an object */
    const char *text;    /* the JSON text of `params` as it came, not NUL-terminated */
    size_t length;
};
/* False stops: see where the handler is given. With the connection it may only begin and cancel calls
 * (ocdmux_begin(), ocdmux_cancel()). */
typedef bool ocdmux_notification_fn(void *arg, const struct ocdmux_notification *notification);

/* Gets every notification that belongs to no call; false ends ocdmux_wait(). NULL: they are dropped. */
void ocdmux_set_event_handler(struct ocdmux *connection, ocdmux_notification_fn *handler, void *arg);

struct ocdmux_result {
    cJSON *json; /* the result as a tree; NUL characters in strings are replaced by U+FFFD */
    char *text;  /* the result's JSON text exactly as it came, NUL-terminated */
    size_t length;
};
#define OCDMUX_RESULT_INIT \
    {                      \
        NULL, NULL, 0      \
    }
void ocdmux_result_fini(struct ocdmux_result *result);

/* How a call of ocdmux_begin() ended: `error->kind` is NULL on success. What is wanted of the two is moved
 * out and replaced by OCDMUX_RESULT_INIT or OCDMUX_ERROR_INIT; the rest is freed behind the handler. */
typedef void ocdmux_done_fn(void *arg, struct ocdmux_result *result, struct ocdmux_error *error);

/* All zero is a call without limits, progress and handlers. */
struct ocdmux_call_options {
    uint64_t timeout_ms;     /* how long to wait for the answer; 0: without limit */
    uint64_t cancel_wait_ms; /* how long to wait after a cancel; 0: OCDMUX_DEFAULT_CANCEL_WAIT_MS */
    bool progress;           /* ask for progress notifications (methods of boards only) */
    /* Gets this call's `progress` and `data`; false cancels the call, as an interrupt does. */
    ocdmux_notification_fn *notify;
    void (*cancelling)(void *arg); /* called once when an interrupt has cancelled the call */
    ocdmux_done_fn *done;          /* of ocdmux_begin() only; NULL: nobody wants the answer */
    void *arg;                     /* for all three */
};

/*
 * Calls `method` and waits for its answer. `params` is an object or NULL, and stays the caller's; `options`
 * may be NULL. Fails with what the server answered, with the kinds above, and:
 *  - invalid_params: `params` is no object or holds text that is not UTF-8; nothing was sent;
 *  - line_too_long: longer than the server takes a line (known after ocdmux_hello()); nothing was sent;
 *  - timeout (`local`): no answer in `timeout_ms`; the server was asked to cancel, its late answer will be
 * dropped;
 *  - cancelled (`local`): interrupted before the call was sent; or the answer to an interrupted call did not
 * come in `cancel_wait_ms`, or not before a second interrupt: then it may still be running. The first
 * interrupt sends `request.cancel`; the answer that follows is what the call returns, success as well. One
 * that comes together with the answer interrupts the next call, or ocdmux_wait().
 */
bool ocdmux_call(struct ocdmux *connection, const char *method, const cJSON *params,
                 const struct ocdmux_call_options *options, struct ocdmux_result *ret_result,
                 struct ocdmux_error *error) __attribute__((warn_unused_result));
/* The same with the JSON text of an object, sent as it is but for its line breaks; NULL: none. */
bool ocdmux_call_text(struct ocdmux *connection, const char *method, const char *params,
                      const struct ocdmux_call_options *options, struct ocdmux_result *ret_result,
                      struct ocdmux_error *error) __attribute__((warn_unused_result));

/*
 * `server.hello`: names this client (at most 128 bytes), shows a token (NULL: none), and learns the server's
 * limits. `ret_result` may be NULL. Fails as ocdmux_call(), but with connection_failed where no answer comes
 * in `timeout_ms` (0: without limit), and with protocol_error where the server speaks another version of the
 * protocol.
 */
bool ocdmux_hello(struct ocdmux *connection, const char *client, const char *token, uint64_t timeout_ms,
                  struct ocdmux_result *ret_result, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/* What one call may ask for. UINT64_MAX where the server, or nobody yet, has said; max_line_bytes is 8 MiB
 * then. */
struct ocdmux_limits {
    uint64_t max_line_bytes;
    uint64_t max_inline_bytes; /* of data in one call or reply */
    uint64_t max_image_bytes;
};
/* As the last ocdmux_hello() learned them; lives as long as the connection. */
const struct ocdmux_limits *ocdmux_limits(const struct ocdmux *connection);
/* The most bytes that one call or reply can hold as base64. */
size_t ocdmux_inline_room(const struct ocdmux *connection);

/*
 * Waits for notifications without a call: until the event handler returns false, an interrupt, or
 * `timeout_ms` (0: without limit); all three are success. Fails with connection_lost or protocol_error.
 */
bool ocdmux_wait(struct ocdmux *connection, uint64_t timeout_ms, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/*
 * An event loop of one's own. After ocdmux_open() and, where wanted, ocdmux_hello() nothing blocks any more:
 *
 *     struct pollfd wait = {ocdmux_fd(connection), ocdmux_events(connection), 0};
 *     poll(&wait, 1, ocdmux_timeout(connection));
 *     if (!ocdmux_process(connection, &error)) { ... the connection is lost ... }
 *
 * The descriptor stays the same; the other two are asked anew before each wait, for calls and processing
 * change them. Waiting must be level-triggered. Any number of calls may be in flight; handlers are called
 * from ocdmux_process(), never from ocdmux_begin(), and each `done` once. Blocking functions may be mixed in:
 * the `done` of a call that ends meanwhile is called by the next ocdmux_process(). Handlers may begin and
 * cancel calls; everything else of the same connection fails in them with invalid_params, and closing it
 * there is forbidden.
 */
struct ocdmux_pending;

/*
 * As ocdmux_call() and ocdmux_call_text(), but returns at once. `options` (NULL: nobody wants to know) are
 * copied. `ret_pending`, if not NULL, is for ocdmux_cancel(); it is gone once `done` is called. Fails as they
 * do before anything is sent, and with the error of a connection that is lost.
 */
bool ocdmux_begin(struct ocdmux *connection, const char *method, const cJSON *params,
                  const struct ocdmux_call_options *options, struct ocdmux_pending **ret_pending,
                  struct ocdmux_error *error) __attribute__((warn_unused_result));
bool ocdmux_begin_text(struct ocdmux *connection, const char *method, const char *params,
                       const struct ocdmux_call_options *options, struct ocdmux_pending **ret_pending,
                       struct ocdmux_error *error) __attribute__((warn_unused_result));
/* Asks the server to cancel it. `done` gets the answer, success as well, or `cancelled` (`local`) where none
 * comes in `cancel_wait_ms`. */
void ocdmux_cancel(struct ocdmux_pending *pending);

int ocdmux_fd(const struct ocdmux *connection);
/* What to wait for: POLLIN, POLLOUT or both, as poll() has them. */
short ocdmux_events(const struct ocdmux *connection);
/* Milliseconds until ocdmux_process() has something to do whatever the descriptor says; -1: nothing. */
int ocdmux_timeout(const struct ocdmux *connection);
/*
 * Moves what can be moved without blocking, ends the calls whose time is over, and calls handlers. An event
 * handler that returns false is called no more until it is set anew. Fails with connection_lost or
 * protocol_error; every call in flight has been told by then.
 */
bool ocdmux_process(struct ocdmux *connection, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/*
 * The usual jobs. They block, and each says which methods of the protocol it calls; it fails as these do, and
 * with protocol_error for results that are not what the protocol says.
 */

/* False stops the job, which then fails with `cancelled`, or is done all the same if it was too late. `total`
 * 0: not known. */
typedef bool ocdmux_progress_fn(void *arg, const char *phase, uint64_t done, uint64_t total);

/* Where and how. All zero, or no struct at all: the only board, its current target, no lease, no limits. */
struct ocdmux_job {
    const char *board;
    const char *target;
    const char *lease;
    uint64_t timeout_ms;     /* of each call: sent as its `timeout_ms`, and waited for a second longer */
    uint64_t cancel_wait_ms; /* as in struct ocdmux_call_options */
    ocdmux_progress_fn *progress;
    void (*cancelling)(void *arg); /* as in struct ocdmux_call_options */
    void *arg;                     /* for both */
};

/* memory.read_bytes, streamed where it is long. `bytes` has room for `size`, one or more; after a failure
 * nobody knows what stands there. */
bool ocdmux_read_bytes(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t address, void *bytes,
                       size_t size, struct ocdmux_error *error) __attribute__((warn_unused_result));
/* memory.write_bytes, behind stage.create and stage.write where it is long. */
bool ocdmux_write_bytes(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t address,
                        const void *bytes, size_t size, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* memory.read_u8 to read_u64 and write_u8 to write_u64: `count` values of `bits` bits (8, 16, 32, 64), each
 * with one access of that width; one or more, at most 65536. After a failed read nobody knows what stands in
 * `values`. */
bool ocdmux_read_values(struct ocdmux *connection, const struct ocdmux_job *job, unsigned bits,
                        uint64_t address, uint64_t *values, size_t count, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
bool ocdmux_write_values(struct ocdmux *connection, const struct ocdmux_job *job, unsigned bits,
                         uint64_t address, const uint64_t *values, size_t count, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

#define OCDMUX_ID_SIZE 65 /* ids of stages and leases, with their NUL */
#define OCDMUX_SHA256_SIZE 65

struct ocdmux_stage {
    char stage[OCDMUX_ID_SIZE];
    char sha256[OCDMUX_SHA256_SIZE];
    bool present; /* the server had it all: nothing was sent */
};
/*
 * stage.create and stage.write: sends bytes, one or more, that other methods then name by `stage`. `name` is
 * for people; of what the protocol refuses in it "?" is made. What the server has already is not sent again:
 * the same call goes on where one that failed has stopped. The phase of its progress is "upload".
 */
bool ocdmux_upload(struct ocdmux *connection, const struct ocdmux_job *job, const char *name,
                   const void *bytes, size_t size, struct ocdmux_stage *ret_stage, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/* All zero: what flash.write_image does by default. */
struct ocdmux_flash_options {
    const char *format;  /* "bin", "ihex", "srec", "elf", "uf2"; NULL: the content says it */
    bool has_address;    /* whether the next is given: where plain bytes go */
    uint64_t address;    /* without it: the base of bank 0 */
    const char *mode;    /* "changed" or "full" */
    bool no_erase;       /* the sectors are not erased first */
    bool no_verify;      /* and not read back behind it */
    bool unlock;         /* their protection is lifted first */
    const char *prepare; /* "none", "halt", "reset_halt", "reset_init" */
    const char *reset;   /* "none", "run", "halt", after success */
    bool no_detach;      /* stop where the connection is lost */
};
/* flash.write_image behind ocdmux_upload(): the bytes of an image file. Its result is that of
 * flash.write_image; `ret_result` may be NULL. Fails with limit_exceeded (`local`) for an image that the
 * server would refuse for its size. */
bool ocdmux_flash_image(struct ocdmux *connection, const struct ocdmux_job *job, const char *name,
                        const void *image, size_t size, const struct ocdmux_flash_options *options,
                        struct ocdmux_result *ret_result, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* The same with a file of this machine; one that cannot be read, or has no bytes, is invalid_params. */
bool ocdmux_flash_file(struct ocdmux *connection, const struct ocdmux_job *job, const char *path,
                       const struct ocdmux_flash_options *options, struct ocdmux_result *ret_result,
                       struct ocdmux_error *error) __attribute__((warn_unused_result));

struct ocdmux_lease {
    char lease[OCDMUX_ID_SIZE]; /* for struct ocdmux_job, from other connections too: a secret */
    uint64_t ttl_ms;            /* how long it lasts from now unless it is renewed */
};
/* lease.acquire: `ttl_ms` 0 is the server's default; `wait_ms`: how long to wait for it, 0: not at all;
 * `reason` may be NULL. */
bool ocdmux_lease_acquire(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t ttl_ms,
                          uint64_t wait_ms, const char *reason, struct ocdmux_lease *ret_lease,
                          struct ocdmux_error *error) __attribute__((warn_unused_result));
/* lease.renew and lease.release of `job->lease`; without one, of what this connection acquired. */
bool ocdmux_lease_renew(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t ttl_ms,
                        struct ocdmux_error *error) __attribute__((warn_unused_result));
bool ocdmux_lease_release(struct ocdmux *connection, const struct ocdmux_job *job, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/* events.subscribe and events.unsubscribe: `topics` ("target", "link", "operation", "lease", ...) separated
 * by spaces; NULL: all, of unsubscribe only. Events go to the event handler; the snapshot is in the result,
 * which may be NULL. */
bool ocdmux_subscribe(struct ocdmux *connection, const struct ocdmux_job *job, const char *topics,
                      struct ocdmux_result *ret_result, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
bool ocdmux_unsubscribe(struct ocdmux *connection, const struct ocdmux_job *job, const char *topics,
                        struct ocdmux_error *error) __attribute__((warn_unused_result));

/*
 * The protocol's numbers. An address or a 64-bit value travels as "0x..." text, because a JSON number beyond
 * 2^53-1 does not survive most readers; this reads both forms. False for NULL and for anything that is not
 * from 0 to 2^64-1.
 */
bool ocdmux_json_u64(const cJSON *item, uint64_t *ret_value) __attribute__((warn_unused_result));
/* Adds a number to an object as digits (cJSON's own would write 1e+15), beyond 2^53-1 as "0x..." text. */
void ocdmux_json_add_u64(cJSON *object, const char *name, uint64_t value);
/* Adds "0x%08x" text. */
void ocdmux_json_add_address(cJSON *object, const char *name, uint64_t address);
/* A number as the other two write it, for arrays; the caller owns it. */
cJSON *ocdmux_json_new_u64(uint64_t value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
