/*
 * status: everything that the server knows without asking a board, of one board or of all. For people one
 * board's lines or a table of the boards, and who is connected; with --json one document of it all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd_lease.h"
#include "commands.h"
#include "describe.h"
#include "fields.h"
#include "print.h"
#include "status_process.h"
#include "table.h"

/* The results that make the picture; each owned. */
struct cmd_status {
    cJSON *boards; /* an array of results of board.status */
    struct ocdmux_result operations;
    struct ocdmux_result clients;
    struct ocdmux_result stats;
};

/* --- one board, for people --- */

/* "alice (ocdmux 0.1.0)" */
static void cmd_status_add_who(struct strbuf *text, const cJSON *who)
{
    const char *identity = field_text(who, "identity");
    const char *client = field_text(who, "client");
    strbuf_append_text(text, identity == NULL ? "?" : identity);
    if (client != NULL) {
        strbuf_appendf(text, " (%s)", client);
    }
}

static void cmd_status_print_operation(const char *word, const cJSON *operation)
{
    struct strbuf text = STRBUF_INIT;
    const char *id = field_text(operation, "operation");
    const char *method = field_text(operation, "method");
    strbuf_appendf(&text, "%s%s%s by ", id == NULL ? "" : id, id == NULL ? "" : " ",
                   method == NULL ? "?" : method);
    cmd_status_add_who(&text, operation);
    if (field_get(operation, "progress") != NULL) {
        strbuf_append_text(&text, ", ");
        describe_progress(&text, field_get(operation, "progress"));
    }
    printf("%s: ", word);
    print_field(stdout, strbuf_text(&text));
    putchar('\n');
    strbuf_fini(&text);
}

/* What is on the link now, then the others with an id. */
static void cmd_status_print_operations(const cJSON *board)
{
    const cJSON *running = field_get(board, "running");
    const cJSON *operation = NULL;
    const char *first = field_text(running, "operation");
    if (running != NULL) {
        cmd_status_print_operation("running", running);
    }
    cJSON_ArrayForEach(operation, field_array(board, "operations"))
    {
        const char *id = field_text(operation, "operation");
        const char *state = field_text(operation, "state");
        if (id != NULL && state != NULL && (first == NULL || strcmp(first, id) != 0)) {
            cmd_status_print_operation(strcmp(state, "queued") == 0 ? "queued" : "running", operation);
        }
    }
}

