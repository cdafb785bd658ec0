/* Lines for `ocdmux top`: a title, the boards, the chosen board's details, the clients, the keys. */
#include "top_layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "describe.h"
#include "fields.h"
#include "print.h"

#define BAR_WIDTH 24u
/* A shorter bar tells nothing. */
#define BAR_LEAST 6u
#define SHOWN_WAITERS 4u
#define SHOWN_OPERATIONS 6u

struct column {
    const char *title;
    size_t width;
    size_t from; /* shown where the terminal has as many columns */
    bool right;
};

/* --- text --- */

/* How many columns the character takes; 0: it is not shown. */
static size_t width_of(const char *bytes, size_t length, bool utf8)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (length == 1) {
        return 1;
    }
    wchar_t code = (unsigned char)bytes[0] & masks[length];
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    int width = utf8 ? wcwidth(code) : 0;
    return width > 0 ? (size_t)width : 0;
}

void top_layout_append(struct strbuf *out, const char *text, size_t columns, bool pad, bool utf8)
{
    struct strbuf safe = STRBUF_INIT;
    size_t used = 0;
    print_escape(&safe, text, strlen(text), true);
    const char *bytes = strbuf_text(&safe);
    for (size_t i = 0; i < safe.length;) {
        size_t taken = utf8_sequence(bytes + i, safe.length - i);
        size_t width = width_of(bytes + i, taken, utf8);
        if (used + (width > 0 ? width : 1) > columns) {
            break;
        }
        if (width > 0) {
            strbuf_append(out, bytes + i, taken);
        } else {
            strbuf_append_byte(out, '?');
        }
        used += width > 0 ? width : 1;
        i += taken;
    }
    for (; pad && used < columns; used++) {
        strbuf_append_byte(out, ' ');
    }
    strbuf_fini(&safe);
}

void top_layout_number(struct strbuf *out, double value)
{
    static const char units[] = "KMGT";
    size_t unit = 0;
    if (value < 999.5) {
        strbuf_appendf(out, "%.0f", value);
        return;
    }
    for (value /= 1000; value >= 999.5 && unit + 1 < sizeof(units) - 1; unit++) {
        value /= 1000;
    }
    strbuf_appendf(out, value < 9.95 ? "%.1f%c" : "%.0f%c", value > 9999 ? 9999 : value, units[unit]);
}

/* "12:35:56" of a wall-clock time. */
static void append_clock(struct strbuf *out, const char *time)
{
    if (time != NULL && strlen(time) >= 19) {
        strbuf_append(out, time + 11, 8);
    } else {
        strbuf_append_byte(out, '-');
    }
}

static const char *text_or(const cJSON *object, const char *name, const char *other)
{
    const char *text = field_text(object, name);
    return text == NULL ? other : text;
}

/* "alice (ci)" */
static void append_who(struct strbuf *out, const cJSON *who)
{
    const char *client = field_text(who, "client");
    strbuf_append_text(out, text_or(who, "identity", "?"));
    if (client != NULL) {
        strbuf_appendf(out, " (%s)", client);
    }
}

/* --- lines --- */

/* A line for which there is no row is dropped. The text is what add_line() cuts, and takes. */
static void add_line(struct top_view *view, enum top_style style, struct strbuf *take_text, bool utf8)
{
    if (view->count < view->rows) {
        struct top_line *line = &view->lines[view->count++];
        bool pad = style == TOP_TITLE || style == TOP_SELECTED || style == TOP_HEADER;
        line->style = style;
        strbuf_init(&line->text);
        top_layout_append(&line->text, strbuf_text(take_text), view->columns, pad, utf8);
    }
    strbuf_fini(take_text);
}

static void add_text(struct top_view *view, enum top_style style, const char *text, bool utf8)
{
    struct strbuf line = STRBUF_INIT;
    strbuf_append_text(&line, text);
    add_line(view, style, &line, utf8);
}

/* A cell of a table, cut and filled up; the last one shown has what is left of the line. What goes to the
 * right is digits. */
static void append_cell(struct strbuf *line, const struct column *column, const char *text, bool last,
                        size_t columns, bool utf8)
{
    if (last) {
        top_layout_append(line, text, columns, false, utf8);
        return;
    }
    for (size_t i = strlen(text); column->right && i < column->width; i++) {
        strbuf_append_byte(line, ' ');
    }
    top_layout_append(line, text, column->width, !column->right, utf8);
    strbuf_append_byte(line, ' ');
}

