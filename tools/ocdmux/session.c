/* Requests and their reports. */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "color.h"
#include "interrupt.h"
#include "outcome.h"
#include "print.h"
#include "settings.h"

#define SESSION_CLIENT_NAME "ocdmux " OCDMUX_VERSION
/* How long a server may take for hello, which it answers without asking a board. */
#define SESSION_HELLO_MS 10000u
/* Over ssh, which may have to ask for a password first. */
#define SESSION_SSH_HELLO_MS 120000u
/* How much longer than --timeout to wait for the server's own answer to it. */
#define SESSION_GRACE_MS 1000u
/* The cleanup after a cancel may have to end an erase. */
#define SESSION_CANCEL_WAIT_MS 30000u

/* An empty variable is none. */
static const char *session_variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool session_init_timeout(struct session *session)
{
    const char *variable = session_variable("OCDMUX_TIMEOUT");
    if (options_has(session->arguments, "timeout") || variable == NULL) {
        return options_number(session->arguments, "timeout", NUMBER_PLAIN, 1, SESSION_LONGEST_TIMEOUT_MS,
                              &session->timeout_ms);
    }
    if (!number_parse(variable, NUMBER_PLAIN, &session->timeout_ms) || session->timeout_ms < 1 ||
        session->timeout_ms > SESSION_LONGEST_TIMEOUT_MS) {
        return options_complain(session->arguments, "$OCDMUX_TIMEOUT is from 1 to %u, not '%s'",
                                SESSION_LONGEST_TIMEOUT_MS, variable);
    }
    return true;
}

bool session_init(struct session *session, const struct arguments *arguments)
{
    const char *color = options_value(arguments, "color");
    const char *token_file = options_value(arguments, "token-file");
    *session = (struct session){.arguments = arguments};
    session->json = options_has(arguments, "json");
    color_choose(color);
    if (!settings_load()) {
        return false;
    }
    color_choose(color != NULL ? color : session_variable("OCDMUX_COLOR"));
    if (token_file == NULL && session_variable("OCDMUX_TOKEN") == NULL) {
        token_file = session_variable("OCDMUX_TOKEN_FILE");
    }
    return (token_file == NULL || settings_load_token(token_file)) && session_init_timeout(session);
}

void session_fini(struct session *session)
{
    ocdmux_close(session->connection);
    session->connection = NULL;
    ocdmux_result_fini(&session->hello);
}

/* --- reports --- */

/* OpenOCD's words, each of their lines behind two spaces. */
static void session_print_openocd(long code, const char *line)
{
    size_t length = strlen(line);
    while (length > 0 && strchr("\r\n", line[length - 1]) != NULL) {
        length--;
    }
    struct strbuf text = STRBUF_INIT;
    print_escape(&text, line, length, false);
    fprintf(stderr, "  OpenOCD (%ld)%s", code, length > 0 ? ": " : "");
    for (const char *next = strbuf_text(&text); *next != '\0'; next++) {
        fputc(*next, stderr);
        if (*next == '\n') {
            fputs("    ", stderr);
        }
    }
    fputc('\n', stderr);
    strbuf_fini(&text);
}

static void session_report_details(const cJSON *details)
{
    const cJSON *detail = NULL;
    cJSON_ArrayForEach(detail, details)
    {
        char *text = cJSON_IsString(detail) ? NULL : cJSON_PrintUnformatted(detail);
        fputs("  ", stderr);
        print_field(stderr, detail->string);
        fputs(": ", stderr);
        print_field(stderr, text != NULL ? text : cJSON_GetStringValue(detail));
        fputc('\n', stderr);
        cJSON_free(text);
    }
}

