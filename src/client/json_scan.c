/* One pass over JSON text that checks it and notes where the outermost object's members are. */
#include "client/json_scan.h"

#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

struct scanner {
    const char *next;
    const char *end;
    unsigned depth;
    unsigned tokens;
    struct json_scan *scan;
    const char *reason;
};

static bool json_scan_fail(struct scanner *scanner, const char *reason)
{
    scanner->reason = reason;
    return false;
}

static void json_scan_space(struct scanner *scanner)
{
    while (scanner->next < scanner->end && (*scanner->next == ' ' || *scanner->next == '\t' ||
                                            *scanner->next == '\n' || *scanner->next == '\r')) {
        scanner->next++;
    }
}

/* The character that comes next, -1 at the end. */
static int json_scan_peek(const struct scanner *scanner)
{
    return scanner->next < scanner->end ? (unsigned char)*scanner->next : -1;
}

static bool json_scan_token(struct scanner *scanner)
{
    if (++scanner->tokens > JSON_SCAN_MAX_TOKENS) {
        return json_scan_fail(scanner, "too many values");
    }
    return true;
}

static bool json_scan_utf8(struct scanner *scanner)
{
    size_t length = utf8_sequence(scanner->next, (size_t)(scanner->end - scanner->next));
    if (length == 0) {
        return json_scan_fail(scanner, "not UTF-8");
    }
    scanner->next += length;
    return true;
}

static bool json_scan_escape(struct scanner *scanner)
{
    size_t left = (size_t)(scanner->end - scanner->next);
    if (left < 2) {
        return json_scan_fail(scanner, "a string without end");
    }
    if (scanner->next[1] != 'u') {
        if (scanner->next[1] == '\0' || strchr("\"\\/bfnrt", scanner->next[1]) == NULL) {
            return json_scan_fail(scanner, "an unknown escape in a string");
        }
        scanner->next += 2;
        return true;
    }
    for (size_t i = 2; i < 6; i++) {
        if (i >= left || hex_digit(scanner->next[i]) < 0) {
            return json_scan_fail(scanner, "an unknown escape in a string");
        }
    }
    if (memcmp(scanner->next + 2, "0000", 4) == 0) {
        scanner->scan->has_nul_escape = true;
    }
    scanner->next += 6;
    return true;
}

/* Stands on the opening quote; `ret_inside` may be NULL. */
static bool json_scan_string(struct scanner *scanner, struct json_scan_span *ret_inside)
{
    const char *start = ++scanner->next;
    for (;;) {
        int character = json_scan_peek(scanner);
        if (character < 0) {
            return json_scan_fail(scanner, "a string without end");
        }
        if (character == '"') {
            break;
        }
        if (character < 0x20) {
            return json_scan_fail(scanner, "a control character in a string");
        }
        if (character == '\\') {
            if (!json_scan_escape(scanner)) {
                return false;
            }
        } else if (character >= 0x80) {
            if (!json_scan_utf8(scanner)) {
                return false;
            }
        } else {
            scanner->next++;
        }
    }
    if (ret_inside != NULL) {
        *ret_inside = (struct json_scan_span){start, (size_t)(scanner->next - start)};
    }
    scanner->next++;
    return true;
}

static bool json_scan_digits(struct scanner *scanner)
{
    const char *start = scanner->next;
    while (json_scan_peek(scanner) >= '0' && json_scan_peek(scanner) <= '9') {
        scanner->next++;
    }
    return scanner->next > start || json_scan_fail(scanner, "a malformed number");
}

static bool json_scan_number(struct scanner *scanner)
{
    if (json_scan_peek(scanner) == '-') {
        scanner->next++;
    }
    if (json_scan_peek(scanner) == '0') {
        scanner->next++;
    } else if (!json_scan_digits(scanner)) {
        return false;
    }
    if (json_scan_peek(scanner) == '.') {
        scanner->next++;
        if (!json_scan_digits(scanner)) {
            return false;
        }
    }
    if (json_scan_peek(scanner) == 'e' || json_scan_peek(scanner) == 'E') {
        scanner->next++;
        if (json_scan_peek(scanner) == '+' || json_scan_peek(scanner) == '-') {
            scanner->next++;
        }
        return json_scan_digits(scanner);
    }
    return true;
}

static bool json_scan_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(scanner->end - scanner->next) < length || memcmp(scanner->next, word, length) != 0) {
        return json_scan_fail(scanner, "not JSON");
    }
    scanner->next += length;
    return true;
}

static bool json_scan_value(struct scanner *scanner);

