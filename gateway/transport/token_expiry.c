/* The expiry of tokens, for all transports. The timer counts from now, although the token names a
 * time of day, which another machine has written: so a step of the clock moves no deadline. */
#include "token_expiry.h"

#include <assert.h>

#include "pack.h"

void token_expiry_set(struct token_expiry *expiry, const struct token_times *times,
                      int64_t expires_ms)
{
    assert(expiry->timer.fire);
    expiry->expired = false;
    expiry->expires_ms = expires_ms;
    timer_wheel_cancel(times->wheel, &expiry->timer);
    if (expires_ms == INT64_MAX)
        return;
    int64_t left_ms = expires_ms > times->wall_ms ? expires_ms - times->wall_ms : 0;
    timer_wheel_set(times->wheel, &expiry->timer, times->now_ms + left_ms);
}

static void begin_grace(struct token_expiry *expiry, const struct token_times *times,
                        int64_t left_ms)
{
    assert(left_ms >= 0 && left_ms <= times->grace_ms);
    expiry->expired = true;
    timer_wheel_set(times->wheel, &expiry->timer, times->now_ms + left_ms);
}

bool token_expiry_is_over(struct token_expiry *expiry, const struct token_times *times)
{
    assert(!timer_is_set(&expiry->timer));
    if (expiry->expired)
        return true;
    begin_grace(expiry, times, times->grace_ms);
    return false;
}

const char *token_expiry_refresh(struct token_expiry *expiry, const struct token_times *times,
                                 struct session *session, uint64_t request,
                                 enum identity_verdict verdict, const struct identity *identity)
{
    assert(session && verdict != IDENTITY_UNDECIDED);
    if (verdict != IDENTITY_KNOWN)
        return identity->reason;
    const char *problem = session_refresh(session, identity->claims, request, times->now_ms);
    if (!problem)
        token_expiry_set(expiry, times, identity->expires_ms);
    return problem;
}

void token_expiry_pack(const struct token_expiry *expiry, const struct token_times *times,
                       struct buffer *state)
{
    int64_t left_ms = expiry->expired ? expiry->timer.deadline_ms - times->now_ms : 0;
    assert(left_ms <= times->grace_ms);
    pack_number(state, (uint64_t)expiry->expires_ms);
    pack_number(state, expiry->expired);
    pack_number(state, (uint64_t)(left_ms > 0 ? left_ms : 0));
}

/* Another gateway has written it: its time of grace may be longer than ours. */
bool token_expiry_unpack(struct token_expiry *expiry, const struct token_times *times,
                         struct bytes *state)
{
    uint64_t expires_ms, expired, left_ms;
    if (!unpack_limited(state, INT64_MAX, &expires_ms) || !unpack_limited(state, 1, &expired) ||
        !unpack_limited(state, (uint64_t)times->grace_ms, &left_ms))
        return false;
    token_expiry_set(expiry, times, (int64_t)expires_ms);
    if (expired)
        begin_grace(expiry, times, (int64_t)left_ms);
    return true;
}
