/* The descriptors that this process may open, shared out. */
#include "server/places.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "base/log.h"
#include "server/gdb.h"
#include "server/http.h"

/* Standard streams, the loop's own, the audit file, a socket to the service manager, files of the moment. */
#define OWN_DESCRIPTORS 64u
/* A link, pipes of its OpenOCD, and files: its state, kept bytes, dumps, staged ones. */
#define BOARD_DESCRIPTORS 16u

uint64_t places_reserved(const struct config *config)
{
    uint64_t count = OWN_DESCRIPTORS + config->listener_count;
    if (config->metrics_given) {
        count += 1 + HTTP_MAX_CONNECTIONS;
    }
    for (size_t i = 0; i < config->board_count; i++) {
        count += BOARD_DESCRIPTORS;
        count += config->boards[i].gdb.listens ? 1 + 2 * GDB_MOST_SESSIONS : 0;
    }
    return count;
}

uint64_t places_for(const struct config *config, uint64_t descriptors)
{
    uint64_t reserved = places_reserved(config);
    uint64_t most = descriptors > reserved ? descriptors - reserved : 1;
    return most < config->limits.max_clients ? most : config->limits.max_clients;
}

uint64_t places_now(const struct config *config)
{
    uint64_t configured = config->limits.max_clients;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return configured;
    }
    uint64_t places = places_for(config, limit.rlim_cur);
    if (places < configured) {
        log_warn("max_clients is %" PRIu64 ", but this process may open %" PRIu64
                 " files, of which it needs %" PRIu64 " itself: %" PRIu64
                 " clients are taken at a time (raise the hard limit RLIMIT_NOFILE: "
                 "LimitNOFILE= of a service, `ulimit -Hn` of a shell)",
                 configured, (uint64_t)limit.rlim_cur, places_reserved(config), places);
    }
    return places;
}
