/* Numbers into narrower types, where a limit elsewhere has made sure that they fit: asserted, so
 * that what does not fit is never cut. Not for what comes from outside: that is checked and
 * refused. */
#ifndef COMMON_NARROW_H
#define COMMON_NARROW_H

#include <assert.h>
#include <limits.h>
#include <stdint.h>

static inline uint8_t narrow_8(uint64_t number)
{
    assert(number <= UINT8_MAX);
    return (uint8_t)number;
}

static inline uint16_t narrow_16(uint64_t number)
{
    assert(number <= UINT16_MAX);
    return (uint16_t)number;
}

static inline uint32_t narrow_32(uint64_t number)
{
    assert(number <= UINT32_MAX);
    return (uint32_t)number;
}

static inline int narrow_int(uint64_t number)
{
    assert(number <= INT_MAX);
    return (int)number;
}

/* An offset, which has a sign for what is none. */
static inline int64_t narrow_offset(uint64_t number)
{
    assert(number <= INT64_MAX);
    return (int64_t)number;
}

#endif
