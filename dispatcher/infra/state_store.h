/* The state (core/partition_state.h) of each input partition that is ours: restored before the partition is
 * read, committed and rolled back with the batch. */
#ifndef DISPATCHER_INFRA_STATE_STORE_H
#define DISPATCHER_INFRA_STATE_STORE_H

#include "batch.h"
#include "changelog.h"
#include "metrics.h"
#include "partition_state.h"

struct state_store_options {
    struct partition_state_settings settings;
    const char *group;           /* of the dispatchers: several may keep their state in one topic */
    const char *topic;           /* of the state */
    struct changelog *changelog; /* borrowed; NULL: nothing is kept, states begin empty */
    struct metric_counter *malformed; /* records of the state that are none; may be NULL */
    const volatile sig_atomic_t *stop;
};

struct state_store;
struct state_store *state_store_new(const struct state_store_options *options);
void state_store_free(struct state_store *store);

/* Makes and restores the state of a partition; one that is there is replaced. Blocks.
 * STATUS_UNAVAILABLE: told to stop, or not within a minute. */
enum status state_store_add(struct state_store *store, const char *topic,
                            int32_t partition) MUST_CHECK;
void state_store_remove(struct state_store *store, const char *topic, int32_t partition);

/* All of them again from what was committed, after an outcome that is not known. */
enum status state_store_restore(struct state_store *store) MUST_CHECK;

/* NULL: not ours. */
struct partition_state *state_store_find(struct state_store *store, struct bytes topic,
                                         int32_t partition);

/* Appends what must be kept of all that changed, and counts what is forgotten. */
void state_store_flush(struct state_store *store, struct batch *batch);
void state_store_commit(struct state_store *store);
void state_store_rollback(struct state_store *store);

size_t state_store_event_count(const struct state_store *store);
size_t state_store_review_count(const struct state_store *store);
size_t state_store_living_count(const struct state_store *store);
size_t state_store_order_count(const struct state_store *store);
size_t state_store_timed_count(const struct state_store *store); /* of those with a timer */

/* When the first timer of all fires, in ms since 1970; 0: none does. */
int64_t state_store_deadline(const struct state_store *store);

/* The partitions one by one, in no order; NULL: there are no more. The topic is borrowed. */
struct partition_state *state_store_at(const struct state_store *store, size_t index,
                                       const char **topic, int32_t *partition);

#endif
