/*
 * What a command's script is put into before it goes on the link: the target that it runs with, and the file
 * that it finds in `$p`. Pure.
 */
#ifndef OCDMUX_BOARD_WRAP_H
#define OCDMUX_BOARD_WRAP_H

#include "base/strbuf.h"
#include "openocd/info.h"
#include "ops/op.h"

/* The return code (no code of OpenOCD's or Tcl's) of a wrapped script whose file could not be made, found or
 * read: the result says why. With a file of PUT the operation's own script did not run then. */
#define WRAP_CODE_FILE 7700

/*
 * Appends the script; `*ret_data` goes with it (see ocd_link_send()). `shared_path`
 * is the absolute path of the file that the daemon made for the command; NULL: OpenOCD makes one after
 * `info->stage_template`, which carries the bytes over the link. Such a file can only be read by OpenOCD's
 * user and is gone when the script ends, however it ends. The return code is the one of the command's script;
 * nothing stays behind in OpenOCD's global variables, and the current target is what it was.
 */
void wrap_command(struct strbuf *out, struct envelope_data *ret_data, const struct ocd_info *info,
                  const struct op_command *command, const char *shared_path);

#endif
