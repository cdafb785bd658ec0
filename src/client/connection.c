/* The blocking connection: an engine, a transport, and one poll at a time. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/connection.h"
#include "client/error.h"
#include "client/pending.h"

#define CONNECTION_READ_BYTES ((size_t)256 << 10)
/* What a server takes that does not say. */
#define CONNECTION_MAX_LINE_BYTES ((uint64_t)8 << 20)
/* A line's room for everything but the data. */
#define CONNECTION_ENVELOPE_BYTES 2048u

const char *ocdmux_version(void)
{
    return OCDMUX_VERSION;
}

uint64_t connection_deadline(uint64_t timeout_ms)
{
    if (timeout_ms == 0 || timeout_ms > UINT64_MAX / 2000) {
        return CONNECTION_NEVER;
    }
    return clock_now_us() + timeout_ms * 1000;
}

bool ocdmux_open(const char *server, uint64_t timeout_ms, struct ocdmux **ret_connection,
                 struct ocdmux_error *error)
{
    return ocdmux_open_tls(server, NULL, timeout_ms, ret_connection, error);
}

bool ocdmux_open_tls(const char *server, const struct ocdmux_tls *tls, uint64_t timeout_ms,
                     struct ocdmux **ret_connection, struct ocdmux_error *error)
{
    struct transport *transport = NULL;
    char *named = server == NULL ? ocdmux_default_server() : xstrdup(server);
    uint64_t limit = timeout_ms == 0 ? OCDMUX_DEFAULT_CONNECT_TIMEOUT_MS : timeout_ms;
    if (!transport_open(named, tls, connection_deadline(limit), &transport, error)) {
        free(named);
        return false;
    }
    struct ocdmux *connection = xcalloc(1, sizeof(*connection));
    connection->transport = transport;
    connection->interrupt_fd = -1;
    connection->server = named;
    connection->engine = engine_new();
    connection->buffer = xmalloc(CONNECTION_READ_BYTES);
    connection->limits = (struct ocdmux_limits){CONNECTION_MAX_LINE_BYTES, UINT64_MAX, UINT64_MAX};
    list_init(&connection->pending);
    *ret_connection = connection;
    return true;
}

void ocdmux_close(struct ocdmux *connection)
{
    if (connection == NULL) {
        return;
    }
    list_for_each_safe (node, following, &connection->pending) {
        free(list_entry(node, struct ocdmux_pending, node));
    }
    transport_close(connection->transport);
    engine_free(connection->engine);
    free(connection->server);
    free(connection->buffer);
    free(connection);
}

const char *ocdmux_server(const struct ocdmux *connection)
{
    return connection->server;
}

void ocdmux_set_interrupt_fd(struct ocdmux *connection, int fd)
{
    connection->interrupt_fd = fd;
}

void ocdmux_set_event_handler(struct ocdmux *connection, ocdmux_notification_fn *handler, void *arg)
{
    engine_set_event_handler(connection->engine, handler, arg);
}

bool connection_check_outside(const struct ocdmux *connection, struct ocdmux_error *error)
{
    return !connection->in_handler || error_set(error, OCDMUX_KIND_INVALID_PARAMS,
                                                "not to be used from a handler of the same connection");
}

static bool connection_is_retry(int reason)
{
    return reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR;
}

/* Sends what goes without blocking; the errno of a failure, or 0. */
static int connection_send(struct ocdmux *connection)
{
    const char *bytes;
    size_t length;
    engine_output(connection->engine, &bytes, &length);
    if (length == 0) {
        return 0;
    }
    ssize_t sent = transport_write(connection->transport, bytes, length);
    if (sent < 0) {
        return connection_is_retry(errno) ? 0 : errno;
    }
    engine_output_sent(connection->engine, (size_t)sent);
    return 0;
}

