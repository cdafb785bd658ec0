/* Compares the new file with the old one, member by member, and takes what can be taken. */
#include "server/config_reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "rpc/json.h"

/* The JSON text without the blanks between its tokens. */
static void append_bare(struct strbuf *out, struct json_span span)
{
    bool in_string = false;
    for (size_t i = 0; i < span.length; i++) {
        char byte = span.text[i];
        if (!in_string && strchr(" \t\r\n", byte) != NULL) {
            continue;
        }
        strbuf_append_byte(out, byte);
        if (in_string && byte == '\\') {
            strbuf_append_byte(out, span.text[++i]);
        } else if (byte == '"') {
            in_string = !in_string;
        }
    }
}

static bool says_the_same(struct json_span one, struct json_span other)
{
    struct strbuf left = STRBUF_INIT;
    struct strbuf right = STRBUF_INIT;
    append_bare(&left, one);
    append_bare(&right, other);
    bool same = strcmp(strbuf_text(&left), strbuf_text(&right)) == 0;
    strbuf_fini(&left);
    strbuf_fini(&right);
    return same;
}

static bool is_one_of(const char *member, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(member, *words) == 0) {
            return true;
        }
    }
    return false;
}

static const char *const taken_plainly[] = {"limits", "log_level", NULL};
static const char *const taken_as_identities[] = {"tokens", "users", "certificates", "anonymous_role", NULL};

/* Whether `text` has the member, and it says the same. */
static bool has_the_same(const char *text, const char *member, struct json_span value)
{
    struct json_span other;
    return json_find_member(json_span_of(text, strlen(text)), member, &other) && says_the_same(value, other);
}

static bool has(const char *text, const char *member)
{
    struct json_span other;
    return json_find_member(json_span_of(text, strlen(text)), member, &other);
}

/* What differs between the text at the start and the new one. */
struct difference {
    const char *path;
    bool boards;
};

static void note(struct difference *difference, const char *member, const char *what)
{
    if (!is_one_of(member, taken_as_identities) && !is_one_of(member, taken_plainly)) {
        difference->boards = difference->boards || strcmp(member, "boards") == 0;
        log_warn("%s: %s: %s, which takes effect with a restart only", difference->path, member, what);
    }
}

/* Notes what of `text` is not in `other`, and, of the new one, what is not the same there. */
static void compare(struct difference *difference, const char *text, const char *other, bool text_is_new)
{
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    json_cursor_init(&cursor, json_span_of(text, strlen(text)));
    while (json_next_member(&cursor, &key, &value)) {
        struct strbuf name = STRBUF_INIT;
        json_span_string(key, &name);
        const char *member = strbuf_text(&name);
        if (!has(other, member)) {
            note(difference, member, text_is_new ? "is new" : "has gone");
        } else if (text_is_new && !has_the_same(other, member, value)) {
            note(difference, member, "has changed");
        }
        strbuf_fini(&name);
    }
}

/* ---- Who may do what ---- */

static bool is_same_grant(const struct config_grant *one, const struct config_grant *other)
{
    return strcmp(one->identity, other->identity) == 0 && one->highest == other->highest &&
           memcmp(one->roles, other->roles, sizeof one->roles) == 0;
}

static bool is_same_user(const struct config_user *one, const struct config_user *other)
{
    return one->is_group == other->is_group &&
           (one->is_group ? one->gid == other->gid : one->uid == other->uid);
}

static bool is_same_certificate(const struct config_certificate *one, const struct config_certificate *other)
{
    if (one->subject == NULL || other->subject == NULL) {
        return one->subject == other->subject && strcmp(one->fingerprint, other->fingerprint) == 0;
    }
    return strcmp(one->subject, other->subject) == 0;
}

/* The new token that is the same as that of the old grant; NULL: none, or it is no token's. */
static const struct config_grant *find_token(const struct config_identities *now,
                                             const struct config_identities *old,
                                             const struct config_grant *grant)
{
    for (size_t i = 0; i < old->token_count; i++) {
        for (size_t j = 0; &old->tokens[i].grant == grant && j < now->token_count; j++) {
            if (memcmp(&old->tokens[i].hash, &now->tokens[j].hash, sizeof now->tokens[j].hash) == 0) {
                return &now->tokens[j].grant;
            }
        }
    }
    return NULL;
}

