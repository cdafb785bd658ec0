/*
 * The daemon's log: one line an event on standard error, "TIME LEVEL text". Control bytes and bytes above
 * 0x7e that are not valid UTF-8 are escaped as \xNN, so that no client can forge a line. Never tokens or
 * payloads.
 */
#ifndef OCDMUX_BASE_LOG_H
#define OCDMUX_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Gets each line of LOG_LEVEL_INFO and more urgent ones, shown or not, without its LF: `text` is escaped, and
 * gone when the call returns. It may come from anywhere: it must not log, and not touch what others use. */
typedef void log_sink(void *context, enum log_level level, const char *time, const char *text);
/* NULL: none, as at the start. */
void log_set_sink(log_sink *sink, void *context);
const char *log_level_name(enum log_level level);

/* Lines above `level` are dropped; the start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug"; false for any other word. */
bool log_level_parse(const char *word, enum log_level *ret_level);

/* Appends `text` as the log shows it: what could pretend to be another line, or move a cursor, escaped. */
void log_escape(struct strbuf *out, const char *text, size_t length);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
