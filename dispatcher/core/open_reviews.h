/* The manual reviews that are open, by task: while one is, its alert is not sent again. Not who
 * reviews what (review.c), and not the form in which they are kept (partition_state.h). */
#ifndef DISPATCHER_CORE_OPEN_REVIEWS_H
#define DISPATCHER_CORE_OPEN_REVIEWS_H

#include "fingerprint.h"

struct open_reviews_limits {
    int64_t window_ms; /* 0: none are remembered. After this time an open review counts as over */
    size_t tasks;      /* more: further reviews are not remembered */
    size_t per_task;   /* at least 1; more: likewise */
};

struct open_reviews;
struct open_reviews *open_reviews_new(const struct open_reviews_limits *limits, uint64_t hash_seed);
void open_reviews_free(struct open_reviews *reviews);

bool open_reviews_have(const struct open_reviews *reviews, struct fingerprint task,
                       struct fingerprint review, int64_t time_ms);

/* False: a limit is reached; it is not remembered. */
bool open_reviews_add(struct open_reviews *reviews, struct fingerprint task,
                      struct fingerprint review, int64_t time_ms);

/* Closes all reviews of the task. */
void open_reviews_close(struct open_reviews *reviews, struct fingerprint task);

/* Calls `emit` for each task that has changed since the last commit, with all its open reviews; a
 * count of 0: it has none any more. */
typedef void open_reviews_emit_fn(void *context, struct fingerprint task,
                                  const struct timed_fingerprint *reviews, size_t count);
void open_reviews_flush(const struct open_reviews *reviews, open_reviews_emit_fn *emit,
                        void *context);

/* The flushed records are written; or they are not, and all is as at the last commit. */
void open_reviews_commit(struct open_reviews *reviews);
void open_reviews_rollback(struct open_reviews *reviews);

/* A task as it was emitted, in place of what is known of it; of more reviews than the limit the
 * last. Not between a change and its commit. */
void open_reviews_restore(struct open_reviews *reviews, struct fingerprint task,
                          const struct timed_fingerprint *items, size_t count);

bool open_reviews_are_changed(const struct open_reviews *reviews);

/* Tasks with open reviews. */
size_t open_reviews_count(const struct open_reviews *reviews);

/* How many entries the longest look-up passes: what the seed keeps short. */
size_t open_reviews_longest_chain(const struct open_reviews *reviews);

#endif
