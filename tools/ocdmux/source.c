/* Images as sources of requests. */
#include "source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "file.h"
#include "upload.h"

/* Up to here a request with the image in it costs less than an upload in a request of its own. */
#define SOURCE_INLINE_BYTES ((uint64_t)64 << 10)

const char *const source_formats[] = {"auto", "bin", "ihex", "srec", "elf", "uf2", NULL};
const char *const source_prepares[] = {"none", "halt", "reset_halt", "reset_init", NULL};

bool source_take_word(const struct session *session, size_t index, struct source *source)
{
    const struct arguments *arguments = session->arguments;
    bool file = arguments->count > index;
    bool stage = options_has(arguments, "stage");
    *source = (struct source){.bytes = STRBUF_INIT};
    if (file == stage) {
        return options_complain(arguments, "%s needs one of FILE and --stage STAGE",
                                arguments->command->name);
    }
    if (!file) {
        return true;
    }
    source->file = arguments->words[index];
    return file_read(source->file, &source->bytes);
}

bool source_take(const struct session *session, struct source *source)
{
    const struct arguments *arguments = session->arguments;
    size_t given = arguments->count + (options_has(arguments, "path") ? 1 : 0) +
                   (options_has(arguments, "stage") ? 1 : 0);
    *source = (struct source){.bytes = STRBUF_INIT};
    if (given != 1) {
        return options_complain(arguments, "%s needs one of FILE, --path PATH and --stage STAGE",
                                arguments->command->name);
    }
    if (arguments->count == 0) {
        return true;
    }
    source->file = arguments->words[0];
    return file_read(source->file, &source->bytes);
}

void source_fini(struct source *source)
{
    strbuf_fini(&source->bytes);
}

bool source_has_addresses(const struct session *session)
{
    const char *format = options_value(session->arguments, "format");
    return format != NULL && strcmp(format, "auto") != 0 && strcmp(format, "bin") != 0;
}

static void source_add_option(const struct session *session, const char *name, cJSON *params)
{
    const char *value = options_value(session->arguments, name);
    if (value != NULL) {
        cJSON_AddStringToObject(params, name, value);
    }
}

static bool source_add_file(struct session *session, const struct source *source, struct progress *progress,
                            cJSON *params)
{
    struct ocdmux_stage upload;
    uint64_t size = source->bytes.length;
    if (!session_connect(session)) {
        return false;
    }
    uint64_t maximum = ocdmux_limits(session->connection)->max_image_bytes;
    if (size > maximum) {
        (void)session_report_own(session, "limit_exceeded",
                                 "%s has %" PRIu64 " bytes, and this server takes images of at most %" PRIu64,
                                 source->file, size, maximum);
        return false;
    }
    if (size <= SOURCE_INLINE_BYTES && size <= ocdmux_inline_room(session->connection)) {
        struct strbuf data = STRBUF_INIT;
        base64_encode(&data, (const uint8_t *)source->bytes.data, source->bytes.length);
        cJSON_AddStringToObject(params, "data", strbuf_text(&data));
        strbuf_fini(&data);
        return true;
    }
    if (!upload_bytes(session, source->file, &source->bytes, progress, &upload)) {
        return false;
    }
    if (session->interrupted) {
        (void)session_report_own(session, OCDMUX_KIND_CANCELLED, "stopped after the upload");
        return false;
    }
    cJSON_AddStringToObject(params, "stage", upload.stage);
    return true;
}

bool source_add(struct session *session, const struct source *source, struct progress *progress,
                const char *untouched, cJSON *params)
{
    source_add_option(session, "format", params);
    source_add_option(session, "path", params);
    source_add_option(session, "stage", params);
    if (source->file == NULL || source_add_file(session, source, progress, params)) {
        return true;
    }
    if (untouched != NULL && session->connection != NULL) {
        fprintf(stderr, "  %s\n", untouched);
    }
    return false;
}
