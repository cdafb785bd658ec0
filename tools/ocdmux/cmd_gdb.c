/*
 * gdb: starts a gdb that is attached to the board, by a pipe to `ocdmux gdb --pipe`, which joins its standard
 * input and output to the board's gdb listener. What that needs to know is in the environment, where tokens
 * and leases are safe from other users of the machine, as they would not be on a command line.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fields.h"
#include "print.h"

#define GDB_MOST_WAIT_S 600u
#define GDB_WAIT_S 20u
/* How much longer than the waiting an answer may take. */
#define GDB_GRACE_S 10u
#define GDB_NOT_EXECUTABLE 126
#define GDB_NO_COMMAND 127

#define GDB_TARGET_VARIABLE "OCDMUX_GDB_TARGET"
#define GDB_WAIT_VARIABLE "OCDMUX_GDB_WAIT"
#define GDB_AT_VARIABLE "OCDMUX_GDB_AT"

const struct option cmd_gdb_options[] = {
    {"gdb", "PATH", "which gdb; gdb-multiarch if there is one, else gdb", NULL},
    {"wait", "SECONDS", "how long to wait for changes that run to end; 0 to 600, 20 if not given", NULL},
    {"at", "URL", "where the board's gdb listener is, if not where the server says", NULL},
    {"pipe", NULL, "what gdb runs: 'target extended-remote | ocdmux gdb --pipe'", NULL},
    {NULL, NULL, NULL, NULL},
};

/* --- where it is --- */

/* "HOST:" of "tcp:HOST:PORT" or "tls:HOST:PORT", with the colon: as many bytes of what `ret_host` points at.
 */
static size_t gdb_host(const char *url, const char **ret_host)
{
    const char *colon = strrchr(url, ':');
    *ret_host = url + 4;
    return colon != NULL && colon > url + 4 ? (size_t)(colon + 1 - (url + 4)) : 0;
}

static bool gdb_is_any(const char *host, size_t length)
{
    return (length == strlen("0.0.0.0:") && strncmp(host, "0.0.0.0:", length) == 0) ||
           (length == strlen("[::]:") && strncmp(host, "[::]:", length) == 0);
}

static bool gdb_is_url(const char *listen)
{
    bool tcp = strncmp(listen, "tcp:", 4) == 0 || strncmp(listen, "tls:", 4) == 0;
    return strncmp(listen, "unix:", 5) == 0 || (tcp && strchr(listen + 4, ':') != NULL);
}

/*
 * A listener of the server's machine, as it is to be called from here: by the name that the server itself was
 * reached by. The caller frees it.
 */
static char *gdb_listener_url(const char *server, const char *listen)
{
    struct strbuf url = STRBUF_INIT;
    const char *host = NULL;
    const char *of_server = NULL;
    if (strncmp(listen, "unix:", 5) == 0) {
        strbuf_append_text(&url, listen);
        return strbuf_steal(&url);
    }
    size_t length = gdb_host(listen, &host);
    strbuf_append(&url, listen, 4);
    if (strncmp(server, "unix:", 5) != 0) {
        size_t server_length = gdb_host(server, &of_server);
        strbuf_append(&url, of_server, server_length);
    } else if (gdb_is_any(host, length)) {
        strbuf_append_text(&url, host[0] == '[' ? "[::1]:" : "127.0.0.1:");
    } else {
        strbuf_append(&url, host, length);
    }
    strbuf_append_text(&url, host + length);
    return strbuf_steal(&url);
}

