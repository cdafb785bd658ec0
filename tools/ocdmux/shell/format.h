/* What stands behind the slash of x/FMT and print/FMT: "16xw". Pure. */
#ifndef OCDMUX_SHELL_FORMAT_H
#define OCDMUX_SHELL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* How many units one x shows at most. */
#define FORMAT_COUNT_MAX 65536

struct format {
    int64_t count; /* negative: backwards */
    char letter;   /* "xduotacfszi"; 0: not said */
    char size;     /* 'b', 'h', 'w', 'g', 'a' for a word of the target; 0: not said */
};

/*
 * Reads from behind the slash, and fills in what is not said by what was used last, as gdb does. `ret_rest`
 * is what stands behind it. Fails for unknown letters and for counts that are too large.
 */
bool format_read(const char *text, const struct format *last, struct format *ret_format,
                 const char **ret_rest, struct err *err) __attribute__((warn_unused_result));

#endif
