/* `metrics` of the configuration: where machines look at the daemon's metrics and health. */
#ifndef OCDMUX_SERVER_CONFIG_METRICS_H
#define OCDMUX_SERVER_CONFIG_METRICS_H

#include "server/config.h"

/* "HOST:PORT" or "tcp:HOST:PORT"; the last one counts. invalid_params for anything else. */
bool config_metrics_set(struct config *config, const char *address, struct err *err)
    __attribute__((warn_unused_result));
/* The member `metrics` of the file, where it is there. */
bool config_metrics_take(struct config *config, struct json_span root, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* Refuses an address that other machines can reach, unless the configuration is `insecure`. */
bool config_metrics_complete(const struct config *config, struct err *err)
    __attribute__((warn_unused_result));

#endif
