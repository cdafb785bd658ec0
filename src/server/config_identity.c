/* Reading who may do what, and checking it against the listeners. */
#include "server/config_identity.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "server/config.h"
#include "server/config_members.h"

#define PLACE_SIZE 64

void config_identities_fini(struct config_identities *identities)
{
    for (size_t i = 0; i < identities->certificate_count; i++) {
        free(identities->certificates[i].subject);
    }
    free(identities->tokens);
    free(identities->users);
    free(identities->certificates);
    free(identities->tls.certificate);
    free(identities->tls.key);
    free(identities->tls.client_ca);
    memset(identities, 0, sizeof *identities);
}

/* ---- Grants ---- */

static bool take_identity(struct config_grant *grant, struct json_span object, const char *path,
                          const char *place, struct err *err)
{
    char *text = NULL;
    if (!config_take_text(object, "identity", &text, path, place, err)) {
        return false;
    }
    if (text == NULL) {
        return true;
    }
    size_t length = strlen(text);
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-");
    bool ok = length < sizeof grant->identity && good == length && strcmp(text, CONFIG_ANONYMOUS) != 0;
    if (ok) {
        memcpy(grant->identity, text, length + 1);
    } else {
        config_bad(err, path, place, "identity",
                   "must have 1 to 64 letters, digits, dots, dashes, underscores or at signs, and not be "
                   "\"anonymous\"");
    }
    free(text);
    return ok;
}

static bool read_role(struct json_span value, enum rpc_role *ret_role, const char *path, const char *place,
                      const char *member, struct err *err)
{
    struct strbuf text = STRBUF_INIT;
    if (json_span_kind(value) == JSON_STRING) {
        json_span_string(value, &text);
    }
    bool ok = config_parse_role(strbuf_text(&text), ret_role);
    strbuf_fini(&text);
    return ok ||
           config_bad(err, path, place, member, "must be \"none\", \"observer\", \"user\" or \"admin\"");
}

static bool take_board_role(struct config *config, struct config_grant *grant, struct json_span key,
                            struct json_span value, const char *path, const char *place, struct err *err)
{
    struct strbuf name = STRBUF_INIT;
    size_t board = 0;
    json_span_string(key, &name);
    while (board < config->board_count && strcmp(config->boards[board].name, strbuf_text(&name)) != 0) {
        board++;
    }
    bool ok = board < config->board_count
                  ? read_role(value, &grant->roles[board], path, place, strbuf_text(&name), err)
                  : config_bad(err, path, place, strbuf_text(&name), "there is no such board");
    strbuf_fini(&name);
    return ok;
}

static void set_highest(const struct config *config, struct config_grant *grant)
{
    grant->highest = RPC_ROLE_NONE;
    for (size_t i = 0; i < config->board_count; i++) {
        grant->highest = grant->roles[i] > grant->highest ? grant->roles[i] : grant->highest;
    }
}

/* `role` holds for the boards that `boards` does not name: by default nothing there, or `user` everywhere
 * where there is no `boards`. */
static bool take_grant(struct config *config, struct config_grant *grant, struct json_span object,
                       const char *path, const char *place, struct err *err)
{
    struct json_span role_span;
    struct json_span boards;
    struct json_span key;
    struct json_span value;
    struct json_cursor cursor;
    char boards_place[PLACE_SIZE + 8];
    bool has_boards = json_find_member(object, "boards", &boards);
    enum rpc_role role = has_boards ? RPC_ROLE_NONE : RPC_ROLE_USER;

    if (!take_identity(grant, object, path, place, err)) {
        return false;
    }
    if (json_find_member(object, "role", &role_span) &&
        !read_role(role_span, &role, path, place, "role", err)) {
        return false;
    }
    for (size_t i = 0; i < config->board_count; i++) {
        grant->roles[i] = role;
    }
    snprintf(boards_place, sizeof boards_place, "%s.boards", place);
    if (has_boards && json_span_kind(boards) != JSON_OBJECT) {
        return config_bad(err, path, boards_place, "", "must be an object");
    }
    if (has_boards) {
        json_cursor_init(&cursor, boards);
        while (json_next_member(&cursor, &key, &value)) {
            if (!take_board_role(config, grant, key, value, path, boards_place, err)) {
                return false;
            }
        }
    }
    set_highest(config, grant);
    return true;
}

