/* What the dispatcher remembers of one input partition: which events it has seen, and which reviews
 * are open. Not Kafka: what it must not forget comes out as records of a changelog (compacted
 * topic), and goes in again by memory_restore().
 *
 * Changes are tentative until memory_commit(): memory_rollback() undoes them. Time is that of
 * records, not of a clock: an event is a duplicate if one with its fingerprint was noted less than
 * the window before (or after) it.
 *
 * Every call costs the same however much is remembered and however much of it is tentative. Those
 * who choose the ids of events do not know `hash_seed`, so they cannot make look-ups long. */
#ifndef DISPATCHER_CORE_MEMORY_H
#define DISPATCHER_CORE_MEMORY_H

#include "buffer.h"
#include "bytes.h"
#include "fingerprint.h"

struct memory_settings {
    int64_t dedupe_window_ms; /* 0: events are not remembered */
    size_t dedupe_entries;    /* more: the oldest are forgotten */
    int64_t review_window_ms; /* 0: reviews are not remembered. After this time an open review
                                 counts as forgotten */
    size_t review_tasks;      /* more: further reviews are not remembered, and counted */
    size_t reviews_per_task;  /* at least 1; more: likewise */
    uint64_t hash_seed;       /* random, of this process alone: it enters no record */
};

struct memory;

/* `domain` (of the group and the input topic) tells whose keys are whose in one changelog. */
struct memory *memory_new(const struct memory_settings *settings, uint32_t domain);
void memory_free(struct memory *memory);

/* Whether an event was seen before. */
bool memory_has_seen(const struct memory *memory, struct fingerprint event, int64_t time_ms);
void memory_note(struct memory *memory, struct fingerprint event, int64_t time_ms);

bool memory_review_is_open(const struct memory *memory, struct fingerprint task,
                           struct fingerprint review, int64_t time_ms);
/* False: the limit is reached; it is not remembered. */
bool memory_open_review(struct memory *memory, struct fingerprint task, struct fingerprint review,
                        int64_t time_ms);
/* All reviews of the task. */
void memory_close_reviews(struct memory *memory, struct fingerprint task);

enum memory_record {
    MEMORY_TAKEN,
    MEMORY_FOREIGN,  /* of another domain: left alone */
    MEMORY_MALFORMED /* nobody's that is known here: left alone */
};

/* Takes one record of the changelog, which may be anything; `value` without data: a tombstone. */
enum memory_record memory_restore(struct memory *memory, struct bytes key, struct bytes value,
                                  bool has_value);

/* Calls `emit` for each record that must be written for what has changed since the last commit. Key
 * and value are good until it returns. */
typedef void memory_emit_fn(void *context, struct bytes key, struct bytes value, bool has_value);
void memory_flush(struct memory *memory, memory_emit_fn *emit, void *context);

/* What was flushed has been written, or not: then all is as at the last commit. */
void memory_commit(struct memory *memory);
void memory_rollback(struct memory *memory);

/* How many entries the longest look-up passes, of all tables, that of tentative changes too: what
 * their seed keeps short. */
size_t memory_longest_chain(const struct memory *memory);

size_t memory_event_count(const struct memory *memory);
size_t memory_review_count(const struct memory *memory); /* tasks with open reviews */

#endif
