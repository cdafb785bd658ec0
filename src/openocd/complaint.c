/* OpenOCD's own words, and what they mean. */
#include "openocd/complaint.h"

#include <stdlib.h>
#include <string.h>

#include "net/child.h"

static const char error_prefix[] = "Error: ";

struct complaint {
    enum ocd_problem problem;
    const char *words;
};

static const struct complaint complaints[] = {
    {OCD_PROBLEM_PORT_IN_USE, "couldn't bind "},
    {OCD_PROBLEM_PROBE_MISSING, "Error on socket '"}, /* remote_bitbang */
    {OCD_PROBLEM_PROBE_MISSING, "unable to open ftdi device"},
    {OCD_PROBLEM_PROBE_MISSING, "no device found"},
    {OCD_PROBLEM_PROBE_MISSING, "unable to find a matching CMSIS-DAP device"},
    {OCD_PROBLEM_PROBE_MISSING, "No J-Link device found"},
    {OCD_PROBLEM_PROBE_MISSING, "No device matches the serial string"},
    {OCD_PROBLEM_PROBE_MISSING, "LIBUSB_ERROR_"},
    {OCD_PROBLEM_TARGET_NOT_EXAMINED, "JTAG scan chain interrogation failed"},
    {OCD_PROBLEM_TARGET_NOT_EXAMINED, "Error connecting DP"}, /* SWD */
    {OCD_PROBLEM_TARGET_NOT_EXAMINED, "Invalid ACK "},
    {OCD_PROBLEM_TARGET_NOT_EXAMINED, "init mode failed (unable to connect to the target)"}, /* hla */
    {OCD_PROBLEM_CONFIGURATION, "Can't find "},
    {OCD_PROBLEM_CONFIGURATION, "invalid command name"},
    {OCD_PROBLEM_CONFIGURATION, "wrong # args"},
    {OCD_PROBLEM_CONFIGURATION, "The specified debug interface was not found"},
    {OCD_PROBLEM_CONFIGURATION, "Debug Adapter has to be specified"},
};

const char *ocd_problem_name(enum ocd_problem problem)
{
    switch (problem) {
    case OCD_PROBLEM_NONE:
        return "none";
    case OCD_PROBLEM_ENDED:
        return "ended";
    case OCD_PROBLEM_TARGET_NOT_EXAMINED:
        return "target_not_examined";
    case OCD_PROBLEM_NO_ANSWER:
        return "no_answer";
    case OCD_PROBLEM_WRONG_BOARD:
        return "wrong_board";
    case OCD_PROBLEM_BEFORE_START:
        return "before_start_failed";
    case OCD_PROBLEM_CONFIGURATION:
        return "configuration";
    case OCD_PROBLEM_PROBE_MISSING:
        return "probe_missing";
    case OCD_PROBLEM_PORT_IN_USE:
        return "port_in_use";
    case OCD_PROBLEM_NOT_RUN:
        return "not_run";
    }
    return "none";
}

const char *ocd_problem_lead(enum ocd_problem problem)
{
    switch (problem) {
    case OCD_PROBLEM_TARGET_NOT_EXAMINED:
        return "OpenOCD does not find a target";
    case OCD_PROBLEM_NO_ANSWER:
        return "OpenOCD does not answer";
    case OCD_PROBLEM_WRONG_BOARD:
        return "refused";
    case OCD_PROBLEM_BEFORE_START:
        return "before_start failed";
    case OCD_PROBLEM_CONFIGURATION:
        return "OpenOCD's configuration is wrong";
    case OCD_PROBLEM_PROBE_MISSING:
        return "OpenOCD finds no debug probe";
    case OCD_PROBLEM_PORT_IN_USE:
        return "a port that OpenOCD needs is in use";
    case OCD_PROBLEM_NOT_RUN:
        return "OpenOCD cannot be started";
    case OCD_PROBLEM_NONE:
    case OCD_PROBLEM_ENDED:
        break;
    }
    return "OpenOCD ended";
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "board.cfg:12: Error: " as Jim Tcl puts it before the reason. */
static bool names_a_place(const char *line)
{
    const char *found = strstr(line, ": Error: ");
    if (found == NULL || found == line) {
        return false;
    }
    const char *digit = found - 1;
    while (digit > line && *digit >= '0' && *digit <= '9') {
        digit--;
    }
    return digit < found - 1 && digit > line && *digit == ':';
}

const char *ocd_complaint_words(const char *line)
{
    return begins_with(line, error_prefix) ? line + sizeof error_prefix - 1 : line;
}

bool ocd_complaint_is_error(const char *line)
{
    return begins_with(line, error_prefix) || names_a_place(line);
}

enum ocd_problem ocd_complaint_of(const char *line)
{
    const char *words = ocd_complaint_words(line);
    if (begins_with(line, CHILD_NOT_RUN_WORDS)) {
        return OCD_PROBLEM_NOT_RUN;
    }
    if (names_a_place(line)) {
        return OCD_PROBLEM_CONFIGURATION;
    }
    if (begins_with(line, error_prefix) && strcmp(words, "open failed") == 0) {
        return OCD_PROBLEM_PROBE_MISSING; /* stlink */
    }
    for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++) {
        bool fits = begins_with(words, complaints[i].words) ||
                    (ocd_complaint_is_error(line) && strstr(words, complaints[i].words) != NULL);
        if (fits) {
            return complaints[i].problem;
        }
    }
    return OCD_PROBLEM_NONE;
}

bool ocd_complaint_is_probe_lost(const char *line)
{
    const char *words = ocd_complaint_words(line);
    return words != line && (begins_with(words, "Error on socket 'remote_bitbang") ||
                             strstr(words, "LIBUSB_ERROR_NO_DEVICE") != NULL);
}

bool ocd_complaint_tcl_port(const char *line, unsigned *ret_port)
{
    static const char before[] = "Info : Listening on port ";
    char *end = NULL;
    if (!begins_with(line, before)) {
        return false;
    }
    unsigned long port = strtoul(line + sizeof before - 1, &end, 10);
    if (port == 0 || port > 65535 || strcmp(end, " for tcl connections") != 0) {
        return false;
    }
    *ret_port = (unsigned)port;
    return true;
}
