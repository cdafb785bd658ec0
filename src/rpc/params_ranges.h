/* One kind of parameter: an array of ranges. For params_read.c alone. */
#ifndef OCDMUX_RPC_PARAMS_RANGES_H
#define OCDMUX_RPC_PARAMS_RANGES_H

#include "rpc/params_read.h"

/* As params_read_value(), for RPC_PARAM_RANGES. */
bool params_ranges_read(const struct params_reading *reading, struct json_span span)
    __attribute__((warn_unused_result));

#endif
