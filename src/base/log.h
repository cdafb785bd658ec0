/*
 * The daemon's log: one line an event on standard error, "TIME LEVEL text". Control bytes and bytes above
 * 0x7e that are not valid UTF-8 are escaped as \xNN, so that no client can forge a line. Never tokens or
 * payloads.
 */
#ifndef OCDMUX_BASE_LOG_H
#define OCDMUX_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped; the start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug"; false for any other word. */
bool log_level_parse(const char *word, enum log_level *ret_level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
