/* Files on this machine. Every failure is reported on stderr here, with the file's name. */
#ifndef OCDMUX_TOOL_FILE_H
#define OCDMUX_TOOL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Most that is read into memory. */
#define FILE_MAX_BYTES ((size_t)256 << 20)

/* All of `path`, "-" for standard input, appended to `out`. False also for an empty one and beyond
 * FILE_MAX_BYTES. */
bool file_read(const char *path, struct strbuf *out) __attribute__((warn_unused_result));

/*
 * A file that is there as a whole or not at all: written as PATH.part and renamed. Standard output ("-") and
 * whatever is no regular file (a device, a FIFO) is written directly.
 */
struct file_output {
    const char *path; /* the caller's */
    char *part;       /* owned; NULL where it is written directly */
    int fd;
};

bool file_output_open(struct file_output *output, const char *path) __attribute__((warn_unused_result));
bool file_output_write(struct file_output *output, const uint8_t *bytes, size_t length)
    __attribute__((warn_unused_result));
/* Ends it, with the file in its place; on failure as file_output_abort(). */
bool file_output_commit(struct file_output *output) __attribute__((warn_unused_result));
/* Ends it and removes what was written. */
void file_output_abort(struct file_output *output);

#endif
