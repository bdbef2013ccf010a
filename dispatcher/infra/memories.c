#include "memories.h"

#include <stdlib.h>
#include <xxhash.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"
#include "pipeline.h"

enum { RESTORE_TIMEOUT_MS = 60000 };

struct entry {
    char *topic;
    int32_t partition;
    struct memory *memory;
};

struct memories {
    struct memories_options options;
    struct entry *entries;
    size_t count;
    size_t last; /* the one that was found last: records come in runs */
};

struct memories *memories_new(const struct memories_options *options)
{
    struct memories *memories = mem_new(struct memories);
    memories->options = *options;
    return memories;
}

static void deinit_entry(struct entry *entry)
{
    free(entry->topic);
    memory_free(entry->memory);
}

void memories_free(struct memories *memories)
{
    if (memories == NULL)
        return;
    for (size_t i = 0; i < memories->count; i++)
        deinit_entry(&memories->entries[i]);
    free(memories->entries);
    free(memories);
}

static bool entry_is(const struct entry *entry, struct bytes topic, int32_t partition)
{
    return entry->partition == partition && bytes_equal_string(topic, entry->topic);
}

static struct entry *find(struct memories *memories, struct bytes topic, int32_t partition)
{
    if (memories->last < memories->count &&
        entry_is(&memories->entries[memories->last], topic, partition))
        return &memories->entries[memories->last];
    for (size_t i = 0; i < memories->count; i++) {
        if (entry_is(&memories->entries[i], topic, partition)) {
            memories->last = i;
            return &memories->entries[i];
        }
    }
    return NULL;
}

struct memory *memories_find(struct memories *memories, struct bytes topic, int32_t partition)
{
    struct entry *entry = find(memories, topic, partition);
    return entry == NULL ? NULL : entry->memory;
}

struct restoring {
    struct memory *memory;
    uint64_t malformed;
};

/* Whoever may write to the topic may have written anything. */
static void take_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    struct restoring *restoring = (struct restoring *)context;
    if (memory_restore(restoring->memory, key, value, has_value) == MEMORY_MALFORMED)
        restoring->malformed++;
}

static void tell_malformed(const struct memories *memories, int32_t partition, uint64_t count)
{
    if (count == 0)
        return;
    if (memories->options.malformed != NULL)
        metric_counter_add(memories->options.malformed, count);
    log_warning("state has records that are none, they are left alone",
                LOG_STRING("topic", memories->options.topic), LOG_INTEGER("partition", partition),
                LOG_UNSIGNED("records", count));
}

/* A new memory with what the changelog has of this partition, or NULL. */
static struct memory *restore(struct memories *memories, const char *topic, int32_t partition)
{
    int64_t began_ms = monotonic_ms();
    const char *group = memories->options.group;
    uint32_t domain =
        (uint32_t)XXH3_64bits_withSeed(topic, strlen(topic), XXH3_64bits(group, strlen(group)));
    struct memory *memory = memory_new(&memories->options.settings, domain);
    struct restoring restoring = {.memory = memory};
    if (memories->options.changelog == NULL)
        return memory;
    if (changelog_read(memories->options.changelog, partition, RESTORE_TIMEOUT_MS,
                       memories->options.stop, take_record, &restoring) != STATUS_OK) {
        memory_free(memory);
        return NULL;
    }
    tell_malformed(memories, partition, restoring.malformed);
    log_info("state restored", LOG_STRING("topic", topic), LOG_INTEGER("partition", partition),
             LOG_UNSIGNED("events", memory_event_count(memory)),
             LOG_UNSIGNED("reviews", memory_review_count(memory)),
             LOG_INTEGER("milliseconds", monotonic_ms() - began_ms));
    return memory;
}

enum status memories_add(struct memories *memories, const char *topic, int32_t partition)
{
    struct memory *memory = restore(memories, topic, partition);
    if (memory == NULL)
        return STATUS_UNAVAILABLE;
    memories_remove(memories, topic, partition);
    memories->entries =
        (struct entry *)mem_resize(memories->entries, memories->count + 1, sizeof(struct entry));
    memories->entries[memories->count++] = (struct entry){
        .topic = mem_string(bytes_of_string(topic)), .partition = partition, .memory = memory};
    return STATUS_OK;
}

void memories_remove(struct memories *memories, const char *topic, int32_t partition)
{
    struct entry *entry = find(memories, bytes_of_string(topic), partition);
    if (entry == NULL)
        return;
    deinit_entry(entry);
    *entry = memories->entries[--memories->count];
}

enum status memories_restore(struct memories *memories)
{
    for (size_t i = 0; i < memories->count; i++) {
        struct entry *entry = &memories->entries[i];
        struct memory *memory = restore(memories, entry->topic, entry->partition);
        if (memory == NULL)
            return STATUS_UNAVAILABLE;
        memory_free(entry->memory);
        entry->memory = memory;
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

void memories_keep(struct memories *memories, struct batch *batch)
{
    for (size_t i = 0; i < memories->count; i++) {
        const struct entry *entry = &memories->entries[i];
        if (memories->options.changelog != NULL)
            pipeline_keep(entry->memory, memories->options.topic, entry->partition, batch);
        else
            memory_flush(entry->memory, ignore_record, NULL);
    }
}

void memories_commit(struct memories *memories)
{
    for (size_t i = 0; i < memories->count; i++)
        memory_commit(memories->entries[i].memory);
}

void memories_rollback(struct memories *memories)
{
    for (size_t i = 0; i < memories->count; i++)
        memory_rollback(memories->entries[i].memory);
}

size_t memories_event_count(const struct memories *memories)
{
    size_t count = 0;
    for (size_t i = 0; i < memories->count; i++)
        count += memory_event_count(memories->entries[i].memory);
    return count;
}

size_t memories_review_count(const struct memories *memories)
{
    size_t count = 0;
    for (size_t i = 0; i < memories->count; i++)
        count += memory_review_count(memories->entries[i].memory);
    return count;
}
