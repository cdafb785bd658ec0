/* Sectors and protection blocks: ranges of them as people type them, and tables of them. */
#ifndef OCDMUX_TOOL_SECTORS_H
#define OCDMUX_TOOL_SECTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ocdmux.h"
#include "options.h"

/* The most that the protocol takes. */
#define SECTORS_MAX 1048575u
#define SECTORS_MAX_BANK 1023u

/* Reads "FIRST" or "FIRST-LAST", both included, from 0 to SECTORS_MAX. False after a message. */
bool sectors_take(const struct arguments *arguments, const char *text, uint64_t *ret_first,
                  uint64_t *ret_last) __attribute__((warn_unused_result));

struct sectors_view {
    const char *name; /* what one is called, for the header of its column */
    bool has_base;    /* whether there is a column of addresses */
    uint64_t base;    /* the address of offset 0 */
    bool join;        /* runs of the same size and protection in one row */
};

/* Prints a result's array of them. */
void sectors_print(const struct sectors_view *view, const cJSON *blocks);

#endif
