/* with-lease: runs a command under a lease, which it renews meanwhile and releases however that ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd_lease.h"
#include "commands.h"
#include "fields.h"
#include "interrupt.h"
#include "print.h"

#define WITH_LEASE_TTL_S 60u
#define WITH_LEASE_CALL_MS 5000u
#define WITH_LEASE_RETRY_MS 500u
/* As shells have it. */
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NO_COMMAND 127
#define STATUS_SIGNAL 128

const struct option cmd_with_lease_options[] = {
    {"ttl", "SECONDS", "how long it outlives this program at most; 1 to 86400, 60 if not given", NULL},
    {"wait", "SECONDS", "how long to wait for it; 0 to 86400, 86400 if not given", NULL},
    {"reason", "TEXT", "what for; others see it", NULL},
    {NULL, NULL, NULL, NULL},
};

struct with_lease {
    struct session *session;
    char id[65];
    uint64_t renew_every_ms;
    uint64_t next_ms; /* when to renew, or to try to connect */
    bool idle; /* nothing to renew and to release: it was lost, or is that of a command around this one */
    pid_t child;
    int wait_status;
};

static uint64_t with_lease_now_ms(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void with_lease_note(const char *text, const char *detail)
{
    fprintf(stderr, "ocdmux: %s", text);
    print_field(stderr, detail);
    fputc('\n', stderr);
}

/* Acquiring. */

static void with_lease_tell_holder(const struct ocdmux_error *error)
{
    const char *reason = field_text(error->details, "reason");
    with_lease_note("waiting: ", error->message);
    if (reason != NULL) {
        with_lease_note("  its reason: ", reason);
    }
}

static cJSON *with_lease_params(struct session *session)
{
    cJSON *params = session_plain_params(session);
    const char *reason = options_value(session->arguments, "reason");
    if (!lease_add_seconds(session, params, "ttl", "ttl_ms", 1, WITH_LEASE_TTL_S) ||
        !lease_add_seconds(session, params, "wait", "wait_ms", 0, LEASE_MOST_SECONDS)) {
        cJSON_Delete(params);
        return NULL;
    }
    if (reason != NULL) {
        cJSON_AddStringToObject(params, "reason", reason);
    }
    return params;
}

/* At once if that can be; else whoever waits is told for whom. */
static bool with_lease_try(struct session *session, const cJSON *params, struct ocdmux_result *ret_result)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_call_options options = {.timeout_ms = WITH_LEASE_CALL_MS};
    cJSON *now = cJSON_Duplicate(params, true);
    cJSON_DeleteItemFromObjectCaseSensitive(now, "wait_ms");
    bool good = ocdmux_call(session->connection, "lease.acquire", now, &options, ret_result, &error);
    cJSON_Delete(now);
    if (!good && ocdmux_error_is(&error, "board_busy")) {
        with_lease_tell_holder(&error);
    }
    ocdmux_error_fini(&error);
    return good;
}

static bool with_lease_take(struct with_lease *with, const cJSON *result)
{
    const char *id = field_text(result, "lease");
    const char *board = field_text(result, "board");
    uint64_t ttl_ms = 0;
    if (id == NULL || board == NULL || strlen(id) >= sizeof with->id ||
        !field_u64(result, "ttl_ms", &ttl_ms)) {
        (void)session_report_result(with->session, "lease.acquire");
        return false;
    }
    (void)snprintf(with->id, sizeof with->id, "%s", id);
    with->renew_every_ms = ttl_ms / 3;
    lease_warn(result);
    with->next_ms = with_lease_now_ms() + with->renew_every_ms;
    /* What the command calls finds server, board and lease. */
    return setenv("OCDMUX_LEASE", id, 1) == 0 && setenv("OCDMUX_BOARD", board, 1) == 0 &&
           setenv("OCDMUX_SERVER", ocdmux_server(with->session->connection), 1) == 0;
}

/* Whether this runs under a lease already: then to wait for another one would be to wait for oneself. */
static bool with_lease_is_inside(struct session *session)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_call_options options = {.timeout_ms = WITH_LEASE_CALL_MS};
    cJSON *params = session_plain_params(session);
    session_add_lease(session, params);
    bool inside = field_text(params, "lease") != NULL &&
                  ocdmux_call(session->connection, "lease.status", params, &options, &result, &error) &&
                  field_true(result.json, "yours");
    cJSON_Delete(params);
    ocdmux_result_fini(&result);
    ocdmux_error_fini(&error);
    return inside;
}

static enum status with_lease_acquire(struct with_lease *with)
{
    struct session *session = with->session;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = with_lease_params(session);
    if (params == NULL) {
        return STATUS_USAGE;
    }
    if (!session_connect(session)) {
        cJSON_Delete(params);
        return session->status;
    }
    with->idle = with_lease_is_inside(session);
    if (with->idle) {
        cJSON_Delete(params);
        return STATUS_OK;
    }
    uint64_t wait_s = LEASE_MOST_SECONDS;
    bool waits = options_number(session->arguments, "wait", NUMBER_PLAIN, 0, LEASE_MOST_SECONDS, &wait_s) &&
                 wait_s > 0;
    bool good = waits && with_lease_try(session, params, &result);
    if (!good) {
        good = session_call(session, "lease.acquire", params, NULL, &result);
    } else {
        cJSON_Delete(params);
    }
    if (!good) {
        return session->status;
    }
    good = with_lease_take(with, result.json);
    ocdmux_result_fini(&result);
    return good ? STATUS_OK : session->status;
}

/* Renewing. */

