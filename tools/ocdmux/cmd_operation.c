/* operations, wait and cancel: what runs, or ran, on the server. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "fields.h"
#include "print.h"
#include "table.h"

static bool cmd_operations_show(void *arg, const cJSON *result)
{
    static const char *const header[] = {"operation", "board",   "method",  "state",
                                         "client",    "created", "progress"};
    const cJSON *operations = field_array(result, "operations");
    const cJSON *operation = NULL;
    struct table table;
    (void)arg;
    if (operations == NULL) {
        return false;
    }
    table_init(&table, 7, header);
    cJSON_ArrayForEach(operation, operations)
    {
        struct strbuf progress = STRBUF_INIT;
        for (size_t i = 0; i < 6; i++) {
            table_add(&table, field_text(operation, header[i]));
        }
        describe_progress(&progress, field_get(operation, "progress"));
        table_add(&table, strbuf_text(&progress));
        strbuf_fini(&progress);
    }
    table_print(&table);
    table_fini(&table);
    return true;
}

static cJSON *cmd_operation_params(const struct session *session)
{
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "operation", session->arguments->words[0]);
    return params;
}

static bool cmd_operation_show(void *arg, const cJSON *operation)
{
    static const char *const skip[] = {NULL};
    const cJSON *result = field_get(operation, "result");
    (void)arg;
    if (field_text(operation, "operation") == NULL || field_text(operation, "state") == NULL) {
        return false;
    }
    describe_print_members(operation, skip);
    if (result != NULL) {
        char *text = cJSON_PrintUnformatted(result);
        fputs("result: ", stdout);
        print_json(stdout, text, strlen(text));
        cJSON_free(text);
    }
    return true;
}

enum status cmd_operations(struct session *session)
{
    if (session->arguments->count > 0) {
        return session_show(session, "operation.status", cmd_operation_params(session), NULL,
                            cmd_operation_show, NULL);
    }
    return session_show(session, "operation.list", session_plain_params(session), NULL, cmd_operations_show,
                        NULL);
}

/* How an operation that has ended went; its error is reported like that of a request. */
static enum status cmd_wait_status(struct session *session, const cJSON *operation)
{
    const char *state = field_text(operation, "state");
    const cJSON *failure = field_get(operation, "error");
    if (cJSON_IsObject(failure)) {
        struct ocdmux_error error = OCDMUX_ERROR_INIT;
        ocdmux_error_read(&error, failure);
        (void)session_report(session, &error);
        return STATUS_FAILED;
    }
    return state != NULL && strcmp(state, "done") == 0 ? STATUS_OK : STATUS_FAILED;
}

enum status cmd_wait(struct session *session)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = cmd_operation_params(session);
    ocdmux_json_add_u64(params, "timeout_ms",
                        session->timeout_ms == 0 ? SESSION_LONGEST_TIMEOUT_MS : session->timeout_ms);
    if (!session_call(session, "operation.wait", params, NULL, &result)) {
        return session->status;
    }
    enum status status;
    if (session->json) {
        print_json(stdout, result.text, result.length);
        status = cmd_wait_status(session, result.json);
    } else if (cmd_operation_show(NULL, result.json)) {
        status = cmd_wait_status(session, result.json);
    } else {
        status = session_report_result(session, "operation.wait");
    }
    ocdmux_result_fini(&result);
    return status;
}

static bool cmd_cancel_show(void *arg, const cJSON *result)
{
    (void)arg;
    if (!cJSON_IsBool(field_get(result, "found"))) {
        return false;
    }
    puts(field_true(result, "found") ? "cancelled" : "it had ended already");
    return true;
}

enum status cmd_cancel(struct session *session)
{
    return session_show(session, "operation.cancel", cmd_operation_params(session), NULL, cmd_cancel_show,
                        NULL);
}
