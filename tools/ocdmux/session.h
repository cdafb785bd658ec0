/*
 * One run of one command: what was given, the connection (made when the first request goes out, so that bad
 * usage is told without one), and the reporting of what fails. Whatever fails is reported on stderr here,
 * once, as "ocdmux: KIND: message", with OpenOCD's own words and the error's details below it.
 */
#ifndef OCDMUX_TOOL_SESSION_H
#define OCDMUX_TOOL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ocdmux.h"
#include "command.h"
#include "options.h"
#include "progress.h"

/* The most that the protocol takes as `timeout_ms`: what commands send that should run until they are done.
 */
#define SESSION_LONGEST_TIMEOUT_MS 86400000u

struct session {
    const struct arguments *arguments;
    struct ocdmux *connection;  /* owned; NULL before the first request */
    struct ocdmux_result hello; /* owned: what the server answered to it, once connected */
    uint64_t timeout_ms;        /* 0: none was given */
    bool json;
    bool interrupted;   /* an interrupt has cancelled a request, however that ended */
    enum status status; /* of the last request that failed */
};

/* Reads the configuration as well. False after a message for a bad one, a bad token file or a bad --timeout.
 */
bool session_init(struct session *session, const struct arguments *arguments)
    __attribute__((warn_unused_result));
void session_fini(struct session *session);

/* What --ca, --cert and --key say, or the environment. */
struct ocdmux_tls session_tls(const struct session *session);
/* Connects and says hello, if that was not done yet. False after a report. */
bool session_connect(struct session *session) __attribute__((warn_unused_result));

/* Parameters of a method that runs on a board: `board`, `target` and `timeout_ms` as given. The caller owns
 * them. */
cJSON *session_board_params(const struct session *session);
/* The same; without --timeout the request may take a day: for long reads and writes, which people watch. */
cJSON *session_long_params(const struct session *session);
/* Parameters of the other methods that know boards: `board` as given, or $OCDMUX_BOARD. */
cJSON *session_plain_params(const struct session *session);
/* Adds `lease` as given, or $OCDMUX_LEASE; session_board_params() has it. */
void session_add_lease(const struct session *session, cJSON *params);

/* A request's extras; all zero for none. */
struct session_extra {
    struct progress *progress;    /* asks for progress and shows it */
    struct progress *bar;         /* shown by the caller; ended before anything else is written */
    const char *untouched;        /* said on stderr where an interrupt came before the request was sent */
    const char *unknown;          /* said on stderr where nobody knows what the request has done */
    ocdmux_notification_fn *data; /* gets `data`; false cancels the request */
    void *data_arg;
};

/*
 * Makes a request. `take_params` is freed; `extra` may be NULL. False after a report, with session->status
 * set.
 */
bool session_call(struct session *session, const char *method, cJSON *take_params,
                  const struct session_extra *extra, struct ocdmux_result *ret_result)
    __attribute__((warn_unused_result));
/* The same with the text of the parameters, NULL for none. */
bool session_call_text(struct session *session, const char *method, const char *params,
                       const struct session_extra *extra, struct ocdmux_result *ret_result)
    __attribute__((warn_unused_result));

/*
 * Makes a request and prints its result: as JSON with --json, else by `show`, which returns false if the
 * result does not have what the protocol says; that is reported here. Returns the exit status.
 */
typedef bool session_show_fn(void *arg, const cJSON *result);
enum status session_show(struct session *session, const char *method, cJSON *take_params,
                         const struct session_extra *extra, session_show_fn *show, void *arg);

/* Reports why a connection could not be opened: as bad usage where that is it. */
enum status session_report_open(struct session *session, struct ocdmux_error *error);
/* Reports an error and returns the exit status that it makes; `error` is emptied. */
enum status session_report(struct session *session, struct ocdmux_error *error);
/* Reports that a result is not what the protocol says. */
enum status session_report_result(struct session *session, const char *method);
/* Reports something of the command's own. Returns STATUS_FAILED. */
enum status session_report_own(struct session *session, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reports a command that OpenOCD ran and that failed. Returns STATUS_FAILED. */
enum status session_report_openocd_failure(struct session *session, long code, const char *text);

/* "note: ..." on stderr if a long read's result says that the board was changed meanwhile. */
void session_note_disturbed(const cJSON *result);

/* The time limits of a job of the library that makes several requests. */
struct ocdmux_job session_job(const struct session *session);
/* To be said once an interrupt has cancelled a request; ends `bar`, which may be NULL. */
void session_note_cancelling(struct session *session, struct progress *bar);

#endif