static enum status session_status_of(const struct ocdmux_error *error)
{
    if (ocdmux_error_is(error, OCDMUX_KIND_CONNECTION_FAILED) ||
        ocdmux_error_is(error, OCDMUX_KIND_CONNECTION_LOST) || ocdmux_error_is(error, OCDMUX_KIND_PROTOCOL)) {
        return STATUS_NO_CONNECTION;
    }
    bool usage = error->local && ocdmux_error_is(error, OCDMUX_KIND_INVALID_PARAMS);
    return usage ? STATUS_USAGE : STATUS_FAILED;
}

enum status session_report(struct session *session, struct ocdmux_error *error)
{
    fflush(stdout);
    color_begin(stderr, COLOR_RED);
    fputs("ocdmux: ", stderr);
    print_field(stderr, error->kind);
    fputs(": ", stderr);
    color_end(stderr, COLOR_RED);
    print_field(stderr, error->message);
    fputc('\n', stderr);
    if (error->has_openocd) {
        session_print_openocd(error->openocd_code, error->openocd_text);
    }
    session_report_details(error->details);
    outcome_print_flash(error);
    if (ocdmux_error_is(error, "target_not_halted")) {
        fputs("  'ocdmux halt' halts it\n", stderr);
    }
    if (ocdmux_error_is(error, "lease_lost") && getenv("OCDMUX_LEASE") != NULL) {
        fputs("  'unset OCDMUX_LEASE' to go on without it\n", stderr);
    }
    session->status = session_status_of(error);
    ocdmux_error_fini(error);
    return session->status;
}

enum status session_report_own(struct session *session, const char *kind, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list values;
    va_start(values, format);
    strbuf_appendv(&text, format, values);
    va_end(values);
    fflush(stdout);
    color_begin(stderr, COLOR_RED);
    fprintf(stderr, "ocdmux: %s: ", kind);
    color_end(stderr, COLOR_RED);
    print_field(stderr, strbuf_text(&text));
    fputc('\n', stderr);
    strbuf_fini(&text);
    session->status = STATUS_FAILED;
    return STATUS_FAILED;
}

enum status session_report_openocd_failure(struct session *session, long code, const char *text)
{
    (void)session_report_own(session, "openocd_error", "the command failed");
    session_print_openocd(code, text);
    return STATUS_FAILED;
}

enum status session_report_result(struct session *session, const char *method)
{
    (void)session_report_own(session, OCDMUX_KIND_PROTOCOL, "the result of %s is not what the protocol says",
                             method);
    session->status = STATUS_NO_CONNECTION;
    return STATUS_NO_CONNECTION;
}

void session_note_disturbed(const cJSON *result)
{
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "disturbed"))) {
        fputs("note: the board was changed while this was read\n", stderr);
    }
}

/* --- connecting --- */

static bool session_hello(struct session *session)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const char *token = getenv("OCDMUX_TOKEN");
    bool ssh = strncmp(ocdmux_server(session->connection), "ssh:", strlen("ssh:")) == 0;
    uint64_t usual = ssh ? SESSION_SSH_HELLO_MS : SESSION_HELLO_MS;
    uint64_t limit = session->timeout_ms == 0 ? usual : session->timeout_ms + SESSION_GRACE_MS;
    if (!ocdmux_hello(session->connection, SESSION_CLIENT_NAME, token, limit, &result, &error)) {
        (void)session_report(session, &error);
        return false;
    }
    ocdmux_result_fini(&session->hello);
    session->hello = result;
    return true;
}

static const char *session_file(const struct session *session, const char *option, const char *variable)
{
    const char *given = options_value(session->arguments, option);
    const char *file = given != NULL ? given : getenv(variable);
    return file != NULL && file[0] != '\0' ? file : NULL;
}

struct ocdmux_tls session_tls(const struct session *session)
{
    return (struct ocdmux_tls){.ca = session_file(session, "ca", "OCDMUX_CA"),
                               .certificate = session_file(session, "cert", "OCDMUX_CERT"),
                               .key = session_file(session, "key", "OCDMUX_KEY")};
}

