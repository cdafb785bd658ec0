/* The JSON-RPC 2.0 envelope of one call (https://www.jsonrpc.org/specification). Pure. */
#ifndef OCDMUX_RPC_CALL_H
#define OCDMUX_RPC_CALL_H

#include <stdbool.h>

#include "base/err.h"
#include "rpc/json.h"
#include "rpc/params.h"

struct rpc_call {
    struct json_span id; /* a string or a whole number, as its JSON text; zero-length: none given */
    const struct rpc_method *method;
    struct json_span params; /* an object, an array (which rpc_params_parse() refuses), or zero-length */
};

/*
 * Reads one call (never a batch) of a checked text. Fails with invalid_request (no object, not "jsonrpc":
 * "2.0", no method, params that are neither object nor array, an id that is null, fractional or no string or
 * number, a member that is unknown, an id longer than 256 bytes, no id for anything but request.cancel) or
 * method_not_found. On failure `ret_call->id` is still set where a usable id could be read and zero-length
 * else: the error is answered with it, or with null.
 */
bool rpc_call_parse(struct json_span span, struct rpc_call *ret_call, struct err *err)
    __attribute__((warn_unused_result));

#endif