static bool is_last(const struct column *table, size_t count, size_t index, size_t columns)
{
    for (size_t i = index + 1; i < count; i++) {
        if (table[i].from <= columns) {
            return false;
        }
    }
    return true;
}

/* A row of a table; `cells` are freed. */
static void add_row(struct top_view *view, enum top_style style, const struct column *table, size_t count,
                    struct strbuf *take_cells, bool utf8)
{
    struct strbuf line = STRBUF_INIT;
    for (size_t i = 0; i < count; i++) {
        if (table[i].from <= view->columns) {
            append_cell(&line, &table[i], strbuf_text(&take_cells[i]),
                        is_last(table, count, i, view->columns), view->columns, utf8);
        }
        strbuf_fini(&take_cells[i]);
    }
    add_line(view, style, &line, utf8);
}

/* `marked` gets a star: the rows are in its order. */
static void add_header(struct top_view *view, const struct column *table, size_t count, size_t marked)
{
    struct strbuf cells[16];
    for (size_t i = 0; i < count; i++) {
        strbuf_init(&cells[i]);
        strbuf_appendf(&cells[i], "%s%s", table[i].title, i == marked ? "*" : "");
    }
    add_row(view, TOP_HEADER, table, count, cells, false);
}

/* --- the title --- */

static void add_title(struct top_view *view, const struct top_model *model)
{
    struct strbuf line = STRBUF_INIT;
    uint64_t uptime = 0;
    uint64_t clients = 0;
    double requests = 0;
    strbuf_append_text(&line, "ocdmux top");
    if (field_u64(model->stats, "uptime_ms", &uptime) && field_u64(model->stats, "clients", &clients)) {
        strbuf_appendf(&line, "  up %" PRIu64 ":%02u:%02u  %" PRIu64 " client%s", uptime / 3600000,
                       (unsigned)(uptime / 60000 % 60), (unsigned)(uptime / 1000 % 60), clients,
                       clients == 1 ? "" : "s");
    }
    if (top_model_rate(model, NULL, "requests", &requests)) {
        strbuf_append_text(&line, "  ");
        top_layout_number(&line, requests);
        strbuf_append_text(&line, " requests/s");
    }
    strbuf_appendf(&line, "  %s", model->server);
    add_line(view, TOP_TITLE, &line, model->utf8);
    add_text(view, model->notice == NULL ? TOP_PLAIN : TOP_WARNING,
             model->notice == NULL ? "" : model->notice, model->utf8);
}

/* --- boards --- */

static const struct column board_columns[] = {
    {"BOARD", 16, 0, false},  {"LINK", 10, 0, false},  {"TARGETS", 22, 110, false},
    {"LEASE", 18, 48, false}, {"WAIT", 4, 66, true},   {"QUEUE", 5, 58, true},
    {"CMD/S", 5, 96, true},   {"BUSY %", 6, 80, true}, {"RUNS", 16, 30, false},
};
#define BOARD_COLUMNS (sizeof(board_columns) / sizeof(board_columns[0]))

static void append_targets(struct strbuf *out, const cJSON *status)
{
    const cJSON *target = NULL;
    size_t begin = out->length;
    cJSON_ArrayForEach(target, field_array(status, "targets"))
    {
        strbuf_appendf(out, "%s%s %s", out->length > begin ? ", " : "", text_or(target, "target", "?"),
                       text_or(target, "state", "?"));
    }
}

/* The operations that have begun; else what is on the link just now. */
static const cJSON *first_running(const cJSON *status)
{
    const cJSON *operation = NULL;
    cJSON_ArrayForEach(operation, field_array(status, "operations"))
    {
        if (strcmp(text_or(operation, "state", ""), "running") == 0) {
            return operation;
        }
    }
    return field_get(status, "running");
}

static bool percent_of(const cJSON *operation, unsigned *ret_percent)
{
    const cJSON *progress = field_get(operation, "progress");
    uint64_t done = 0;
    uint64_t total = 0;
    if (!field_u64(progress, "done", &done) || !field_u64(progress, "total", &total) || total == 0) {
        return false;
    }
    *ret_percent = done >= total ? 100 : (unsigned)((double)done * 100 / (double)total);
    return true;
}

static void append_running(struct strbuf *out, const cJSON *status)
{
    const cJSON *operation = first_running(status);
    unsigned percent = 0;
    if (operation == NULL) {
        return;
    }
    if (percent_of(operation, &percent)) {
        strbuf_appendf(out, "%u %% ", percent);
    }
    strbuf_appendf(out, "%s by ", text_or(operation, "method", "?"));
    append_who(out, operation);
}

