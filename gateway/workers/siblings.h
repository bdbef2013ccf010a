/* What the worker processes of one gateway show each other: that they turn, that they are ready,
 * and what they have counted, in memory that all of them map. Each writes its own place and reads
 * the others'; all values are single words, so nothing is ever locked or half written. What a
 * worker had counted outlives it, so that sums never fall. Not the workers' beginning and end
 * (supervisor.h). */
#ifndef GATEWAY_WORKERS_SIBLINGS_H
#define GATEWAY_WORKERS_SIBLINGS_H

#include "metrics.h"

struct siblings;

/* Which worker this process is. */
struct seat {
    struct siblings *siblings;
    unsigned index;
};

/* Before the workers are forked. Each may count at most SIBLING_VALUES numbers. NULL: no memory. */
enum { SIBLING_VALUES = 1024 };
struct siblings *siblings_new(unsigned count);
/* For this process. NULL is fine. */
void siblings_free(struct siblings *siblings);

/* How long a worker may not turn before it is held for stuck. */
enum { SIBLING_STUCK_MS = 10000 };

/* Tells the others; about once a second. `now_ms` is CLOCK_MONOTONIC, as below. `base`: what
 * siblings_base() gave when this process began. */
void siblings_tell(const struct seat *seat, int64_t now_ms, bool ready, struct metrics *metrics,
                   const uint64_t *base);
/* A copy of what the earlier processes of this seat had counted, `count` numbers; freed by the
 * caller. */
uint64_t *siblings_base(const struct seat *seat, size_t count);
/* The process of this seat has ended. */
void siblings_gone(const struct seat *seat);
/* It has told something since. */
bool siblings_is_up(const struct seat *seat);

/* All of them into `total`, registered as they are. */
void siblings_sum(const struct siblings *siblings, struct metrics *total);

struct siblings_state {
    unsigned up;    /* of how many that exist */
    int first_lazy; /* up, but does not turn; -1: none */
    int first_unready;
};
struct siblings_state siblings_look(const struct siblings *siblings, int64_t now_ms);
unsigned siblings_count(const struct siblings *siblings);

#endif
