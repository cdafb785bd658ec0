/*
 * What the commands about images have in common: where the image comes from (a file of this machine, a stage,
 * a file below one of the server's directories for images) and what it may be.
 */
#ifndef OCDMUX_TOOL_SOURCE_H
#define OCDMUX_TOOL_SOURCE_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "session.h"

extern const char *const source_formats[];
extern const char *const source_prepares[];

#define SOURCE_PREPARES "none|halt|reset_halt|reset_init"

/* Rows of a table of options. */
#define SOURCE_OPTIONS                                                                               \
    {"format", "auto|bin|ihex|srec|elf|uf2",                                                         \
     "what the image is (bin: plain bytes); default: auto, by its content", source_formats},         \
        {"path", "PATH", "a file below the server's directories for images, instead of FILE", NULL}, \
    {                                                                                                \
        "stage", "STAGE", "a stage (see 'upload' and 'stages'), instead of FILE", NULL               \
    }

struct source {
    const char *file;    /* as it was given; NULL: another source */
    struct strbuf bytes; /* of `file` */
};

/*
 * Takes FILE, the only word, and reads it, or --path or --stage. False after a message for none, for several,
 * and for a file that cannot be used. The caller calls source_fini() in any case.
 */
bool source_take(const struct session *session, struct source *source) __attribute__((warn_unused_result));
/* The same where FILE is the word at `index`, the last one, and --stage is all there is beside it. */
bool source_take_word(const struct session *session, size_t index, struct source *source)
    __attribute__((warn_unused_result));
void source_fini(struct source *source);

/* Whether --format names a format that has addresses of its own. */
bool source_has_addresses(const struct session *session);

/*
 * Adds the source and --format to `params`, uploading what does not go into the request itself; connects.
 * False after a report, with session->status set; `untouched` (NULL: nothing) is then said below it.
 */
bool source_add(struct session *session, const struct source *source, struct progress *progress,
                const char *untouched, cJSON *params) __attribute__((warn_unused_result));

#endif