static void append_rate(struct strbuf *out, const struct top_model *model, const char *board,
                        const char *counter, double scale)
{
    double rate = 0;
    if (top_model_rate(model, board, counter, &rate)) {
        top_layout_number(out, rate * scale);
    } else {
        strbuf_append_byte(out, '-');
    }
}

static void add_board(struct top_view *view, const struct top_model *model, size_t index)
{
    const cJSON *status = model->boards[index].status;
    const cJSON *lease = field_get(status, "lease");
    const char *name = text_or(status, "board", "?");
    uint64_t queued = 0;
    struct strbuf cells[BOARD_COLUMNS];
    for (size_t i = 0; i < BOARD_COLUMNS; i++) {
        strbuf_init(&cells[i]);
    }
    strbuf_append_text(&cells[0], name);
    strbuf_append_text(&cells[1], text_or(status, "link", "?"));
    append_targets(&cells[2], status);
    strbuf_append_text(&cells[3], lease == NULL ? "-" : text_or(lease, "identity", "?"));
    strbuf_appendf(&cells[4], "%d", cJSON_GetArraySize(field_array(status, "lease_queue")));
    strbuf_appendf(&cells[5], "%" PRIu64, field_u64(status, "queued", &queued) ? queued : 0);
    append_rate(&cells[6], model, name, "commands", 1);
    append_rate(&cells[7], model, name, "link_busy_ms", 0.1);
    append_running(&cells[8], status);
    add_row(view, index == model->selected ? TOP_SELECTED : TOP_PLAIN, board_columns, BOARD_COLUMNS, cells,
            model->utf8);
}

/* As many as fit into a third of the terminal, the chosen one among them. */
static void add_boards(struct top_view *view, const struct top_model *model)
{
    size_t room = view->rows / 3 > 0 ? view->rows / 3 : 1;
    size_t first = model->selected >= room ? model->selected - room + 1 : 0;
    add_header(view, board_columns, BOARD_COLUMNS, BOARD_COLUMNS);
    for (size_t i = first; i < model->board_count && i < first + room; i++) {
        add_board(view, model, i);
    }
    if (model->board_count > room) {
        struct strbuf line = STRBUF_INIT;
        strbuf_appendf(&line, "%zu of %zu boards", room, model->board_count);
        add_line(view, TOP_PLAIN, &line, model->utf8);
    }
}

/* --- the chosen board --- */

