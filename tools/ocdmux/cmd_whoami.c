/* whoami and discover: what the server says of itself and of this client. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "fields.h"
#include "print.h"

enum status cmd_whoami(struct session *session)
{
    static const char *const skip[] = {NULL};
    const cJSON *board = NULL;
    if (!session_connect(session)) {
        return session->status;
    }
    const cJSON *hello = session->hello.json;
    if (session->json) {
        print_json(stdout, session->hello.text, session->hello.length);
        return STATUS_OK;
    }
    if (field_text(hello, "identity") == NULL || field_text(hello, "role") == NULL) {
        return session_report_result(session, "server.hello");
    }
    describe_print_members(hello, skip);
    cJSON_ArrayForEach(board, field_array(hello, "boards"))
    {
        const char *name = cJSON_GetStringValue(board);
        fputs("board: ", stdout);
        print_field(stdout, name == NULL ? "?" : name);
        putchar('\n');
    }
    return STATUS_OK;
}

enum status cmd_discover(struct session *session)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!session_call(session, "rpc.discover", cJSON_CreateObject(), NULL, &result)) {
        return session->status;
    }
    print_json(stdout, result.text, result.length);
    ocdmux_result_fini(&result);
    return STATUS_OK;
}
