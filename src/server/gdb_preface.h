/*
 * The one line that a client of a gdb listener may send before gdb's bytes, to say who it is and what it
 * wants: "ocdmux " and a JSON object, ended by LF. Its members, all optional:
 *
 *   token    as in server.hello
 *   lease    the id of the lease that the board is held under
 *   board    which must be the listener's own
 *   target   what to debug; by default the board's current target
 *   wait_ms  how long to wait for changes that run to end
 *
 * The answer is one line too: "ok " and an object ({"board", "target", "warnings": [text]}), with gdb's bytes
 * behind it; or "error " and JSON-RPC's error object, and the end. Pure.
 */
#ifndef OCDMUX_SERVER_GDB_PREFACE_H
#define OCDMUX_SERVER_GDB_PREFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define GDB_PREFACE_WORD "ocdmux "
/* Without its LF. */
#define GDB_PREFACE_MOST_BYTES 4096u
#define GDB_PREFACE_MOST_WAIT_MS 600000u

struct gdb_preface {
    char *token; /* each NULL where it is missing */
    char *lease;
    char *board;
    char *target;
    uint64_t wait_ms;
    bool has_wait;
};

/* `line` is without LF, and without a CR before it. Fails with parse_error or invalid_params. `*ret_preface`
 * goes to gdb_preface_fini(). */
bool gdb_preface_parse(struct gdb_preface *ret_preface, const char *line, size_t length, struct err *err)
    __attribute__((warn_unused_result));
void gdb_preface_fini(struct gdb_preface *preface);

#endif
