/* The hash by which Kafka's Java client chooses a partition (org.apache.kafka.common.utils.Utils),
 * and librdkafka's murmur2 partitioner after it. Ours, because the gateway must know the partition
 * of a key without a producer, and before there is one.
 *
 * The invariant: for each key it agrees with Java bit by bit. Where it did not, the dispatcher
 * would write a lane to one partition, and the gateway read another. */
#include "murmur2.h"

#include <assert.h>

static uint32_t little_endian(const uint8_t *data)
{
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* The seed is Java's. Words are put together byte by byte, since a key may lie at any address. */
uint32_t murmur2(struct bytes key)
{
    const uint32_t seed = 0x9747b28c, multiplier = 0x5bd1e995;
    uint32_t hash = seed ^ (uint32_t)key.size;
    size_t whole = key.size / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        uint32_t word = little_endian(key.data + i) * multiplier;
        word = (word ^ word >> 24) * multiplier;
        hash = (hash * multiplier) ^ word;
    }
    if (key.size > whole) {
        /* Java's switch over the rest falls through from the third byte to the first; the order
         * does not matter to XOR, and the product comes once, after all of them. */
        for (size_t i = key.size; i-- > whole;)
            hash ^= (uint32_t)key.data[i] << 8 * (i - whole);
        hash *= multiplier;
    }
    hash = (hash ^ hash >> 13) * multiplier;
    return hash ^ hash >> 15;
}

int32_t murmur2_partition(struct bytes key, int32_t partition_count)
{
    assert(partition_count >= 1);
    /* Java's toPositive(): the sign bit is cleared. An absolute value would differ for half of the
     * keys. */
    return (int32_t)(murmur2(key) & 0x7fffffff) % partition_count;
}
