#include "stall.h"

#include <assert.h>

bool stall_look(struct stall *stall, int64_t progress, int64_t end, int64_t now_ms,
                int64_t limit_ms)
{
    assert(now_ms > 0 && limit_ms > 0);
    if (progress >= end) {
        *stall = (struct stall){0};
        return false;
    }
    if (stall->since_ms == 0 || stall->progress != progress) {
        *stall = (struct stall){.since_ms = now_ms, .progress = progress};
        return false;
    }
    if (now_ms - stall->since_ms < limit_ms)
        return false;
    stall->since_ms = now_ms;
    return true;
}
