/* Reading the file: comments out, a strict check that knows lines and columns, then the members. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "rpc/json.h"
#include "server/config.h"
#include "server/config_boards.h"
#include "server/config_members.h"
#include "server/config_metrics.h"

#define MAX_FILE_BYTES (4u * 1024u * 1024u)

static bool take_listener(struct config *config, struct json_span item, const char *path, unsigned index,
                          struct err *err)
{
    struct strbuf url = STRBUF_INIT;
    if (json_span_kind(item) != JSON_STRING) {
        return config_bad(err, path, "", "listen", "must be an array of texts");
    }
    json_span_string(item, &url);
    bool ok = config_add_listener(config, strbuf_text(&url), err);
    if (!ok) {
        err_prefix(err, "%s: listen[%u]", path, index);
    }
    strbuf_fini(&url);
    return ok;
}

static bool take_listeners(struct config *config, struct json_span root, const char *path, struct err *err)
{
    struct json_span listen;
    struct json_span item;
    struct json_cursor cursor;
    unsigned index = 0;
    if (!json_find_member(root, "listen", &listen)) {
        return true;
    }
    if (json_span_kind(listen) != JSON_ARRAY) {
        return config_bad(err, path, "", "listen", "must be an array of texts");
    }
    json_cursor_init(&cursor, listen);
    while (json_next_element(&cursor, &item)) {
        if (!take_listener(config, item, path, index++, err)) {
            return false;
        }
    }
    return true;
}

static bool take_words(struct config *config, struct json_span root, const char *path, struct err *err)
{
    char *role = NULL;
    char *level = NULL;
    bool ok = config_take_text(root, "anonymous_role", &role, path, "", err) &&
              config_take_text(root, "log_level", &level, path, "", err);
    if (ok && role != NULL) {
        config->anonymous_role_given = config_parse_role(role, &config->anonymous_role);
        ok = config->anonymous_role_given ||
             config_bad(err, path, "", "anonymous_role",
                        "must be \"none\", \"observer\", \"user\" or \"admin\"");
    }
    if (ok && level != NULL && !log_level_parse(level, &config->log_level)) {
        ok = config_bad(err, path, "", "log_level", "must be \"error\", \"warn\", \"info\" or \"debug\"");
    }
    free(role);
    free(level);
    return ok;
}

/* Replaces `*text`, where the member is there. */
static bool replace_text(struct json_span root, const char *name, char **text, const char *path,
                         struct err *err)
{
    char *value = NULL;
    if (!config_take_text(root, name, &value, path, "", err)) {
        return false;
    }
    if (value != NULL) {
        free(*text);
        *text = value;
    }
    return true;
}

static bool take_image_roots(struct config *config, struct json_span root, const char *path, struct err *err)
{
    struct json_span roots;
    struct json_span item;
    struct json_cursor cursor;
    if (!json_find_member(root, "image_roots", &roots)) {
        return true;
    }
    if (json_span_kind(roots) != JSON_ARRAY) {
        return config_bad(err, path, "", "image_roots", "must be an array of texts");
    }
    json_cursor_init(&cursor, roots);
    while (json_next_element(&cursor, &item)) {
        struct strbuf text = STRBUF_INIT;
        if (json_span_kind(item) == JSON_STRING) {
            json_span_string(item, &text);
        }
        bool ok = text.length > 0 ? config_add_image_root(config, strbuf_text(&text), err)
                                  : err_set(err, ERR_INVALID_PARAMS,
                                            "must be an array of texts that are "
                                            "not empty");
        strbuf_fini(&text);
        if (!ok) {
            err_prefix(err, "%s: image_roots", path);
            return false;
        }
    }
    return true;
}

static bool take_audit(struct config *config, struct json_span root, const char *path, struct err *err)
{
    static const char *const members[] = {"path", "required", NULL};
    struct json_span audit;
    if (!json_find_member(root, "audit", &audit)) {
        return true;
    }
    if (!config_check_members(audit, members, path, "audit", err) ||
        !config_take_text(audit, "path", &config->audit_path, path, "audit", err) ||
        !config_take_bool(audit, "required", &config->audit_required, path, "audit", err)) {
        return false;
    }
    return config->audit_path != NULL || config_bad(err, path, "audit", "path", "is missing");
}

