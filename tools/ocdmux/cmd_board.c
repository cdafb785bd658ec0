/* status, boards and stats: what the server knows without asking a board. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd_lease.h"
#include "commands.h"
#include "describe.h"
#include "fields.h"
#include "print.h"
#include "table.h"

/* --- status --- */

static void cmd_status_print_running(const cJSON *running)
{
    struct strbuf text = STRBUF_INIT;
    const char *operation = field_text(running, "operation");
    const char *method = field_text(running, "method");
    strbuf_appendf(&text, "%s%s%s", operation == NULL ? "" : operation, operation == NULL ? "" : " ",
                   method == NULL ? "?" : method);
    if (field_get(running, "progress") != NULL) {
        strbuf_append_text(&text, ", ");
        describe_progress(&text, field_get(running, "progress"));
    }
    fputs("running: ", stdout);
    print_field(stdout, strbuf_text(&text));
    putchar('\n');
    strbuf_fini(&text);
}

static void cmd_status_print_targets(const cJSON *targets)
{
    const cJSON *target = NULL;
    cJSON_ArrayForEach(target, targets)
    {
        const char *name = field_text(target, "target");
        const char *type = field_text(target, "type");
        const char *state = field_text(target, "state");
        fputs("target: ", stdout);
        print_field(stdout, name == NULL ? "?" : name);
        fputs(" (", stdout);
        print_field(stdout, type == NULL ? "?" : type);
        fputs(") ", stdout);
        print_field(stdout, state == NULL ? "?" : state);
        puts(field_true(target, "current") ? ", current" : "");
    }
}

static void cmd_status_print_banks(const cJSON *banks)
{
    const cJSON *bank = NULL;
    cJSON_ArrayForEach(bank, banks)
    {
        char index[24];
        char base[20];
        char size[24];
        const char *name = field_text(bank, "name");
        field_format_number(bank, "index", index);
        field_format_address(bank, "base", base);
        field_format_number(bank, "size", size);
        printf("bank: %s ", index);
        print_field(stdout, name == NULL ? "?" : name);
        printf(" at %s, %s bytes\n", base, size);
    }
}

/* Flash that a crash left to be mended. */
static void cmd_status_print_repairs(const cJSON *repairs)
{
    const cJSON *repair = NULL;
    cJSON_ArrayForEach(repair, repairs)
    {
        char size[24];
        uint64_t base = 0;
        uint64_t offset = 0;
        const char *bank = field_text(repair, "bank");
        const char *since = field_text(repair, "since");
        bool placed = field_u64(repair, "base", &base) && field_u64(repair, "offset", &offset);
        field_format_number(repair, "size", size);
        fputs("pending repair: ", stdout);
        print_field(stdout, bank == NULL ? "?" : bank);
        if (placed) {
            printf(" at 0x%08" PRIx64, base + offset);
        }
        printf(", %s bytes, since ", size);
        print_field(stdout, since == NULL ? "?" : since);
        puts("; the next flash of an image there mends it");
    }
}

static bool cmd_status_show(void *arg, const cJSON *result)
{
    static const char *const skip[] = {NULL};
    (void)arg;
    if (field_text(result, "board") == NULL || field_text(result, "link") == NULL) {
        return false;
    }
    describe_print_members(result, skip);
    cmd_status_print_targets(field_array(result, "targets"));
    cmd_status_print_banks(field_array(result, "banks"));
    if (field_get(result, "running") != NULL) {
        cmd_status_print_running(field_get(result, "running"));
    }
    lease_print(result);
    cmd_status_print_repairs(field_array(result, "pending_repairs"));
    return true;
}

enum status cmd_status(struct session *session)
{
    return session_show(session, "board.status", session_plain_params(session), NULL, cmd_status_show, NULL);
}

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
