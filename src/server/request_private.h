/* What request.c and request_take.c share. */
#ifndef OCDMUX_SERVER_REQUEST_PRIVATE_H
#define OCDMUX_SERVER_REQUEST_PRIVATE_H

#include "rpc/call.h"
#include "server/request.h"

/* In its client's list, and counted there, until it is answered. `batch` NULL: by a line of its own. */
struct request *request_new(struct client *client, struct reply_batch *batch, const struct rpc_call *call);

/* Whether the server may hold so many bytes more for requests. Fails with limit_exceeded. */
bool request_check_room(const struct server *server, size_t bytes, struct err *err)
    __attribute__((warn_unused_result));

#endif
