/* The memory (core/memory.h) of each input partition that is ours: restored before the partition is
 * read, committed and rolled back with the batch. */
#ifndef DISPATCHER_INFRA_MEMORIES_H
#define DISPATCHER_INFRA_MEMORIES_H

#include "batch.h"
#include "changelog.h"
#include "memory.h"
#include "metrics.h"

struct memories_options {
    struct memory_settings settings;
    const char *group;           /* of the dispatchers: several may keep their state in one topic */
    const char *topic;           /* of the state */
    struct changelog *changelog; /* borrowed; NULL: nothing is kept, memories begin empty */
    struct metric_counter *malformed; /* records of the state that are none; may be NULL */
    const volatile sig_atomic_t *stop;
};

struct memories;
struct memories *memories_new(const struct memories_options *options);
void memories_free(struct memories *memories);

/* Makes and restores the memory of a partition; one that is there is replaced. Blocks.
 * STATUS_UNAVAILABLE: told to stop, or not within a minute. */
enum status memories_add(struct memories *memories, const char *topic,
                         int32_t partition) MUST_CHECK;
void memories_remove(struct memories *memories, const char *topic, int32_t partition);

/* All of them again from what was committed, after an outcome that is not known. */
enum status memories_restore(struct memories *memories) MUST_CHECK;

/* NULL: not ours. */
struct memory *memories_find(struct memories *memories, struct bytes topic, int32_t partition);

/* Appends what must be kept of all that changed. */
void memories_keep(struct memories *memories, struct batch *batch);
void memories_commit(struct memories *memories);
void memories_rollback(struct memories *memories);

size_t memories_event_count(const struct memories *memories);
size_t memories_review_count(const struct memories *memories);

#endif
