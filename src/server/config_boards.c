/* Boards as the file describes them. */
#include "server/config_boards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_members.h"

#define DEFAULT_LINK_LIMIT_MS 60000u
#define DEFAULT_LEASE_GRACE_MS 10000u

void config_boards_preset(struct config_board *board)
{
    *board = (struct config_board){.link_limit_ms = DEFAULT_LINK_LIMIT_MS,
                                   .lease_grace_ms = DEFAULT_LEASE_GRACE_MS};
    config_spawn_init(&board->spawn);
}

static bool take_gdb(struct config *config, struct json_span board, const char *path, const char *place,
                     struct err *err)
{
    static const char *const members[] = {"listen", "openocd", NULL};
    struct json_span object;
    char inside[48];
    char *listen = NULL;
    char *openocd = NULL;
    if (!json_find_member(board, "gdb", &object)) {
        return true;
    }
    snprintf(inside, sizeof inside, "%s.gdb", place);
    bool ok = config_check_members(object, members, path, inside, err) &&
              config_take_text(object, "listen", &listen, path, inside, err) &&
              config_take_text(object, "openocd", &openocd, path, inside, err) &&
              (listen != NULL || config_bad(err, path, inside, "listen", "is missing"));
    if (ok && !config_set_gdb(config, listen, openocd, err)) {
        err_prefix(err, "%s: %s", path, inside);
        ok = false;
    }
    free(listen);
    free(openocd);
    return ok;
}

/* The board as it is read, before it has a place. */
struct board_draft {
    char *name;
    char *openocd;
    struct config_board board;
};

static bool take_draft(struct board_draft *draft, struct json_span object, const char *path,
                       const char *place, struct err *err)
{
    static const char *const members[] = {"name",
                                          "openocd",
                                          "stage_dir",
                                          "link_limit_ms",
                                          "require_lease",
                                          "lease_grace_ms",
                                          "gdb",
                                          "spawn",
                                          "start_limit_ms",
                                          "stop_limit_ms",
                                          "before_start",
                                          "before_start_limit_ms",
                                          "health_every_ms",
                                          "health_limit_ms",
                                          "expect",
                                          NULL};
    struct config_board *board = &draft->board;
    struct config_number link_limit = {"link_limit_ms", &board->link_limit_ms, 1000, 3600000};
    struct config_number lease_grace = {"lease_grace_ms", &board->lease_grace_ms, 0, 600000};
    if (!config_check_members(object, members, path, place, err) ||
        !config_take_text(object, "name", &draft->name, path, place, err) ||
        !config_take_text(object, "openocd", &draft->openocd, path, place, err) ||
        !config_take_text(object, "stage_dir", &board->stage_dir, path, place, err) ||
        !config_take_number(object, &link_limit, path, place, err) ||
        !config_take_number(object, &lease_grace, path, place, err) ||
        !config_take_bool(object, "require_lease", &board->require_lease, path, place, err) ||
        !config_spawn_take(&board->spawn, object, path, place, err)) {
        return false;
    }
    bool nowhere = draft->openocd == NULL && board->spawn.command == NULL;
    return (draft->name != NULL && !nowhere) ||
           config_bad(err, path, place, draft->name == NULL ? "name" : "openocd",
                      draft->name == NULL ? "is missing" : "is missing, and so is `spawn`");
}

static bool take_board(struct config *config, struct json_span object, const char *path, const char *place,
                       struct err *err)
{
    struct board_draft draft = {.name = NULL};
    config_boards_preset(&draft.board);
    bool ok = take_draft(&draft, object, path, place, err);
    if (ok && !config_add_board(config, draft.name, draft.openocd, err)) {
        err_prefix(err, "%s: %s", path, place);
        ok = false;
    }
    if (ok) {
        struct config_board *board = &config->boards[config->board_count - 1];
        memcpy(draft.board.name, board->name, sizeof draft.board.name);
        draft.board.openocd = board->openocd;
        *board = draft.board;
        ok = take_gdb(config, object, path, place, err);
    } else {
        free(draft.board.stage_dir);
        config_spawn_fini(&draft.board.spawn);
    }
    free(draft.name);
    free(draft.openocd);
    return ok;
}

bool config_boards_take(struct config *config, struct json_span root, const char *path, struct err *err)
{
    struct json_span boards;
    struct json_span item;
    struct json_cursor cursor;
    unsigned index = 0;
    if (!json_find_member(root, "boards", &boards)) {
        return true;
    }
    if (json_span_kind(boards) != JSON_ARRAY) {
        return config_bad(err, path, "", "boards", "must be an array of boards");
    }
    json_cursor_init(&cursor, boards);
    while (json_next_element(&cursor, &item)) {
        char place[32];
        snprintf(place, sizeof place, "boards[%u]", index++);
        if (!take_board(config, item, path, place, err)) {
            return false;
        }
    }
    return true;
}
