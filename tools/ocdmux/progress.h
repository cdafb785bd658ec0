/*
 * How far a request is, on standard error: where that is a terminal a bar with the rate and the time left, as
 * wide as fits into a line of it; elsewhere a plain line at the start of each phase, at each further tenth
 * and at its end.
 */
#ifndef OCDMUX_TOOL_PROGRESS_H
#define OCDMUX_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ocdmux.h"

enum progress_style { PROGRESS_BAR, PROGRESS_LINES, PROGRESS_OFF };

struct progress {
    enum progress_style style;
    bool drawn;         /* there is a bar on the terminal that has not been ended */
    char operation[65]; /* the server's name of what runs; "" before it is known */
    char phase[32];     /* escaped; "" before the first */
    uint64_t phase_start_us;
    uint64_t phase_start_done;
    unsigned tenth;       /* the last one that a line told */
    uint64_t piece_base;  /* added to what the server tells: for requests in several pieces */
    uint64_t piece_total; /* the total then; 0: the server's own */
};

/* `lines`: whether to print where there is no terminal. */
void progress_init(struct progress *progress, bool lines);
/* Shows a `progress` notification's parameters. */
void progress_take(struct progress *progress, const cJSON *params);
/* Shows how far something of this program's own is, in bytes. */
void progress_show(struct progress *progress, const char *phase, uint64_t done, uint64_t total);
/* Ends a bar, so that other text can follow. */
void progress_end(struct progress *progress);

#endif
