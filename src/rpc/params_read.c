/* Parameters by kind: the value that a call gives for one, checked and put into the params struct. */
#include "rpc/params_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/hex.h"
#include "rpc/params_ranges.h"

#define LABEL_SIZE 64
/* One byte of a string takes at most six in the text: \u0041. */
#define ESCAPED_SIZE 6u
#define NUMBER_TEXT_MAX 20 /* digits of 2^64-1 */

bool params_read_fault_at(const struct params_reading *reading, const char *label, const char *format, ...)
{
    char rule[ERR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rule, sizeof rule, format, arguments);
    va_end(arguments);
    err_set(reading->err, ERR_INVALID_PARAMS, "%s: %s", label, rule);
    err_add_text(reading->err, "parameter", reading->param->name);
    return false;
}

bool params_read_fault(const struct params_reading *reading, const char *rule)
{
    return params_read_fault_at(reading, reading->param->name, "%s", rule);
}

static bool fault_range(const struct params_reading *reading, const char *label)
{
    uint64_t low = reading->param->minimum;
    uint64_t high = reading->param->maximum;
    if (low == 0) {
        return params_read_fault_at(reading, label, "must be at most %" PRIu64, high);
    }
    if (high == UINT64_MAX) {
        return params_read_fault_at(reading, label, "must be at least %" PRIu64, low);
    }
    return params_read_fault_at(reading, label, "must be from %" PRIu64 " to %" PRIu64, low, high);
}

static bool fault_length_at(const struct params_reading *reading, const char *label, size_t length)
{
    if (length < reading->param->minimum) {
        return length == 0 ? params_read_fault_at(reading, label, "must not be empty")
                           : params_read_fault_at(reading, label, "must have at least %" PRIu64 " bytes",
                                                  reading->param->minimum);
    }
    return params_read_fault_at(reading, label, "must have at most %" PRIu64 " bytes",
                                reading->param->maximum);
}

static bool fault_length(const struct params_reading *reading, size_t length)
{
    return fault_length_at(reading, reading->param->name, length);
}

static bool is_within(const struct rpc_param *param, uint64_t value)
{
    return value >= param->minimum && value <= param->maximum;
}

/* ---- integers ---- */

/* Whether a JSON number's digits would be taken if they were a string. */
static bool fits_as_text(const struct rpc_param *param, struct json_span span)
{
    if (json_span_kind(span) != JSON_NUMBER || span.length > NUMBER_TEXT_MAX) {
        return false;
    }
    char text[NUMBER_TEXT_MAX + 3];
    snprintf(text, sizeof text, "\"%.*s\"", (int)span.length, span.text);
    uint64_t value = 0;
    struct json_span string = {.text = text, .length = span.length + 2};
    return json_span_u64(string, &value) == JSON_INTEGER_OK && is_within(param, value);
}

static bool read_u64(const struct params_reading *reading, const char *label, struct json_span span,
                     uint64_t *ret_value)
{
    uint64_t value = 0;
    switch (json_span_u64(span, &value)) {
    case JSON_INTEGER_OK:
        break;
    case JSON_INTEGER_NEGATIVE:
        return params_read_fault_at(reading, label, "must not be negative");
    case JSON_INTEGER_FRACTION:
        return params_read_fault_at(reading, label, "must be a whole number, written as digits");
    case JSON_INTEGER_TOO_BIG:
        if (fits_as_text(reading->param, span)) {
            return params_read_fault_at(reading, label,
                                        "%.*s is too large for a JSON number here; write it as a string",
                                        (int)span.length, span.text);
        }
        if (reading->param->maximum == UINT64_MAX) {
            return params_read_fault_at(reading, label, "must be at most %" PRIu64, UINT64_MAX);
        }
        return fault_range(reading, label);
    case JSON_INTEGER_NO:
        return params_read_fault_at(reading, label,
                                    "must be a whole number, or text of decimal digits or 0x and hex digits");
    }
    if (!is_within(reading->param, value)) {
        return fault_range(reading, label);
    }
    *ret_value = value;
    return true;
}

