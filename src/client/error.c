/* Errors of the client library: its own, and those that a server sends. */
#include "client/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"

static const struct ocdmux_error error_none = OCDMUX_ERROR_INIT;

void ocdmux_error_fini(struct ocdmux_error *error)
{
    free(error->kind);
    free(error->message);
    free(error->openocd_text);
    cJSON_Delete(error->details);
    *error = error_none;
}

bool ocdmux_error_is(const struct ocdmux_error *error, const char *kind)
{
    return error->kind != NULL && strcmp(error->kind, kind) == 0;
}

bool error_set(struct ocdmux_error *error, const char *kind, const char *format, ...)
{
    /* Made before the old one goes: the arguments may point into it. */
    struct strbuf message = STRBUF_INIT;
    va_list arguments;
    va_start(arguments, format);
    strbuf_appendv(&message, format, arguments);
    va_end(arguments);
    ocdmux_error_fini(error);
    error->kind = xstrdup(kind);
    error->message = strbuf_steal(&message);
    error->local = true;
    return false;
}

static char *error_copy_text(const char *text)
{
    return text == NULL ? NULL : xstrdup(text);
}

void error_copy(struct ocdmux_error *to, const struct ocdmux_error *from)
{
    struct ocdmux_error copy = *from;
    copy.kind = error_copy_text(from->kind);
    copy.message = error_copy_text(from->message);
    copy.openocd_text = error_copy_text(from->openocd_text);
    copy.details = from->details == NULL ? NULL : cJSON_Duplicate(from->details, true);
    ocdmux_error_fini(to);
    *to = copy;
}

void error_move(struct ocdmux_error *to, struct ocdmux_error *from)
{
    ocdmux_error_fini(to);
    *to = *from;
    *from = error_none;
}

/* JSON-RPC's own codes have a kind in `data` as well; a server that leaves it out is still understood. */
static const char *error_kind_of_code(double code)
{
    static const struct {
        double code;
        const char *kind;
    } kinds[] = {{-32700, "parse_error"},
                 {-32600, "invalid_request"},
                 {-32601, "method_not_found"},
                 {-32602, "invalid_params"},
                 {-32603, "internal_error"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].code == code) {
            return kinds[i].kind;
        }
    }
    return OCDMUX_KIND_UNKNOWN;
}

static void error_read_openocd(struct ocdmux_error *error, const cJSON *openocd)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(openocd, "code");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(openocd, "text"));
    if (!cJSON_IsNumber(code) && text == NULL) {
        return;
    }
    error->has_openocd = true;
    error->openocd_code = cJSON_IsNumber(code) ? (long)code->valueint : 0;
    error->openocd_text = xstrdup(text == NULL ? "" : text);
}

static void error_read_data(struct ocdmux_error *error, const cJSON *data)
{
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, data)
    {
        if (strcmp(member->string, "kind") == 0) {
            continue;
        }
        if (strcmp(member->string, "openocd") == 0) {
            error_read_openocd(error, member);
            continue;
        }
        if (error->details == NULL) {
            error->details = cJSON_CreateObject();
        }
        cJSON_AddItemToObject(error->details, member->string, cJSON_Duplicate(member, true));
    }
}

void ocdmux_error_read(struct ocdmux_error *error, const cJSON *object)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(object, "code");
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "message"));
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(object, "data");
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "kind"));
    if (kind == NULL) {
        kind = error_kind_of_code(cJSON_IsNumber(code) ? code->valuedouble : 0);
    }
    struct ocdmux_error read = OCDMUX_ERROR_INIT;
    read.kind = xstrdup(kind);
    read.message = xstrdup(message == NULL ? "the server gave no reason" : message);
    if (cJSON_IsObject(data)) {
        error_read_data(&read, data);
    }
    error_move(error, &read);
}
