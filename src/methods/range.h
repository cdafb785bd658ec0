/*
 * What the methods that read a range have in common: checks of what was asked for, and the two endings that
 * memory and flash share, bytes for the client and a file or stage of the daemon.
 */
#ifndef OCDMUX_METHODS_RANGE_H
#define OCDMUX_METHODS_RANGE_H

#include "ops/range_read.h"
#include "server/request.h"

/* invalid_range if the range passes the end of 64-bit addresses. */
bool range_check_end(uint64_t address, uint64_t size, struct err *err) __attribute__((warn_unused_result));
/* limit_exceeded if `size` bytes, which take `growth` times as many in the reply, are too many for one line.
 */
bool range_check_inline(const struct request *request, uint64_t size, uint64_t growth, struct err *err)
    __attribute__((warn_unused_result));
/* Begins a `data` notification of the bytes from `offset` on; the content is to be added. */
void range_begin_data(struct request *request, uint64_t offset, struct strbuf *line,
                      struct json_writer *json);

/* Reads into the reply (`data`, `size`, `sha256`), or with `stream` into notifications; as a handler's end.
 */
bool range_bytes_run(struct request *request, const struct range_read_source *source, bool stream, bool hex,
                     struct err *err) __attribute__((warn_unused_result));
/*
 * Reads into the file `path` below the dump root, or where `path` is not given into a stage called `name`; as
 * a handler's end. A stage counts against the quota from now on, where the size is known now. Takes the text
 * out of `path`.
 */
bool range_file_run(struct request *request, const struct range_read_source *source, struct rpc_text *path,
                    const char *name, struct err *err) __attribute__((warn_unused_result));

#endif