static bool fault_count(const struct params_reading *reading)
{
    return params_read_fault_at(reading, reading->param->name, "must hold from 1 to %" PRIu64 " values",
                                reading->param->max_count);
}

static bool read_element(const struct params_reading *reading, struct json_span span, size_t index,
                         uint64_t *ret_value)
{
    uint64_t value = 0;
    if (json_span_u64(span, &value) == JSON_INTEGER_OK && is_within(reading->param, value)) {
        *ret_value = value;
        return true;
    }
    char label[LABEL_SIZE]; /* made only here: there may be 65536 elements */
    snprintf(label, sizeof label, "%s[%zu]", reading->param->name, index);
    return read_u64(reading, label, span, ret_value);
}

static bool read_integer_array(const struct params_reading *reading, struct json_span span,
                               struct rpc_integers *integers)
{
    struct json_cursor cursor;
    json_cursor_init(&cursor, span);
    size_t capacity = 0;
    struct json_span element;
    while (json_next_element(&cursor, &element)) {
        if (integers->count == reading->param->max_count) {
            return fault_count(reading);
        }
        if (integers->count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            integers->values = xrealloc(integers->values, capacity * sizeof *integers->values);
        }
        if (!read_element(reading, element, integers->count, &integers->values[integers->count])) {
            return false;
        }
        integers->count++;
    }
    return integers->count > 0 || fault_count(reading);
}

static bool read_integers(const struct params_reading *reading, struct json_span span)
{
    struct rpc_integers *integers = reading->place;
    if (json_span_kind(span) == JSON_ARRAY) {
        return read_integer_array(reading, span, integers);
    }
    uint64_t value = 0;
    if (!read_u64(reading, reading->param->name, span, &value)) {
        return false;
    }
    integers->values = xmalloc(sizeof *integers->values);
    integers->values[0] = value;
    integers->count = 1;
    return true;
}

/* ---- words ---- */

static bool read_bool(const struct params_reading *reading, struct json_span span)
{
    enum json_kind kind = json_span_kind(span);
    if (kind != JSON_TRUE && kind != JSON_FALSE) {
        return params_read_fault(reading, "must be true or false");
    }
    *(bool *)reading->place = kind == JSON_TRUE;
    return true;
}

static bool fault_choice(const struct params_reading *reading, const char *label)
{
    struct strbuf words = STRBUF_INIT;
    for (size_t i = 0; reading->param->choices[i] != NULL; i++) {
        strbuf_appendf(&words, "%s%s", i > 0 ? ", " : "", reading->param->choices[i]);
    }
    params_read_fault_at(reading, label, "must be %s%s", reading->param->choices[1] != NULL ? "one of " : "",
                         strbuf_text(&words));
    strbuf_fini(&words);
    return false;
}

static bool find_choice(const struct params_reading *reading, const char *label, struct json_span span,
                        unsigned *ret_index)
{
    for (unsigned i = 0; reading->param->choices[i] != NULL; i++) {
        if (json_span_equals(span, reading->param->choices[i])) {
            *ret_index = i;
            return true;
        }
    }
    return fault_choice(reading, label);
}

static bool read_choice(const struct params_reading *reading, struct json_span span)
{
    unsigned index = 0;
    if (!find_choice(reading, reading->param->name, span, &index)) {
        return false;
    }
    *(int *)reading->place = (int)index;
    return true;
}

