/* Bytes of this machine as a stage of the server: begun or found again, and sent in pieces. */
#ifndef OCDMUX_TOOL_UPLOAD_H
#define OCDMUX_TOOL_UPLOAD_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "session.h"

/*
 * Uploads `bytes`, one or more. `file` is what the command line calls them ("-" for standard input); the last
 * part of its path is the stage's name. Content that the server has is not sent again, and an upload that
 * stopped goes on where it stopped. False after a report, with session->status set; also after an interrupt,
 * except one that came with the last piece: see session->interrupted.
 */
bool upload_bytes(struct session *session, const char *file, const struct strbuf *bytes,
                  struct progress *progress, struct ocdmux_stage *ret_upload)
    __attribute__((warn_unused_result));

#endif
