/* The time by which connections are judged: the monotonic clock without the spans in which this
 * process could not run.
 *
 * After SIGSTOP, a paused virtual machine or a stalled turn, timers would fire before the sockets
 * are read, and every session would die of a silence that was ours. So a gap is cut out: all
 * deadlines move by it at once, and one turn passes in which sockets are read before anything falls
 * due. Not for durations that a person reads. */
#ifndef GATEWAY_TRANSPORT_SERVICE_CLOCK_H
#define GATEWAY_TRANSPORT_SERVICE_CLOCK_H

#include <stdint.h>

struct service_clock {
    int64_t limit_ms;   /* a turn that is later than this behind its plan is a gap */
    int64_t now_ms;     /* service time of the last reading */
    int64_t skew_ms;    /* monotonic time minus service time */
    int64_t planned_ms; /* service time at which the loop meant to wake up */
    uint64_t gaps;
};

void service_clock_init(struct service_clock *clock, int64_t monotonic_ms, int64_t limit_ms);

/* The loop goes to sleep until then at the latest; INT64_MAX: until something happens. */
void service_clock_plan(struct service_clock *clock, int64_t deadline_ms);

/* Reads the clock; call it at each wake-up, before anything else. Never goes back. */
int64_t service_clock_read(struct service_clock *clock, int64_t monotonic_ms);

/* How long to sleep from now on, by the monotonic clock: milliseconds, at least 0; -1: for ever. */
int64_t service_clock_sleep_ms(const struct service_clock *clock, int64_t monotonic_ms);

#endif