static bool read_choices(const struct params_reading *reading, struct json_span span)
{
    if (json_span_kind(span) != JSON_ARRAY) {
        return params_read_fault(reading, "must be an array of words");
    }
    struct json_cursor cursor;
    json_cursor_init(&cursor, span);
    uint64_t bits = 0;
    size_t count = 0;
    struct json_span element;
    while (json_next_element(&cursor, &element)) {
        char label[LABEL_SIZE];
        snprintf(label, sizeof label, "%s[%zu]", reading->param->name, count);
        unsigned index = 0;
        if (!find_choice(reading, label, element, &index)) {
            return false;
        }
        bits |= UINT64_C(1) << index;
        count++;
    }
    if (count < reading->param->minimum) {
        return params_read_fault_at(reading, reading->param->name,
                                    "must hold at least %" PRIu64 " of its words", reading->param->minimum);
    }
    *(uint64_t *)reading->place = bits;
    return true;
}

/* ---- texts ---- */

/* C0, DEL and C1 (in UTF-8: c2 80 to c2 9f). */
static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        unsigned char next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next < 0xa0)) {
            return true;
        }
    }
    return false;
}

static bool read_text_at(const struct params_reading *reading, const char *label, struct json_span span,
                         struct rpc_text *text)
{
    const struct rpc_param *param = reading->param;
    if (json_span_kind(span) != JSON_STRING) {
        return params_read_fault_at(reading, label, "must be text");
    }
    if ((span.length - 2) / ESCAPED_SIZE > param->maximum) { /* before anything is allocated */
        return fault_length_at(reading, label, SIZE_MAX);
    }
    struct strbuf buf = STRBUF_INIT;
    json_span_string(span, &buf);
    text->length = buf.length;
    text->text = strbuf_steal(&buf);
    if (!is_within(param, text->length)) {
        return fault_length_at(reading, label, text->length);
    }
    if (param->kind != RPC_PARAM_SCRIPT && has_control(text->text, text->length)) {
        return params_read_fault_at(reading, label, "must not hold control characters");
    }
    return true;
}

static bool read_text(const struct params_reading *reading, struct json_span span)
{
    return read_text_at(reading, reading->param->name, span, reading->place);
}