static void add_lease(struct top_view *view, const struct top_model *model, const cJSON *status)
{
    const cJSON *lease = field_get(status, "lease");
    const char *reason = field_text(lease, "reason");
    struct strbuf line = STRBUF_INIT;
    strbuf_append_text(&line, "lease  ");
    if (lease == NULL) {
        strbuf_append_text(&line,
                           field_true(status, "require_lease") ? "free, and needed for changes" : "free");
    } else {
        append_who(&line, lease);
        strbuf_appendf(&line, ", %s until ", text_or(lease, "state", "?"));
        append_clock(&line, field_text(lease, "expires"));
        strbuf_appendf(&line, " UTC%s%s", reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    }
    add_line(view, TOP_PLAIN, &line, model->utf8);
}

static void add_waiters(struct top_view *view, const struct top_model *model, const cJSON *status)
{
    const cJSON *queue = field_array(status, "lease_queue");
    size_t count = (size_t)cJSON_GetArraySize(queue);
    for (size_t i = 0; i < count && i < SHOWN_WAITERS; i++) {
        const cJSON *waiter = cJSON_GetArrayItem(queue, (int)i);
        const char *reason = field_text(waiter, "reason");
        struct strbuf line = STRBUF_INIT;
        strbuf_appendf(&line, "waits  %zu. ", i + 1);
        append_who(&line, waiter);
        strbuf_append_text(&line, " since ");
        append_clock(&line, field_text(waiter, "since"));
        strbuf_appendf(&line, " UTC%s%s", reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
        if (i + 1 == SHOWN_WAITERS && count > SHOWN_WAITERS) {
            strbuf_appendf(&line, " (and %zu more)", count - SHOWN_WAITERS);
        }
        add_line(view, TOP_PLAIN, &line, model->utf8);
    }
}

static void append_bar(struct strbuf *line, unsigned percent, size_t columns)
{
    size_t length = columns / 4 < BAR_WIDTH ? columns / 4 : BAR_WIDTH;
    if (length >= BAR_LEAST) {
        strbuf_append_byte(line, '[');
        for (size_t i = 0; i < length; i++) {
            strbuf_append_byte(line, i < percent * length / 100 ? '#' : '.');
        }
        strbuf_append_text(line, "] ");
    }
    strbuf_appendf(line, "%3u %% ", percent);
}

static void add_operation(struct top_view *view, const struct top_model *model, const cJSON *operation)
{
    unsigned percent = 0;
    struct strbuf line = STRBUF_INIT;
    strbuf_append_text(&line,
                       strcmp(text_or(operation, "state", "running"), "queued") == 0 ? "queued " : "runs   ");
    if (percent_of(operation, &percent)) {
        append_bar(&line, percent, view->columns);
    }
    strbuf_appendf(&line, "%s by ", text_or(operation, "method", "?"));
    append_who(&line, operation);
    if (field_get(operation, "progress") != NULL) {
        strbuf_append_text(&line, ", ");
        describe_progress(&line, field_get(operation, "progress"));
    }
    add_line(view, TOP_PLAIN, &line, model->utf8);
}

static void add_operations(struct top_view *view, const struct top_model *model, const cJSON *status)
{
    const cJSON *operations = field_array(status, "operations");
    const cJSON *running = field_get(status, "running");
    size_t count = (size_t)cJSON_GetArraySize(operations);
    if (running != NULL && field_text(running, "operation") == NULL) {
        add_operation(view, model, running); /* a short one, which has no id */
    }
    for (size_t i = 0; i < count && i < SHOWN_OPERATIONS; i++) {
        add_operation(view, model, cJSON_GetArrayItem(operations, (int)i));
    }
    if (count > SHOWN_OPERATIONS) {
        struct strbuf line = STRBUF_INIT;
        strbuf_appendf(&line, "       and %zu more", count - SHOWN_OPERATIONS);
        add_line(view, TOP_PLAIN, &line, model->utf8);
    }
}

static void add_queue(struct top_view *view, const struct top_model *model, const cJSON *status)
{
    const cJSON *length = NULL;
    struct strbuf line = STRBUF_INIT;
    strbuf_append_text(&line, "queue ");
    cJSON_ArrayForEach(length, field_array(status, "queue"))
    {
        uint64_t queued = 0;
        strbuf_appendf(&line, " %s %" PRIu64, text_or(length, "identity", "?"),
                       field_u64(length, "queued", &queued) ? queued : 0);
    }
    if (cJSON_GetArraySize(field_array(status, "queue")) == 0) {
        strbuf_append_text(&line, " empty");
    }
    add_line(view, TOP_PLAIN, &line, model->utf8);
}

static void add_troubles(struct top_view *view, const struct top_model *model, const cJSON *status)
{
    int repairs = cJSON_GetArraySize(field_array(status, "pending_repairs"));
    const char *error = field_text(status, "last_error");
    struct strbuf line = STRBUF_INIT;
    if (error != NULL) {
        strbuf_appendf(&line, "link   %s", error);
        add_line(view, TOP_WARNING, &line, model->utf8);
        strbuf_init(&line);
    }
    if (repairs > 0) {
        strbuf_appendf(&line, "flash  %d sector%s to be mended: flash an image there", repairs,
                       repairs == 1 ? "" : "s");
        add_line(view, TOP_WARNING, &line, model->utf8);
    }
}

static void add_details(struct top_view *view, const struct top_model *model)
{
    if (model->selected >= model->board_count) {
        return;
    }
    const cJSON *status = model->boards[model->selected].status;
    struct strbuf line = STRBUF_INIT;
    add_text(view, TOP_PLAIN, "", model->utf8);
    strbuf_appendf(&line, "board  %s: ", text_or(status, "board", "?"));
    append_targets(&line, status);
    strbuf_appendf(&line, "; %s", text_or(status, "version", "OpenOCD was not seen yet"));
    add_line(view, TOP_PLAIN, &line, model->utf8);
    add_troubles(view, model, status);
    add_lease(view, model, status);
    add_waiters(view, model, status);
    add_operations(view, model, status);
    add_queue(view, model, status);
}

/* --- clients --- */

static const struct column client_columns[] = {
    {"IDENTITY", 14, 0, false},    {"CLIENT", 16, 60, false},   {"ROLE", 8, 74, false},
    {"VIA", 4, 88, false},         {"ADDRESS", 21, 124, false}, {"SINCE", 9, 98, false},
    {"FLIGHT", 7, 0, true},        {"IN B/S", 7, 36, true},     {"OUT B/S", 8, 36, true},
    {"SUBSCRIBED", 16, 80, false},
};
#define CLIENT_COLUMNS (sizeof(client_columns) / sizeof(client_columns[0]))

/* The column that each order goes by. */
static size_t sorted_column(enum top_sort sort)
{
    switch (sort) {
    case TOP_SORT_IDENTITY:
        return 0;
    case TOP_SORT_SINCE:
        return 5;
    case TOP_SORT_IN_FLIGHT:
        return 6;
    case TOP_SORT_IN:
        return 7;
    case TOP_SORT_OUT:
        return 8;
    }
    return CLIENT_COLUMNS;
}

static void append_client_rate(struct strbuf *out, const struct top_model *model, const cJSON *client,
                               const char *counter)
{
    double rate = 0;
    if (top_model_client_rate(model, client, counter, &rate)) {
        top_layout_number(out, rate);
    } else {
        strbuf_append_byte(out, '-');
    }
}

static void add_client(struct top_view *view, const struct top_model *model, const cJSON *client)
{
    const cJSON *topic = NULL;
    uint64_t flight = 0;
    struct strbuf cells[CLIENT_COLUMNS];
    for (size_t i = 0; i < CLIENT_COLUMNS; i++) {
        strbuf_init(&cells[i]);
    }
    strbuf_append_text(&cells[0], text_or(client, "identity", "?"));
    strbuf_append_text(&cells[1], text_or(client, "client", "-"));
    strbuf_append_text(&cells[2], text_or(client, "role", "?"));
    strbuf_append_text(&cells[3], text_or(client, "transport", "?"));
    strbuf_append_text(&cells[4], text_or(client, "address", "-"));
    append_clock(&cells[5], field_text(client, "since"));
    strbuf_appendf(&cells[6], "%" PRIu64, field_u64(client, "in_flight", &flight) ? flight : 0);
    append_client_rate(&cells[7], model, client, "bytes_in");
    append_client_rate(&cells[8], model, client, "bytes_out");
    cJSON_ArrayForEach(topic, field_array(client, "topics"))
    {
        const char *word = cJSON_GetStringValue(topic);
        strbuf_appendf(&cells[9], "%s%s", cells[9].length > 0 ? " " : "", word == NULL ? "?" : word);
    }
    add_row(view, TOP_PLAIN, client_columns, CLIENT_COLUMNS, cells, model->utf8);
}

/* In what rows are left, but for one below; and how many do not fit. */
static void add_clients(struct top_view *view, const struct top_model *model)
{
    size_t count = 0;
    uint64_t total = 0;
    const cJSON **clients = top_model_sort_clients(model, &count);
    add_text(view, TOP_PLAIN, "", model->utf8);
    add_header(view, client_columns, CLIENT_COLUMNS, sorted_column(model->sort));
    total = field_u64(model->clients, "total", &total) && total > count ? total : count;
    size_t left = view->rows > view->count + 1 ? view->rows - view->count - 1 : 0;
    size_t shown = total <= left ? count : left > 0 ? left - 1 : 0;
    shown = shown < count ? shown : count;
    for (size_t i = 0; i < shown; i++) {
        add_client(view, model, clients[i]);
    }
    if (total > shown && left > 0) {
        struct strbuf line = STRBUF_INIT;
        strbuf_appendf(&line, "and %" PRIu64 " more", total - shown);
        add_line(view, TOP_PLAIN, &line, model->utf8);
    }
    free(clients);
}

/* --- all --- */

void top_layout(const struct top_model *model, size_t rows, size_t columns, struct top_view *view)
{
    *view = (struct top_view){.rows = rows, .columns = columns};
    view->lines = xcalloc(rows + 1, sizeof(*view->lines));
    add_title(view, model);
    add_boards(view, model);
    add_details(view, model);
    add_clients(view, model);
    /* The keys stand on the last row; on a very low terminal there is none for them. */
    while (view->count + 1 < rows) {
        add_text(view, TOP_PLAIN, "", model->utf8);
    }
    add_text(view, TOP_HEADER, "q quit  up/down board  s sort clients  r refresh", model->utf8);
}

void top_view_fini(struct top_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        strbuf_fini(&view->lines[i].text);
    }
    free(view->lines);
    view->lines = NULL;
    view->count = 0;
}
