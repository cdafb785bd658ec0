/*
 * Strict JSON (RFC 8259) read in place: json_check() looks at the whole text once, with bounded memory,
 * before anything else does; what it accepted is then read through spans, which point into the text. No tree
 * is built, so that megabytes of `data` or `values` cost their own size and no more, and no number is bent on
 * the way. Pure.
 */
#ifndef OCDMUX_RPC_JSON_H
#define OCDMUX_RPC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define JSON_MAX_DEPTH 32u
#define JSON_MAX_TOKENS 200000u

struct json_problem {
    size_t offset;      /* byte at which the text went wrong */
    const char *reason; /* static, for people: "duplicate key", ... */
    bool limit;         /* too deep or too many tokens: legal JSON, but more than is taken */
};

/*
 * True if `text` is one JSON value with nothing but white space around it: valid UTF-8, no NUL in strings
 * (also not as \u0000), no lone surrogates, no duplicate keys in any object (compared after unescaping), no
 * number that a double cannot hold as a finite value, at most JSON_MAX_DEPTH arrays and objects inside each
 * other and JSON_MAX_TOKENS tokens (each value, and each key, counts one; elements of arrays count too).
 */
bool json_check(const char *text, size_t length, struct json_problem *ret_problem)
    __attribute__((warn_unused_result));

/* One value of a checked text, without white space around it. Zero-length: no value. */
struct json_span {
    const char *text;
    size_t length;
};

enum json_kind {
    JSON_NONE,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* The whole checked text as a span. */
struct json_span json_span_of(const char *text, size_t length);
enum json_kind json_span_kind(struct json_span span);

/* Walks an array's elements or an object's members. */
struct json_cursor {
    struct json_span inside;
    size_t position;
};

/* `span` is an array or an object. */
void json_cursor_init(struct json_cursor *cursor, struct json_span span);
/* False at the end. */
bool json_next_element(struct json_cursor *cursor, struct json_span *ret_value);
bool json_next_member(struct json_cursor *cursor, struct json_span *ret_key, struct json_span *ret_value);
/* The member `key` (plain ASCII) of an object; false if there is none. Keys are compared after unescaping. */
bool json_find_member(struct json_span object, const char *key, struct json_span *ret_value);

/* A string's bytes, unescaped, appended to `out`; `span` is a string. */
void json_span_string(struct json_span span, struct strbuf *out);
/* How many bytes a string has, unescaped. */
size_t json_span_string_length(struct json_span span);
/* Whether a string, unescaped, is `text`. False for other kinds. */
bool json_span_equals(struct json_span span, const char *text);

#define JSON_LABEL_SIZE 72
/* A string to be quoted in a message: unescaped, control characters as "?", a long one cut, with "...". */
void json_span_label(struct json_span span, char label[JSON_LABEL_SIZE]);

enum json_integer {
    JSON_INTEGER_OK,
    JSON_INTEGER_NEGATIVE,
    JSON_INTEGER_FRACTION,
    JSON_INTEGER_TOO_BIG,
    JSON_INTEGER_NO
};

/*
 * The protocol's integers: a JSON number from 0 to 2^53-1 written as digits (a fraction or an exponent is
 * JSON_INTEGER_FRACTION even where its value is whole), or a string of decimal digits or "0x" and hex digits
 * from 0 to 2^64-1. JSON_INTEGER_TOO_BIG beyond that; JSON_INTEGER_NEGATIVE for every number with a minus;
 * JSON_INTEGER_NO for any other text or kind. Only JSON_INTEGER_OK sets `ret_value`.
 */
enum json_integer json_span_u64(struct json_span span, uint64_t *ret_value);

#endif
