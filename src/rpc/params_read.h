/* One value of a call on its way into the params struct. For params.c and params_ranges.c alone. */
#ifndef OCDMUX_RPC_PARAMS_READ_H
#define OCDMUX_RPC_PARAMS_READ_H

#include "rpc/params.h"

struct params_reading {
    const struct rpc_param *param;
    void *place; /* of the value in the params struct, all zero */
    bool hex;    /* how bytes are written in this call */
    struct err *err;
};

/* Fails with invalid_params. What was read before the fault is at `place`, and the caller's to free. */
bool params_read_value(const struct params_reading *reading, struct json_span span)
    __attribute__((warn_unused_result));
/* Sets the error "LABEL: RULE", with the parameter's name as a detail. Returns false. */
bool params_read_fault_at(const struct params_reading *reading, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with its name as the label. */
bool params_read_fault(const struct params_reading *reading, const char *rule);

#endif
