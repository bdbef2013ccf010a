/* The clocks. Deadlines, pauses and limits of rate go by the monotonic one, which no administrator
 * and no NTP server moves; the wall clock is for what is compared with times from elsewhere
 * (records, tokens) or is shown to people. */
#ifndef COMMON_EDGE_CLOCKS_H
#define COMMON_EDGE_CLOCKS_H

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
