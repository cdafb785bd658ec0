/* Sockets that a service manager passed, in the place of listeners or beside them. */
#ifndef OCDMUX_SERVER_CONFIG_SOCKETS_H
#define OCDMUX_SERVER_CONFIG_SOCKETS_H

#include "server/config.h"

/*
 * A socket whose address is that of a listener, or of `metrics`, serves for it; any other joins the
 * listeners, as a plain one, and the default listeners are left out. To be called behind everything that
 * names listeners, before config_complete(). Fails with invalid_params for one listener too many.
 */
bool config_take_socket(struct config *config, const struct net_address *passed, struct err *err)
    __attribute__((warn_unused_result));

#endif
