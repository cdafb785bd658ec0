/* Any line through the check, the envelope and the parameters of the method that it names; then all is given
 * back. */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "rpc/call.h"
#include "rpc/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fault has one of the kinds that it may have, and its error object is JSON. */
static void expect_fault(const struct err *err)
{
    bool known = err->kind == ERR_INVALID_REQUEST || err->kind == ERR_METHOD_NOT_FOUND ||
                 (err->kind == ERR_INVALID_PARAMS && err_find_detail(err, "parameter") != NULL);
    struct strbuf out = STRBUF_INIT;
    struct json_writer json;
    json_writer_init(&json, &out);
    json_error(&json, NULL, err);
    struct json_problem problem;
    if (!known || err->message[0] == '\0' || !json_check(out.data, out.length, &problem)) {
        abort();
    }
    strbuf_fini(&out);
}

static void parse_params(const struct rpc_call *call)
{
    /* Of exactly its size, so that AddressSanitizer sees a table that reaches too far. */
    void *params = xmalloc(call->method->params_size);
    struct err err;
    if (rpc_params_parse(call->method, call->params, params, &err)) {
        rpc_params_fini(call->method, params);
    } else {
        expect_fault(&err);
    }
    free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_problem problem;
    if (!json_check(text, size, &problem)) {
        return 0;
    }
    struct rpc_call call;
    struct err err;
    if (!rpc_call_parse(json_span_of(text, size), &call, &err)) {
        expect_fault(&err);
        return 0;
    }
    parse_params(&call);
    return 0;
}
