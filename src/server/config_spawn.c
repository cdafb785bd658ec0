/* Reading what is started, when it is given up, and what must be there. */
#include "server/config_spawn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "server/config_members.h"

#define PLACE_SIZE 64

void config_spawn_init(struct config_spawn *spawn)
{
    *spawn = (struct config_spawn){.start_limit_ms = 30000,
                                   .stop_limit_ms = 3000,
                                   .before_limit_ms = 30000,
                                   .health_every_ms = 5000,
                                   .health_limit_ms = 30000};
}

static void free_words(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        free(words[i]);
    }
    free(words);
}

void config_spawn_fini(struct config_spawn *spawn)
{
    free_words(spawn->command);
    free_words(spawn->before_start);
    free(spawn->expect.command);
    free(spawn->expect.matches);
    memset(spawn, 0, sizeof *spawn);
}

static char **shell_words(const char *prefix, const char *line)
{
    char **words = xcalloc(4, sizeof *words);
    struct strbuf text = STRBUF_INIT;
    strbuf_appendf(&text, "%s%s", prefix, line);
    words[0] = xstrdup("/bin/sh");
    words[1] = xstrdup("-c");
    words[2] = strbuf_steal(&text);
    return words;
}

char **config_spawn_line(const char *line)
{
    return shell_words(strncmp(line, "exec ", 5) == 0 ? "" : "exec ", line);
}

char **config_before_start_line(const char *line)
{
    return shell_words("", line);
}

/* An array of texts. NULL where it is anything else. */
static char **take_words(struct json_span array)
{
    struct json_cursor cursor;
    struct json_span item;
    char **words = xcalloc(CONFIG_MAX_WORDS + 1, sizeof *words);
    size_t count = 0;
    json_cursor_init(&cursor, array);
    while (json_next_element(&cursor, &item)) {
        struct strbuf text = STRBUF_INIT;
        if (count == CONFIG_MAX_WORDS || json_span_kind(item) != JSON_STRING) {
            free_words(words);
            return NULL;
        }
        json_span_string(item, &text);
        words[count++] = strbuf_steal(&text);
    }
    if (count == 0 || words[0][0] == '\0') {
        free_words(words);
        return NULL;
    }
    return words;
}

static bool take_command(struct json_span board, const char *name, char **(*of_line)(const char *line),
                         char ***ret_words, const char *path, const char *place, struct err *err)
{
    struct json_span value;
    char *line = NULL;
    if (!json_find_member(board, name, &value)) {
        return true;
    }
    if (json_span_kind(value) == JSON_ARRAY) {
        *ret_words = take_words(value);
        return *ret_words != NULL ||
               config_bad(err, path, place, name, "must be an array of 1 to 256 texts, the program first");
    }
    if (json_span_kind(value) != JSON_STRING) {
        return config_bad(err, path, place, name, "must be a text for the shell, or an array of texts");
    }
    if (!config_take_text(board, name, &line, path, place, err)) {
        return false;
    }
    *ret_words = of_line(line);
    free(line);
    return true;
}

static bool take_idcodes(struct ocd_expect *expect, struct json_span object, const char *path,
                         const char *place, struct err *err)
{
    static const char rule[] = "must be an array of 1 to 16 IDCODEs of 32 bits, as \"0x3ba00477\"";
    struct json_cursor cursor;
    struct json_span array;
    struct json_span item;
    uint64_t value = 0;
    if (!json_find_member(object, "idcodes", &array)) {
        return true;
    }
    if (json_span_kind(array) != JSON_ARRAY) {
        return config_bad(err, path, place, "idcodes", rule);
    }
    json_cursor_init(&cursor, array);
    while (json_next_element(&cursor, &item)) {
        if (expect->idcode_count == OCD_EXPECT_MOST_IDCODES ||
            json_span_u64(item, &value) != JSON_INTEGER_OK || value > UINT32_MAX) {
            return config_bad(err, path, place, "idcodes", rule);
        }
        expect->idcodes[expect->idcode_count++] = (uint32_t)value;
    }
    return expect->idcode_count > 0 || config_bad(err, path, place, "idcodes", rule);
}

static bool take_expect(struct config_spawn *spawn, struct json_span board, const char *path,
                        const char *board_place, struct err *err)
{
    static const char *const members[] = {"command", "matches", "idcodes", NULL};
    struct ocd_expect *expect = &spawn->expect;
    struct json_span object;
    char place[PLACE_SIZE];
    if (!json_find_member(board, "expect", &object)) {
        return true;
    }
    snprintf(place, sizeof place, "%s.expect", board_place);
    if (!config_check_members(object, members, path, place, err) ||
        !config_take_text(object, "command", &expect->command, path, place, err) ||
        !config_take_text(object, "matches", &expect->matches, path, place, err) ||
        !take_idcodes(expect, object, path, place, err)) {
        return false;
    }
    if ((expect->command == NULL) != (expect->matches == NULL)) {
        return config_bad(err, path, place, expect->command == NULL ? "command" : "matches",
                          "is missing: they go together");
    }
    spawn->expects = true;
    return expect->command != NULL || expect->idcode_count > 0 ||
           config_bad(err, path, place, "", "expects nothing");
}

static bool take_limits(struct config_spawn *spawn, struct json_span board, const char *path,
                        const char *place, struct err *err)
{
    struct config_number numbers[] = {
        {"start_limit_ms", &spawn->start_limit_ms, 100, 3600000},
        {"stop_limit_ms", &spawn->stop_limit_ms, 0, 60000},
        {"before_start_limit_ms", &spawn->before_limit_ms, 100, 3600000},
        {"health_every_ms", &spawn->health_every_ms, 0, 3600000},
        {"health_limit_ms", &spawn->health_limit_ms, 100, 3600000},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!config_take_number(board, &numbers[i], path, place, err)) {
            return false;
        }
    }
    return true;
}

bool config_spawn_take(struct config_spawn *spawn, struct json_span board, const char *path,
                       const char *place, struct err *err)
{
    static const char *const needs_spawn[] = {"before_start", "before_start_limit_ms", "start_limit_ms",
                                              "stop_limit_ms"};
    struct json_span value;
    if (!take_command(board, "spawn", config_spawn_line, &spawn->command, path, place, err) ||
        !take_command(board, "before_start", config_before_start_line, &spawn->before_start, path, place,
                      err) ||
        !take_limits(spawn, board, path, place, err) || !take_expect(spawn, board, path, place, err)) {
        return false;
    }
    for (size_t i = 0; spawn->command == NULL && i < sizeof needs_spawn / sizeof needs_spawn[0]; i++) {
        if (json_find_member(board, needs_spawn[i], &value)) {
            return config_bad(err, path, place, needs_spawn[i], "goes with `spawn` only");
        }
    }
    return true;
}
