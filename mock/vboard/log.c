/* Messages on stderr: errors always, everything else only with --verbose. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

static bool log_verbose;

void log_set_verbose(bool verbose)
{
    log_verbose = verbose;
}

void log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("vboard: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    if (!log_verbose) {
        return;
    }
    va_list args;
    va_start(args, format);
    fputs("vboard: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}