/* An option's value, else the variable's; NULL: neither. */
static const char *gdb_given(const struct session *session, const char *option, const char *variable)
{
    const char *value = options_value(session->arguments, option);
    value = value != NULL ? value : getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The board's listener, asked of the server; the caller frees it. NULL after a report. */
static char *gdb_find_listener(struct session *session)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const char *at = gdb_given(session, "at", GDB_AT_VARIABLE);
    char *url = NULL;
    if (!session_call(session, "board.status", session_plain_params(session), NULL, &result)) {
        return NULL;
    }
    const char *listen = field_text(field_get(result.json, "gdb"), "listen");
    const char *server = ocdmux_server(session->connection);
    if (listen == NULL) {
        (void)session_report_own(session, "unsupported",
                                 "the board takes no gdb: its configuration has no gdb listener");
    } else if (at != NULL) {
        url = strdup(at);
    } else if (strncmp(server, "ssh:", 4) == 0) {
        (void)session_report_own(session, "unsupported",
                                 "gdb does not go over ssh: from here, in gdb itself, say 'target "
                                 "extended-remote | ssh %s ocdmux gdb --pipe'",
                                 server + 4);
    } else if (!gdb_is_url(listen)) {
        (void)session_report_result(session, "board.status");
    } else {
        url = gdb_listener_url(server, listen);
    }
    ocdmux_result_fini(&result);
    return url;
}

static bool gdb_take_wait(struct session *session, uint64_t *ret_seconds)
{
    const char *variable = getenv(GDB_WAIT_VARIABLE);
    *ret_seconds = GDB_WAIT_S;
    if (variable != NULL && strspn(variable, "0123456789") == strlen(variable) && variable[0] != '\0') {
        uint64_t value = strtoull(variable, NULL, 10);
        *ret_seconds = value <= GDB_MOST_WAIT_S ? value : GDB_MOST_WAIT_S;
    }
    return options_number(session->arguments, "wait", NUMBER_PLAIN, 0, GDB_MOST_WAIT_S, ret_seconds);
}

/* --- the pipe --- */

static bool gdb_read_ok(const cJSON *object, struct ocdmux_error *error)
{
    const cJSON *warning = NULL;
    (void)error;
    cJSON_ArrayForEach(warning, field_array(object, "warnings"))
    {
        fputs("ocdmux: note: ", stderr);
        print_field(stderr, cJSON_IsString(warning) ? cJSON_GetStringValue(warning) : "?");
        fputc('\n', stderr);
    }
    return true;
}

/* "ok {...}" or "error {...}". */
static bool gdb_answered(void *arg, const char *line, struct ocdmux_error *error)
{
    bool ok = strncmp(line, "ok ", 3) == 0;
    bool refused = strncmp(line, "error ", 6) == 0;
    cJSON *object = ok || refused ? cJSON_Parse(strchr(line, ' ')) : NULL;
    (void)arg;
    if (object == NULL) {
        *error = (struct ocdmux_error){.kind = strdup(OCDMUX_KIND_PROTOCOL),
                                       .message = strdup("what answers there is no gdb listener of ocdmux"),
                                       .local = true};
        return false;
    }
    if (refused) {
        ocdmux_error_read(error, object);
    } else {
        ok = gdb_read_ok(object, error);
    }
    cJSON_Delete(object);
    return ok;
}

static char *gdb_preface(struct session *session, uint64_t wait_s)
{
    struct strbuf line = STRBUF_INIT;
    const char *token = getenv("OCDMUX_TOKEN");
    const char *target = gdb_given(session, "target", GDB_TARGET_VARIABLE);
    cJSON *object = session_plain_params(session);
    session_add_lease(session, object);
    if (token != NULL && token[0] != '\0') {
        cJSON_AddStringToObject(object, "token", token);
    }
    if (target != NULL) {
        cJSON_AddStringToObject(object, "target", target);
    }
    ocdmux_json_add_u64(object, "wait_ms", wait_s * 1000);
    char *text = cJSON_PrintUnformatted(object);
    strbuf_appendf(&line, "ocdmux %s\n", text);
    cJSON_free(text);
    cJSON_Delete(object);
    return strbuf_steal(&line);
}

static enum status gdb_pipe(struct session *session, uint64_t wait_s)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    const struct ocdmux_tls tls = session_tls(session);
    char *url = gdb_find_listener(session);
    if (url == NULL) {
        return session->status;
    }
    char *line = gdb_preface(session, wait_s);
    session_fini(session);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    bool good = ocdmux_relay_after(url, &tls, line, gdb_answered, NULL, (wait_s + GDB_GRACE_S) * 1000,
                                   STDIN_FILENO, STDOUT_FILENO, &error);
    free(line);
    free(url);
    return good ? STATUS_OK : session_report(session, &error);
}

