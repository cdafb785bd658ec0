/*
 * libocdmux: the client side of ocdmux's protocol (JSON-RPC 2.0, one JSON text a line; proto/PROTOCOL.md)
 * over TCP, TLS, a Unix socket or ssh. Every function here blocks until it is done, or until its time limit,
 * or until it is interrupted.
 *
 * One connection is used by one thread at a time. No function writes to standard output or error. Running out
 * of memory ends the process. A function that fails returns false, fills its `error` and leaves its other
 * outputs untouched.
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
/* Calls in flight are left to the server. NULL is allowed. */
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
/* False stops: see where the handler is given. It must not use the connection. */
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

/* All zero is a call without limits, progress and handlers. */
struct ocdmux_call_options {
    uint64_t timeout_ms;     /* how long to wait for the answer; 0: without limit */
    uint64_t cancel_wait_ms; /* how long to wait after a cancel; 0: OCDMUX_DEFAULT_CANCEL_WAIT_MS */
    bool progress;           /* ask for progress notifications (methods of boards only) */
    /* Gets this call's `progress` and `data`; false cancels the call, as an interrupt does. */
    ocdmux_notification_fn *notify;
    void (*cancelling)(void *arg); /* called once when an interrupt has cancelled the call */
    void *arg;                     /* for both */
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
 * limits. Fails
 * as ocdmux_call(), but with connection_failed where no answer comes in `timeout_ms` (0: without limit), and
 * with protocol_error where the server speaks another version of the protocol.
 */
bool ocdmux_hello(struct ocdmux *connection, const char *client, const char *token, uint64_t timeout_ms,
                  struct ocdmux_result *ret_result, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/*
 * Waits for notifications without a call: until the event handler returns false, an interrupt, or
 * `timeout_ms` (0: without limit); all three are success. Fails with connection_lost or protocol_error.
 */
bool ocdmux_wait(struct ocdmux *connection, uint64_t timeout_ms, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

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

#endif