static bool with_lease_call(struct with_lease *with, const char *method, struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_call_options options = {.timeout_ms = WITH_LEASE_CALL_MS};
    struct ocdmux *connection = with->session->connection;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "board", getenv("OCDMUX_BOARD"));
    cJSON_AddStringToObject(params, "lease", with->id);
    ocdmux_set_interrupt_fd(connection, -1); /* signals are for the command */
    bool good = ocdmux_call(connection, method, params, &options, &result, error);
    ocdmux_set_interrupt_fd(connection, interrupt_catch());
    cJSON_Delete(params);
    ocdmux_result_fini(&result);
    return good;
}

static void with_lease_disconnect(struct with_lease *with)
{
    ocdmux_close(with->session->connection);
    with->session->connection = NULL;
    with->next_ms = with_lease_now_ms() + WITH_LEASE_RETRY_MS;
}

/* A daemon that was restarted knows the lease still. */
static bool with_lease_connect(struct with_lease *with)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux *connection = NULL;
    if (with->session->connection != NULL) {
        return true;
    }
    bool good = ocdmux_open(NULL, WITH_LEASE_CALL_MS, &connection, &error) &&
                ocdmux_hello(connection, "ocdmux " OCDMUX_VERSION, getenv("OCDMUX_TOKEN"), WITH_LEASE_CALL_MS,
                             &result, &error);
    if (good) {
        ocdmux_set_interrupt_fd(connection, interrupt_catch());
        with->session->connection = connection;
    } else {
        ocdmux_close(connection);
    }
    ocdmux_result_fini(&result);
    ocdmux_error_fini(&error);
    return good;
}

static void with_lease_renew(struct with_lease *with)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    with->next_ms = with_lease_now_ms() + WITH_LEASE_RETRY_MS;
    if (!with_lease_connect(with)) {
        return;
    }
    if (with_lease_call(with, "lease.renew", &error)) {
        with->next_ms = with_lease_now_ms() + with->renew_every_ms;
    } else if (ocdmux_error_is(&error, "lease_lost")) {
        with->idle = true;
        with_lease_note("the lease was lost: the command cannot change the board any more: ", error.message);
    } else if (ocdmux_error_is(&error, OCDMUX_KIND_CONNECTION_LOST) ||
               ocdmux_error_is(&error, OCDMUX_KIND_PROTOCOL)) {
        with_lease_disconnect(with);
    }
    ocdmux_error_fini(&error);
}

static void with_lease_release(struct with_lease *with)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (with->idle) {
        return;
    }
    if (!with_lease_connect(with)) {
        with_lease_note("the lease could not be released, and ends by itself", "");
    } else if (!with_lease_call(with, "lease.release", &error)) {
        with_lease_note("the lease could not be released: ", error.message);
    }
    ocdmux_error_fini(&error);
}

/* The command. */

static void with_lease_forward(const struct with_lease *with)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (interrupt_was_sent(signals[i])) {
            (void)kill(with->child, signals[i]);
        }
    }
}

/* Until a signal, news, or the time to renew. */
static void with_lease_sleep(struct with_lease *with)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux *connection = with->session->connection;
    uint64_t now = with_lease_now_ms();
    uint64_t limit_ms = with->next_ms > now ? with->next_ms - now : 1;
    if (with->idle) {
        limit_ms = 1000;
    }
    if (connection != NULL && !with->idle) {
        if (!ocdmux_wait(connection, limit_ms, &error)) {
            with_lease_note("the connection to the server is lost, trying again: ", error.message);
            with_lease_disconnect(with);
        }
        ocdmux_error_fini(&error);
        return;
    }
    struct pollfd signals = {.fd = interrupt_catch(), .events = POLLIN};
    char bytes[64];
    if (poll(&signals, 1, (int)limit_ms) > 0) {
        ssize_t got = read(signals.fd, bytes, sizeof bytes);
        (void)got;
    }
}

static enum status with_lease_attend(struct with_lease *with)
{
    for (;;) {
        pid_t ended = waitpid(with->child, &with->wait_status, WNOHANG);
        if (ended == with->child || (ended < 0 && errno != EINTR)) {
            break;
        }
        with_lease_forward(with);
        if (!with->idle && with_lease_now_ms() >= with->next_ms) {
            with_lease_renew(with);
            continue;
        }
        with_lease_sleep(with);
    }
    int status = WIFEXITED(with->wait_status) ? WEXITSTATUS(with->wait_status)
                                              : STATUS_SIGNAL + WTERMSIG(with->wait_status);
    return (enum status)status;
}

static void with_lease_exec(const struct arguments *arguments)
{
    char **words = calloc(arguments->count + 1, sizeof *words);
    if (words == NULL) {
        _exit(STATUS_NOT_EXECUTABLE);
    }
    for (size_t i = 0; i < arguments->count; i++) {
        words[i] = strdup(arguments->words[i]);
    }
    (void)execvp(words[0], words);
    int reason = errno;
    fprintf(stderr, "ocdmux: %s: %s\n", words[0], strerror(reason));
    _exit(reason == ENOENT ? STATUS_NO_COMMAND : STATUS_NOT_EXECUTABLE);
}

enum status cmd_with_lease(struct session *session)
{
    struct with_lease with = {.session = session};
    enum status status = with_lease_acquire(&with);
    if (status != STATUS_OK) {
        return status;
    }
    interrupt_add(SIGCHLD);
    interrupt_add(SIGHUP);
    interrupt_add(SIGQUIT);
    fflush(stdout);
    with.child = fork();
    if (with.child == 0) {
        with_lease_exec(session->arguments);
    }
    if (with.child < 0) {
        status = session_report_own(session, "system_error", "cannot start a process: %s", strerror(errno));
    } else {
        status = with_lease_attend(&with);
    }
    with_lease_release(&with);
    return status;
}
