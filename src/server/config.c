/* The configuration as it is put together, by flags or by the file, and what must hold of the whole. */
#include "server/config.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "server/config_boards.h"
#include "server/config_metrics.h"

#define DEFAULT_LISTENER "tcp:127.0.0.1:6670"
/* Of an OpenOCD that is started: it says which port. */
#define SPAWNED_ADDRESS "127.0.0.1:0"

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->anonymous_role = RPC_ROLE_USER;
    config->log_level = LOG_LEVEL_INFO;
    config_limits_init(&config->limits);
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
    config_boards_preset(board);
    snprintf(board->name, sizeof board->name, "%s", name);
    board->openocd = address;
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