static void cmd_status_print_queue(const cJSON *queue)
{
    const cJSON *length = NULL;
    cJSON_ArrayForEach(length, queue)
    {
        char queued[24];
        const char *identity = field_text(length, "identity");
        field_format_number(length, "queued", queued);
        fputs("queue: ", stdout);
        print_field(stdout, identity == NULL ? "?" : identity);
        printf(" %s\n", queued);
    }
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

static void cmd_status_print_watches(const cJSON *watches)
{
    char count[24];
    char bytes[24];
    char interval[24];
    char reached[24];
    uint64_t number = 0;
    if (!field_u64(watches, "count", &number) || number == 0) {
        return;
    }
    field_format_number(watches, "count", count);
    field_format_number(watches, "bytes", bytes);
    field_format_number(watches, "interval_ms", interval);
    field_format_number(watches, "reached_ms", reached);
    printf("watches: %s, of %s bytes, every %s ms (reached: %s ms)\n", count, bytes, interval, reached);
}

static void cmd_status_print_gdb(const cJSON *gdb)
{
    const cJSON *client = NULL;
    uint64_t outside = 0;
    if (gdb == NULL) {
        return;
    }
    const char *listen = field_text(gdb, "listen");
    fputs("gdb: taken on ", stdout);
    print_field(stdout, listen == NULL ? "?" : listen);
    putchar('\n');
    cJSON_ArrayForEach(client, field_array(gdb, "clients"))
    {
        const char *identity = field_text(client, "identity");
        const char *target = field_text(client, "target");
        const char *since = field_text(client, "since");
        fputs("gdb: ", stdout);
        print_field(stdout, identity == NULL ? "?" : identity);
        fputs(" is attached to ", stdout);
        print_field(stdout, target == NULL ? "?" : target);
        fputs(" since ", stdout);
        print_field(stdout, since == NULL ? "?" : since);
        putchar('\n');
    }
    if (field_u64(gdb, "outside", &outside) && outside > 0) {
        printf("gdb: %" PRIu64 " attached to OpenOCD's own port, past the server\n", outside);
    }
}

static void cmd_status_print_board(const cJSON *board)
{
    static const char *const skip[] = {NULL};
    describe_print_members(board, skip);
    status_process_print(board);
    cmd_status_print_targets(field_array(board, "targets"));
    cmd_status_print_banks(field_array(board, "banks"));
    cmd_status_print_operations(board);
    cmd_status_print_queue(field_array(board, "queue"));
    lease_print(board);
    cmd_status_print_watches(field_get(board, "watches"));
    cmd_status_print_gdb(field_get(board, "gdb"));
    cmd_status_print_repairs(field_array(board, "pending_repairs"));
}

/* --- several boards, for people --- */

static void cmd_status_add_targets(struct table *table, const cJSON *targets)
{
    struct strbuf text = STRBUF_INIT;
    const cJSON *target = NULL;
    cJSON_ArrayForEach(target, targets)
    {
        const char *name = field_text(target, "target");
        const char *state = field_text(target, "state");
        strbuf_appendf(&text, "%s%s %s", text.length > 0 ? ", " : "", name == NULL ? "?" : name,
                       state == NULL ? "?" : state);
    }
    table_add(table, strbuf_text(&text));
    strbuf_fini(&text);
}

static void cmd_status_add_lease(struct table *table, const cJSON *board)
{
    struct strbuf text = STRBUF_INIT;
    const cJSON *lease = field_get(board, "lease");
    int waiting = cJSON_GetArraySize(field_array(board, "lease_queue"));
    if (lease != NULL) {
        cmd_status_add_who(&text, lease);
    }
    if (waiting > 0) {
        strbuf_appendf(&text, "%s%d waiting", text.length > 0 ? ", " : "", waiting);
    }
    table_add(table, strbuf_text(&text));
    strbuf_fini(&text);
}

static void cmd_status_add_running(struct table *table, const cJSON *board)
{
    struct strbuf text = STRBUF_INIT;
    const cJSON *running = field_get(board, "running");
    if (running != NULL) {
        const char *method = field_text(running, "method");
        strbuf_appendf(&text, "%s by ", method == NULL ? "?" : method);
        cmd_status_add_who(&text, running);
        if (field_get(running, "progress") != NULL) {
            strbuf_append_text(&text, ", ");
            describe_progress(&text, field_get(running, "progress"));
        }
    }
    table_add(table, strbuf_text(&text));
    strbuf_fini(&text);
}

static void cmd_status_print_boards(const cJSON *boards)
{
    static const char *const header[] = {"board",   "link",    "targets", "lease",
                                         ">queued", "repairs", "running"};
    const cJSON *board = NULL;
    struct table table;
    table_init(&table, 7, header);
    cJSON_ArrayForEach(board, boards)
    {
        char queued[24];
        int repairs = cJSON_GetArraySize(field_array(board, "pending_repairs"));
        field_format_number(board, "queued", queued);
        table_add(&table, field_text(board, "board"));
        table_add(&table, field_text(board, "link"));
        cmd_status_add_targets(&table, field_array(board, "targets"));
        cmd_status_add_lease(&table, board);
        table_add(&table, queued);
        table_addf(&table, repairs > 0 ? "%d pending" : "-", repairs);
        cmd_status_add_running(&table, board);
    }
    table_print(&table);
    table_fini(&table);
}

/* --- who is connected --- */

static void cmd_status_add_words(struct table *table, const cJSON *words)
{
    struct strbuf text = STRBUF_INIT;
    const cJSON *word = NULL;
    cJSON_ArrayForEach(word, words)
    {
        const char *value = cJSON_GetStringValue(word);
        strbuf_appendf(&text, "%s%s", text.length > 0 ? " " : "", value == NULL ? "?" : value);
    }
    table_add(table, strbuf_text(&text));
    strbuf_fini(&text);
}

static void cmd_status_print_clients(const cJSON *result)
{
    static const char *const header[] = {"identity", "client",     "role", "transport", "address",
                                         "since",    ">in flight", ">in",  ">out",      "subscribed to"};
    static const char *const numbers[] = {"in_flight", "bytes_in", "bytes_out"};
    const cJSON *clients = field_array(result, "clients");
    const cJSON *client = NULL;
    uint64_t total = 0;
    struct table table;
    table_init(&table, 10, header);
    cJSON_ArrayForEach(client, clients)
    {
        for (size_t i = 0; i < 6; i++) {
            table_add(&table, field_text(client, header[i]));
        }
        for (size_t i = 0; i < 3; i++) {
            char number[24];
            field_format_number(client, numbers[i], number);
            table_add(&table, number);
        }
        cmd_status_add_words(&table, field_array(client, "topics"));
    }
    putchar('\n');
    table_print(&table);
    table_fini(&table);
    if (field_u64(result, "total", &total) && total > (uint64_t)cJSON_GetArraySize(clients)) {
        printf("and %" PRIu64 " more\n", total - (uint64_t)cJSON_GetArraySize(clients));
    }
}

/* --- for scripts --- */

static void cmd_status_print_json(const struct cmd_status *status, const char *server)
{
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "server", server);
    cJSON_AddItemReferenceToObject(document, "boards", status->boards);
    cJSON_AddItemReferenceToObject(document, "operations",
                                   cJSON_GetObjectItemCaseSensitive(status->operations.json, "operations"));
    cJSON_AddBoolToObject(document, "operations_truncated", field_true(status->operations.json, "truncated"));
    cJSON_AddItemReferenceToObject(document, "clients",
                                   cJSON_GetObjectItemCaseSensitive(status->clients.json, "clients"));
    cJSON_AddItemReferenceToObject(document, "clients_total",
                                   cJSON_GetObjectItemCaseSensitive(status->clients.json, "total"));
    cJSON_AddItemReferenceToObject(document, "stats", status->stats.json);
    char *text = cJSON_PrintUnformatted(document);
    print_json(stdout, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(document);
}

/* --- asking --- */

static bool cmd_status_add_board(struct session *session, struct cmd_status *status, cJSON *take_params)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!session_call(session, "board.status", take_params, NULL, &result)) {
        return false;
    }
    bool good = field_text(result.json, "board") != NULL && field_text(result.json, "link") != NULL;
    if (!good) {
        (void)session_report_result(session, "board.status");
    } else {
        cJSON_AddItemToArray(status->boards, result.json);
        result.json = NULL;
    }
    ocdmux_result_fini(&result);
    return good;
}

