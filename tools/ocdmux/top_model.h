/*
 * What `ocdmux top` knows: the boards as board.status had them, kept up by events, and the last two polls of
 * counters and clients, from which rates come. Pure: no connection, no terminal, no clock. Everything in it
 * was written by others; a member that is missing or strange is shown as nothing.
 */
#ifndef OCDMUX_TOOL_TOP_MODEL_H
#define OCDMUX_TOOL_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ocdmux.h"

/* More boards than a daemon has are not kept. */
#define TOP_MOST_BOARDS 256u

enum top_sort { TOP_SORT_IDENTITY, TOP_SORT_SINCE, TOP_SORT_IN_FLIGHT, TOP_SORT_IN, TOP_SORT_OUT };
#define TOP_SORTS 5u

struct top_board {
    cJSON *status; /* owned */
    bool stale;    /* something happened that only board.status tells */
};

struct top_model {
    char *server; /* owned, as are all pointers */
    char *notice; /* why nothing is new; NULL: all is well */
    struct top_board *boards;
    size_t board_count;
    size_t selected;
    cJSON *stats; /* results of server.stats and client.list; NULL before the first */
    cJSON *stats_before;
    cJSON *clients;
    cJSON *clients_before;
    enum top_sort sort;
    bool utf8; /* the terminal shows more than ASCII */
};

void top_model_init(struct top_model *model, const char *server, bool utf8);
void top_model_fini(struct top_model *model);

/* `text` NULL: none. */
void top_model_set_notice(struct top_model *model, const char *text);
/* A result of board.status, in the place of the board's last one. */
void top_model_take_board(struct top_model *model, cJSON *take_status);
/* Copies of all boards of a snapshot; with `whole` the others go. */
void top_model_set_snapshot(struct top_model *model, const cJSON *snapshot, bool whole);
/* Of the same moment. */
void top_model_take_poll(struct top_model *model, cJSON *take_stats, cJSON *take_clients);
/* Another daemon counts from the start. */
void top_model_forget_polls(struct top_model *model);
/* The parameters of an `event`. */
void top_model_event(struct top_model *model, const cJSON *params);

/* NULL where there is none. */
const char *top_model_board_name(const struct top_model *model, size_t index);

/* How much the counter grew in a second between the last two polls; false while nobody knows. `board` NULL: a
 * counter of the daemon. */
bool top_model_rate(const struct top_model *model, const char *board, const char *counter, double *ret_rate)
    __attribute__((warn_unused_result));
/* The same for a row of client.list. */
bool top_model_client_rate(const struct top_model *model, const cJSON *client, const char *counter,
                           double *ret_rate) __attribute__((warn_unused_result));
/* The rows of client.list in the order of `sort`; the caller frees the array. */
const cJSON **top_model_sort_clients(const struct top_model *model, size_t *ret_count);

#endif
