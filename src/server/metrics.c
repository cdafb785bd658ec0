/* Counting requests. */
#include "server/metrics.h"

void metrics_count_request(struct metrics *metrics, const struct rpc_method *method, enum err_kind outcome)
{
    size_t row = method != NULL ? (size_t)(method - rpc_methods) : RPC_METHOD_COUNT;
    metrics->requests[row][outcome]++;
}
