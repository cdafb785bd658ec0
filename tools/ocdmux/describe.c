/* Short descriptions. */
#include "describe.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "print.h"

void describe_progress(struct strbuf *out, const cJSON *progress)
{
    uint64_t done;
    uint64_t total;
    const char *phase = field_text(progress, "phase");
    const char *unit = field_text(progress, "unit");
    if (phase == NULL || unit == NULL || !field_u64(progress, "done", &done)) {
        return;
    }
    strbuf_appendf(out, "%s %" PRIu64, phase, done);
    if (field_u64(progress, "total", &total)) {
        strbuf_appendf(out, " of %" PRIu64, total);
    }
    strbuf_appendf(out, " %s", unit);
}

static bool describe_is_skipped(const char *name, const char *const *skip)
{
    for (; *skip != NULL; skip++) {
        if (strcmp(*skip, name) == 0) {
            return true;
        }
    }
    return false;
}

void describe_print_members(const cJSON *object, const char *const *skip)
{
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, object)
    {
        if (cJSON_IsArray(member) || cJSON_IsObject(member) || describe_is_skipped(member->string, skip)) {
            continue;
        }
        char *text = cJSON_IsString(member) ? NULL : cJSON_PrintUnformatted(member);
        print_field(stdout, member->string);
        fputs(": ", stdout);
        print_field(stdout, text != NULL ? text : cJSON_GetStringValue(member));
        putchar('\n');
        cJSON_free(text);
    }
}
