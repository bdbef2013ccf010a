/* What the worker processes of one gateway show each other: that they turn, that they are ready,
 * and what they have counted, in memory that all of them map. Each writes its own place and reads
 * the others'; all values are single words, so nothing is ever locked or half written. The
 * counts of a worker outlive it, so that sums never fall. Not the workers' beginning and end
 * (supervisor.h). */
#ifndef GATEWAY_WORKERS_SCOREBOARD_H
#define GATEWAY_WORKERS_SCOREBOARD_H

#include "metrics.h"

struct scoreboard;

/* Which worker this process is. */
struct scoreboard_slot {
    struct scoreboard *scoreboard;
    unsigned index;
};

/* Before the workers are forked. Each may count at most SCOREBOARD_VALUES numbers. NULL: no memory. */
enum { SCOREBOARD_VALUES = 1024 };
struct scoreboard *scoreboard_new(unsigned count);
/* For this process. NULL is fine. */
void scoreboard_free(struct scoreboard *scoreboard);

/* How long a worker may not turn before it is held for stuck. */
enum { SCOREBOARD_STUCK_MS = 10000 };

/* Tells the others; about once a second. `now_ms` is CLOCK_MONOTONIC, as below. `base`: what
 * scoreboard_base() gave when this process began. */
void scoreboard_tell(const struct scoreboard_slot *slot, int64_t now_ms, bool ready,
                     struct metrics *metrics, const uint64_t *base);
/* A copy of what the earlier processes of this slot had counted, `count` numbers; freed by the
 * caller. */
uint64_t *scoreboard_base(const struct scoreboard_slot *slot, size_t count);
/* The process of this slot has ended. */
void scoreboard_gone(const struct scoreboard_slot *slot);
/* It has told something since. */
bool scoreboard_is_up(const struct scoreboard_slot *slot);

/* All of them into `total`, registered as they are. */
void scoreboard_sum(const struct scoreboard *scoreboard, struct metrics *total);

struct scoreboard_state {
    unsigned up;    /* of how many that exist */
    int first_lazy; /* up, but does not turn; -1: none */
    int first_unready;
};
struct scoreboard_state scoreboard_look(const struct scoreboard *scoreboard, int64_t now_ms);
unsigned scoreboard_count(const struct scoreboard *scoreboard);

#endif
