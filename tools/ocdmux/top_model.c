/* The state behind `ocdmux top`. */
#include "top_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fields.h"

void top_model_init(struct top_model *model, const char *server, bool utf8)
{
    *model = (struct top_model){.server = xstrdup(server), .sort = TOP_SORT_IN_FLIGHT, .utf8 = utf8};
}

static void top_model_drop_boards(struct top_model *model)
{
    for (size_t i = 0; i < model->board_count; i++) {
        cJSON_Delete(model->boards[i].status);
    }
    free(model->boards);
    model->boards = NULL;
    model->board_count = 0;
}

void top_model_forget_polls(struct top_model *model)
{
    cJSON_Delete(model->stats);
    cJSON_Delete(model->stats_before);
    cJSON_Delete(model->clients);
    cJSON_Delete(model->clients_before);
    model->stats = NULL;
    model->stats_before = NULL;
    model->clients = NULL;
    model->clients_before = NULL;
}

void top_model_fini(struct top_model *model)
{
    top_model_drop_boards(model);
    top_model_forget_polls(model);
    free(model->server);
    free(model->notice);
}

void top_model_set_notice(struct top_model *model, const char *text)
{
    free(model->notice);
    model->notice = text == NULL ? NULL : xstrdup(text);
}

/* --- boards --- */

const char *top_model_board_name(const struct top_model *model, size_t index)
{
    return index < model->board_count ? field_text(model->boards[index].status, "board") : NULL;
}

static struct top_board *top_model_find(struct top_model *model, const char *name)
{
    for (size_t i = 0; name != NULL && i < model->board_count; i++) {
        if (strcmp(field_text(model->boards[i].status, "board"), name) == 0) {
            return &model->boards[i];
        }
    }
    return NULL;
}

void top_model_take_board(struct top_model *model, cJSON *take_status)
{
    const char *name = field_text(take_status, "board");
    struct top_board *board = top_model_find(model, name);
    if (name == NULL || (board == NULL && model->board_count == TOP_MOST_BOARDS)) {
        cJSON_Delete(take_status);
        return;
    }
    if (board == NULL) {
        model->boards = xrealloc(model->boards, (model->board_count + 1) * sizeof(*model->boards));
        board = &model->boards[model->board_count++];
        *board = (struct top_board){.status = NULL};
    }
    cJSON_Delete(board->status);
    board->status = take_status;
    board->stale = false;
}

void top_model_set_snapshot(struct top_model *model, const cJSON *snapshot, bool whole)
{
    const cJSON *board = NULL;
    if (whole) {
        top_model_drop_boards(model);
    }
    cJSON_ArrayForEach(board, field_array(snapshot, "boards"))
    {
        top_model_take_board(model, cJSON_Duplicate(board, true));
    }
    if (model->selected >= model->board_count) {
        model->selected = 0;
    }
}

/* --- events --- */

/* A copy of the member in place of the one that is there; nothing where the event has none. */
static void top_model_copy(cJSON *to, const cJSON *from, const char *name)
{
    const cJSON *value = field_get(from, name);
    if (value != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(to, name);
        cJSON_AddItemToObject(to, name, cJSON_Duplicate(value, true));
    }
}

static bool top_model_is(const cJSON *object, const char *name, const char *text)
{
    const char *value = field_text(object, name);
    return value != NULL && text != NULL && strcmp(value, text) == 0;
}

static bool top_model_has_ended(const cJSON *event)
{
    return !top_model_is(event, "state", "queued") && !top_model_is(event, "state", "running");
}

/* The operation's row in the board's `operations`. */
static cJSON *top_model_operation(const cJSON *status, const char *id)
{
    cJSON *row = NULL;
    cJSON_ArrayForEach(row, field_array(status, "operations"))
    {
        if (top_model_is(row, "operation", id)) {
            return row;
        }
    }
    return NULL;
}

static void top_model_end_operation(cJSON *status, cJSON *row, const char *id)
{
    cJSON *operations = cJSON_GetObjectItemCaseSensitive(status, "operations");
    if (row != NULL) {
        cJSON_Delete(cJSON_DetachItemViaPointer(operations, row));
    }
    if (top_model_is(field_get(status, "running"), "operation", id)) {
        cJSON_DeleteItemFromObjectCaseSensitive(status, "running");
    }
}

static void top_model_operation_event(cJSON *status, const cJSON *event)
{
    static const char *const members[] = {"operation", "method", "identity", "client", "state", "progress"};
    const char *id = field_text(event, "operation");
    cJSON *operations = cJSON_GetObjectItemCaseSensitive(status, "operations");
    cJSON *row = top_model_operation(status, id);
    if (id == NULL || !cJSON_IsArray(operations)) {
        return;
    }
    if (top_model_has_ended(event)) {
        top_model_end_operation(status, row, id);
        return;
    }
    if (row == NULL) {
        row = cJSON_CreateObject();
        cJSON_AddItemToArray(operations, row);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        top_model_copy(row, event, members[i]);
    }
}

