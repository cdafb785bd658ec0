/* The arguments of gdb's find: "/w1 0x20000000, +2048, 0xdeadbeef, "text"". Pure. */
#ifndef OCDMUX_SHELL_FIND_H
#define OCDMUX_SHELL_FIND_H

#include "shell/value.h"

#define FIND_PATTERN_MAX 4096u

struct find {
    uint64_t start;
    uint64_t length;       /* 0: nothing to search */
    uint64_t most;         /* how many to find; 0: all */
    struct strbuf pattern; /* of 1 to FIND_PATTERN_MAX bytes, owned by the caller */
};

/*
 * Reads all that stands behind the verb. Fails in gdb's words; the caller frees `ret_find->pattern` in any
 * case.
 */
bool find_read(const struct value_access *access, const char *text, struct find *ret_find, struct err *err)
    __attribute__((warn_unused_result));

#endif
