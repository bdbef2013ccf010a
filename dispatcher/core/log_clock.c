/* A time that was seen is behind by as much as the record was old; one that was set is right. It falls
 * behind while the machine sleeps, and then does not agree with the machine's own. */
#include "log_clock.h"

#include <assert.h>

#include "partition_state_private.h"

int64_t log_clock_now(const struct log_clock *clock, int64_t monotonic_ms)
{
    uint64_t passed = passed_ms(clock->seen_ms, monotonic_ms);
    assert(clock->time_ms >= 0);
    if (clock->time_ms == 0)
        return 0;
    return passed < (uint64_t)(INT64_MAX - clock->time_ms) ? clock->time_ms + (int64_t)passed
                                                           : INT64_MAX;
}

void log_clock_set(struct log_clock *clock, int64_t appended_ms, int64_t monotonic_ms)
{
    if (appended_ms > 0)
        *clock =
            (struct log_clock){.time_ms = appended_ms, .seen_ms = monotonic_ms, .is_set = true};
}

void log_clock_see(struct log_clock *clock, int64_t appended_ms, int64_t monotonic_ms)
{
    if (appended_ms <= log_clock_now(clock, monotonic_ms))
        return;
    clock->time_ms = appended_ms;
    clock->seen_ms = monotonic_ms;
}

bool log_clock_agrees(const struct log_clock *clock, int64_t monotonic_ms, int64_t wall_ms)
{
    int64_t now_ms = log_clock_now(clock, monotonic_ms);
    return clock->is_set && passed_ms(now_ms, wall_ms) <= LOG_CLOCK_TOLERANCE_MS &&
           passed_ms(wall_ms, now_ms) <= LOG_CLOCK_TOLERANCE_MS;
}