static bool cmd_status_add_named(struct session *session, struct cmd_status *status, const char *name)
{
    if (name == NULL) {
        (void)session_report_result(session, "board.list");
        return false;
    }
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "board", name);
    return cmd_status_add_board(session, status, params);
}

/* The result has an array of that name. */
static bool cmd_status_ask(struct session *session, const char *method, cJSON *take_params, const char *array,
                           struct ocdmux_result *ret_result)
{
    if (!session_call(session, method, take_params, NULL, ret_result)) {
        return false;
    }
    if (field_array(ret_result->json, array) != NULL) {
        return true;
    }
    (void)session_report_result(session, method);
    return false;
}

static bool cmd_status_add_all(struct session *session, struct cmd_status *status)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const cJSON *board = NULL;
    bool good = cmd_status_ask(session, "board.list", cJSON_CreateObject(), "boards", &result);
    cJSON_ArrayForEach(board, field_array(result.json, "boards"))
    {
        good = good && cmd_status_add_named(session, status, field_text(board, "board"));
    }
    ocdmux_result_fini(&result);
    return good;
}

static bool cmd_status_fetch(struct session *session, struct cmd_status *status)
{
    cJSON *one = session_plain_params(session);
    bool named = field_text(one, "board") != NULL;
    bool good = false;
    if (named) {
        good = cmd_status_add_board(session, status, one);
    } else {
        cJSON_Delete(one);
        good = cmd_status_add_all(session, status);
    }
    return good &&
           cmd_status_ask(session, "operation.list", session_plain_params(session), "operations",
                          &status->operations) &&
           cmd_status_ask(session, "client.list", cJSON_CreateObject(), "clients", &status->clients) &&
           cmd_status_ask(session, "server.stats", cJSON_CreateObject(), "boards", &status->stats);
}

enum status cmd_status(struct session *session)
{
    struct cmd_status status = {.boards = cJSON_CreateArray(),
                                .operations = OCDMUX_RESULT_INIT,
                                .clients = OCDMUX_RESULT_INIT,
                                .stats = OCDMUX_RESULT_INIT};
    bool good = cmd_status_fetch(session, &status);
    if (good && session->json) {
        cmd_status_print_json(&status, ocdmux_server(session->connection));
    } else if (good) {
        if (cJSON_GetArraySize(status.boards) == 1) {
            cmd_status_print_board(cJSON_GetArrayItem(status.boards, 0));
        } else {
            cmd_status_print_boards(status.boards);
        }
        cmd_status_print_clients(status.clients.json);
    }
    cJSON_Delete(status.boards);
    ocdmux_result_fini(&status.operations);
    ocdmux_result_fini(&status.clients);
    ocdmux_result_fini(&status.stats);
    return good ? STATUS_OK : session->status;
}
