/*
 * Prometheus's text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/):
 * families of samples, each with its help and type. Pure.
 */
#ifndef OCDMUX_SERVER_METRICS_TEXT_H
#define OCDMUX_SERVER_METRICS_TEXT_H

#include <stdint.h>

#include "base/histogram.h"
#include "base/strbuf.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A label's value may be any bytes: they are escaped, and what is no UTF-8 is replaced. Its name is not
 * looked at. */
struct metrics_label {
    const char *name; /* NULL ends a list */
    const char *value;
};

/* The head of a family, before all of its samples; `help` is one line without backslashes. `type` is
 * "counter", "gauge" or "histogram". */
void metrics_text_family(struct strbuf *out, const char *name, const char *type, const char *help);
/* `labels` may be NULL. */
void metrics_text_sample(struct strbuf *out, const char *name, const struct metrics_label *labels,
                         uint64_t value);
/* Microseconds, shown in seconds. */
void metrics_text_seconds(struct strbuf *out, const char *name, const struct metrics_label *labels,
                          uint64_t value_us);
/* All samples of one histogram, in seconds. */
void metrics_text_histogram(struct strbuf *out, const char *name, const struct metrics_label *labels,
                            const struct histogram *histogram);

#endif
