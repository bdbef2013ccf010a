/* The hash of the tables of the matcher and of field_set. Their keys come from the rules file,
 * which the operator writes; events only look up, and no look-up passes more than the keys that the
 * rules put side by side. So they need no seed: what comes from outside never gets in. */
#ifndef DISPATCHER_RULES_MATCHER_HASH_H
#define DISPATCHER_RULES_MATCHER_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bytes.h"

static inline uint32_t hash_bytes(struct bytes key, uint64_t salt)
{
    uint64_t hash = XXH3_64bits(key.data, key.size) ^ (salt * 0x9e3779b97f4a7c15u);
    return (uint32_t)(hash ^ hash >> 32);
}

/* The mask of an open-addressing table, at most half full, for `count` keys. */
static inline uint32_t hash_mask(size_t count)
{
    uint32_t size = 4;
    while (size < 2 * count)
        size *= 2;
    return size - 1;
}

#endif
