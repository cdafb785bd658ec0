/* Reading the configuration: comments out, a strict check that knows lines and columns, then the members. */
#include "server/config.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "rpc/json.h"
#include "server/config_members.h"
#include "server/config_metrics.h"

#define DEFAULT_LISTENER "tcp:127.0.0.1:6670"
#define DEFAULT_LINK_LIMIT_MS 60000u
#define DEFAULT_LEASE_GRACE_MS 10000u
/* Of an OpenOCD that is started: it says which port. */
#define SPAWNED_ADDRESS "127.0.0.1:0"
#define MAX_FILE_BYTES (4u * 1024u * 1024u)

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->anonymous_role = RPC_ROLE_USER;
    config->log_level = LOG_LEVEL_INFO;
    config->limits = (struct config_limits){
        .max_line_bytes = 8u * 1024u * 1024u,
        .max_in_flight = 256,
        .max_queued_bytes = 16u * 1024u * 1024u,
        .max_total_queued_bytes = 256u * 1024u * 1024u,
        .max_identity_operations = 32768,
        .max_board_operations = 65536,
        .max_output_bytes = 1024u * 1024u,
        .max_inline_bytes = 4u * 1024u * 1024u,
        .max_clients = 16384,
        .slow_reader_ms = 30000,
        .login_ms = 10000,
        .max_stage_bytes = 256u * 1024u * 1024u,
        .max_total_stage_bytes = 1024u * 1024u * 1024u,
        .max_stages = 256,
        .stage_expiry_ms = 3600000,
        .max_image_bytes = 64u * 1024u * 1024u,
        .max_watches = 32,
        .max_watch_bytes = 64u * 1024u,
        .max_board_watches = 4096,
        .max_board_watch_bytes = 1024u * 1024u,
        .min_watch_interval_ms = 10,
    };
}

void config_fini(struct config *config)
{
    for (size_t i = 0; i < config->board_count; i++) {
        free(config->boards[i].stage_dir);
        config_spawn_fini(&config->boards[i].spawn);
    }
    for (size_t i = 0; i < config->image_root_count; i++) {
        free(config->image_roots[i]);
    }
    free(config->file_path);
    free(config->file_text);
    free(config->last_text);
    for (size_t i = 0; i < config->retired_count; i++) {
        config_identities_fini(&config->retired[i]);
    }
    free(config->retired);
    free(config->dump_root);
    free(config->share_dir);
    free(config->share_group);
    free(config->stage_root);
    free(config->stage_group);
    free(config->state_dir);
    free(config->audit_path);
    config_identities_fini(&config->identities);
    memset(config, 0, sizeof *config);
}

/* A name goes into logs, events and file names: letters, digits, dot, dash and underscore. */
static bool check_name(const char *name, struct err *err)
{
    size_t length = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (length == 0 || length >= CONFIG_NAME_SIZE || good != length) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "a board's name has 1 to %u letters, digits, dots, dashes or underscores",
                       CONFIG_NAME_SIZE - 1);
    }
    return true;
}

bool config_add_board(struct config *config, const char *name, const char *openocd, struct err *err)
{
    struct net_address address;
    if (config->board_count == CONFIG_MAX_BOARDS) {
        return err_set(err, ERR_INVALID_PARAMS, "more than %u boards", CONFIG_MAX_BOARDS);
    }
    if (!check_name(name, err)) {
        return false;
    }
    for (size_t i = 0; i < config->board_count; i++) {
        if (strcmp(config->boards[i].name, name) == 0) {
            return err_set(err, ERR_INVALID_PARAMS, "two boards are called \"%s\"", name);
        }
    }
    if (!net_address_parse_host_port(&address, openocd != NULL ? openocd : SPAWNED_ADDRESS, err)) {
        return false;
    }
    if (openocd != NULL && net_address_port(&address) == 0) {
        return err_set(err, ERR_INVALID_PARAMS, "%s: OpenOCD's port cannot be 0", address.text);
    }
    struct config_board *board = &config->boards[config->board_count++];
    snprintf(board->name, sizeof board->name, "%s", name);
    board->openocd = address;
    board->link_limit_ms = DEFAULT_LINK_LIMIT_MS;
    board->lease_grace_ms = DEFAULT_LEASE_GRACE_MS;
    config_spawn_init(&board->spawn);
    return true;
}