enum status session_report_open(struct session *session, struct ocdmux_error *error)
{
    if (!ocdmux_error_is(error, OCDMUX_KIND_INVALID_PARAMS)) {
        return session_report(session, error);
    }
    (void)options_complain(session->arguments, "%s", error->message);
    ocdmux_error_fini(error);
    session->status = STATUS_USAGE;
    return STATUS_USAGE;
}

bool session_connect(struct session *session)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (session->connection != NULL) {
        return true;
    }
    const char *server = options_value(session->arguments, "server");
    const struct ocdmux_tls tls = session_tls(session);
    if (!ocdmux_open_tls(server, &tls, session->timeout_ms, &session->connection, &error)) {
        (void)session_report_open(session, &error);
        return false;
    }
    if (!session_hello(session)) {
        return false;
    }
    /* Only from here on is there anything to cancel; before, Ctrl-C just ends the program. */
    int interrupts = interrupt_catch();
    if (interrupts < 0) {
        (void)session_report_own(session, "system_error", "no pipe for signals: %s", strerror(errno));
        return false;
    }
    ocdmux_set_interrupt_fd(session->connection, interrupts);
    return true;
}

/* --- requests --- */

static void session_add_option(const struct session *session, cJSON *params, const char *name)
{
    const char *value = options_value(session->arguments, name);
    if (value != NULL) {
        cJSON_AddStringToObject(params, name, value);
    }
}

/* An empty variable is none. */
static void session_add_variable(const struct session *session, cJSON *params, const char *name,
                                 const char *variable)
{
    const char *value = getenv(variable);
    session_add_option(session, params, name);
    if (!options_has(session->arguments, name) && value != NULL && value[0] != '\0') {
        cJSON_AddStringToObject(params, name, value);
    }
}

void session_add_lease(const struct session *session, cJSON *params)
{
    session_add_variable(session, params, "lease", "OCDMUX_LEASE");
}

cJSON *session_plain_params(const struct session *session)
{
    cJSON *params = cJSON_CreateObject();
    session_add_variable(session, params, "board", "OCDMUX_BOARD");
    return params;
}

cJSON *session_board_params(const struct session *session)
{
    cJSON *params = session_plain_params(session);
    session_add_variable(session, params, "target", "OCDMUX_TARGET");
    session_add_lease(session, params);
    if (session->timeout_ms != 0) {
        ocdmux_json_add_u64(params, "timeout_ms", session->timeout_ms);
    }
    return params;
}

cJSON *session_long_params(const struct session *session)
{
    cJSON *params = session_board_params(session);
    if (session->timeout_ms == 0) {
        ocdmux_json_add_u64(params, "timeout_ms", SESSION_LONGEST_TIMEOUT_MS);
    }
    return params;
}

/* What the handlers of a request need. */
struct session_request {
    struct session *session;
    struct session_extra extra;
};

static bool session_notified(void *arg, const struct ocdmux_notification *notification)
{
    const struct session_extra *extra = &((struct session_request *)arg)->extra;
    if (strcmp(notification->method, "progress") == 0) {
        if (extra->progress != NULL) {
            progress_take(extra->progress, notification->params);
        }
        return true;
    }
    return extra->data == NULL || extra->data(extra->data_arg, notification);
}

/* Nothing of a bar may be in the way of what is written next. */
static void session_end_bars(const struct session_extra *extra)
{
    if (extra->progress != NULL) {
        progress_end(extra->progress);
    }
    if (extra->bar != NULL) {
        progress_end(extra->bar);
    }
}

void session_note_cancelling(struct session *session, struct progress *bar)
{
    session->interrupted = true;
    if (bar != NULL) {
        progress_end(bar);
    }
    fputs("ocdmux: cancelling; once more to stop waiting\n", stderr);
}

static void session_cancelling(void *arg)
{
    struct session_request *request = arg;
    session_end_bars(&request->extra);
    session_note_cancelling(request->session, NULL);
}

