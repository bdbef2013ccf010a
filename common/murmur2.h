/* The hash and partition choice of Kafka's Java client
 * (org.apache.kafka.common.utils.Utils.murmur2, BuiltInPartitioner.partitionForKey), so that any
 * client that sets the key alone finds the same partition. Not a general hash: use xxhash. */
#ifndef COMMON_MURMUR2_H
#define COMMON_MURMUR2_H

#include "bytes.h"

uint32_t murmur2(struct bytes key);

/* toPositive(murmur2(key)) % partition_count; the count is at least 1. */
int32_t murmur2_partition(struct bytes key, int32_t partition_count);

#endif
