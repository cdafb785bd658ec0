/* Looking through the configured identities. */
#include "server/identity.h"

#include <string.h>

const struct config_grant *identity_of_token(const struct config_identities *identities, const char *token,
                                             size_t length)
{
    const struct config_grant *found = NULL;
    for (size_t i = 0; i < identities->token_count; i++) {
        const struct config_token *each = &identities->tokens[i];
        if (token_matches(&each->hash, token, length)) {
            found = &each->grant;
        }
    }
    return found;
}

const struct config_grant *identity_of_peer(const struct config_identities *identities,
                                            const struct net_peer *peer)
{
    for (size_t i = 0; i < identities->user_count; i++) {
        const struct config_user *user = &identities->users[i];
        if (user->is_group ? net_peer_has_group(peer, user->gid) : peer->uid == user->uid) {
            return &user->grant;
        }
    }
    return NULL;
}

const struct config_grant *identity_of_certificate(const struct config_identities *identities,
                                                   const struct net_certificate *certificate)
{
    for (size_t i = 0; i < identities->certificate_count; i++) {
        const struct config_certificate *each = &identities->certificates[i];
        bool fits = each->subject != NULL ? strcmp(each->subject, certificate->subject) == 0
                                          : strcmp(each->fingerprint, certificate->fingerprint) == 0;
        if (fits) {
            return &each->grant;
        }
    }
    return NULL;
}

const char *identity_role_word(enum rpc_role role)
{
    switch (role) {
    case RPC_ROLE_NONE:
        return "none";
    case RPC_ROLE_OBSERVER:
        return "observer";
    case RPC_ROLE_USER:
        return "user";
    case RPC_ROLE_ADMIN:
        return "admin";
    }
    return "?";
}
