/* What seen_events.c and open_reviews.c share. Not for others. */
#ifndef DISPATCHER_CORE_PARTITION_STATE_PRIVATE_H
#define DISPATCHER_CORE_PARTITION_STATE_PRIVATE_H

#include <uthash.h>

#include "fingerprint.h"

/* How long after `from` it is `to`; 0 if it is not after it. Times come from records, and so may be
 * as far apart as numbers go: the difference of two int64_t needs a uint64_t. */
static inline uint64_t passed_ms(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? (uint64_t)to_ms - (uint64_t)from_ms : 0;
}

static inline size_t table_longest_chain(const UT_hash_table *table)
{
    size_t longest = 0;
    for (unsigned i = 0; table && i < table->num_buckets; i++)
        if (table->buckets[i].count > longest)
            longest = table->buckets[i].count;
    return longest;
}

#endif