struct ocdmux_job session_job(const struct session *session)
{
    return (struct ocdmux_job){.timeout_ms = session->timeout_ms, .cancel_wait_ms = SESSION_CANCEL_WAIT_MS};
}

/* Whether the request may have done something that its error does not tell. */
static bool session_is_outcome_unknown(const struct session *session, const struct ocdmux_error *error)
{
    if (!error->local) {
        return ocdmux_error_is(error, "outcome_unknown");
    }
    /* Without an interrupt that cancelled it, it was not even sent. */
    if (ocdmux_error_is(error, OCDMUX_KIND_CANCELLED)) {
        return session->interrupted;
    }
    return !ocdmux_error_is(error, OCDMUX_KIND_INVALID_PARAMS) &&
           !ocdmux_error_is(error, OCDMUX_KIND_LINE_TOO_LONG);
}

static void session_report_call(struct session *session, const struct session_extra *extra,
                                struct ocdmux_error *error)
{
    bool unknown = session_is_outcome_unknown(session, error);
    bool told = outcome_has_flash_state(error);
    bool cancelled = error->local && ocdmux_error_is(error, OCDMUX_KIND_CANCELLED);
    session->interrupted = session->interrupted || cancelled;
    (void)session_report(session, error);
    if (cancelled && !unknown && extra->untouched != NULL) {
        fprintf(stderr, "  %s\n", extra->untouched);
    }
    if (unknown && !told && extra->unknown != NULL) {
        fprintf(stderr, "  %s\n", extra->unknown);
    }
    if (unknown && extra->progress != NULL && extra->progress->operation[0] != '\0') {
        fputs("  'ocdmux wait ", stderr);
        print_field(stderr, extra->progress->operation);
        fputs("' tells how it ends\n", stderr);
    } else if (unknown && extra->unknown != NULL) {
        fputs("  'ocdmux operations' lists what the server runs, and what ended\n", stderr);
    }
}

bool session_call_text(struct session *session, const char *method, const char *params,
                       const struct session_extra *extra, struct ocdmux_result *ret_result)
{
    struct session_request request = {.session = session};
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (!session_connect(session)) {
        return false;
    }
    if (extra != NULL) {
        request.extra = *extra;
    }
    struct ocdmux_call_options options = {
        .cancel_wait_ms = SESSION_CANCEL_WAIT_MS,
        .progress = request.extra.progress != NULL,
        .notify = session_notified,
        .cancelling = session_cancelling,
        .arg = &request,
    };
    if (session->timeout_ms != 0) {
        options.timeout_ms = session->timeout_ms + SESSION_GRACE_MS;
    }
    if (request.extra.progress != NULL) {
        request.extra.progress->operation[0] = '\0';
    }
    bool good = ocdmux_call_text(session->connection, method, params, &options, ret_result, &error);
    if (request.extra.progress != NULL) {
        progress_end(request.extra.progress);
    }
    if (!good) {
        session_end_bars(&request.extra);
        session_report_call(session, &request.extra, &error);
    }
    return good;
}

bool session_call(struct session *session, const char *method, cJSON *take_params,
                  const struct session_extra *extra, struct ocdmux_result *ret_result)
{
    char *text = cJSON_PrintUnformatted(take_params);
    cJSON_Delete(take_params);
    bool good = session_call_text(session, method, text, extra, ret_result);
    cJSON_free(text);
    return good;
}

enum status session_show(struct session *session, const char *method, cJSON *take_params,
                         const struct session_extra *extra, session_show_fn *show, void *arg)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!session_call(session, method, take_params, extra, &result)) {
        return session->status;
    }
    enum status status = STATUS_OK;
    if (session->json) {
        print_json(stdout, result.text, result.length);
    } else if (!show(arg, result.json)) {
        status = session_report_result(session, method);
    }
    ocdmux_result_fini(&result);
    return status;
}
