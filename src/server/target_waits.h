/*
 * Requests that wait until a target is in a state (target.wait). They are no operations and hold up nobody:
 * the board asks OpenOCD for the states when it tells of a change, and all that wait are looked through then.
 */
#ifndef OCDMUX_SERVER_TARGET_WAITS_H
#define OCDMUX_SERVER_TARGET_WAITS_H

#include "server/request.h"

/*
 * Lets the request wait for its target to be in `state` (static, OpenOCD's word), for request->timeout_ms. It
 * is answered when the board's states have been seen, never from inside this call: with its target and
 * `state`, or with not_found where the board has no such target, or with timeout and the state seen last.
 * Always returns true: handlers end with it.
 */
bool target_waits_add(struct request *request, const char *state);

/* The states of a board have been seen: answers those who waited for one. Whether somebody goes on waiting.
 */
bool target_waits_look(struct server *server, struct board *board);

#endif
