/*
 * Any bytes through the strict check; what it takes is walked from end to end, every string is unescaped,
 * written again and read back, and every integer is compared with what strtoull() makes of it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json.h"
#include "rpc/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good) {
        abort();
    }
}

static void visit_string(struct json_span span)
{
    struct strbuf plain = STRBUF_INIT;
    json_span_string(span, &plain);
    expect(plain.length == json_span_string_length(span));
    expect(strlen(plain.data) == plain.length);
    expect(json_span_equals(span, plain.data));
    char label[JSON_LABEL_SIZE];
    json_span_label(span, label);
    expect(strlen(label) < sizeof label);

    struct strbuf again = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &again);
    json_text_bytes(&json, NULL, plain.data, plain.length);
    struct json_problem problem;
    expect(json_check(again.data, again.length, &problem));
    expect(json_span_equals(json_span_of(again.data, again.length), plain.data));
    strbuf_fini(&again);
    strbuf_fini(&plain);
}

/* Only where strtoull() and the protocol mean the same: digits, or 0x and hex digits. */
static void visit_integer(struct json_span span)
{
    uint64_t value = 0;
    if (json_span_u64(span, &value) != JSON_INTEGER_OK) {
        return;
    }
    struct strbuf text = STRBUF_INIT;
    if (json_span_kind(span) == JSON_STRING) {
        json_span_string(span, &text);
    } else {
        strbuf_append(&text, span.text, span.length);
    }
    errno = 0;
    expect(strtoull(text.data, NULL, strncmp(text.data, "0x", 2) == 0 ? 16 : 10) == value && errno == 0);
    strbuf_fini(&text);
}

/* The nesting is bounded by JSON_MAX_DEPTH. */
static void visit(struct json_span span)
{
    struct json_problem problem;
    expect(json_check(span.text, span.length, &problem));
    visit_integer(span);
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    switch (json_span_kind(span)) {
    case JSON_STRING:
        visit_string(span);
        return;
    case JSON_ARRAY:
        json_cursor_init(&cursor, span);
        while (json_next_element(&cursor, &value)) {
            visit(value);
        }
        return;
    case JSON_OBJECT:
        json_cursor_init(&cursor, span);
        while (json_next_member(&cursor, &key, &value)) {
            visit_string(key);
            visit(value);
        }
        return;
    case JSON_NUMBER:
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return;
    case JSON_NONE:
        abort();
    }
}

/* Text of any bytes is written so that it passes the check. */
static void write_anything(const char *bytes, size_t length)
{
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_text_bytes(&json, NULL, bytes, length);
    struct json_problem problem;
    expect(json_check(out.data, out.length, &problem));
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_problem problem = {.reason = NULL};
    if (json_check(text, size, &problem)) {
        expect(problem.reason == NULL);
        visit(json_span_of(text, size));
    } else {
        expect(problem.reason != NULL && problem.offset <= size);
    }
    write_anything(text, size);
    return 0;
}