/* ---- Tokens, users, certificates ---- */

static bool take_token(struct config *config, struct json_span object, const char *path, const char *place,
                       struct err *err)
{
    static const char *const members[] = {"identity", "hash", "role", "boards", NULL};
    struct config_token *token = &config->identities.tokens[config->identities.token_count];
    char *hash = NULL;
    if (!config_check_members(object, members, path, place, err) ||
        !take_grant(config, &token->grant, object, path, place, err) ||
        !config_take_text(object, "hash", &hash, path, place, err)) {
        return false;
    }
    bool ok = hash != NULL && token_hash_parse(hash, &token->hash);
    free(hash);
    if (token->grant.identity[0] == '\0') {
        return config_bad(err, path, place, "identity", "is missing");
    }
    if (!ok) {
        return config_bad(err, path, place, "hash", "must be what 'ocdmux token new' printed");
    }
    config->identities.token_count++;
    return true;
}

static bool read_id(const char *text, uint32_t *ret_id)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long long id = strtoull(text, NULL, 10);
    if (digits == 0 || digits > 10 || text[digits] != '\0' || id >= UINT32_MAX) {
        return false;
    }
    *ret_id = (uint32_t)id;
    return true;
}

/* Names are looked up here, once: nothing blocks on a directory service later. */
static bool find_user(struct config_user *user, const char *name)
{
    uint32_t id = 0;
    if (read_id(name, &id)) {
        user->uid = id;
        return true;
    }
    const struct passwd *entry = getpwnam(name);
    if (entry != NULL) {
        user->uid = entry->pw_uid;
    }
    return entry != NULL;
}

static bool find_group(struct config_user *user, const char *name)
{
    uint32_t id = 0;
    if (read_id(name, &id)) {
        user->gid = id;
        return true;
    }
    const struct group *entry = getgrnam(name);
    if (entry != NULL) {
        user->gid = entry->gr_gid;
    }
    return entry != NULL;
}

static bool fill_user(struct config_user *user, const char *name, const char *group, const char *path,
                      const char *place, struct err *err)
{
    if ((name == NULL) == (group == NULL)) {
        return config_bad(err, path, place, "", "must have either `user` or `group`");
    }
    user->is_group = group != NULL;
    if (name != NULL && !find_user(user, name)) {
        return config_bad(err, path, place, "user", "there is no such user");
    }
    if (group != NULL && !find_group(user, group)) {
        return config_bad(err, path, place, "group", "there is no such group");
    }
    if (name != NULL && user->grant.identity[0] == '\0') {
        if (strlen(name) >= sizeof user->grant.identity || strcmp(name, CONFIG_ANONYMOUS) == 0) {
            return config_bad(err, path, place, "identity", "is missing, and the user's name cannot be one");
        }
        snprintf(user->grant.identity, sizeof user->grant.identity, "%s", name);
    }
    return true;
}

static bool take_user(struct config *config, struct json_span object, const char *path, const char *place,
                      struct err *err)
{
    static const char *const members[] = {"user", "group", "identity", "role", "boards", NULL};
    struct config_user *user = &config->identities.users[config->identities.user_count];
    char *name = NULL;
    char *group = NULL;
    bool ok = config_check_members(object, members, path, place, err) &&
              take_grant(config, &user->grant, object, path, place, err) &&
              config_take_text(object, "user", &name, path, place, err) &&
              config_take_text(object, "group", &group, path, place, err) &&
              fill_user(user, name, group, path, place, err);
    free(name);
    free(group);
    config->identities.user_count += ok;
    return ok;
}