bool config_add_listener(struct config *config, const char *url, struct err *err)
{
    struct net_address address;
    if (config->listener_count == CONFIG_MAX_LISTENERS) {
        return err_set(err, ERR_INVALID_PARAMS, "more than %u listeners", CONFIG_MAX_LISTENERS);
    }
    if (!net_address_parse(&address, url, err)) {
        return false;
    }
    config->listeners[config->listener_count++] = address;
    return true;
}

bool config_set_gdb(struct config *config, const char *listen, const char *openocd, struct err *err)
{
    struct config_gdb gdb = {.listens = true, .has_openocd = openocd != NULL};
    if (!net_address_parse(&gdb.listen, listen, err)) {
        return false;
    }
    if (openocd != NULL && !net_address_parse_host_port(&gdb.openocd, openocd, err)) {
        return false;
    }
    if (openocd != NULL && net_address_port(&gdb.openocd) == 0) {
        return err_set(err, ERR_INVALID_PARAMS, "%s: OpenOCD's gdb port cannot be 0", openocd);
    }
    config->boards[config->board_count - 1].gdb = gdb;
    return true;
}

bool config_add_image_root(struct config *config, const char *path, struct err *err)
{
    if (config->image_root_count == CONFIG_MAX_IMAGE_ROOTS) {
        return err_set(err, ERR_INVALID_PARAMS, "more than %u image roots", CONFIG_MAX_IMAGE_ROOTS);
    }
    config->image_roots[config->image_root_count++] = xstrdup(path);
    return true;
}

bool config_parse_role(const char *word, enum rpc_role *ret_role)
{
    static const char *const words[] = {"none", "observer", "user", "admin"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret_role = (enum rpc_role)i;
            return true;
        }
    }
    return false;
}

static bool take_gdb(struct config *config, struct json_span board, const char *path, const char *place,
                     struct err *err)
{
    static const char *const members[] = {"listen", "openocd", NULL};
    struct json_span object;
    char inside[48];
    char *listen = NULL;
    char *openocd = NULL;
    if (!json_find_member(board, "gdb", &object)) {
        return true;
    }
    snprintf(inside, sizeof inside, "%s.gdb", place);
    bool ok = config_check_members(object, members, path, inside, err) &&
              config_take_text(object, "listen", &listen, path, inside, err) &&
              config_take_text(object, "openocd", &openocd, path, inside, err) &&
              (listen != NULL || config_bad(err, path, inside, "listen", "is missing"));
    if (ok && !config_set_gdb(config, listen, openocd, err)) {
        err_prefix(err, "%s: %s", path, inside);
        ok = false;
    }
    free(listen);
    free(openocd);
    return ok;
}

/* The board as it is read, before it has a place. */
struct board_draft {
    char *name;
    char *openocd;
    struct config_board board;
};

static bool take_draft(struct board_draft *draft, struct json_span object, const char *path,
                       const char *place, struct err *err)
{
    static const char *const members[] = {"name",
                                          "openocd",
                                          "stage_dir",
                                          "link_limit_ms",
                                          "require_lease",
                                          "lease_grace_ms",
                                          "gdb",
                                          "spawn",
                                          "start_limit_ms",
                                          "stop_limit_ms",
                                          "before_start",
                                          "before_start_limit_ms",
                                          "health_every_ms",
                                          "health_limit_ms",
                                          "expect",
                                          NULL};
    struct config_board *board = &draft->board;
    struct config_number link_limit = {"link_limit_ms", &board->link_limit_ms, 1000, 3600000};
    struct config_number lease_grace = {"lease_grace_ms", &board->lease_grace_ms, 0, 600000};
    if (!config_check_members(object, members, path, place, err) ||
        !config_take_text(object, "name", &draft->name, path, place, err) ||
        !config_take_text(object, "openocd", &draft->openocd, path, place, err) ||
        !config_take_text(object, "stage_dir", &board->stage_dir, path, place, err) ||
        !config_take_number(object, &link_limit, path, place, err) ||
        !config_take_number(object, &lease_grace, path, place, err) ||
        !config_take_bool(object, "require_lease", &board->require_lease, path, place, err) ||
        !config_spawn_take(&board->spawn, object, path, place, err)) {
        return false;
    }
    bool nowhere = draft->openocd == NULL && board->spawn.command == NULL;
    return (draft->name != NULL && !nowhere) ||
           config_bad(err, path, place, draft->name == NULL ? "name" : "openocd",
                      draft->name == NULL ? "is missing" : "is missing, and so is `spawn`");
}

