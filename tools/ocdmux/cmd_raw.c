/* call and openocd: whatever the protocol or OpenOCD can do. */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"

/* The parameters' text, from `input` where it was read from standard input; false after a message. */
static bool cmd_call_params(const struct arguments *arguments, struct strbuf *input, const char **ret_params)
{
    const char *params = arguments->count > 1 ? arguments->words[1] : NULL;
    if (params != NULL && strcmp(params, "-") == 0) {
        if (!file_read("-", input)) {
            return false;
        }
        params = strbuf_text(input);
    }
    if (params != NULL) {
        cJSON *tree = cJSON_ParseWithOpts(params, NULL, true);
        bool object = cJSON_IsObject(tree);
        cJSON_Delete(tree);
        if (!object) {
            return options_complain(arguments, "JSON-PARAMS is not a JSON object, {...}");
        }
    }
    *ret_params = params;
    return true;
}

enum status cmd_call(struct session *session)
{
    struct strbuf input = STRBUF_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const char *params = NULL;
    if (!cmd_call_params(session->arguments, &input, &params)) {
        strbuf_fini(&input);
        return STATUS_USAGE;
    }
    bool good = session_call_text(session, session->arguments->words[0], params, NULL, &result);
    strbuf_fini(&input);
    if (!good) {
        return session->status;
    }
    print_json(stdout, result.text, result.length);
    ocdmux_result_fini(&result);
    return STATUS_OK;
}

/* Code 2 is Tcl's return, which is no failure. */
static bool cmd_openocd_has_failed(const cJSON *result)
{
    const cJSON *code = field_get(result, "code");
    return !cJSON_IsNumber(code) || (code->valuedouble != 0 && code->valuedouble != 2);
}

/* The log goes to standard error; so does the text of a command that failed, which says why. */
static enum status cmd_openocd_show(struct session *session, const cJSON *result)
{
    const char *text = field_text(result, "text");
    const char *log = field_text(result, "log");
    const cJSON *code = field_get(result, "code");
    if (text == NULL || !cJSON_IsNumber(code)) {
        return session_report_result(session, "openocd.command");
    }
    if (log != NULL) {
        print_block(stderr, log);
    }
    if (cmd_openocd_has_failed(result)) {
        return session_report_openocd_failure(session, (long)code->valueint, text);
    }
    print_block(stdout, text);
    return STATUS_OK;
}

enum status cmd_openocd(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct strbuf command = STRBUF_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    for (size_t i = 0; i < arguments->count; i++) {
        strbuf_append_text(&command, i == 0 ? "" : " ");
        strbuf_append_text(&command, arguments->words[i]);
    }
    cJSON *params = session_board_params(session);
    cJSON_AddStringToObject(params, "command", strbuf_text(&command));
    strbuf_fini(&command);
    if (!session_call(session, "openocd.command", params, NULL, &result)) {
        return session->status;
    }
    enum status status = cmd_openocd_has_failed(result.json) ? STATUS_FAILED : STATUS_OK;
    if (session->json) {
        print_json(stdout, result.text, result.length);
    } else {
        status = cmd_openocd_show(session, result.json);
    }
    ocdmux_result_fini(&result);
    return status;
}
