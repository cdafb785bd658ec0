/* `metrics`: one address. */
#include "server/config_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/json.h"
#include "server/config_members.h"

bool config_metrics_set(struct config *config, const char *address, struct err *err)
{
    struct net_address parsed;
    if (!net_address_parse_host_port(&parsed, address, err)) {
        return false;
    }
    if (parsed.storage.ss_family == AF_UNIX) {
        return err_set(err, ERR_INVALID_PARAMS, "%s: metrics are at HOST:PORT", address);
    }
    config->metrics = parsed;
    config->metrics_given = true;
    return true;
}

bool config_metrics_take(struct config *config, struct json_span root, const char *path, struct err *err)
{
    static const char *const members[] = {"listen", NULL};
    struct json_span object;
    char *listen = NULL;
    if (!json_find_member(root, "metrics", &object)) {
        return true;
    }
    if (!config_check_members(object, members, path, "metrics", err) ||
        !config_take_text(object, "listen", &listen, path, "metrics", err)) {
        return false;
    }
    if (listen == NULL) {
        return config_bad(err, path, "metrics", "listen", "is missing");
    }
    bool ok = strncmp(listen, "tcp:", 4) == 0 ? config_metrics_set(config, listen, err)
                                              : err_set(err, ERR_INVALID_PARAMS, "must be tcp:HOST:PORT");
    if (!ok) {
        err_prefix(err, "%s: metrics.listen", path);
    }
    free(listen);
    return ok;
}

bool config_metrics_complete(const struct config *config, struct err *err)
{
    if (!config->metrics_given || config->insecure || net_address_is_local(&config->metrics)) {
        return true;
    }
    return err_set(
        err, ERR_INVALID_PARAMS,
        "metrics: %s is reachable from other machines, and nobody is asked there who he is: listen "
        "on loopback; or allow it with \"insecure\": true (--insecure)",
        config->metrics.text);
}
