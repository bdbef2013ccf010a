/* The clocks. */
#ifndef DISPATCHER_INFRA_MONOTONIC_H
#define DISPATCHER_INFRA_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static inline int64_t monotonic_ms(void)
{
    return monotonic_us() / 1000;
}

/* Milliseconds since 1970. */
static inline int64_t wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

#endif
