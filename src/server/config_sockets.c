/* Passed sockets find their listeners. */
#include "server/config_sockets.h"

bool config_take_socket(struct config *config, const struct net_address *passed, struct err *err)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (net_address_is_same(&config->listeners[i], passed)) {
            config->listeners[i].passed_fd = passed->passed_fd;
            return true;
        }
    }
    if (config->metrics_given && net_address_is_same(&config->metrics, passed)) {
        config->metrics.passed_fd = passed->passed_fd;
        return true;
    }
    if (config->listener_count == CONFIG_MAX_LISTENERS) {
        return err_set(err, ERR_INVALID_PARAMS, "%s, which was passed: more than %u listeners", passed->text,
                       CONFIG_MAX_LISTENERS);
    }
    config->listeners[config->listener_count++] = *passed;
    return true;
}
