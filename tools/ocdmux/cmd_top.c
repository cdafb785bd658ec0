/*
 * top: a live view of boards, leases, operations and clients. Events keep the boards up; what they do not
 * tell is asked for: a board after something happened to it, counters and clients once in a while.
 *
 *   CONNECTED --- broke, or no answer ---> GONE --- back-off over, connects, subscribes ---+
 *       ^                                    ^  |  else: twice the back-off               |
 *       |                                    +--+                                         |
 *       +---------------------------------------------------------------------------------+
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "commands.h"
#include "fields.h"
#include "interrupt.h"
#include "top_layout.h"
#include "top_model.h"
#include "top_screen.h"

/* How soon a key is heard, and how often the picture may change. */
#define TOP_SLICE_MS 50u
/* Several events of one board are one question. */
#define TOP_STALE_US 200000u
#define TOP_ANSWER_MS 3000u
#define TOP_CONNECT_MS 2000u
#define TOP_BACKOFF_LEAST_MS 250u
#define TOP_BACKOFF_MOST_MS 8000u

const struct option cmd_top_options[] = {
    {"interval", "MS", "time between two looks at rates and clients, 200 to 60000; 1000 if not given", NULL},
    {NULL, NULL, NULL, NULL},
};

struct top {
    struct session *session; /* its connection is NULL while the server is gone */
    struct top_model model;
    uint64_t interval_ms;
    uint64_t poll_us;  /* when to ask for rates and clients */
    uint64_t stale_us; /* when stale boards may be asked for */
    uint64_t retry_us; /* while the server is gone */
    uint32_t backoff_ms;
    char *reason; /* why it is gone */
    bool quit;
};

/* --- the server goes --- */

static void top_lost(struct top *top, const char *reason)
{
    ocdmux_close(top->session->connection);
    top->session->connection = NULL;
    free(top->reason);
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, reason);
    top->reason = strbuf_steal(&text);
    top->retry_us = clock_now_us() + top->backoff_ms * 1000ull;
}

static void top_set_notice(struct top *top)
{
    struct strbuf text = STRBUF_INIT;
    uint64_t now = clock_now_us();
    uint64_t left_ms = top->retry_us > now ? (top->retry_us - now) / 1000 : 0;
    if (top->session->connection != NULL) {
        return;
    }
    strbuf_appendf(&text, "the server is gone, next try in %.1f s: %s", (double)left_ms / 1000, top->reason);
    top_model_set_notice(&top->model, strbuf_text(&text));
    strbuf_fini(&text);
}

/* --- asking --- */

/* False where there is no answer; the picture says why then. */
static bool top_call(struct top *top, const char *method, cJSON *take_params, cJSON **ret_result)
{
    struct ocdmux_call_options options = {.timeout_ms = TOP_ANSWER_MS};
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    bool good = top->session->connection != NULL &&
                ocdmux_call(top->session->connection, method, take_params, &options, &result, &error);
    cJSON_Delete(take_params);
    if (good) {
        *ret_result = result.json;
        result.json = NULL;
        ocdmux_result_fini(&result);
        return true;
    }
    if (error.kind != NULL && error.local) {
        top_lost(top, error.message);
    } else if (error.kind != NULL) {
        top_model_set_notice(&top->model, error.message);
    }
    ocdmux_error_fini(&error);
    return false;
}

static void top_ask_board(struct top *top, size_t index)
{
    cJSON *status = NULL;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "board", top_model_board_name(&top->model, index));
    if (top_call(top, "board.status", params, &status)) {
        top_model_take_board(&top->model, status);
    }
}

static void top_ask_boards(struct top *top, bool all)
{
    for (size_t i = 0; i < top->model.board_count; i++) {
        if (all || top->model.boards[i].stale) {
            top_ask_board(top, i);
        }
    }
    top->stale_us = clock_now_us() + TOP_STALE_US;
}

static void top_poll(struct top *top)
{
    cJSON *stats = NULL;
    cJSON *clients = NULL;
    top->poll_us = clock_now_us() + top->interval_ms * 1000;
    if (!top_call(top, "server.stats", cJSON_CreateObject(), &stats)) {
        return;
    }
    if (!top_call(top, "client.list", cJSON_CreateObject(), &clients)) {
        cJSON_Delete(stats);
        return;
    }
    top_model_take_poll(&top->model, stats, clients);
    if (top->model.selected < top->model.board_count) {
        top_ask_board(top, top->model.selected);
    }
}

static bool top_take_event(void *arg, const struct ocdmux_notification *notification)
{
    struct top *top = arg;
    if (strcmp(notification->method, "event") == 0) {
        top_model_event(&top->model, notification->params);
    }
    return true;
}

static cJSON *top_subscription(const struct session *session)
{
    static const char *const topics[] = {"target", "link", "operation", "lease", "queue"};
    cJSON *params = session_plain_params(session);
    cJSON *array = cJSON_AddArrayToObject(params, "topics");
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        cJSON_AddItemToArray(array, cJSON_CreateString(topics[i]));
    }
    return params;
}

/* The picture begins anew. */
static void top_begin(struct top *top, const cJSON *subscription)
{
    top_model_forget_polls(&top->model);
    top_model_set_snapshot(&top->model, field_get(subscription, "snapshot"), true);
    top_model_set_notice(&top->model, NULL);
    top->backoff_ms = TOP_BACKOFF_LEAST_MS;
    top_poll(top);
}

/* --- the server comes back --- */

