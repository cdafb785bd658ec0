/* watch: memory as it changes, drawn in place on a terminal, else as lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "commands.h"
#include "fields.h"
#include "print.h"
#include "watch_view.h"

#define CMD_WATCH_MOST_BYTES (1024u * 1024u)
#define CMD_WATCH_MOST_MS 3600000u
/* On a narrower terminal rows would wrap, and nothing could be drawn over them. */
#define CMD_WATCH_LEAST_COLUMNS 72u

static const char *const cmd_watch_widths[] = {"8", "16", "32", NULL};

const struct option cmd_watch_options[] = {
    {"interval", "MS", "milliseconds from one look to the next; default: 100", NULL},
    {"width", "8|16|32", "bits of one unit; default: 32", cmd_watch_widths},
    {"count", "N", "end behind so many changes; default: with Ctrl-C", NULL},
    {"physical", NULL, "the addresses are physical ones, past the MMU", NULL},
    {NULL, NULL, NULL, NULL},
};

struct cmd_watch {
    struct session *session;
    struct watch_view view;
    uint64_t interval_ms;
    uint64_t count;        /* 0: without end */
    uint64_t changes;      /* --json: counted here */
    bool begun;            /* the result of memory.watch has been printed */
    bool broken;           /* a notification was not what the protocol says */
    struct strbuf pending; /* notifications that came before that: JSON texts, one a line */
};

/* ---- showing ---- */

static bool cmd_watch_terminal(struct winsize *ret_size)
{
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, ret_size) == 0 &&
           ret_size->ws_col >= CMD_WATCH_LEAST_COLUMNS && ret_size->ws_row > 2;
}

/* False once enough has been seen, or nobody takes the output. */
static bool cmd_watch_show(struct cmd_watch *watch, const cJSON *params, const char *text, size_t length)
{
    struct strbuf out = STRBUF_INIT;
    struct winsize size;
    if (watch->session->json) {
        bool changed = cJSON_GetArraySize(field_array(params, "changes")) > 0;
        watch->changes += changed && !field_true(params, "whole");
        print_json(stdout, text, length);
        return fflush(stdout) == 0 && (watch->count == 0 || watch->changes < watch->count);
    }
    if (!watch_view_take(&watch->view, params)) {
        watch->broken = true;
        return false;
    }
    if (cmd_watch_terminal(&size)) {
        watch_view_draw(&watch->view, size.ws_row, size.ws_col, &out);
    } else {
        watch_view_print_news(&watch->view, &out);
    }
    fwrite(strbuf_text(&out), 1, out.length, stdout);
    strbuf_fini(&out);
    return fflush(stdout) == 0 && (watch->count == 0 || watch->view.changes < watch->count);
}

static bool cmd_watch_take(void *arg, const struct ocdmux_notification *notification)
{
    struct cmd_watch *watch = arg;
    if (strcmp(notification->method, "memory.changed") != 0) {
        return true;
    }
    if (!watch->begun) {
        strbuf_append(&watch->pending, notification->text, notification->length);
        strbuf_append_byte(&watch->pending, '\n');
        return true;
    }
    return cmd_watch_show(watch, notification->params, notification->text, notification->length);
}

/* False as above. */
static bool cmd_watch_show_pending(struct cmd_watch *watch)
{
    const char *text = strbuf_text(&watch->pending);
    bool more = true;
    watch->begun = true;
    while (more && *text != '\0') {
        size_t length = strcspn(text, "\n");
        cJSON *params = cJSON_ParseWithLength(text, length);
        more = cmd_watch_show(watch, params, text, length);
        cJSON_Delete(params);
        text += length + 1;
    }
    return more;
}

/* ---- what is asked for ---- */

/* ADDRESS[:SIZE], the size being one unit where it is not given. */
static bool cmd_watch_range(struct cmd_watch *watch, const char *word)
{
    const struct arguments *arguments = watch->session->arguments;
    const char *colon = strchr(word, ':');
    char *address_text = colon == NULL ? strdup(word) : strndup(word, (size_t)(colon - word));
    uint64_t unit = watch->view.width / 8;
    uint64_t address = 0;
    uint64_t size = unit;
    bool good = address_text != NULL && number_parse(address_text, NUMBER_PLAIN, &address) &&
                (colon == NULL || number_parse(colon + 1, NUMBER_SIZE, &size));
    free(address_text);
    if (!good) {
        return options_complain(arguments, "'%s' is not ADDRESS or ADDRESS:SIZE", word);
    }
    if (size == 0 || size > CMD_WATCH_MOST_BYTES || size % unit != 0) {
        return options_complain(arguments,
                                "'%s': the size must be a multiple of %u bytes, from %u to %u (see --width)",
                                word, (unsigned)unit, (unsigned)unit, CMD_WATCH_MOST_BYTES);
    }
    if (size - 1 > UINT64_MAX - address) {
        return options_complain(arguments, "'%s' reaches beyond the end of 64-bit addresses", word);
    }
    watch_view_add(&watch->view, address, (size_t)size);
    return true;
}

