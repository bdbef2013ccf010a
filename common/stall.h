/* Whether a reader stands still although what it reads goes on: a connection that nothing comes
 * through looks, to a client library, like a log without new records. Plain state and arithmetic:
 * who asks, on another connection, where the log ends is the caller. */
#ifndef COMMON_STALL_H
#define COMMON_STALL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: not behind. */
struct stall {
    int64_t since_ms; /* since when it has been behind without a step; 0: it is not behind */
    int64_t progress; /* where it has stood since then */
};

/* Takes one look: the reader stands at `progress`, what it reads ended at `end` a moment ago.
 * `now_ms` is monotonic and above 0. True: it is behind, and has made no step for `limit_ms`; the
 * time then begins anew, so that each true is one attempt to help it. */
bool stall_look(struct stall *stall, int64_t progress, int64_t end, int64_t now_ms,
                int64_t limit_ms);

#endif