static bool take_root(struct config *config, struct json_span root, const char *path, struct err *err)
{
    static const char *const members[] = {"boards",         "listen",    "dump_root",   "stage_root",
                                          "stage_group",    "share_dir", "share_group", "state_dir",
                                          "image_roots",    "insecure",  "log_level",   "limits",
                                          "anonymous_role", "audit",     "tokens",      "users",
                                          "certificates",   "tls",       "metrics",     NULL};
    return config_check_members(root, members, path, "", err) &&
           config_boards_take(config, root, path, err) && take_listeners(config, root, path, err) &&
           config_limits_take(&config->limits, root, path, err) &&
           config_take_bool(root, "insecure", &config->insecure, path, "", err) &&
           take_words(config, root, path, err) &&
           replace_text(root, "dump_root", &config->dump_root, path, err) &&
           replace_text(root, "stage_root", &config->stage_root, path, err) &&
           replace_text(root, "stage_group", &config->stage_group, path, err) &&
           replace_text(root, "share_dir", &config->share_dir, path, err) &&
           replace_text(root, "share_group", &config->share_group, path, err) &&
           replace_text(root, "state_dir", &config->state_dir, path, err) &&
           take_image_roots(config, root, path, err) && take_audit(config, root, path, err) &&
           config_metrics_take(config, root, path, err) && config_identities_take(config, root, path, err);
}

/* "//" to the end of the line and slash-star comments, outside strings, become spaces: positions stay what
 * they were. */
static void blank_comments(char *text, size_t length)
{
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (in_string) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == '"') {
                in_string = false;
            }
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '/' && i + 1 < length && text[i + 1] == '/') {
            while (i < length && text[i] != '\n') {
                text[i++] = ' ';
            }
        } else if (text[i] == '/' && i + 1 < length && text[i + 1] == '*') {
            size_t end = i + 2;
            while (end + 1 < length && !(text[end] == '*' && text[end + 1] == '/')) {
                end++;
            }
            if (end + 1 >= length) {
                return; /* has no end: the check says so at its beginning */
            }
            for (; i <= end + 1; i++) {
                text[i] = text[i] == '\n' ? '\n' : ' ';
            }
            i--;
        }
    }
}

static bool place_problem(const char *path, const char *text, const struct json_problem *problem,
                          struct err *err)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < problem->offset; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return err_set(err, ERR_INVALID_PARAMS, "%s:%zu:%zu: %s", path, line, column, problem->reason);
}

bool config_read_text(struct config *config, const char *path, char *text, size_t length, struct err *err)
{
    struct json_problem problem;
    blank_comments(text, length);
    if (!json_check(text, length, &problem)) {
        return place_problem(path, text, &problem, err);
    }
    return take_root(config, json_span_of(text, length), path, err);
}

bool config_read_file(struct config *config, const char *path, struct err *err)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &status) != 0) {
        err_set(err, ERR_INVALID_PARAMS, "%s: %s", path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > (off_t)MAX_FILE_BYTES) {
        fclose(file);
        return err_set(err, ERR_INVALID_PARAMS, "%s: is no regular file of at most %u bytes", path,
                       MAX_FILE_BYTES);
    }
    char *text = xmalloc((size_t)status.st_size + 1);
    size_t length = fread(text, 1, (size_t)status.st_size, file);
    text[length] = '\0';
    bool ok = ferror(file) == 0 || err_set(err, ERR_INVALID_PARAMS, "%s: cannot be read", path);
    fclose(file);
    ok = ok && config_read_text(config, path, text, length, err);
    if (ok && config->board_count == 0) {
        ok = config_bad(err, path, "", "boards", "must be an array of at least one board");
    }
    if (!ok) {
        free(text);
        return false;
    }
    config->file_path = xstrdup(path);
    config->file_text = text;
    return true;
}
