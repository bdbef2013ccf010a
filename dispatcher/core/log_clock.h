/* What time it is by the broker: when it last said so, and what has passed since. Pure: both clocks of
 * this machine are the caller's.
 *
 * Timers are about times that records of the log have, so they go by the clock that the log goes by. A
 * machine whose own clock says something else is not believed at all: nobody knows which of the two
 * is right, and another dispatcher is. */
#ifndef DISPATCHER_CORE_LOG_CLOCK_H
#define DISPATCHER_CORE_LOG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_CLOCK_TOLERANCE_MS = 5000 };

/* Zeroed, it knows no time. All times in ms; `monotonic_ms` of a clock that nobody sets. */
struct log_clock {
    int64_t time_ms; /* since 1970; 0: not known */
    int64_t seen_ms; /* by the monotonic clock */
    bool is_set;     /* once at least */
};

/* A record was read that was appended at this time, maybe long ago: it is at least as late. */
void log_clock_see(struct log_clock *clock, int64_t appended_ms, int64_t monotonic_ms);

/* A record was appended now: so late it is, whatever was believed. */
void log_clock_set(struct log_clock *clock, int64_t appended_ms, int64_t monotonic_ms);

/* 0: not known. */
int64_t log_clock_now(const struct log_clock *clock, int64_t monotonic_ms);

/* Whether it was set and this machine's clock says the same, but for the tolerance. */
bool log_clock_agrees(const struct log_clock *clock, int64_t monotonic_ms, int64_t wall_ms);

#endif