/* As openssl prints it, colons between the bytes, or without them; in either case. */
static bool read_fingerprint(const char *text, char fingerprint[65])
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (*text == ':' && length > 0 && length % 2 == 0) {
            continue;
        }
        int digit = hex_digit(*text);
        if (digit < 0 || length == 64) {
            return false;
        }
        fingerprint[length++] = "0123456789abcdef"[digit];
    }
    fingerprint[length] = '\0';
    return length == 64;
}

static bool fill_certificate(struct config_certificate *certificate, char **take_subject,
                             const char *fingerprint, const char *path, const char *place, struct err *err)
{
    if ((*take_subject == NULL) == (fingerprint == NULL)) {
        return config_bad(err, path, place, "", "must have either `subject` or `sha256`");
    }
    if (certificate->grant.identity[0] == '\0') {
        return config_bad(err, path, place, "identity", "is missing");
    }
    if (fingerprint != NULL && !read_fingerprint(fingerprint, certificate->fingerprint)) {
        return config_bad(err, path, place, "sha256", "must be 64 hex digits");
    }
    certificate->subject = *take_subject;
    *take_subject = NULL;
    return true;
}

static bool take_certificate(struct config *config, struct json_span object, const char *path,
                             const char *place, struct err *err)
{
    static const char *const members[] = {"subject", "sha256", "identity", "role", "boards", NULL};
    struct config_certificate *certificate =
        &config->identities.certificates[config->identities.certificate_count];
    char *subject = NULL;
    char *fingerprint = NULL;
    bool ok = config_check_members(object, members, path, place, err) &&
              take_grant(config, &certificate->grant, object, path, place, err) &&
              config_take_text(object, "subject", &subject, path, place, err) &&
              config_take_text(object, "sha256", &fingerprint, path, place, err) &&
              fill_certificate(certificate, &subject, fingerprint, path, place, err);
    free(subject);
    free(fingerprint);
    config->identities.certificate_count += ok;
    return ok;
}

typedef bool take_entry(struct config *config, struct json_span object, const char *path, const char *place,
                        struct err *err);

static bool count_entries(struct json_span root, const char *name, size_t *ret_count, const char *path,
                          struct err *err)
{
    struct json_span entries;
    struct json_span item;
    struct json_cursor cursor;
    size_t count = 0;
    if (json_find_member(root, name, &entries)) {
        if (json_span_kind(entries) != JSON_ARRAY) {
            return config_bad(err, path, "", name, "must be an array of objects");
        }
        json_cursor_init(&cursor, entries);
        while (json_next_element(&cursor, &item)) {
            count++;
        }
    }
    if (count > CONFIG_MAX_GRANTS) {
        return config_bad(err, path, "", name, "has more than 1024 entries");
    }
    *ret_count = count;
    return true;
}

/* `take` fills the next entry of its array, which has room, and counts it. */
static bool take_entries(struct config *config, struct json_span root, const char *name, take_entry *take,
                         const char *path, struct err *err)
{
    struct json_span entries;
    struct json_span item;
    struct json_cursor cursor;
    if (!json_find_member(root, name, &entries)) {
        return true;
    }
    json_cursor_init(&cursor, entries);
    for (unsigned i = 0; json_next_element(&cursor, &item); i++) {
        char place[PLACE_SIZE];
        snprintf(place, sizeof place, "%s[%u]", name, i);
        if (!take(config, item, path, place, err)) {
            return false;
        }
    }
    return true;
}

/* ---- TLS ---- */

static bool take_tls(struct config *config, struct json_span root, const char *path, struct err *err)
{
    static const char *const members[] = {"certificate", "key", "client_ca", "client_certificates", NULL};
    struct config_tls *tls = &config->identities.tls;
    struct json_span object;
    char *asked = NULL;
    if (!json_find_member(root, "tls", &object)) {
        return true;
    }
    if (!config_check_members(object, members, path, "tls", err) ||
        !config_take_text(object, "certificate", &tls->certificate, path, "tls", err) ||
        !config_take_text(object, "key", &tls->key, path, "tls", err) ||
        !config_take_text(object, "client_ca", &tls->client_ca, path, "tls", err) ||
        !config_take_text(object, "client_certificates", &asked, path, "tls", err)) {
        return false;
    }
    tls->client_required = asked != NULL && strcmp(asked, "required") == 0;
    bool known = asked == NULL || tls->client_required || strcmp(asked, "optional") == 0;
    bool has_asked = asked != NULL;
    free(asked);
    if (tls->certificate == NULL || tls->key == NULL) {
        return config_bad(err, path, "tls", tls->certificate == NULL ? "certificate" : "key", "is missing");
    }
    if (!known) {
        return config_bad(err, path, "tls", "client_certificates", "must be \"optional\" or \"required\"");
    }
    if (has_asked && tls->client_ca == NULL) {
        return config_bad(err, path, "tls", "client_ca", "is missing: nobody could sign such a certificate");
    }
    return true;
}

