/*
 * The lease in the board's state directory: one JSON object, in the file "lease", mode 0600. The id is not in
 * it, only its SHA-256. What counts behind a restart is the time that was left when it was written; the time
 * in between does not, for nobody could renew, and the wall clock is not asked.
 */
#ifndef OCDMUX_BOARD_LEASE_FILE_H
#define OCDMUX_BOARD_LEASE_FILE_H

#include "base/strbuf.h"
#include "board/lease.h"

#define LEASE_FILE_NAME "lease"
/* Texts may need six bytes for one, escaped. */
#define LEASE_FILE_MOST_BYTES 8192u

void lease_file_encode(struct strbuf *out, const struct lease_holder *holder, uint64_t remaining_ms);
/*
 * False, with the outputs untouched, for anything that lease_file_encode() would not have written, white
 * space and the order of members apart. `ret_remaining_ms` is from 1 to `ttl_ms`.
 */
bool lease_file_decode(const char *text, size_t length, struct lease_holder *ret_holder,
                       uint64_t *ret_remaining_ms) __attribute__((warn_unused_result));

#endif
