/* Bytes of this machine into memory, and memory and flash into its files. */
#ifndef OCDMUX_TOOL_CMD_TRANSFER_H
#define OCDMUX_TOOL_CMD_TRANSFER_H

#include "session.h"

/*
 * Writes `length` bytes, one or more, to `address`, in as many requests as it takes; they fit below 2^64.
 * Reports what fails, and how much was written before.
 */
enum status transfer_write(struct session *session, uint64_t address, const uint8_t *bytes, size_t length);

/*
 * Streams what `method` (memory.read_bytes or flash.read) reads into a file of this machine, `size` bytes,
 * and checks them. Reports what fails; no part of a file stays then. With --json prints the result.
 */
enum status transfer_read(struct session *session, const char *method, cJSON *take_params, uint64_t size,
                          const char *path);

/* Shows the result of a read that the server keeps: where (its text `member`, "path" or "stage"), how much,
 * and the SHA-256. False where it is not what the protocol says. */
bool transfer_show_kept(void *member, const cJSON *result);

#endif