/* Takes what has come; false if that was nothing. */
static bool connection_receive(struct ocdmux *connection)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    ssize_t received = transport_read(connection->transport, connection->buffer, CONNECTION_READ_BYTES);
    if (received > 0) {
        /* A failure stays in the engine, where whoever waits finds it. */
        connection->in_handler = true;
        if (!engine_input(connection->engine, connection->buffer, (size_t)received, &error)) {
            ocdmux_error_fini(&error);
        }
        connection->in_handler = false;
    } else if (received == 0) {
        engine_fail_lost(connection->engine, "the server closed the connection");
    } else if (connection_is_retry(errno)) {
        return false;
    } else {
        engine_fail_lost(connection->engine, transport_reason(connection->transport, errno));
    }
    return true;
}

void connection_flush(struct ocdmux *connection)
{
    (void)connection_send(connection);
}

void connection_move(struct ocdmux *connection)
{
    int reason = connection_send(connection);
    /* Where sending failed, an answer that says why may be waiting. */
    if (!connection_receive(connection) && reason != 0) {
        engine_fail_lost(connection->engine, transport_reason(connection->transport, reason));
    }
}

int connection_poll_timeout(uint64_t deadline_us)
{
    uint64_t now = clock_now_us();
    if (deadline_us == CONNECTION_NEVER) {
        return -1;
    }
    if (now >= deadline_us) {
        return 0;
    }
    uint64_t milliseconds = (deadline_us - now + 999) / 1000;
    return milliseconds > 60000 ? 60000 : (int)milliseconds;
}

/* How many interrupts have come since the last look. */
static size_t connection_take_interrupts(struct ocdmux *connection)
{
    char bytes[16];
    size_t kept = connection->interrupts;
    connection->interrupts = 0;
    if (connection->interrupt_fd < 0) {
        return kept;
    }
    ssize_t got = read(connection->interrupt_fd, bytes, sizeof(bytes));
    if (got == 0) {
        /* Nobody can write to it any more; poll() would never wait again. */
        connection->interrupt_fd = -1;
    }
    return kept + (got > 0 ? (size_t)got : 0);
}

/* Moves bytes once, waiting for some no longer than until the deadline; the number of interrupts that came.
 */
static size_t connection_turn(struct ocdmux *connection, uint64_t deadline_us)
{
    const char *bytes;
    size_t length;
    engine_output(connection->engine, &bytes, &length);
    short events = transport_events(connection->transport, true, length > 0);
    bool at_once = events == 0;
    struct pollfd waits[2] = {
        {.fd = at_once ? -1 : transport_fd(connection->transport), .events = events},
        {.fd = connection->interrupt_fd, .events = POLLIN},
    };
    int ready = poll(waits, 2, at_once ? 0 : connection_poll_timeout(deadline_us));
    if (ready < 0 && errno != EINTR) {
        engine_fail_lost(connection->engine, strerror(errno));
        return 0;
    }
    if (ready <= 0 && !at_once) {
        return connection_take_interrupts(connection);
    }
    /* Either may be what the other direction of TLS waits for. */
    if (at_once || waits[0].revents != 0) {
        connection_move(connection);
    }
    return waits[1].revents != 0 ? connection_take_interrupts(connection) : 0;
}

/* --- calls --- */

/* Until the call is over; true where that was because of a second interrupt. */
static bool connection_wait(struct ocdmux *connection, struct ocdmux_pending *pending)
{
    while (!engine_call_is_done(pending->call)) {
        size_t interrupts = connection_turn(connection, pending->deadline_us);
        if (engine_call_is_done(pending->call)) {
            connection->interrupts = interrupts;
            return false;
        }
        if (interrupts > 0 && !pending->cancelled) {
            pending_cancel(pending, true);
            interrupts--;
        }
        if (interrupts > 0 || pending_is_over(pending)) {
            return interrupts > 0;
        }
    }
    return false;
}

bool ocdmux_call_text(struct ocdmux *connection, const char *method, const char *params,
                      const struct ocdmux_call_options *options, struct ocdmux_result *ret_result,
                      struct ocdmux_error *error)
{
    struct ocdmux_pending pending;
    if (!connection_check_outside(connection, error)) {
        return false;
    }
    if (connection_take_interrupts(connection) > 0) {
        return error_set(error, OCDMUX_KIND_CANCELLED, "interrupted before the request was sent");
    }
    if (!pending_begin(&pending, connection, method, params, options, error)) {
        return false;
    }
    bool interrupted = connection_wait(connection, &pending);
    return pending_finish(&pending, interrupted, ret_result, error);
}

