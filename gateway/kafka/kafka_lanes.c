/* The table of lanes, with two keys: the hub's lane, for what the hub asks, and topic and
 * partition, for what librdkafka gives.
 *
 * The invariant: an entry is in both tables or in none. It is freed by kafka_lanes_reap() alone, at
 * the end of a turn: those who are in the middle of it on the stack may go on to look at it. */
#include <xxhash.h>

/* uthash's own is slow and more than the analyser can follow. For pointers; names have a seed. */
#define HASH_FUNCTION(key, size, value) (value) = (unsigned)XXH3_64bits(key, size)
#include "kafka_lanes.h"

#include <assert.h>
#include <stddef.h>

#include "layout.h"
#include "mem.h"

/* Packed by hand: the partition stands in front of the name in the entry too, so that both are one
 * run of bytes, and a key can be hashed where it lies. */
struct lane_key {
    int32_t partition;
    char topic[LAYOUT_TOPIC_LIMIT + 1];
};

static size_t key_size(const char *topic)
{
    return offsetof(struct lane_key, topic) + strlen(topic);
}

/* Topics may be named after what clients ask for. */
static unsigned hash_of_name(const struct kafka_lanes *lanes, const void *key, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(key, size, lanes->seed);
}

struct kafka_lane *kafka_lanes_add(struct kafka_lanes *lanes, struct lane *lane, const char *topic,
                                   int32_t partition)
{
    assert(!kafka_lanes_find(lanes, lane) && !kafka_lanes_named(lanes, topic, partition));
    size_t size = strlen(topic) + 1;
    struct kafka_lane *entry = mem_alloc(sizeof(*entry) + size);
    memcpy(entry->topic, topic, size);
    entry->partition = partition;
    entry->lane = lane;
    entry->id = ++lanes->last_id;
    HASH_ADD(by_lane, lanes->by_lane, lane, sizeof(void *), entry);
    HASH_ADD_KEYPTR_BYHASHVALUE(by_name, lanes->by_name, &entry->partition, key_size(topic),
                                hash_of_name(lanes, &entry->partition, key_size(topic)), entry);
    return entry;
}

void kafka_lanes_remove(struct kafka_lanes *lanes, struct kafka_lane *entry)
{
    HASH_DELETE(by_lane, lanes->by_lane, entry);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): both tables hold the same entries */
    HASH_DELETE(by_name, lanes->by_name, entry);
    entry->lane = NULL;
    entry->next_closed = lanes->closed;
    lanes->closed = entry;
}

void kafka_lanes_reap(struct kafka_lanes *lanes)
{
    while (lanes->closed) {
        struct kafka_lane *entry = lanes->closed;
        lanes->closed = entry->next_closed;
        free(entry);
    }
}

void kafka_lanes_deinit(struct kafka_lanes *lanes)
{
    struct kafka_lane *entry;
    struct kafka_lane *scratch;
    KAFKA_LANES_FOREACH(lanes, entry, scratch)
    {
        kafka_lanes_remove(lanes, entry);
    }
    kafka_lanes_reap(lanes);
}

struct kafka_lane *kafka_lanes_find(const struct kafka_lanes *lanes, const struct lane *lane)
{
    struct kafka_lane *entry;
    HASH_FIND(by_lane, lanes->by_lane, &lane, sizeof(void *), entry);
    return entry;
}

struct kafka_lane *kafka_lanes_named(const struct kafka_lanes *lanes, const char *topic,
                                     int32_t partition)
{
    struct lane_key key = {.partition = partition};
    size_t size = strlen(topic);
    if (size > LAYOUT_TOPIC_LIMIT)
        return NULL;
    memcpy(key.topic, topic, size);
    struct kafka_lane *entry;
    HASH_FIND_BYHASHVALUE(by_name, lanes->by_name, &key, key_size(topic),
                          hash_of_name(lanes, &key, key_size(topic)), entry);
    return entry;
}