bool config_identities_take(struct config *config, struct json_span root, const char *path, struct err *err)
{
    struct config_identities *identities = &config->identities;
    size_t tokens = 0;
    size_t users = 0;
    size_t certificates = 0;
    if (!count_entries(root, "tokens", &tokens, path, err) ||
        !count_entries(root, "users", &users, path, err) ||
        !count_entries(root, "certificates", &certificates, path, err)) {
        return false;
    }
    config_identities_fini(identities); /* a second file replaces what the first one said */
    identities->tokens = xcalloc(tokens + 1, sizeof *identities->tokens);
    identities->users = xcalloc(users + 1, sizeof *identities->users);
    identities->certificates = xcalloc(certificates + 1, sizeof *identities->certificates);
    if (!take_tls(config, root, path, err) || !take_entries(config, root, "tokens", take_token, path, err) ||
        !take_entries(config, root, "users", take_user, path, err) ||
        !take_entries(config, root, "certificates", take_certificate, path, err)) {
        return false;
    }
    if (identities->certificate_count > 0 && identities->tls.client_ca == NULL) {
        return config_bad(err, path, "", "certificates", "need tls.client_ca, which verifies them");
    }
    return true;
}

/* ---- Listeners ---- */

static bool check_listener(const struct config *config, const struct net_address *listener, struct err *err)
{
    if (listener->tls && config->identities.tls.certificate == NULL) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "%s: needs a certificate and a key: \"tls\" in the configuration file",
                       listener->text);
    }
    if (config->insecure || net_address_is_local(listener)) {
        return true;
    }
    const char *reason = NULL;
    if (!listener->tls) {
        reason =
            "what goes over it, tokens too, could be read and changed on the way: listen on loopback, or "
            "on tls:HOST:PORT";
    } else if (config->anonymous_role != RPC_ROLE_NONE) {
        reason = "anybody could use the boards: configure tokens or certificates, and no anonymous_role";
    }
    if (reason == NULL) {
        return true;
    }
    return err_set(err, ERR_INVALID_PARAMS,
                   "%s is reachable from other machines, and %s; or allow it with \"insecure\": true "
                   "(--insecure)",
                   listener->text, reason);
}

bool config_identities_complete(struct config *config, struct err *err)
{
    struct config_identities *identities = &config->identities;
    bool any = identities->token_count + identities->user_count + identities->certificate_count > 0;
    if (any && !config->anonymous_role_given) {
        config->anonymous_role = RPC_ROLE_NONE;
    }
    if (!any && config->anonymous_role == RPC_ROLE_NONE) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "anonymous_role: \"none\" without tokens, users or certificates lets nobody in");
    }
    snprintf(identities->anonymous.identity, sizeof identities->anonymous.identity, CONFIG_ANONYMOUS);
    for (size_t i = 0; i < config->board_count; i++) {
        identities->anonymous.roles[i] = config->anonymous_role;
    }
    set_highest(config, &identities->anonymous);
    for (size_t i = 0; i < config->listener_count; i++) {
        if (!check_listener(config, &config->listeners[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < config->board_count; i++) {
        const struct config_gdb *gdb = &config->boards[i].gdb;
        if (gdb->listens && !check_listener(config, &gdb->listen, err)) {
            err_prefix(err, "gdb of the board \"%s\"", config->boards[i].name);
            return false;
        }
    }
    return true;
}
