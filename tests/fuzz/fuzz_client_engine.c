/*
 * Any bytes from a server to the client library's engine, with calls in flight: however they are cut, the
 * same calls end in the same way and the same notifications arrive, and after a failure everything has ended.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "client/engine.h"

#define CALLS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good) {
        abort();
    }
}

static bool note(void *arg, const struct ocdmux_notification *notification)
{
    struct strbuf *seen = arg;
    expect(notification->method != NULL && cJSON_IsObject(notification->params));
    strbuf_appendf(seen, "%s ", notification->method);
    strbuf_append(seen, notification->text, notification->length);
    return notification->length % 5 != 0;
}

static void note_end(struct strbuf *seen, struct engine_call *call)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    if (!engine_call_is_done(call)) {
        strbuf_append_text(seen, "|waiting");
    } else if (engine_call_finish(call, &result, &error)) {
        expect(result.json != NULL && strlen(result.text) <= result.length);
        strbuf_appendf(seen, "|%s", result.text);
    } else {
        expect(error.kind != NULL && error.message != NULL);
        expect(error.has_openocd == (error.openocd_text != NULL));
        strbuf_appendf(seen, "|%s %s", error.kind, error.message);
    }
    ocdmux_result_fini(&result);
    ocdmux_error_fini(&error);
    engine_release(call);
}

/* Everything that the bytes do, as text, when they come in pieces of `cut`. */
static void run(struct strbuf *seen, const char *bytes, size_t size, size_t cut)
{
    struct engine *engine = engine_new();
    struct engine_call *calls[CALLS];
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    engine_set_event_handler(engine, note, seen);
    for (size_t i = 0; i < CALLS; i++) {
        expect(engine_begin(engine, "m", NULL, 0, true, &calls[i], &error));
        engine_call_set_handler(calls[i], note, seen);
    }
    engine_release(calls[CALLS - 1]);
    engine_cancel(calls[0]);
    bool good = true;
    for (size_t at = 0; at < size && good; at += cut) {
        good = engine_input(engine, bytes + at, size - at < cut ? size - at : cut, &error);
    }
    expect(good == (error.kind == NULL));
    for (size_t i = 0; i + 1 < CALLS; i++) {
        expect(good || engine_call_is_done(calls[i]));
        note_end(seen, calls[i]);
    }
    ocdmux_error_fini(&error);
    engine_free(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf whole = STRBUF_INIT;
    struct strbuf cut = STRBUF_INIT;
    run(&whole, (const char *)data, size, size + 1);
    run(&cut, (const char *)data, size, 1 + size % 7);
    expect(strcmp(strbuf_text(&whole), strbuf_text(&cut)) == 0);
    strbuf_fini(&whole);
    strbuf_fini(&cut);
    return 0;
}