/* --- gdb itself --- */

/* For the pipe; what is not given stays as it is. */
static bool gdb_export(struct session *session, uint64_t wait_s)
{
    static const struct {
        const char *option;
        const char *variable;
    } exports[] = {{"board", "OCDMUX_BOARD"},      {"lease", "OCDMUX_LEASE"}, {"ca", "OCDMUX_CA"},
                   {"cert", "OCDMUX_CERT"},        {"key", "OCDMUX_KEY"},     {"at", GDB_AT_VARIABLE},
                   {"target", GDB_TARGET_VARIABLE}};
    char wait[24];
    (void)snprintf(wait, sizeof wait, "%u", (unsigned)wait_s);
    bool good = setenv("OCDMUX_SERVER", ocdmux_server(session->connection), 1) == 0 &&
                setenv(GDB_WAIT_VARIABLE, wait, 1) == 0;
    for (size_t i = 0; good && i < sizeof exports / sizeof exports[0]; i++) {
        const char *value = options_value(session->arguments, exports[i].option);
        good = value == NULL || setenv(exports[i].variable, value, 1) == 0;
    }
    return good;
}

/* gdb gives the rest of its line to a shell. */
static void gdb_quote(struct strbuf *out, const char *word)
{
    strbuf_append_byte(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            strbuf_append_text(out, "'\\''");
        } else {
            strbuf_append_byte(out, *word);
        }
    }
    strbuf_append_byte(out, '\'');
}

static enum status gdb_exec(struct session *session, uint64_t wait_s)
{
    const struct arguments *arguments = session->arguments;
    const char *given = options_value(arguments, "gdb");
    const char *names[] = {given != NULL ? given : "gdb-multiarch", given != NULL ? given : "gdb"};
    struct strbuf timeout = STRBUF_INIT;
    struct strbuf attach = STRBUF_INIT;
    char self[PATH_MAX];
    size_t count = 0;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    strbuf_appendf(&timeout, "set remotetimeout %u", (unsigned)wait_s + GDB_GRACE_S);
    strbuf_append_text(&attach, "target extended-remote | ");
    gdb_quote(&attach, length > 0 ? self : "ocdmux");
    strbuf_append_text(&attach, " gdb --pipe");
    const char **words = calloc(arguments->count + 6, sizeof *words);
    if (words == NULL) {
        return session_report_own(session, "system_error", "%s", strerror(errno));
    }
    words[count++] = names[0];
    words[count++] = "-iex";
    words[count++] = strbuf_text(&timeout);
    words[count++] = "-ex";
    words[count++] = strbuf_text(&attach);
    for (size_t i = 0; i < arguments->count; i++) {
        words[count++] = arguments->words[i];
    }
    fflush(stdout);
    for (size_t i = 0; i < 2; i++) {
        words[0] = names[i];
        (void)execvp(names[i], (char *const *)(const void *)words);
    }
    int reason = errno;
    fprintf(stderr, "ocdmux: %s: %s\n", names[1], strerror(reason));
    free(words);
    strbuf_fini(&timeout);
    strbuf_fini(&attach);
    return (enum status)(reason == ENOENT ? GDB_NO_COMMAND : GDB_NOT_EXECUTABLE);
}

enum status cmd_gdb(struct session *session)
{
    uint64_t wait_s = GDB_WAIT_S;
    if (!gdb_take_wait(session, &wait_s)) {
        return STATUS_USAGE;
    }
    if (options_has(session->arguments, "pipe")) {
        if (session->arguments->count > 0) {
            (void)options_complain(session->arguments, "--pipe takes no arguments: '%s' is one too many",
                                   session->arguments->words[0]);
            return STATUS_USAGE;
        }
        return gdb_pipe(session, wait_s);
    }
    /* Better told before gdb is there than by it. */
    char *url = gdb_find_listener(session);
    if (url == NULL) {
        return session->status;
    }
    free(url);
    if (!gdb_export(session, wait_s)) {
        return session_report_own(session, "system_error", "%s", strerror(errno));
    }
    session_fini(session);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    return gdb_exec(session, wait_s);
}
