/* What is remembered of each partition that this dispatcher has.
 *
 * A state comes with its partition and goes with it: it is read from the changelog before the first
 * record of the partition, so another dispatcher that had the partition before has left there what
 * it knew.
 *
 *     input     tasks.events-3        what this group has seen of partition 3 of each input topic
 *     state     partition 3           is in partition 3 of the state topic
 *
 * Invariant: a partition that is read has a state, and all states are changed, committed and
 * rolled back together, with the batch. */
#include "state_store.h"

#include <stdlib.h>
#include <xxhash.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"
#include "pipeline.h"

enum { RESTORE_TIMEOUT_MS = 60000 };

struct kept_partition {
    char *topic;
    int32_t partition;
    struct partition_state *state;
};

struct state_store {
    struct state_store_options options;
    struct kept_partition *entries;
    size_t count;
    size_t last; /* the one that was found last: records come in runs */
};

struct state_store *state_store_new(const struct state_store_options *options)
{
    struct state_store *store = mem_new(struct state_store);
    store->options = *options;
    return store;
}

static void kept_partition_deinit(struct kept_partition *entry)
{
    free(entry->topic);
    partition_state_free(entry->state);
}

void state_store_free(struct state_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        kept_partition_deinit(&store->entries[i]);
    free(store->entries);
    free(store);
}

static bool entry_is(const struct kept_partition *entry, struct bytes topic, int32_t partition)
{
    return entry->partition == partition && bytes_equal_string(topic, entry->topic);
}

/* Records come in runs of one partition, so the one that was found last is nearly always it. */
static struct kept_partition *find(struct state_store *store, struct bytes topic, int32_t partition)
{
    if (store->last < store->count && entry_is(&store->entries[store->last], topic, partition))
        return &store->entries[store->last];
    for (size_t i = 0; i < store->count; i++) {
        if (entry_is(&store->entries[i], topic, partition)) {
            store->last = i;
            return &store->entries[i];
        }
    }
    return NULL;
}

struct partition_state *state_store_find(struct state_store *store, struct bytes topic,
                                         int32_t partition)
{
    struct kept_partition *entry = find(store, topic, partition);
    return entry ? entry->state : NULL;
}

struct restoring {
    struct partition_state *state;
    uint64_t malformed;
};

/* A writer of the topic may have written anything. */
static void restore_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct restoring *restoring = context;
    if (partition_state_restore(restoring->state, key, value, has_value) ==
        PARTITION_STATE_MALFORMED)
        restoring->malformed++;
}

static void tell_malformed(const struct state_store *store, int32_t partition, uint64_t count)
{
    if (count == 0)
        return;
    if (store->options.malformed)
        metric_counter_add(store->options.malformed, count);
    log_warning("state has records that are none, they are left alone",
                LOG_STRING("topic", store->options.topic), LOG_INTEGER("partition", partition),
                LOG_UNSIGNED("records", count));
}

/* A new state with what the changelog has of this partition, or NULL. The domain is of group and
 * input topic: several of both may share one state topic. Without a changelog the state begins
 * empty and ends with the process. */
static struct partition_state *restore(struct state_store *store, const char *topic,
                                       int32_t partition)
{
    int64_t began_ms = monotonic_ms();
    const char *group = store->options.group;
    uint32_t domain =
        (uint32_t)XXH3_64bits_withSeed(topic, strlen(topic), XXH3_64bits(group, strlen(group)));
    struct partition_state *state = partition_state_new(&store->options.settings, domain);
    struct restoring restoring = {.state = state};
    if (!store->options.changelog)
        return state;
    if (changelog_read(store->options.changelog, partition, RESTORE_TIMEOUT_MS, store->options.stop,
                       restore_record, &restoring) != STATUS_OK) {
        partition_state_free(state);
        return NULL;
    }
    tell_malformed(store, partition, restoring.malformed);
    log_info("state restored", LOG_STRING("topic", topic), LOG_INTEGER("partition", partition),
             LOG_UNSIGNED("events", partition_state_event_count(state)),
             LOG_UNSIGNED("reviews", partition_state_review_count(state)),
             LOG_UNSIGNED("orders", item_orders_count(partition_state_orders(state))),
             LOG_INTEGER("milliseconds", monotonic_ms() - began_ms));
    return state;
}