static bool cmd_watch_read_arguments(struct cmd_watch *watch)
{
    const struct arguments *arguments = watch->session->arguments;
    if (!options_number(arguments, "interval", NUMBER_PLAIN, 1, CMD_WATCH_MOST_MS, &watch->interval_ms) ||
        !options_number(arguments, "count", NUMBER_PLAIN, 1, UINT64_MAX, &watch->count)) {
        return false;
    }
    if (arguments->count > WATCH_VIEW_RANGES) {
        return options_complain(arguments, "at most %u ranges can be watched", WATCH_VIEW_RANGES);
    }
    for (size_t i = 0; i < arguments->count; i++) {
        if (!cmd_watch_range(watch, arguments->words[i])) {
            return false;
        }
    }
    return true;
}

static cJSON *cmd_watch_params(const struct cmd_watch *watch)
{
    cJSON *params = session_board_params(watch->session);
    cJSON *ranges = cJSON_AddArrayToObject(params, "ranges");
    for (size_t i = 0; i < watch->view.count; i++) {
        cJSON *range = cJSON_CreateObject();
        ocdmux_json_add_address(range, "address", watch->view.ranges[i].address);
        ocdmux_json_add_u64(range, "size", watch->view.ranges[i].size);
        cJSON_AddItemToArray(ranges, range);
    }
    ocdmux_json_add_u64(params, "interval_ms", watch->interval_ms);
    cJSON_AddStringToObject(params, "encoding", "hex");
    if (options_has(watch->session->arguments, "physical")) {
        cJSON_AddTrueToObject(params, "physical");
    }
    return params;
}

/* The byte order is that of the target that is asked for, or of the current one. */
static bool cmd_watch_learn_order(struct cmd_watch *watch)
{
    const char *wanted = options_value(watch->session->arguments, "target");
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const cJSON *target = NULL;
    if (!session_call(watch->session, "board.status", session_plain_params(watch->session), NULL, &result)) {
        return false;
    }
    cJSON_ArrayForEach(target, field_array(result.json, "targets"))
    {
        const char *name = field_text(target, "target");
        const char *endian = field_text(target, "endian");
        bool is_it =
            wanted == NULL ? field_true(target, "current") : name != NULL && strcmp(name, wanted) == 0;
        if (is_it && endian != NULL) {
            watch->view.big_endian = strcmp(endian, "big") == 0;
        }
    }
    ocdmux_result_fini(&result);
    return true;
}

static bool cmd_watch_began(void *arg, const cJSON *result)
{
    (void)arg;
    return field_text(result, "watch") != NULL;
}

/* ---- the command ---- */

static enum status cmd_watch_run(struct cmd_watch *watch)
{
    struct session *session = watch->session;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (!session_connect(session)) {
        return session->status;
    }
    if (!session->json && watch->view.width > 8 && !cmd_watch_learn_order(watch)) {
        return session->status;
    }
    ocdmux_set_event_handler(session->connection, cmd_watch_take, watch);
    enum status status =
        session_show(session, "memory.watch", cmd_watch_params(watch), NULL, cmd_watch_began, NULL);
    /* Where nobody takes the lines main() tells; there is nothing to wait for. */
    if (status == STATUS_OK && fflush(stdout) == 0 && cmd_watch_show_pending(watch) && !ferror(stdout) &&
        !ocdmux_wait(session->connection, 0, &error)) {
        status = session_report(session, &error);
    }
    return watch->broken ? session_report_result(session, "memory.changed") : status;
}

enum status cmd_watch(struct session *session)
{
    const char *width = options_value(session->arguments, "width");
    struct cmd_watch watch = {.session = session, .interval_ms = 100, .pending = STRBUF_INIT};
    enum status status = STATUS_USAGE;
    watch_view_init(&watch.view, width == NULL ? 32 : (unsigned)strtoul(width, NULL, 10));
    if (cmd_watch_read_arguments(&watch)) {
        status = cmd_watch_run(&watch);
    }
    watch_view_fini(&watch.view);
    strbuf_fini(&watch.pending);
    return status;
}