/* "0x" and so many digits that no uint64_t holds them. */
static bool is_wide(struct json_span span)
{
    if (json_span_kind(span) != JSON_STRING || span.length < 2 + 2 + 17 ||
        span.length > 2 + 2 + RPC_NUMBER_DIGITS || memcmp(span.text + 1, "0x", 2) != 0) {
        return false;
    }
    for (size_t i = 3; i < span.length - 1; i++) {
        if (hex_digit(span.text[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool read_number(const struct params_reading *reading, const char *label, struct json_span span,
                        struct rpc_text *text)
{
    struct strbuf digits = STRBUF_INIT;
    uint64_t value = 0;
    if (is_wide(span)) {
        for (size_t i = 1; i < span.length - 1; i++) {
            char digit = span.text[i];
            strbuf_append_byte(&digits, digit >= 'A' && digit <= 'F' ? (char)(digit - 'A' + 'a') : digit);
        }
    } else {
        struct rpc_param any = *reading->param;
        struct params_reading plain = *reading;
        any.minimum = 0;
        any.maximum = UINT64_MAX;
        plain.param = &any;
        if (!read_u64(&plain, label, span, &value)) {
            return false;
        }
        strbuf_appendf(&digits, "0x%" PRIx64, value);
    }
    text->length = digits.length;
    text->text = strbuf_steal(&digits);
    return true;
}

/* RPC_PARAM_TEXTS and RPC_PARAM_NUMBERS. */
static bool read_texts(const struct params_reading *reading, struct json_span span)
{
    struct rpc_texts *texts = reading->place;
    struct json_cursor cursor;
    struct json_span element;
    if (json_span_kind(span) != JSON_ARRAY) {
        return params_read_fault(reading, "must be an array");
    }
    json_cursor_init(&cursor, span);
    while (json_next_element(&cursor, &element)) {
        char label[LABEL_SIZE];
        if (texts->count == reading->param->max_count) {
            return fault_count(reading);
        }
        if (texts->items == NULL) {
            texts->items = xcalloc(reading->param->max_count, sizeof *texts->items);
        }
        snprintf(label, sizeof label, "%s[%zu]", reading->param->name, texts->count);
        struct rpc_text *text = &texts->items[texts->count++];
        bool good = reading->param->kind == RPC_PARAM_TEXTS ? read_text_at(reading, label, element, text)
                                                            : read_number(reading, label, element, text);
        if (!good) {
            return false;
        }
    }
    return texts->count > 0 || fault_count(reading);
}

const char *rpc_params_token_fault(struct json_span span, uint64_t maximum)
{
    enum json_kind kind = json_span_kind(span);
    if (kind == JSON_NULL) {
        return "must not be null";
    }
    if (kind == JSON_STRING) {
        return json_span_string_length(span) > maximum ? "is too long" : NULL;
    }
    if (kind != JSON_NUMBER) {
        return "must be a string or a whole number";
    }
    for (size_t i = 0; i < span.length; i++) {
        if (span.text[i] == '.' || span.text[i] == 'e' || span.text[i] == 'E') {
            return "must be a whole number, written as digits, or a string";
        }
    }
    return span.length > maximum ? "is too long" : NULL;
}

static bool read_token(const struct params_reading *reading, struct json_span span)
{
    const char *rule = rpc_params_token_fault(span, reading->param->maximum);
    if (rule != NULL) {
        return params_read_fault(reading, rule);
    }
    struct rpc_text *text = reading->place;
    text->text = xstrndup(span.text, span.length);
    text->length = span.length;
    return true;
}

/* ---- bytes ---- */

static bool decode(bool hex, struct strbuf *out, const char *text, size_t length)
{
    return hex ? hex_decode(out, text, length) : base64_decode(out, text, length);
}

static bool read_bytes(const struct params_reading *reading, struct json_span span)
{
    if (json_span_kind(span) != JSON_STRING) {
        return params_read_fault(reading, reading->hex ? "must be hex text" : "must be base64 text");
    }
    const char *text = span.text + 1;
    size_t length = span.length - 2;
    struct strbuf unescaped = STRBUF_INIT;
    if (memchr(text, '\\', length) != NULL) { /* "\/" is a common way to write a slash */
        json_span_string(span, &unescaped);
        text = strbuf_text(&unescaped);
        length = unescaped.length;
    }
    struct strbuf decoded = STRBUF_INIT;
    bool valid = decode(reading->hex, &decoded, text, length);
    strbuf_fini(&unescaped);
    struct rpc_bytes *bytes = reading->place;
    bytes->length = decoded.length;
    bytes->bytes = (uint8_t *)strbuf_steal(&decoded);
    if (!valid) {
        return params_read_fault(reading, reading->hex ? "is not valid hex" : "is not valid base64");
    }
    if (!is_within(reading->param, bytes->length)) {
        return fault_length(reading, bytes->length);
    }
    return true;
}

/* ---- any ---- */

bool params_read_value(const struct params_reading *reading, struct json_span span)
{
    switch (reading->param->kind) {
    case RPC_PARAM_U64:
        return read_u64(reading, reading->param->name, span, reading->place);
    case RPC_PARAM_BOOL:
        return read_bool(reading, span);
    case RPC_PARAM_TEXT:
    case RPC_PARAM_SCRIPT:
        return read_text(reading, span);
    case RPC_PARAM_CHOICE:
        return read_choice(reading, span);
    case RPC_PARAM_BYTES:
        return read_bytes(reading, span);
    case RPC_PARAM_INTEGERS:
        return read_integers(reading, span);
    case RPC_PARAM_TEXTS:
    case RPC_PARAM_NUMBERS:
        return read_texts(reading, span);
    case RPC_PARAM_RANGES:
        return params_ranges_read(reading, span);
    case RPC_PARAM_CHOICES:
        return read_choices(reading, span);
    case RPC_PARAM_TOKEN:
    case RPC_PARAM_ID:
        return read_token(reading, span);
    case RPC_PARAM_ANY:
        *(struct json_span *)reading->place = span;
        return true;
    }
    abort();
}