bool ocdmux_call(struct ocdmux *connection, const char *method, const cJSON *params,
                 const struct ocdmux_call_options *options, struct ocdmux_result *ret_result,
                 struct ocdmux_error *error)
{
    if (params == NULL) {
        return ocdmux_call_text(connection, method, NULL, options, ret_result, error);
    }
    char *text = cJSON_PrintUnformatted(params);
    if (text == NULL) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "the parameters cannot be written as JSON");
    }
    bool good = ocdmux_call_text(connection, method, text, options, ret_result, error);
    cJSON_free(text);
    return good;
}

static void connection_take_limits(struct ocdmux *connection, const cJSON *limits)
{
    struct ocdmux_limits *known = &connection->limits;
    /* All stay as they are where the server does not say. */
    if (ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(limits, "max_line_bytes"), &known->max_line_bytes)) {
        engine_set_max_line(connection->engine, (size_t)known->max_line_bytes);
    }
    (void)!ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(limits, "max_inline_bytes"),
                           &known->max_inline_bytes);
    (void)!ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(limits, "max_image_bytes"),
                           &known->max_image_bytes);
}

bool ocdmux_hello(struct ocdmux *connection, const char *client, const char *token, uint64_t timeout_ms,
                  struct ocdmux_result *ret_result, struct ocdmux_error *error)
{
    struct ocdmux_call_options options = {.timeout_ms = timeout_ms};
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "client", client);
    if (token != NULL) {
        cJSON_AddStringToObject(params, "token", token);
    }
    bool good = ocdmux_call(connection, "server.hello", params, &options, &result, error);
    cJSON_Delete(params);
    if (!good) {
        /* Who does not answer this is not there, whatever it is that accepts connections. */
        if (error->local && ocdmux_error_is(error, OCDMUX_KIND_TIMEOUT)) {
            error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "%s did not answer within %" PRIu64 " ms",
                      connection->server, timeout_ms);
        }
        return false;
    }
    uint64_t protocol = 0;
    if (!ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(result.json, "protocol"), &protocol) ||
        protocol != OCDMUX_PROTOCOL) {
        ocdmux_result_fini(&result);
        return error_set(error, OCDMUX_KIND_PROTOCOL, "the server does not speak version %d of the protocol",
                         OCDMUX_PROTOCOL);
    }
    connection_take_limits(connection, cJSON_GetObjectItemCaseSensitive(result.json, "limits"));
    if (ret_result == NULL) {
        ocdmux_result_fini(&result);
    } else {
        *ret_result = result;
    }
    return true;
}

const struct ocdmux_limits *ocdmux_limits(const struct ocdmux *connection)
{
    return &connection->limits;
}

size_t ocdmux_inline_room(const struct ocdmux *connection)
{
    const struct ocdmux_limits *limits = &connection->limits;
    bool tiny = limits->max_line_bytes < CONNECTION_ENVELOPE_BYTES;
    uint64_t room = tiny ? 0 : (limits->max_line_bytes - CONNECTION_ENVELOPE_BYTES) / 4 * 3;
    return (size_t)(room < limits->max_inline_bytes ? room : limits->max_inline_bytes);
}

bool ocdmux_wait(struct ocdmux *connection, uint64_t timeout_ms, struct ocdmux_error *error)
{
    uint64_t deadline_us = connection_deadline(timeout_ms);
    if (!connection_check_outside(connection, error)) {
        return false;
    }
    if (connection_take_interrupts(connection) > 0) {
        return true;
    }
    do {
        if (engine_has_failed(connection->engine, error)) {
            return false;
        }
        if (engine_take_event_stop(connection->engine)) {
            return true;
        }
        if (connection_turn(connection, deadline_us) > 0) {
            return true;
        }
    } while (clock_now_us() < deadline_us);
    return !engine_has_failed(connection->engine, error);
}
