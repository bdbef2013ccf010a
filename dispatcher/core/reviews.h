/* The reviews of one partition of their log that are open or claimed, and what is needed to undo the
 * changes of a batch. Not what may become of them (review_judge.h), and not the form in which they
 * are kept (partition_state.h).
 *
 * Changes are tentative until reviews_commit(). Every call costs the same however many reviews there
 * are, but for those that set timers: steps by the logarithm of how many have some. */
#ifndef DISPATCHER_CORE_REVIEWS_H
#define DISPATCHER_CORE_REVIEWS_H

#include "review_judge.h"

struct reviews_limits {
    size_t tasks;    /* with reviews; more: theirs are not taken */
    size_t per_task; /* at least 1; more: likewise */
};

/* What is to happen to a review by itself: in ms since 1970, by the log's clock. All 0: nothing. */
struct review_timers {
    int64_t late_ms;     /* it is late, or late once more; 0: no more */
    uint32_t late_count; /* how often it was told to be */
    int64_t
        lapse_ms; /* the claim is over; 0: it is not ended so, or its end is in the log already */
};

/* When the first of them fires; 0: none does. */
static inline int64_t review_timers_first(const struct review_timers *timers)
{
    bool lapses_first =
        timers->lapse_ms > 0 && (timers->late_ms == 0 || timers->lapse_ms < timers->late_ms);
    return lapses_first ? timers->lapse_ms : timers->late_ms;
}

/* Borrowed until the next change. */
struct review {
    struct review_id id;
    struct bytes text;           /* what it is about: review_subject_read() */
    struct review_status status; /* open or claimed */
    struct review_timers timers;
};

struct reviews;
struct reviews *reviews_new(const struct reviews_limits *limits, uint64_t hash_seed);
void reviews_free(struct reviews *reviews);

/* NULL: there is none, or it is decided or closed. */
const struct review *reviews_find(const struct reviews *reviews, struct review_id id);

/* One of the task's; NULL: it has none. */
const struct review *reviews_find_of_task(const struct reviews *reviews, struct fingerprint task);

/* The one whose timer fires first; NULL: none of any does. */
const struct review *reviews_first_due(const struct reviews *reviews);

/* The review is not there yet. It is open from now on, at version 1; late at this time, or never
 * (0). False: a limit is reached. */
bool reviews_open(struct reviews *reviews, struct review_id id, struct bytes text,
                  int64_t late_ms) MUST_CHECK;

/* The review is there. A status that is decided or closed forgets it; a claim ends at this time, or
 * never (0, as of all that is no claim). */
void reviews_set(struct reviews *reviews, struct review_id id, const struct review_status *status,
                 int64_t lapse_ms);

/* The review is there, and stays what it is but for these. */
void reviews_set_timers(struct reviews *reviews, struct review_id id,
                        const struct review_timers *timers);

/* Calls `emit` for each that has changed since the last commit; `review` NULL: it is forgotten. */
typedef void reviews_emit_fn(void *context, struct review_id id, const struct review *review);
void reviews_flush(const struct reviews *reviews, reviews_emit_fn *emit, void *context);

/* The flushed records are written; or they are not, and all is as at the last commit. */
void reviews_commit(struct reviews *reviews);
void reviews_rollback(struct reviews *reviews);

/* As it was emitted, in place of what is known of it. Not between a change and its commit. The limits
 * are not applied: what was promised is kept. */
void reviews_restore(struct reviews *reviews, struct review_id id, const struct review *review);

bool reviews_are_changed(const struct reviews *reviews);
size_t reviews_count(const struct reviews *reviews);
size_t reviews_timed_count(const struct reviews *reviews); /* with a timer that is to fire */

/* How many entries the longest look-up passes: what the seed keeps short. */
size_t reviews_longest_chain(const struct reviews *reviews);

#endif
