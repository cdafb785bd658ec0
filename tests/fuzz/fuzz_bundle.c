/*
 * The splitter of answers to several commands. The first byte says how many there were; the rest is the text.
 * What is refused must leave the outputs alone; what is taken must be, put together again, the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/bundle.h"

static void append_part(struct strbuf *out, const char *text, size_t length)
{
    strbuf_append(out, text, length);
    strbuf_append_byte(out, '\0');
}

/* Only where numbers are written the shortest way is the head the same; the parts are in any case. */
static void check_parts(const char *text, size_t length, const struct ocd_reply *replies, size_t count)
{
    struct strbuf parts = STRBUF_INIT;
    const char *colon = memchr(text, ':', length);
    require(colon != NULL);
    for (size_t i = 0; i < count; i++) {
        append_part(&parts, replies[i].result, replies[i].result_length);
        append_part(&parts, replies[i].log, replies[i].log_length);
        append_part(&parts, replies[i].options, replies[i].options_length);
    }
    require(parts.length == length - (size_t)(colon + 1 - text));
    require(memcmp(strbuf_text(&parts), colon + 1, parts.length) == 0);
    strbuf_fini(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ocd_reply replies[BUNDLE_MOST];
    struct ocd_reply untouched[BUNDLE_MOST];
    size_t ran = 0;
    struct err err;
    if (size < 1) {
        return 0;
    }
    size_t count = data[0] % BUNDLE_MOST + 1;
    const char *text = (const char *)data + 1;
    struct ocd_reply reply = {.result = text, .result_length = size - 1, .log = "", .options = ""};
    memset(replies, 0x55, sizeof replies);
    memset(untouched, 0x55, sizeof untouched);
    err_reset(&err);
    if (bundle_split(&reply, count, replies, &ran, &err)) {
        require(ran >= 1 && ran <= count);
        check_parts(text, size - 1, replies, ran);
    } else {
        require(err.kind == ERR_OPENOCD_ERROR && memcmp(replies, untouched, sizeof replies) == 0);
    }
    return 0;
}
