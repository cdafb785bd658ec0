/* Reading members, and saying what is wrong with them. */
#include "server/config_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool config_bad(struct err *err, const char *path, const char *place, const char *member, const char *rule)
{
    const char *dot = place[0] != '\0' && member[0] != '\0' ? "." : "";
    const char *colon = place[0] != '\0' || member[0] != '\0' ? ": " : "";
    return err_set(err, ERR_INVALID_PARAMS, "%s: %s%s%s%s%s", path, place, dot, member, colon, rule);
}

bool config_check_members(struct json_span object, const char *const *allowed, const char *path,
                          const char *place, struct err *err)
{
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    if (json_span_kind(object) != JSON_OBJECT) {
        return config_bad(err, path, place, "", "must be an object");
    }
    json_cursor_init(&cursor, object);
    while (json_next_member(&cursor, &key, &value)) {
        size_t i = 0;
        while (allowed[i] != NULL && !json_span_equals(key, allowed[i])) {
            i++;
        }
        if (allowed[i] == NULL) {
            struct strbuf name = STRBUF_INIT;
            json_span_string(key, &name);
            config_bad(err, path, place, strbuf_text(&name), "is not known");
            strbuf_fini(&name);
            return false;
        }
    }
    return true;
}

bool config_take_text(struct json_span object, const char *name, char **ret_text, const char *path,
                      const char *place, struct err *err)
{
    struct json_span value;
    struct strbuf text = STRBUF_INIT;
    *ret_text = NULL;
    if (!json_find_member(object, name, &value)) {
        return true;
    }
    if (json_span_kind(value) == JSON_STRING) {
        json_span_string(value, &text);
    }
    if (text.length == 0) {
        strbuf_fini(&text);
        return config_bad(err, path, place, name, "must be a text that is not empty");
    }
    *ret_text = strbuf_steal(&text);
    return true;
}

bool config_take_bool(struct json_span object, const char *name, bool *value, const char *path,
                      const char *place, struct err *err)
{
    struct json_span member;
    if (!json_find_member(object, name, &member)) {
        return true;
    }
    enum json_kind kind = json_span_kind(member);
    if (kind != JSON_TRUE && kind != JSON_FALSE) {
        return config_bad(err, path, place, name, "must be true or false");
    }
    *value = kind == JSON_TRUE;
    return true;
}

bool config_take_number(struct json_span object, const struct config_number *number, const char *path,
                        const char *place, struct err *err)
{
    char rule[96];
    struct json_span member;
    uint64_t value = 0;
    if (!json_find_member(object, number->name, &member)) {
        return true;
    }
    bool whole = json_span_kind(member) == JSON_NUMBER && json_span_u64(member, &value) == JSON_INTEGER_OK;
    if (!whole || value < number->minimum || value > number->maximum) {
        snprintf(rule, sizeof rule, "must be a whole number from %" PRIu64 " to %" PRIu64, number->minimum,
                 number->maximum);
        return config_bad(err, path, place, number->name, rule);
    }
    *number->value = value;
    return true;
}