/* The old one goes only when the new one is there: a partition that is assigned twice is not
 * without a state. */
enum status state_store_add(struct state_store *store, const char *topic, int32_t partition)
{
    struct partition_state *state = restore(store, topic, partition);
    if (!state)
        return STATUS_UNAVAILABLE;
    state_store_remove(store, topic, partition);
    store->entries = mem_resize(store->entries, store->count + 1, sizeof(struct kept_partition));
    store->entries[store->count++] = (struct kept_partition){
        .topic = mem_string(bytes_of_string(topic)), .partition = partition, .state = state};
    return STATUS_OK;
}

/* Their order says nothing: the last one takes its place. */
void state_store_remove(struct state_store *store, const char *topic, int32_t partition)
{
    struct kept_partition *entry = find(store, bytes_of_string(topic), partition);
    if (!entry)
        return;
    kept_partition_deinit(entry);
    *entry = store->entries[--store->count];
}

/* Partition by partition: when it fails half way the caller begins anew, and those that were
 * read are read again. */
enum status state_store_restore(struct state_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct kept_partition *entry = &store->entries[i];
        struct partition_state *state = restore(store, entry->topic, entry->partition);
        if (!state)
            return STATUS_UNAVAILABLE;
        partition_state_free(entry->state);
        entry->state = state;
    }
    return STATUS_OK;
}

static void ignore_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context;
    (void)key;
    (void)value;
    (void)has_value;
}

/* Without a changelog the flush still decides what the commit will forget. */
void state_store_flush(struct state_store *store, struct batch *batch)
{
    for (size_t i = 0; i < store->count; i++) {
        const struct kept_partition *entry = &store->entries[i];
        if (store->options.changelog)
            pipeline_flush_state(entry->state, store->options.topic, entry->partition, batch);
        else
            partition_state_flush(entry->state, ignore_record, NULL);
        batch->counts.orders_crowded_out +=
            item_orders_crowded_out(partition_state_orders(entry->state));
    }
}

void state_store_commit(struct state_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        partition_state_commit(store->entries[i].state);
}

void state_store_rollback(struct state_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        partition_state_rollback(store->entries[i].state);
}

size_t state_store_event_count(const struct state_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++)
        count += partition_state_event_count(store->entries[i].state);
    return count;
}

size_t state_store_review_count(const struct state_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++)
        count += partition_state_review_count(store->entries[i].state);
    return count;
}

size_t state_store_living_count(const struct state_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++)
        count += partition_state_living_count(store->entries[i].state);
    return count;
}

size_t state_store_order_count(const struct state_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++)
        count += item_orders_count(partition_state_orders(store->entries[i].state));
    return count;
}

size_t state_store_timed_count(const struct state_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++)
        count += partition_state_timed_count(store->entries[i].state);
    return count;
}

int64_t state_store_deadline(const struct state_store *store)
{
    int64_t first_ms = 0;
    for (size_t i = 0; i < store->count; i++) {
        int64_t deadline_ms = partition_state_deadline(store->entries[i].state);
        if (deadline_ms > 0 && (first_ms == 0 || deadline_ms < first_ms))
            first_ms = deadline_ms;
    }
    return first_ms;
}

struct partition_state *state_store_at(const struct state_store *store, size_t index,
                                       const char **topic, int32_t *partition)
{
    if (index >= store->count)
        return NULL;
    *topic = store->entries[index].topic;
    *partition = store->entries[index].partition;
    return store->entries[index].state;
}
