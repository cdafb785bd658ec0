/*
 * The files of a board's commands, one at a time as its commands are: makes the one that a command asks for
 * in the way that the handshake found, tells what became of it from OpenOCD's answer, and removes it.
 *
 *   begin ---> (command in flight, perhaps abandoned) ---> end ---> drop
 *     +---------------------- late reply dropped ------------------> drop
 *     +---------------------- link lost ---------------------------> lose ---> (link up again) ---> sweep
 */
#ifndef OCDMUX_BOARD_EXCHANGE_H
#define OCDMUX_BOARD_EXCHANGE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/private_dir.h"
#include "base/strbuf.h"
#include "openocd/envelope.h"
#include "openocd/info.h"
#include "ops/op.h"

struct exchange {
    struct private_dir *dir;  /* its owner's; NULL: none */
    struct private_file file; /* of the command in flight, where it goes through the directory */
    struct private_file lost; /* of the command in flight when the link was lost */
    struct strbuf content;    /* of a file that was read; valid until the drop */
};

/* `dir`, which may be NULL, must outlive it. */
void exchange_init(struct exchange *exchange, struct private_dir *dir);
/* Drops first. */
void exchange_fini(struct exchange *exchange);

/*
 * Makes the file and appends the script to send; `*ret_data` goes with it. Where the daemon cannot
 * make one in the shared directory it goes over the link this time. Fails with stage_error, with both
 * unchanged and no file left, where there is no way.
 */
bool exchange_begin(struct exchange *exchange, struct strbuf *script, struct envelope_data *ret_data,
                    const struct ocd_info *info, const struct op_command *command, struct err *err)
    __attribute__((warn_unused_result));

/*
 * `*reply` is OpenOCD's answer, and what the operation gets when it returns true: with what the file holds as
 * its result where that was asked for. False: the file could not be made, found or read; `err` is a
 * stage_error.
 */
bool exchange_end(struct exchange *exchange, const struct op_command *command, struct ocd_reply *reply,
                  struct err *err) __attribute__((warn_unused_result));

/* Removes the file, if there is one; what was read of it stays until the drop. */
void exchange_remove(struct exchange *exchange);
/* Removes the file, if there is one: OpenOCD needs it no more. */
void exchange_drop(struct exchange *exchange);
/* The same where OpenOCD is out of reach: it may not have begun with the command, and make the file anew. */
void exchange_lose(struct exchange *exchange);
/* OpenOCD has answered again, so the command that was lost has ended: what it made is removed. */
void exchange_sweep(struct exchange *exchange);

#endif
