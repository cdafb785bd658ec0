/*
 * What OpenOCD complains of in its output: the few things that whoever runs a lab can do something about, by
 * the words of 0.12 and of those of the drivers in it (src/jtag/drivers, src/server/server.c and
 * src/helper/configuration.c of openocd-org/openocd; most were seen on Debian's 0.12.0). Pure.
 */
#ifndef OCDMUX_OPENOCD_COMPLAINT_H
#define OCDMUX_OPENOCD_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with a board's OpenOCD; of several complaints of one run the later one here is the cause. */
enum ocd_problem {
    OCD_PROBLEM_NONE,
    OCD_PROBLEM_ENDED,               /* it is none of the others */
    OCD_PROBLEM_TARGET_NOT_EXAMINED, /* OpenOCD does not find a target; mostly it runs all the same */
    OCD_PROBLEM_NO_ANSWER,
    OCD_PROBLEM_WRONG_BOARD,
    OCD_PROBLEM_BEFORE_START,
    OCD_PROBLEM_CONFIGURATION,
    OCD_PROBLEM_PROBE_MISSING,
    OCD_PROBLEM_PORT_IN_USE,
    OCD_PROBLEM_NOT_RUN, /* there is no such program */
};

/* The word that the protocol has for it: "probe_missing"; "none". */
const char *ocd_problem_name(enum ocd_problem problem);
/* What to say of it before OpenOCD's own words: "OpenOCD finds no debug probe". */
const char *ocd_problem_lead(enum ocd_problem problem);

/* What a line of OpenOCD's output complains of. */
enum ocd_problem ocd_complaint_of(const char *line);
/* Whether it says that the probe has gone from an OpenOCD that ran: it does not find it again by itself. */
bool ocd_complaint_is_probe_lost(const char *line);
/* The line without "Error: " before it. */
const char *ocd_complaint_words(const char *line);
/* Whether OpenOCD calls it an error. */
bool ocd_complaint_is_error(const char *line);
/* "Info : Listening on port 6666 for tcl connections". */
bool ocd_complaint_tcl_port(const char *line, unsigned *ret_port) __attribute__((warn_unused_result));

#endif