static bool take_board(struct config *config, struct json_span object, const char *path, const char *place,
                       struct err *err)
{
    struct board_draft draft = {
        .board = {.link_limit_ms = DEFAULT_LINK_LIMIT_MS, .lease_grace_ms = DEFAULT_LEASE_GRACE_MS}};
    config_spawn_init(&draft.board.spawn);
    bool ok = take_draft(&draft, object, path, place, err);
    if (ok && !config_add_board(config, draft.name, draft.openocd, err)) {
        err_prefix(err, "%s: %s", path, place);
        ok = false;
    }
    if (ok) {
        struct config_board *board = &config->boards[config->board_count - 1];
        memcpy(draft.board.name, board->name, sizeof draft.board.name);
        draft.board.openocd = board->openocd;
        *board = draft.board;
        ok = take_gdb(config, object, path, place, err);
    } else {
        free(draft.board.stage_dir);
        config_spawn_fini(&draft.board.spawn);
    }
    free(draft.name);
    free(draft.openocd);
    return ok;
}

static bool take_boards(struct config *config, struct json_span root, const char *path, struct err *err)
{
    struct json_span boards;
    struct json_span item;
    struct json_cursor cursor;
    unsigned index = 0;
    if (!json_find_member(root, "boards", &boards)) {
        return true;
    }
    if (json_span_kind(boards) != JSON_ARRAY) {
        return config_bad(err, path, "", "boards", "must be an array of boards");
    }
    json_cursor_init(&cursor, boards);
    while (json_next_element(&cursor, &item)) {
        char place[32];
        snprintf(place, sizeof place, "boards[%u]", index++);
        if (!take_board(config, item, path, place, err)) {
            return false;
        }
    }
    return true;
}

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

