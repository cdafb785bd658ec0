/* events: what happens, as it happens. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "commands.h"
#include "fields.h"
#include "print.h"

static const char *const cmd_topics[] = {"target", "link", "operation", "lease", "queue",
                                         "memory", "gdb",  "log",       NULL};
/* Of those, the first ones: what everybody may ask for. */
#define CMD_TOPICS_USUAL 7u

/* "SEQ TOPIC BOARD name=value ...": a newer server's members are shown as well; a snapshot with --json only.
 */
static void cmd_events_print(const cJSON *params)
{
    char seq[24];
    const cJSON *member = NULL;
    const char *topic = field_text(params, "topic");
    const char *board = field_text(params, "board");
    field_format_number(params, "seq", seq);
    printf("%s ", seq);
    print_field(stdout, topic == NULL ? "-" : topic);
    putchar(' ');
    print_field(stdout, board == NULL ? "-" : board);
    cJSON_ArrayForEach(member, params)
    {
        const char *name = member->string;
        if (strcmp(name, "seq") == 0 || strcmp(name, "topic") == 0 || strcmp(name, "board") == 0 ||
            strcmp(name, "snapshot") == 0) {
            continue;
        }
        char *text = cJSON_IsString(member) ? NULL : cJSON_PrintUnformatted(member);
        putchar(' ');
        print_field(stdout, name);
        putchar('=');
        print_field(stdout, text != NULL ? text : cJSON_GetStringValue(member));
        cJSON_free(text);
    }
    putchar('\n');
}

struct cmd_events {
    const struct session *session;
    bool subscribed;       /* the subscription's own result has been printed */
    struct strbuf pending; /* events that came before that: JSON texts, one a line */
};

static void cmd_events_show_one(const struct session *session, const cJSON *params, const char *text,
                                size_t length)
{
    if (session->json) {
        print_json(stdout, text, length);
    } else {
        cmd_events_print(params);
    }
}

/* Ends the waiting when nobody takes the lines any more. */
static bool cmd_events_take(void *arg, const struct ocdmux_notification *notification)
{
    struct cmd_events *events = arg;
    if (strcmp(notification->method, "event") != 0) {
        return true;
    }
    if (!events->subscribed) {
        strbuf_append(&events->pending, notification->text, notification->length);
        strbuf_append_byte(&events->pending, '\n');
        return true;
    }
    cmd_events_show_one(events->session, notification->params, notification->text, notification->length);
    return fflush(stdout) == 0;
}

static void cmd_events_show_pending(struct cmd_events *events)
{
    const char *text = strbuf_text(&events->pending);
    events->subscribed = true;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        cJSON *params = cJSON_ParseWithLength(text, length);
        cmd_events_show_one(events->session, params, text, length);
        cJSON_Delete(params);
        text += length + 1;
    }
    strbuf_fini(&events->pending);
    fflush(stdout);
}

/* The boards' links as they are when the subscription begins. */
static bool cmd_events_show(void *arg, const cJSON *result)
{
    const cJSON *boards = field_array(field_get(result, "snapshot"), "boards");
    const cJSON *board = NULL;
    char seq[24];
    (void)arg;
    if (boards == NULL) {
        return false;
    }
    field_format_number(result, "seq", seq);
    cJSON_ArrayForEach(board, boards)
    {
        const char *name = field_text(board, "board");
        const char *link = field_text(board, "link");
        printf("%s link ", seq);
        print_field(stdout, name == NULL ? "-" : name);
        fputs(" state=", stdout);
        print_field(stdout, link == NULL ? "-" : link);
        putchar('\n');
    }
    fflush(stdout);
    return true;
}

static cJSON *cmd_events_params(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    cJSON *params = session_plain_params(session);
    cJSON *topics = cJSON_AddArrayToObject(params, "topics");
    for (size_t i = 0; i < arguments->count; i++) {
        cJSON_AddItemToArray(topics, cJSON_CreateString(arguments->words[i]));
    }
    for (size_t i = 0; arguments->count == 0 && i < CMD_TOPICS_USUAL; i++) {
        cJSON_AddItemToArray(topics, cJSON_CreateString(cmd_topics[i]));
    }
    return params;
}

enum status cmd_events(struct session *session)
{
    static const struct option topic = {"topic", NULL, NULL, cmd_topics};
    const struct arguments *arguments = session->arguments;
    struct cmd_events events = {.session = session, .subscribed = false, .pending = STRBUF_INIT};
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    for (size_t i = 0; i < arguments->count; i++) {
        if (!options_is_choice(&topic, arguments->words[i])) {
            (void)options_complain(
                arguments, "a topic is target, link, operation, lease, queue, memory, gdb or log, not '%s'",
                arguments->words[i]);
            return STATUS_USAGE;
        }
    }
    if (!session_connect(session)) {
        return session->status;
    }
    ocdmux_set_event_handler(session->connection, cmd_events_take, &events);
    enum status status =
        session_show(session, "events.subscribe", cmd_events_params(session), NULL, cmd_events_show, NULL);
    if (status == STATUS_OK) {
        cmd_events_show_pending(&events);
    }
    /* Where nobody takes the lines main() tells; there is nothing to wait for. */
    if (status == STATUS_OK && !session->interrupted && !ferror(stdout)) {
        if (!ocdmux_wait(session->connection, 0, &error)) {
            status = session_report(session, &error);
        }
    }
    strbuf_fini(&events.pending);
    return status;
}
