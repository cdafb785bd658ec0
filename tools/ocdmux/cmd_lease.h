/* What the commands that deal with leases share. */
#ifndef OCDMUX_TOOL_CMD_LEASE_H
#define OCDMUX_TOOL_CMD_LEASE_H

#include "session.h"

#define LEASE_MOST_SECONDS 86400u

/* Adds an option in seconds, or `fallback_s` where it was not given, as milliseconds. False after a message.
 */
bool lease_add_seconds(const struct session *session, cJSON *params, const char *option, const char *name,
                       uint64_t minimum, uint64_t fallback_s) __attribute__((warn_unused_result));
/* Says on standard error where a lease, as lease.acquire or lease.renew gave it, is kept by nothing but the
 * daemon's life. */
void lease_warn(const cJSON *result);
/* "lease: ..." and "lease queue: ..." lines of a status; nothing where nobody holds it and nobody waits. */
void lease_print(const cJSON *result);

#endif
