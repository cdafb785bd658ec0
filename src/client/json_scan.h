/*
 * A look over JSON text before cJSON sees it: cJSON takes invalid UTF-8, cuts strings at \u0000, and needs
 * forty bytes and more for each token, so that a short line can cost gigabytes. The scan needs no memory of
 * its own. Pure.
 */
#ifndef OCDMUX_CLIENT_JSON_SCAN_H
#define OCDMUX_CLIENT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_MAX_DEPTH 64u
/* Keys and values; a search with 200,000 matches, the most that the protocol has, stays well below. */
#define JSON_SCAN_MAX_TOKENS 1000000u
/* Members of the outermost object that are remembered; the protocol's envelope has at most four. */
#define JSON_SCAN_MEMBERS 8u

struct json_scan_span {
    const char *text; /* into the scanned text; NULL: nothing */
    size_t length;
};

struct json_scan {
    bool is_object;                                /* the text is an object; the rest is about its members */
    size_t member_count;                           /* how many there are, also beyond JSON_SCAN_MEMBERS */
    struct json_scan_span keys[JSON_SCAN_MEMBERS]; /* without quotes, still escaped */
    struct json_scan_span values[JSON_SCAN_MEMBERS];
    bool has_nul_escape; /* a string somewhere holds \u0000 */
};

/*
 * True if `text` is one JSON value (RFC 8259) in valid UTF-8 with at most white space around it, within the
 * limits above. Else `ret_reason` is a static text for people.
 */
bool json_scan_check(const char *text, size_t length, struct json_scan *ret_scan, const char **ret_reason)
    __attribute__((warn_unused_result));

/* The value of the outermost object's member `key`; {NULL, 0} if there is none. Of several equal ones, the
 * first. */
struct json_scan_span json_scan_find(const struct json_scan *scan, const char *key);

/* Whether a span is exactly `text`. */
bool json_scan_equals(struct json_scan_span span, const char *text);

#endif
