/* boards and stats: what the server knows without asking a board. */
#include <stdio.h>

#include "commands.h"
#include "describe.h"
#include "fields.h"
#include "print.h"
#include "table.h"

/* --- boards --- */

static bool cmd_boards_show(void *arg, const cJSON *result)
{
    static const char *const header[] = {"board", "openocd", "link", "version"};
    const cJSON *boards = field_array(result, "boards");
    const cJSON *board = NULL;
    struct table table;
    (void)arg;
    if (boards == NULL) {
        return false;
    }
    table_init(&table, 4, header);
    cJSON_ArrayForEach(board, boards)
    {
        for (size_t i = 0; i < 4; i++) {
            table_add(&table, field_text(board, header[i]));
        }
    }
    table_print(&table);
    table_fini(&table);
    return true;
}

enum status cmd_boards(struct session *session)
{
    return session_show(session, "board.list", cJSON_CreateObject(), NULL, cmd_boards_show, NULL);
}

/* --- stats --- */

static bool cmd_stats_show(void *arg, const cJSON *result)
{
    static const char *const skip[] = {NULL};
    static const char *const skip_board[] = {"board", NULL};
    const cJSON *boards = field_array(result, "boards");
    const cJSON *board = NULL;
    (void)arg;
    if (boards == NULL) {
        return false;
    }
    describe_print_members(result, skip);
    cJSON_ArrayForEach(board, boards)
    {
        const char *name = field_text(board, "board");
        fputs("\nboard: ", stdout);
        print_field(stdout, name == NULL ? "?" : name);
        putchar('\n');
        describe_print_members(board, skip_board);
    }
    return true;
}

enum status cmd_stats(struct session *session)
{
    return session_show(session, "server.stats", cJSON_CreateObject(), NULL, cmd_stats_show, NULL);
}
