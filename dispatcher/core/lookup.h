/* Finds what one event has led to (drafts, rooms, lanes) by a hash of its name, so that each more
 * costs the same. Emptied at no cost for the next event; its memory stays. Not an owner: the items
 * lie in the batch's arena.
 *
 * Names come from events, so the hash is seeded with what nobody outside knows.
 *
 *     uint64_t hash = lookup_hash(&lookup, salt, name);
 *     for (uint32_t at = 0; (item = lookup_next(&lookup, hash, &at));)
 *         if (it is the one) return item;
 *     lookup_add(&lookup, hash, item);
 */
#ifndef DISPATCHER_CORE_LOOKUP_H
#define DISPATCHER_CORE_LOOKUP_H

#include "bytes.h"

struct lookup_entry {
    uint64_t hash;
    void *item;
    uint32_t epoch; /* of another one: an empty place */
};

/* A zeroed struct is an empty table with seed 0. */
struct lookup {
    uint64_t seed;
    struct lookup_entry *entries; /* open addressing, at most half full */
    uint32_t mask;
    uint32_t count;
    uint32_t epoch;
    uint64_t steps; /* entries looked at since it was made */
};

void lookup_deinit(struct lookup *lookup);

/* Forgets all items. */
void lookup_clear(struct lookup *lookup);

/* `salt` is of what the name belongs to; several parts are hashed by passing the hash of the first
 * as salt of the next. */
uint64_t lookup_hash(const struct lookup *lookup, uint64_t salt, struct bytes name);

/* The next item of this hash; NULL: no more. `at` counts from 0. */
void *lookup_next(struct lookup *lookup, uint64_t hash, uint32_t *at);

void lookup_add(struct lookup *lookup, uint64_t hash, void *item);

#endif
