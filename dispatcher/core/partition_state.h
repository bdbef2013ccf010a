/* What the dispatcher remembers of one input partition: which events it has seen, which reviews
 * are open, and with which orders items were told; of a partition of the log of reviews: the reviews. Not Kafka: what it must not forget comes out as records of a changelog (compacted
 * topic), and goes in again by partition_state_restore().
 *
 * Changes are tentative until partition_state_commit(): partition_state_rollback() undoes them. Time is that of
 * records, not of a clock: an event is a duplicate if one with its fingerprint was noted less than
 * the window before (or after) it.
 *
 * Every call costs the same however much is remembered and however much of it is tentative. Those
 * who choose the ids of events do not know `hash_seed`, so they cannot make look-ups long. */
#ifndef DISPATCHER_CORE_PARTITION_STATE_H
#define DISPATCHER_CORE_PARTITION_STATE_H

#include "buffer.h"
#include "bytes.h"
#include "fingerprint.h"
#include "item_orders.h"
#include "reviews.h"

struct partition_state_settings {
    int64_t dedupe_window_ms; /* 0: events are not remembered */
    size_t dedupe_entries;    /* more: the oldest are forgotten */
    int64_t review_window_ms; /* 0: reviews are not remembered. After this time an open review
                                 counts as forgotten */
    size_t review_tasks;      /* more: further reviews are not remembered, and counted */
    size_t reviews_per_task;  /* at least 1; more: likewise */
    int64_t order_window_ms;  /* 0: orders of items are not remembered */
    size_t order_items;       /* more: those told of longest ago are forgotten */
    uint64_t hash_seed;       /* random, of this process alone: it enters no record */
};

struct partition_state;

/* `domain` (of the group and the input topic) tells whose keys are whose in one changelog. */
struct partition_state *partition_state_new(const struct partition_state_settings *settings,
                                            uint32_t domain);
void partition_state_free(struct partition_state *state);

/* Whether an event was seen before. */
bool partition_state_has_seen(const struct partition_state *state, struct fingerprint event,
                              int64_t time_ms);
void partition_state_note(struct partition_state *state, struct fingerprint event, int64_t time_ms);

bool partition_state_review_is_open(const struct partition_state *state, struct fingerprint task,
                                    struct fingerprint review, int64_t time_ms);
/* False: the limit is reached; it is not remembered. */
bool partition_state_open_review(struct partition_state *state, struct fingerprint task,
                                 struct fingerprint review, int64_t time_ms);
/* All reviews of the task. */
void partition_state_close_reviews(struct partition_state *state, struct fingerprint task);

/* The state's own, changed through them and committed and rolled back with it. */
struct reviews *partition_state_reviews(struct partition_state *state);
struct item_orders *partition_state_orders(struct partition_state *state);

enum partition_state_record {
    PARTITION_STATE_TAKEN,
    PARTITION_STATE_FOREIGN,  /* of another domain: left alone */
    PARTITION_STATE_MALFORMED /* nobody's that is known here: left alone */
};

/* Takes one record of the changelog, which may be anything; `value` without data: a tombstone. */
enum partition_state_record partition_state_restore(struct partition_state *state, struct bytes key,
                                                    struct bytes value, bool has_value);

/* Calls `emit` for each record that must be written for what has changed since the last commit. Key
 * and value are good until it returns. */
typedef void partition_state_emit_fn(void *context, struct bytes key, struct bytes value,
                                     bool has_value);
void partition_state_flush(struct partition_state *state, partition_state_emit_fn *emit,
                           void *context);

/* The flushed records are written; or they are not, and all is as at the last commit. */
void partition_state_commit(struct partition_state *state);
void partition_state_rollback(struct partition_state *state);

/* How many entries the longest look-up passes, of all tables, that of tentative changes too: what
 * their seed keeps short. */
size_t partition_state_longest_chain(const struct partition_state *state);

size_t partition_state_event_count(const struct partition_state *state);
size_t
partition_state_review_count(const struct partition_state *state); /* tasks with open reviews */
size_t partition_state_living_count(const struct partition_state *state); /* reviews of the log */

/* Of those with a timer; and when the first of all fires, in ms since 1970; 0: none does. */
size_t partition_state_timed_count(const struct partition_state *state);
int64_t partition_state_deadline(const struct partition_state *state);

#endif
