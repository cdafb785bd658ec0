#ifndef VBOARD_LOG_H
#define VBOARD_LOG_H

#include <stdbool.h>

/* Start-up and exit failures: always printed, as "vboard: TEXT". */
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);

/* Printed only after log_set_verbose(true); off by default so that a test run stays quiet. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

void log_set_verbose(bool verbose);

#endif
