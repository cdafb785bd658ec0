/* A file that lines are appended to, for others to rotate. A line is there whole or not at all; how many are
 * missing is said in the file as soon as it can be written again. What the end of the process or of the
 * machine cut off in the middle stays as a line of its own. */
#ifndef OCDMUX_SERVER_AUDIT_FILE_H
#define OCDMUX_SERVER_AUDIT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

struct audit_file {
    char *path;
    int fd;
    bool torn;        /* it ends in a part of a line that could not be taken back */
    uint64_t missing; /* lines that could not be written since the last one that was */
    uint64_t missing_ever;
};

/* Made with mode 0600 where it is missing. internal_error with the path and the system's words. */
bool audit_file_open(struct audit_file *file, const char *path, struct err *err)
    __attribute__((warn_unused_result));
void audit_file_close(struct audit_file *file);
/* Opens the path anew; the old file stays in use where that fails. */
void audit_file_reopen(struct audit_file *file);
/* One line, without its LF. internal_error; the first failure and the recovery are logged. */
bool audit_file_append(struct audit_file *file, const struct strbuf *line, struct err *err)
    __attribute__((warn_unused_result));

#endif
