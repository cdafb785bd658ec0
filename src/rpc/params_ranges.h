/* One kind of parameter: an array of ranges. For params.c alone. */
#ifndef OCDMUX_RPC_PARAMS_RANGES_H
#define OCDMUX_RPC_PARAMS_RANGES_H

#include "rpc/params.h"

/* Fails with invalid_params. What was read before the fault is in `ranges`, and the caller's to free. */
bool params_ranges_read(const struct rpc_param *param, struct json_span span, struct rpc_ranges *ranges,
                        struct err *err) __attribute__((warn_unused_result));

#endif
