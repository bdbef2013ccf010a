/* Time without the spans in which this process could not run.
 *
 * Each turn the loop says by when it means to wake up. If it wakes much later than that, it was
 * not asleep: it was stopped, or starved. The excess is added to `skew_ms`, and service time
 * goes on one millisecond short of the plan. So whatever was due falls due in the next turn,
 * after the sockets that have something to say were read in this one. */
#include "service_clock.h"

#include <assert.h>

void service_clock_init(struct service_clock *clock, int64_t monotonic_ms, int64_t limit_ms)
{
    assert(limit_ms > 0 && monotonic_ms >= 0);
    *clock = (struct service_clock){
        .limit_ms = limit_ms, .now_ms = monotonic_ms, .planned_ms = INT64_MAX};
}

void service_clock_plan(struct service_clock *clock, int64_t deadline_ms)
{
    clock->planned_ms = deadline_ms;
}

int64_t service_clock_read(struct service_clock *clock, int64_t monotonic_ms)
{
    int64_t now_ms = monotonic_ms - clock->skew_ms;
    if (now_ms <= clock->now_ms)
        return clock->now_ms;
    /* Without a deadline there is nothing that could be missed, however long the sleep was. */
    int64_t expected_ms = clock->planned_ms > clock->now_ms ? clock->planned_ms : clock->now_ms;
    if (expected_ms != INT64_MAX && now_ms - expected_ms > clock->limit_ms) {
        /* One millisecond short of the deadline: what is due falls due in the next turn. */
        int64_t resumed_ms = expected_ms > clock->now_ms ? expected_ms - 1 : clock->now_ms;
        clock->skew_ms += now_ms - resumed_ms;
        clock->gaps++;
        now_ms = resumed_ms;
    }
    assert(now_ms >= clock->now_ms);
    clock->now_ms = now_ms;
    return now_ms;
}

int64_t service_clock_sleep_ms(const struct service_clock *clock, int64_t monotonic_ms)
{
    if (clock->planned_ms == INT64_MAX)
        return -1;
    int64_t now_ms = monotonic_ms - clock->skew_ms;
    assert(clock->limit_ms > 0);
    return clock->planned_ms > now_ms ? clock->planned_ms - now_ms : 0;
}
