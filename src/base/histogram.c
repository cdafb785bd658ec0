/* Fixed bounds: from one scan of a fast probe to an erase of everything. */
#include "base/histogram.h"

#include <assert.h>

static const uint64_t bounds_us[HISTOGRAM_BOUNDS] = {
    1000,   2500,    5000,    10000,   25000,    50000,    100000,   250000,
    500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000,
};

void histogram_add(struct histogram *histogram, uint64_t value_us)
{
    size_t index = 0;
    while (index < HISTOGRAM_BOUNDS && value_us > bounds_us[index]) {
        index++;
    }
    if (index < HISTOGRAM_BOUNDS) {
        histogram->counts[index]++;
    }
    histogram->count++;
    histogram->sum_us += value_us;
}

uint64_t histogram_bound_us(size_t index)
{
    assert(index < HISTOGRAM_BOUNDS);
    return bounds_us[index];
}

uint64_t histogram_up_to(const struct histogram *histogram, size_t index)
{
    uint64_t sum = 0;
    assert(index < HISTOGRAM_BOUNDS);
    for (size_t i = 0; i <= index; i++) {
        sum += histogram->counts[i];
    }
    return sum;
}