static bool take_limits(struct config *config, struct json_span root, const char *path, struct err *err)
{
    static const char *const members[] = {"max_line_bytes",
                                          "max_in_flight",
                                          "max_queued_bytes",
                                          "max_total_queued_bytes",
                                          "max_identity_operations",
                                          "max_board_operations",
                                          "max_output_bytes",
                                          "max_inline_bytes",
                                          "max_clients",
                                          "slow_reader_ms",
                                          "max_stage_bytes",
                                          "max_total_stage_bytes",
                                          "max_stages",
                                          "stage_expiry_ms",
                                          "max_image_bytes",
                                          "login_ms",
                                          "max_watches",
                                          "max_watch_bytes",
                                          "max_board_watches",
                                          "max_board_watch_bytes",
                                          "min_watch_interval_ms",
                                          NULL};
    struct config_limits *limits = &config->limits;
    struct config_number numbers[] = {
        {"max_line_bytes", &limits->max_line_bytes, 1024, 64u << 20},
        {"max_in_flight", &limits->max_in_flight, 1, 10000},
        {"max_queued_bytes", &limits->max_queued_bytes, 1024, 1u << 30},
        {"max_total_queued_bytes", &limits->max_total_queued_bytes, 1024, 64ull << 30},
        {"max_identity_operations", &limits->max_identity_operations, 1, 1000000},
        {"max_board_operations", &limits->max_board_operations, 1, 1000000},
        {"max_output_bytes", &limits->max_output_bytes, 1024, 1u << 30},
        {"max_inline_bytes", &limits->max_inline_bytes, 1, 16u << 20},
        {"max_clients", &limits->max_clients, 1, 100000},
        {"slow_reader_ms", &limits->slow_reader_ms, 100, 3600000},
        {"login_ms", &limits->login_ms, 100, 600000},
        {"max_stage_bytes", &limits->max_stage_bytes, 1, 1ull << 40},
        {"max_total_stage_bytes", &limits->max_total_stage_bytes, 1, 1ull << 40},
        {"max_stages", &limits->max_stages, 1, 10000},
        {"stage_expiry_ms", &limits->stage_expiry_ms, 100, 604800000},
        {"max_image_bytes", &limits->max_image_bytes, 1, 1u << 30},
        {"max_watches", &limits->max_watches, 1, 10000},
        {"max_watch_bytes", &limits->max_watch_bytes, 64, 1u << 20},
        {"max_board_watches", &limits->max_board_watches, 1, 100000},
        {"max_board_watch_bytes", &limits->max_board_watch_bytes, 64, 64u << 20},
        {"min_watch_interval_ms", &limits->min_watch_interval_ms, 1, 60000},
    };
    struct json_span object;
    if (!json_find_member(root, "limits", &object)) {
        return true;
    }
    if (!config_check_members(object, members, path, "limits", err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!config_take_number(object, &numbers[i], path, "limits", err)) {
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

/* What can be seen of it without looking at the file system. */
static bool check_share(const struct config *config, struct err *err)
{
    const char *dir = config->share_dir;
    if (dir != NULL && dir[0] != '/' && strcmp(dir, CONFIG_NO_SHARE) != 0) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "share_dir: must be an absolute path or \"" CONFIG_NO_SHARE "\"");
    }
    return true;
}

/* systemd says where; else where the XDG base directory specification puts the state of a user's programs. */
static char *find_state_dir(void)
{
    const char *given = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    struct strbuf path = STRBUF_INIT;
    if (given != NULL && given[0] == '/') {
        return xstrndup(given, strcspn(given, ":"));
    }
    if (xdg != NULL && xdg[0] == '/') {
        strbuf_appendf(&path, "%s/ocdmux", xdg);
        return strbuf_steal(&path);
    }
    if (home != NULL && home[0] == '/') {
        strbuf_appendf(&path, "%s/.local/state/ocdmux", home);
        return strbuf_steal(&path);
    }
    return NULL;
}

static bool check_state(struct config *config, struct err *err)
{
    if (config->state_dir == NULL) {
        config->state_dir = find_state_dir();
    } else if (config->state_dir[0] != '/') {
        return err_set(err, ERR_INVALID_PARAMS, "state_dir: must be an absolute path");
    }
    return true;
}

static bool check_audit(const struct config *config, struct err *err)
{
    return config->audit_path == NULL || config->audit_path[0] == '/' ||
           err_set(err, ERR_INVALID_PARAMS, "audit: the path must be absolute");
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
    return config_check_members(root, members, path, "", err) && take_boards(config, root, path, err) &&
           take_listeners(config, root, path, err) && take_limits(config, root, path, err) &&
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
    fclose(file);
    bool ok = config_read_text(config, path, text, length, err);
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

static bool add_default_listeners(struct config *config, struct err *err)
{
    char url[512];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!config_add_listener(config, DEFAULT_LISTENER, err)) {
        return false;
    }
    if (runtime == NULL || runtime[0] == '\0') {
        return true;
    }
    snprintf(url, sizeof url, "unix:%s/ocdmux.sock", runtime);
    return config_add_listener(config, url, err);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool check_directories(const struct config *config, struct err *err)
{
    if (config->dump_root != NULL && !is_directory(config->dump_root)) {
        return err_set(err, ERR_INVALID_PARAMS, "dump_root: %s is no directory", config->dump_root);
    }
    if (config->stage_root != NULL && !is_directory(config->stage_root)) {
        return err_set(err, ERR_INVALID_PARAMS, "stage_root: %s is no directory", config->stage_root);
    }
    for (size_t i = 0; i < config->image_root_count; i++) {
        if (!is_directory(config->image_roots[i])) {
            return err_set(err, ERR_INVALID_PARAMS, "image_roots: %s is no directory",
                           config->image_roots[i]);
        }
    }
    return true;
}

static bool check_group(const char *member, const char *group, struct err *err)
{
    if (group == NULL || getgrnam(group) != NULL) {
        return true;
    }
    return err_set(err, ERR_INVALID_PARAMS, "%s: there is no group \"%s\"", member, group);
}

bool config_complete(struct config *config, struct err *err)
{
    if (config->board_count == 0) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "no board is configured: give --openocd HOST:PORT, --spawn COMMAND or --config FILE");
    }
    if (config->listener_count == 0 && !add_default_listeners(config, err)) {
        return false;
    }
    return config_identities_complete(config, err) && check_directories(config, err) &&
           check_share(config, err) && check_state(config, err) && check_audit(config, err) &&
           config_metrics_complete(config, err) && check_group("stage_group", config->stage_group, err) &&
           check_group("share_group", config->share_group, err);
}
