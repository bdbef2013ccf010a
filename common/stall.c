/* Whether work that is there gets done: a watch over two numbers, how far something has come and
 * how far it should come. It does not know what they count, so that everything is watched in one
 * way, and it has no clock, so that a test decides the time.
 *
 * The invariant: since_ms is 0 exactly while there is nothing to do, or before the first look at
 * what there is. */
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
    /* Any change counts as progress, also one backwards: a log that was made again begins at 0, and
     * that is no stall. */
    if (stall->since_ms == 0 || stall->progress != progress) {
        *stall = (struct stall){.since_ms = now_ms, .progress = progress};
        return false;
    }
    /* A stall is told once for each limit_ms that it lasts, not at each look: who looks every
     * second would otherwise write a line every second. */
    if (now_ms - stall->since_ms < limit_ms)
        return false;
    stall->since_ms = now_ms;
    return true;
}
