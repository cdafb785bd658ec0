/* What becomes of a configuration file that has changed while the daemon runs. */
#ifndef OCDMUX_SERVER_CONFIG_RELOAD_H
#define OCDMUX_SERVER_CONFIG_RELOAD_H

#include "server/config.h"

struct config_reload {
    bool keep_log_level; /* flags were given for these */
    bool keep_anonymous_role;
    /* Who may do what has changed, and `config` says so already. Grants of the `old` identities stay in
     * memory, but count no more: see config_reload_grant(). */
    void (*identities_changed)(void *context, const struct config_identities *old);
    void *context;
};

/*
 * Reads the file anew, where there is one. `limits` and `log_level` are as it says from now on; tokens,
 * users, certificates and `anonymous_role` too, unless `boards` is another one. Every other member that has
 * changed is logged: it takes a restart. A file that cannot be read, or is wrong, is logged and changes
 * nothing.
 */
void config_reload(struct config *config, const struct config_reload *reload);

/*
 * For a grant of the `old` identities (or of config->identities.anonymous): that of the same entry, whose
 * rights are the same, in the present ones; NULL where there is none.
 */
const struct config_grant *config_reload_grant(const struct config *config,
                                               const struct config_identities *old,
                                               const struct config_grant *grant);

#endif
