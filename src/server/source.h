/* Where a call's bytes come from: inline, a stage, or a file under an image root. */
#ifndef OCDMUX_SERVER_SOURCE_H
#define OCDMUX_SERVER_SOURCE_H

#include "rpc/params.h"
#include "server/request.h"

/*
 * The bytes, 1 or more, of what exactly one of `stage`, `path` and `data` names; `stage` and `path` may be
 * NULL where the method has no such parameter. `*ret_bytes` is the caller's (free()); `data` is taken out of
 * the parameters. A stage stays pinned until the request has ended.
 *
 * Fails with invalid_params (none or several of them given), not_found (no such stage of this identity, no
 * such file), stage_error (the stage is not complete, a file that cannot be read), forbidden (`path` leaves
 * the roots or is no regular file, or there are no roots), limit_exceeded (larger than `max_image_bytes`, or
 * more than waiting requests may hold, `max_total_queued_bytes`).
 */
bool source_read(struct request *request, const struct rpc_text *stage, const struct rpc_text *path,
                 struct rpc_bytes *data, uint8_t **ret_bytes, size_t *ret_length, struct err *err)
    __attribute__((warn_unused_result));

#endif
