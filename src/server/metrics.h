/* What is counted beside the counters that others keep: see metrics_page.c for all of them. */
#ifndef OCDMUX_SERVER_METRICS_H
#define OCDMUX_SERVER_METRICS_H

#include <stdint.h>

#include "base/err.h"
#include "board/lease.h"
#include "rpc/methods_gen.h"
#include "server/config.h"

struct metrics {
    /* Answered, by method and outcome (ERR_NONE: done); the last row is of those whose method nobody knows.
     */
    uint64_t requests[RPC_METHOD_COUNT + 1][ERR_KIND_COUNT];
    uint64_t lease_events[CONFIG_MAX_BOARDS][LEASE_EVENT_COUNT];
};

/* `method` NULL: nobody knows which. */
void metrics_count_request(struct metrics *metrics, const struct rpc_method *method, enum err_kind outcome);

#endif
