/* Where OpenOCD makes temporary files on its own host: a step of the handshake. Script and reply only. */
#ifndef OCDMUX_OPENOCD_STAGE_DIR_H
#define OCDMUX_OPENOCD_STAGE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "openocd/envelope.h"

/* `dir` NULL: the first of /dev/shm and /tmp that works. `template_before` is what the last OpenOCD on this
 * link answered, "" if there was none. */
void stage_dir_script(const char *dir, const char *template_before, struct strbuf *script);
/* Copies the template for `file tempfile`; false, and "" in its place, if no directory works. */
bool stage_dir_take(const struct ocd_reply *reply, char *ret_template, size_t size);

#endif
