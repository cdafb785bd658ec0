/* Time. Durations and deadlines use the monotonic clock; people get RFC 3339 in UTC. */
#ifndef OCDMUX_BASE_CLOCK_H
#define OCDMUX_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 32

/* Microseconds of the monotonic clock; never 0, never falls. */
uint64_t clock_now_us(void);

/* Writes the wall-clock time as "2026-01-31T12:34:56.789Z" (RFC 3339, UTC). */
void clock_wall_text(char text[CLOCK_TEXT_SIZE]);
/* The same for `later_us` microseconds from now. */
void clock_wall_text_in(char text[CLOCK_TEXT_SIZE], uint64_t later_us);

/* For tests: from now on clock_now_us() answers `now_us`; 0 gives the real clock back. */
void clock_fake(uint64_t now_us);

#endif