static bool top_connect(struct top *top, struct ocdmux_error *error)
{
    struct session *session = top->session;
    struct ocdmux_result hello = OCDMUX_RESULT_INIT;
    const struct ocdmux_tls tls = session_tls(session);
    const char *server = options_value(session->arguments, "server");
    struct ocdmux *connection = NULL;
    if (!ocdmux_open_tls(server, &tls, TOP_CONNECT_MS, &connection, error)) {
        return false;
    }
    if (!ocdmux_hello(connection, "ocdmux " OCDMUX_VERSION, getenv("OCDMUX_TOKEN"), TOP_ANSWER_MS, &hello,
                      error)) {
        ocdmux_close(connection);
        return false;
    }
    ocdmux_result_fini(&hello);
    ocdmux_set_interrupt_fd(connection, interrupt_catch());
    ocdmux_set_event_handler(connection, top_take_event, top);
    session->connection = connection;
    return true;
}

static void top_retry(struct top *top)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    cJSON *subscription = NULL;
    uint32_t next = top->backoff_ms * 2;
    top->backoff_ms = next < TOP_BACKOFF_MOST_MS ? next : TOP_BACKOFF_MOST_MS;
    if (!top_connect(top, &error)) {
        top_lost(top, error.message);
        ocdmux_error_fini(&error);
        return;
    }
    if (top_call(top, "events.subscribe", top_subscription(top->session), &subscription)) {
        top_begin(top, subscription);
        cJSON_Delete(subscription);
    } else if (top->session->connection != NULL) {
        top_lost(top, top->model.notice);
    }
}

/* --- the loop --- */

static void top_take_key(struct top *top, enum top_key key)
{
    struct top_model *model = &top->model;
    switch (key) {
    case TOP_KEY_QUIT:
        top->quit = true;
        break;
    case TOP_KEY_UP:
        model->selected -= model->selected > 0 ? 1 : 0;
        break;
    case TOP_KEY_DOWN:
        model->selected += model->selected + 1 < model->board_count ? 1 : 0;
        break;
    case TOP_KEY_SORT:
        model->sort = (enum top_sort)(((unsigned)model->sort + 1) % TOP_SORTS);
        break;
    case TOP_KEY_REFRESH:
        top->retry_us = 0;
        if (top->session->connection != NULL) {
            top_model_set_notice(model, NULL);
            top_poll(top);
            top_ask_boards(top, true);
        }
        break;
    case TOP_KEY_NONE:
    case TOP_KEY_DRAW:
        break;
    }
}

/* Waits for news, no longer than one may wait for a key. */
static void top_wait(struct top *top)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint64_t now = clock_now_us();
    if (top->session->connection == NULL) {
        if (now >= top->retry_us) {
            top_retry(top);
        }
        return;
    }
    if (!ocdmux_wait(top->session->connection, TOP_SLICE_MS, &error)) {
        top_lost(top, error.message);
        ocdmux_error_fini(&error);
        return;
    }
    if (now >= top->stale_us) {
        top_ask_boards(top, false);
    }
    if (top->session->connection != NULL && now >= top->poll_us) {
        top_poll(top);
    }
}

static void top_draw(struct top *top)
{
    struct top_view view;
    size_t rows;
    size_t columns;
    top_set_notice(top);
    top_screen_size(&rows, &columns);
    top_layout(&top->model, rows, columns, &view);
    top_screen_draw(&view);
    top_view_fini(&view);
}

static void top_run(struct top *top)
{
    while (!top->quit) {
        top_draw(top);
        top_wait(top);
        enum top_key key;
        bool gone = top->session->connection == NULL;
        while ((key = top_screen_key(gone ? TOP_SLICE_MS : 0)) != TOP_KEY_NONE && !top->quit) {
            top_take_key(top, key);
            gone = false;
        }
        top->quit = top->quit || interrupt_was_sent(SIGINT) || interrupt_was_sent(SIGTERM);
    }
}

/* The first connection is told as with any other command; the terminal is left alone until it stands. */
static enum status top_start(struct top *top)
{
    struct ocdmux_result subscription = OCDMUX_RESULT_INIT;
    struct session *session = top->session;
    if (!session_connect(session)) {
        return session->status;
    }
    ocdmux_set_event_handler(session->connection, top_take_event, top);
    if (!session_call(session, "events.subscribe", top_subscription(session), NULL, &subscription)) {
        return session->status;
    }
    if (field_array(field_get(subscription.json, "snapshot"), "boards") == NULL) {
        ocdmux_result_fini(&subscription);
        return session_report_result(session, "events.subscribe");
    }
    top_model_init(&top->model, ocdmux_server(session->connection), top_screen_is_utf8());
    top_begin(top, subscription.json);
    ocdmux_result_fini(&subscription);
    enum status status = STATUS_OK;
    if (top_screen_open()) {
        top_run(top);
        top_screen_close();
    } else {
        const char *term = getenv("TERM");
        status =
            session_report_own(session, "no_terminal", "$TERM is '%s', which names no terminal to draw on",
                               term == NULL ? "" : term);
    }
    top_model_fini(&top->model);
    return status;
}

enum status cmd_top(struct session *session)
{
    struct top top = {.session = session, .interval_ms = 1000, .backoff_ms = TOP_BACKOFF_LEAST_MS};
    if (!options_number(session->arguments, "interval", NUMBER_PLAIN, 200, 60000, &top.interval_ms)) {
        return STATUS_USAGE;
    }
    if (session->json || isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
        (void)options_complain(session->arguments,
                               "top needs a terminal; for scripts there is 'ocdmux status --json'");
        return STATUS_USAGE;
    }
    enum status status = top_start(&top);
    free(top.reason);
    return status;
}
