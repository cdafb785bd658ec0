/*
 * The part of the configuration that says who may do what: `tokens`, `users`, `certificates` and `tls`
 * (proto/config.schema.json). Each entry of the first three is a grant: an identity, and a role on each
 * board.
 */
#ifndef OCDMUX_SERVER_CONFIG_IDENTITY_H
#define OCDMUX_SERVER_CONFIG_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/token.h"
#include "rpc/json.h"
#include "rpc/params.h"

#define CONFIG_MAX_BOARDS 64u
#define CONFIG_MAX_GRANTS 1024u /* of each kind: a login looks at all of them */
#define CONFIG_IDENTITY_SIZE 65u
/* Of clients that nothing is known of; no entry may have it. */
#define CONFIG_ANONYMOUS "anonymous"

struct config;

struct config_grant {
    char identity[CONFIG_IDENTITY_SIZE]; /* "": of a group, whose members have identities of their own */
    enum rpc_role roles[CONFIG_MAX_BOARDS];
    enum rpc_role highest; /* of `roles` of the boards that there are */
};

struct config_token {
    struct config_grant grant;
    struct token_hash hash;
};

struct config_user {
    struct config_grant grant;
    bool is_group;
    uid_t uid; /* of a user */
    gid_t gid; /* of a group */
};

struct config_certificate {
    struct config_grant grant;
    char *subject;        /* as RFC 2253 writes it; NULL: `fingerprint` counts */
    char fingerprint[65]; /* SHA-256, lower-case hex; "" with `subject` */
};

struct config_tls {
    char *certificate; /* NULL: no TLS */
    char *key;
    char *client_ca;
    bool client_required;
};

struct config_identities {
    struct config_token *tokens;
    size_t token_count;
    struct config_user *users; /* the first that fits counts */
    size_t user_count;
    struct config_certificate *certificates; /* the first that fits counts */
    size_t certificate_count;
    struct config_tls tls;
    struct config_grant anonymous; /* config_identities_complete() makes it */
};

void config_identities_fini(struct config_identities *identities);

/* Reads the members out of the root object; `config` has its boards already. */
bool config_identities_take(struct config *config, struct json_span root, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* What must hold between these and the listeners, and the role of clients that say nothing. */
bool config_identities_complete(struct config *config, struct err *err) __attribute__((warn_unused_result));

#endif
