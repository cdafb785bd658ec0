/* Reading the preface. */
#include "server/gdb_preface.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/json.h"

#define MOST_TEXT_BYTES 256u

static bool refuse(struct err *err, const char *member, const char *rule)
{
    err_set(err, ERR_INVALID_PARAMS, "%s: %s", member, rule);
    err_add_text(err, "parameter", member);
    return false;
}

static bool take_text(struct json_span value, const char *name, char **text, struct err *err)
{
    struct strbuf bytes = STRBUF_INIT;
    if (json_span_kind(value) != JSON_STRING || json_span_string_length(value) < 1 ||
        json_span_string_length(value) > MOST_TEXT_BYTES) {
        return refuse(err, name, "must be a text of 1 to 256 bytes");
    }
    json_span_string(value, &bytes);
    *text = strbuf_steal(&bytes);
    return true;
}

static bool take_member(struct gdb_preface *preface, struct json_span key, struct json_span value,
                        struct err *err)
{
    struct {
        const char *name;
        char **text;
    } texts[] = {{"token", &preface->token},
                 {"lease", &preface->lease},
                 {"board", &preface->board},
                 {"target", &preface->target}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (json_span_equals(key, texts[i].name)) {
            return take_text(value, texts[i].name, texts[i].text, err);
        }
    }
    if (json_span_equals(key, "wait_ms")) {
        preface->has_wait = json_span_u64(value, &preface->wait_ms) == JSON_INTEGER_OK &&
                            preface->wait_ms <= GDB_PREFACE_MOST_WAIT_MS;
        return preface->has_wait || refuse(err, "wait_ms", "must be an integer from 0 to 600000");
    }
    char label[JSON_LABEL_SIZE];
    json_span_label(key, label);
    err_set(err, ERR_INVALID_PARAMS, "%s: is not known", label);
    err_add_text(err, "parameter", label);
    return false;
}

static bool take_members(struct gdb_preface *preface, struct json_span object, struct err *err)
{
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    json_cursor_init(&cursor, object);
    while (json_next_member(&cursor, &key, &value)) {
        if (!take_member(preface, key, value, err)) {
            return false;
        }
    }
    return true;
}

bool gdb_preface_parse(struct gdb_preface *ret_preface, const char *line, size_t length, struct err *err)
{
    static const size_t word = sizeof GDB_PREFACE_WORD - 1;
    struct json_problem problem;
    struct gdb_preface preface = {NULL, NULL, NULL, NULL, 0, false};
    if (length < word || memcmp(line, GDB_PREFACE_WORD, word) != 0) {
        return err_set(err, ERR_PARSE_ERROR, "a preface begins with \"" GDB_PREFACE_WORD "\"");
    }
    if (!json_check(line + word, length - word, &problem)) {
        err_set(err, ERR_PARSE_ERROR, "byte %zu of the preface: %s", word + problem.offset, problem.reason);
        return false;
    }
    struct json_span object = json_span_of(line + word, length - word);
    if (json_span_kind(object) != JSON_OBJECT) {
        return err_set(err, ERR_PARSE_ERROR, "the preface must hold a JSON object");
    }
    if (!take_members(&preface, object, err)) {
        gdb_preface_fini(&preface);
        return false;
    }
    *ret_preface = preface;
    return true;
}

void gdb_preface_fini(struct gdb_preface *preface)
{
    free(preface->token);
    free(preface->lease);
    free(preface->board);
    free(preface->target);
    *preface = (struct gdb_preface){NULL, NULL, NULL, NULL, 0, false};
}