static bool json_scan_array(struct scanner *scanner)
{
    scanner->next++;
    json_scan_space(scanner);
    if (json_scan_peek(scanner) == ']') {
        scanner->next++;
        return true;
    }
    for (;;) {
        if (!json_scan_value(scanner)) {
            return false;
        }
        json_scan_space(scanner);
        if (json_scan_peek(scanner) == ']') {
            scanner->next++;
            return true;
        }
        if (json_scan_peek(scanner) != ',') {
            return json_scan_fail(scanner, "an array without end");
        }
        scanner->next++;
    }
}

static void json_scan_remember(struct scanner *scanner, struct json_scan_span key,
                               struct json_scan_span value)
{
    struct json_scan *scan = scanner->scan;
    if (scan->member_count < JSON_SCAN_MEMBERS) {
        scan->keys[scan->member_count] = key;
        scan->values[scan->member_count] = value;
    }
    scan->member_count++;
}

static bool json_scan_member(struct scanner *scanner)
{
    struct json_scan_span key;
    json_scan_space(scanner);
    if (json_scan_peek(scanner) != '"') {
        return json_scan_fail(scanner, "an object's key is missing");
    }
    if (!json_scan_token(scanner) || !json_scan_string(scanner, &key)) {
        return false;
    }
    json_scan_space(scanner);
    if (json_scan_peek(scanner) != ':') {
        return json_scan_fail(scanner, "an object's value is missing");
    }
    scanner->next++;
    json_scan_space(scanner);
    const char *start = scanner->next;
    if (!json_scan_value(scanner)) {
        return false;
    }
    if (scanner->depth == 1 && scanner->scan->is_object) {
        json_scan_remember(scanner, key, (struct json_scan_span){start, (size_t)(scanner->next - start)});
    }
    return true;
}

static bool json_scan_object(struct scanner *scanner)
{
    scanner->next++;
    json_scan_space(scanner);
    if (json_scan_peek(scanner) == '}') {
        scanner->next++;
        return true;
    }
    for (;;) {
        if (!json_scan_member(scanner)) {
            return false;
        }
        json_scan_space(scanner);
        if (json_scan_peek(scanner) == '}') {
            scanner->next++;
            return true;
        }
        if (json_scan_peek(scanner) != ',') {
            return json_scan_fail(scanner, "an object without end");
        }
        scanner->next++;
    }
}

static bool json_scan_nested(struct scanner *scanner, bool object)
{
    if (++scanner->depth > JSON_SCAN_MAX_DEPTH) {
        return json_scan_fail(scanner, "nested too deep");
    }
    bool good = object ? json_scan_object(scanner) : json_scan_array(scanner);
    scanner->depth--;
    return good;
}

/* Recursion is bounded by JSON_SCAN_MAX_DEPTH. */
static bool json_scan_value(struct scanner *scanner)
{
    json_scan_space(scanner);
    if (!json_scan_token(scanner)) {
        return false;
    }
    switch (json_scan_peek(scanner)) {
    case '{':
        return json_scan_nested(scanner, true);
    case '[':
        return json_scan_nested(scanner, false);
    case '"':
        return json_scan_string(scanner, NULL);
    case 't':
        return json_scan_word(scanner, "true");
    case 'f':
        return json_scan_word(scanner, "false");
    case 'n':
        return json_scan_word(scanner, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return json_scan_number(scanner);
    default:
        return json_scan_fail(scanner, "not JSON");
    }
}

bool json_scan_check(const char *text, size_t length, struct json_scan *ret_scan, const char **ret_reason)
{
    struct json_scan scan = {.is_object = false};
    struct scanner scanner = {.next = text, .end = text + length, .scan = &scan};
    json_scan_space(&scanner);
    scan.is_object = json_scan_peek(&scanner) == '{';
    if (!json_scan_value(&scanner)) {
        *ret_reason = scanner.reason;
        return false;
    }
    json_scan_space(&scanner);
    if (scanner.next != scanner.end) {
        *ret_reason = "something behind the JSON text";
        return false;
    }
    *ret_scan = scan;
    return true;
}

bool json_scan_equals(struct json_scan_span span, const char *text)
{
    return span.text != NULL && span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

struct json_scan_span json_scan_find(const struct json_scan *scan, const char *key)
{
    for (size_t i = 0; i < scan->member_count && i < JSON_SCAN_MEMBERS; i++) {
        if (json_scan_equals(scan->keys[i], key)) {
            return scan->values[i];
        }
    }
    return (struct json_scan_span){NULL, 0};
}