/* Of users and certificates the first that fits counts: so an entry is the same only where it was. */
static const struct config_grant *find_ranked(const struct config_identities *now,
                                              const struct config_identities *old,
                                              const struct config_grant *grant)
{
    for (size_t i = 0; i < old->user_count && i < now->user_count; i++) {
        if (!is_same_user(&old->users[i], &now->users[i])) {
            break;
        }
        if (&old->users[i].grant == grant) {
            return &now->users[i].grant;
        }
    }
    for (size_t i = 0; i < old->certificate_count && i < now->certificate_count; i++) {
        if (!is_same_certificate(&old->certificates[i], &now->certificates[i])) {
            break;
        }
        if (&old->certificates[i].grant == grant) {
            return &now->certificates[i].grant;
        }
    }
    return NULL;
}

const struct config_grant *config_reload_grant(const struct config *config,
                                               const struct config_identities *old,
                                               const struct config_grant *grant)
{
    const struct config_identities *now = &config->identities;
    if (grant == &now->anonymous) {
        return is_same_grant(&old->anonymous, &now->anonymous) ? grant : NULL;
    }
    const struct config_grant *found = find_token(now, old, grant);
    if (found == NULL) {
        found = find_ranked(now, old, grant);
    }
    return found != NULL && is_same_grant(grant, found) ? found : NULL;
}

/* What the file does not say of the fresh one stays as it is. */
static bool complete_identities(struct config *fresh, const struct config *config, bool keep_role,
                                struct err *err)
{
    struct config_tls own = fresh->identities.tls;
    memcpy(fresh->listeners, config->listeners, sizeof fresh->listeners);
    fresh->listener_count = config->listener_count;
    fresh->insecure = config->insecure;
    if (keep_role) {
        fresh->anonymous_role = config->anonymous_role;
        fresh->anonymous_role_given = true;
    }
    fresh->identities.tls = config->identities.tls;
    bool ok = config_identities_complete(fresh, err);
    fresh->identities.tls = own;
    return ok;
}

static void retire(struct config *config, const struct config_identities *old)
{
    config->retired = xrealloc(config->retired, (config->retired_count + 1) * sizeof *config->retired);
    config->retired[config->retired_count++] = *old;
}

/* Whether the member says the same in both texts, or stands in neither. */
static bool is_same_member(const char *one, const char *other, const char *member)
{
    struct json_span value;
    if (!json_find_member(json_span_of(one, strlen(one)), member, &value)) {
        return !has(other, member);
    }
    return has_the_same(other, member, value);
}

/* Since they were last taken. */
static bool identities_differ(const struct config *config, const char *text)
{
    const char *last = config->last_text != NULL ? config->last_text : config->file_text;
    for (const char *const *member = taken_as_identities; *member != NULL; member++) {
        if (!is_same_member(text, last, *member)) {
            return true;
        }
    }
    return false;
}

static void take_identities(struct config *config, struct config *fresh, const struct config_reload *reload)
{
    struct config_identities old = config->identities;
    struct config_tls own = fresh->identities.tls;
    config->identities = fresh->identities;
    config->identities.tls = old.tls;
    config->anonymous_role = fresh->anonymous_role;
    config->anonymous_role_given = fresh->anonymous_role_given;
    memset(&fresh->identities, 0, sizeof fresh->identities);
    fresh->identities.tls = own;
    memset(&old.tls, 0, sizeof old.tls);
    retire(config, &old);
    reload->identities_changed(reload->context, &old);
    free(config->last_text);
    config->last_text = xstrdup(fresh->file_text);
}

/* ---- All of it ---- */

static bool take(struct config *config, struct config *fresh, const struct config_reload *reload,
                 struct err *err)
{
    struct difference difference = {.path = config->file_path};
    compare(&difference, fresh->file_text, config->file_text, true);
    compare(&difference, config->file_text, fresh->file_text, false);
    bool identities = identities_differ(config, fresh->file_text);
    if (identities && difference.boards) {
        log_warn("%s: who may do what: takes effect with a restart only, as boards have changed",
                 config->file_path);
    } else if (identities) {
        if (!complete_identities(fresh, config, reload->keep_anonymous_role, err)) {
            return false;
        }
        take_identities(config, fresh, reload);
    }
    config->limits = fresh->limits;
    if (!reload->keep_log_level) {
        config->log_level = fresh->log_level;
        log_set_level(config->log_level);
    }
    log_info("%s: was read anew", config->file_path);
    return true;
}

void config_reload(struct config *config, const struct config_reload *reload)
{
    struct err err;
    if (config->file_path == NULL) {
        log_info("there is no configuration file to read anew");
        return;
    }
    struct config *fresh = xcalloc(1, sizeof *fresh);
    config_init(fresh);
    err_reset(&err);
    if (!config_read_file(fresh, config->file_path, &err) || !take(config, fresh, reload, &err)) {
        log_error("%s: the old configuration stays", err.message);
    }
    config_fini(fresh);
    free(fresh);
}
