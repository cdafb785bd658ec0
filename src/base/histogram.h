/* How long things took: counts by upper bounds, as Prometheus wants them. Pure; never falls, never resets. */
#ifndef OCDMUX_BASE_HISTOGRAM_H
#define OCDMUX_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* The bounds: 1 ms to 60 s. What is longer is in `count` alone. */
#define HISTOGRAM_BOUNDS 15u

/* Zeros: empty. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS]; /* of the values up to that bound and above the one before */
    uint64_t count;                    /* of all */
    uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, uint64_t value_us);
/* `index` below HISTOGRAM_BOUNDS; they rise with it. */
uint64_t histogram_bound_us(size_t index);
/* The values up to that bound. */
uint64_t histogram_up_to(const struct histogram *histogram, size_t index);

#endif
