/*
 * From what is known of a connection to the grant that the configuration holds for it: what the client's
 * token, its user on this machine, or its certificate is good for. Pure.
 */
#ifndef OCDMUX_SERVER_IDENTITY_H
#define OCDMUX_SERVER_IDENTITY_H

#include "net/peer.h"
#include "net/tls.h"
#include "server/config_identity.h"

/* Each gives NULL where no entry fits. */

/* Looks at every token, in a time that does not tell which fits. */
const struct config_grant *identity_of_token(const struct config_identities *identities, const char *token,
                                             size_t length);
const struct config_grant *identity_of_peer(const struct config_identities *identities,
                                            const struct net_peer *peer);
const struct config_grant *identity_of_certificate(const struct config_identities *identities,
                                                   const struct net_certificate *certificate);

/* "observer", "user", "admin", or "none". */
const char *identity_role_word(enum rpc_role role);

#endif
