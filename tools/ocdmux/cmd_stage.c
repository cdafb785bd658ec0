/* upload and stages: files that the server keeps. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"
#include "table.h"
#include "upload.h"

const struct option cmd_stages_options[] = {
    {"delete", "STAGE", "remove a stage instead", NULL},
    {NULL, NULL, NULL, NULL},
};

/* Several requests made this: there is no one answer to print. */
static void cmd_upload_print_json(const struct ocdmux_stage *upload, uint64_t size)
{
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "stage", upload->stage);
    ocdmux_json_add_u64(result, "size", size);
    cJSON_AddStringToObject(result, "sha256", upload->sha256);
    cJSON_AddBoolToObject(result, "present", upload->present);
    struct strbuf text = STRBUF_INIT;
    char *printed = cJSON_PrintUnformatted(result);
    strbuf_append_text(&text, printed);
    cJSON_free(printed);
    cJSON_Delete(result);
    print_json(stdout, strbuf_text(&text), text.length);
    strbuf_fini(&text);
}

enum status cmd_upload(struct session *session)
{
    const char *file = session->arguments->words[0];
    struct strbuf bytes = STRBUF_INIT;
    struct progress progress;
    struct ocdmux_stage upload;
    if (!file_read(file, &bytes)) {
        strbuf_fini(&bytes);
        return STATUS_USAGE;
    }
    uint64_t size = bytes.length;
    progress_init(&progress, !session->json);
    bool good = upload_bytes(session, file, &bytes, &progress, &upload);
    strbuf_fini(&bytes);
    if (!good) {
        return session->status;
    }
    if (session->json) {
        cmd_upload_print_json(&upload, size);
        return STATUS_OK;
    }
    print_field(stdout, upload.stage);
    putchar('\n');
    fflush(stdout);
    if (upload.present) {
        fputs("note: the server had this content already\n", stderr);
    }
    return STATUS_OK;
}

static bool cmd_stages_show(void *arg, const cJSON *result)
{
    static const char *const header[] = {"stage", "name", ">size", ">uploaded", "state", "expires", "sha256"};
    const cJSON *stages = field_array(result, "stages");
    const cJSON *stage = NULL;
    uint64_t used;
    uint64_t quota;
    struct table table;
    (void)arg;
    if (stages == NULL || !field_u64(result, "used_bytes", &used) ||
        !field_u64(result, "quota_bytes", &quota)) {
        return false;
    }
    table_init(&table, 7, header);
    cJSON_ArrayForEach(stage, stages)
    {
        char text[24];
        table_add(&table, field_text(stage, "stage"));
        table_add(&table, field_text(stage, "name"));
        field_format_number(stage, "size", text);
        table_add(&table, text);
        field_format_number(stage, "offset", text);
        table_add(&table, text);
        table_addf(&table, "%s%s", field_true(stage, "complete") ? "complete" : "incomplete",
                   field_true(stage, "pinned") ? ", in use" : "");
        table_add(&table, field_text(stage, "expires"));
        table_add(&table, field_text(stage, "sha256"));
    }
    table_print(&table);
    table_fini(&table);
    printf("%" PRIu64 " of %" PRIu64 " bytes used\n", used, quota);
    return true;
}

static bool cmd_stages_show_deleted(void *arg, const cJSON *result)
{
    (void)arg;
    if (!cJSON_IsBool(field_get(result, "deleted"))) {
        return false;
    }
    puts(field_true(result, "deleted") ? "deleted" : "it was gone already");
    return true;
}

enum status cmd_stages(struct session *session)
{
    const char *deleted = options_value(session->arguments, "delete");
    if (deleted == NULL) {
        return session_show(session, "stage.list", cJSON_CreateObject(), NULL, cmd_stages_show, NULL);
    }
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "stage", deleted);
    return session_show(session, "stage.delete", params, NULL, cmd_stages_show_deleted, NULL);
}