void top_model_event(struct top_model *model, const cJSON *params)
{
    const char *topic = field_text(params, "topic");
    struct top_board *board = top_model_find(model, field_text(params, "board"));
    if (topic == NULL) {
        return;
    }
    if (strcmp(topic, "dropped") == 0) {
        top_model_set_snapshot(model, field_get(params, "snapshot"), false);
        return;
    }
    if (board == NULL) {
        return;
    }
    if (strcmp(topic, "operation") == 0) {
        top_model_operation_event(board->status, params);
    } else if (strcmp(topic, "queue") == 0) {
        top_model_copy(board->status, params, "queued");
        top_model_copy(board->status, params, "queue");
    } else {
        if (strcmp(topic, "link") == 0 && field_text(params, "state") != NULL) {
            cJSON_DeleteItemFromObjectCaseSensitive(board->status, "link");
            cJSON_AddStringToObject(board->status, "link", field_text(params, "state"));
        }
        board->stale = true;
    }
}

/* --- polls and rates --- */

void top_model_take_poll(struct top_model *model, cJSON *take_stats, cJSON *take_clients)
{
    cJSON_Delete(model->stats_before);
    cJSON_Delete(model->clients_before);
    model->stats_before = model->stats;
    model->clients_before = model->clients;
    model->stats = take_stats;
    model->clients = take_clients;
}

/* Between the last two polls; 0 while there are none. */
static uint64_t top_model_elapsed_ms(const struct top_model *model)
{
    uint64_t before = 0;
    uint64_t now = 0;
    bool known = field_u64(model->stats_before, "uptime_ms", &before) &&
                 field_u64(model->stats, "uptime_ms", &now) && now > before;
    return known ? now - before : 0;
}

static bool top_model_rate_of(const struct top_model *model, const cJSON *before, const cJSON *now,
                              const char *counter, double *ret_rate)
{
    uint64_t elapsed_ms = top_model_elapsed_ms(model);
    uint64_t first = 0;
    uint64_t last = 0;
    if (elapsed_ms == 0 || !field_u64(before, counter, &first) || !field_u64(now, counter, &last) ||
        last < first) {
        return false;
    }
    *ret_rate = (double)(last - first) * 1000.0 / (double)elapsed_ms;
    return true;
}

static const cJSON *top_model_row(const cJSON *result, const char *array, const char *key, const cJSON *value)
{
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, field_array(result, array))
    {
        if (value != NULL && cJSON_Compare(field_get(row, key), value, true)) {
            return row;
        }
    }
    return NULL;
}

bool top_model_rate(const struct top_model *model, const char *board, const char *counter, double *ret_rate)
{
    if (board == NULL) {
        return top_model_rate_of(model, model->stats_before, model->stats, counter, ret_rate);
    }
    cJSON *name = cJSON_CreateStringReference(board);
    const cJSON *before = top_model_row(model->stats_before, "boards", "board", name);
    const cJSON *now = top_model_row(model->stats, "boards", "board", name);
    cJSON_Delete(name);
    return top_model_rate_of(model, before, now, counter, ret_rate);
}

bool top_model_client_rate(const struct top_model *model, const cJSON *client, const char *counter,
                           double *ret_rate)
{
    const cJSON *before =
        top_model_row(model->clients_before, "clients", "connection", field_get(client, "connection"));
    return top_model_rate_of(model, before, client, counter, ret_rate);
}

/* --- the order of clients --- */

struct top_row {
    const cJSON *client;
    double key; /* the larger first */
    size_t index;
    const char *text;
};

static double top_model_key(const struct top_model *model, const cJSON *client)
{
    double rate = 0;
    uint64_t number = 0;
    switch (model->sort) {
    case TOP_SORT_IDENTITY:
    case TOP_SORT_SINCE:
        return 0;
    case TOP_SORT_IN_FLIGHT:
        return field_u64(client, "in_flight", &number) ? (double)number : 0;
    case TOP_SORT_IN:
        return top_model_client_rate(model, client, "bytes_in", &rate) ? rate : 0;
    case TOP_SORT_OUT:
        return top_model_client_rate(model, client, "bytes_out", &rate) ? rate : 0;
    }
    return 0;
}

static int top_model_compare(const void *a, const void *b)
{
    const struct top_row *first = a;
    const struct top_row *second = b;
    if (first->key != second->key) {
        return first->key > second->key ? -1 : 1;
    }
    int texts = strcmp(first->text, second->text);
    if (texts != 0) {
        return texts;
    }
    return first->index < second->index ? -1 : first->index > second->index;
}

const cJSON **top_model_sort_clients(const struct top_model *model, size_t *ret_count)
{
    const cJSON *clients = field_array(model->clients, "clients");
    const cJSON *client = NULL;
    size_t count = (size_t)cJSON_GetArraySize(clients);
    struct top_row *rows = xcalloc(count + 1, sizeof(*rows));
    const cJSON **sorted = xcalloc(count + 1, sizeof(*sorted));
    size_t i = 0;
    cJSON_ArrayForEach(client, clients)
    {
        const char *text = field_text(client, model->sort == TOP_SORT_SINCE ? "since" : "identity");
        rows[i] = (struct top_row){client, top_model_key(model, client), i, text == NULL ? "" : text};
        i++;
    }
    qsort(rows, count, sizeof(*rows), top_model_compare);
    for (i = 0; i < count; i++) {
        sorted[i] = rows[i].client;
    }
    free(rows);
    *ret_count = count;
    return sorted;
}
