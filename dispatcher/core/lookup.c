/* A hash table that one event fills and the next finds empty: what belongs to another epoch is not
 * there.
 *
 *     entries      hash   item   epoch                       epoch = 7
 *     [0]            a      x      7      in use
 *     [1]            b      y      6      empty: of the event before
 *     [2]            -      -      0      empty: never used
 *
 * Invariant: at most half of the entries are in use, so every run of them ends in an empty one
 * and a search for what is not there ends. Items are not removed one by one; with that, runs
 * have no holes. */
#include "lookup.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"

enum { SIZE_MIN = 32 };

/* The seed stays: a table that was emptied is the same table. */
void lookup_deinit(struct lookup *lookup)
{
    free(lookup->entries);
    *lookup = (struct lookup){.seed = lookup->seed};
}

/* Entries of an earlier epoch count as empty, so nothing is touched; only when the epochs have gone
 * round, after four thousand million events, might an old one look new. */
void lookup_clear(struct lookup *lookup)
{
    assert(lookup->count == 0 || lookup->entries);
    lookup->count = 0;
    if (++lookup->epoch != 0)
        return;
    for (size_t i = 0; lookup->entries && i <= lookup->mask; i++)
        lookup->entries[i].epoch = 0;
    lookup->epoch = 1;
}

/* The seed is what keeps the table fast against an event that is made to be slow: names come
 * from outside. */
uint64_t lookup_hash(const struct lookup *lookup, uint64_t salt, struct bytes name)
{
    return XXH3_64bits_withSeed(name.data, name.size, lookup->seed ^ salt);
}

static bool is_used(const struct lookup *lookup, const struct lookup_entry *entry)
{
    return entry->item && entry->epoch == lookup->epoch;
}

/* Stops at the first empty entry: an item of this hash would have been put there. */
void *lookup_next(struct lookup *lookup, uint64_t hash, uint32_t *at)
{
    while (lookup->entries) {
        const struct lookup_entry *entry =
            &lookup->entries[((uint32_t)hash + (*at)++) & lookup->mask];
        lookup->steps++;
        if (!is_used(lookup, entry))
            break;
        if (entry->hash == hash)
            return entry->item;
    }
    return NULL;
}

/* Linear probing. It ends, since half of the places are empty. */
static void place_entry(struct lookup *lookup, const struct lookup_entry *added)
{
    assert(lookup->count <= lookup->mask / 2 + 1 && is_used(lookup, added));
    uint32_t at = (uint32_t)added->hash & lookup->mask;
    while (is_used(lookup, &lookup->entries[at]))
        at = (at + 1) & lookup->mask;
    lookup->entries[at] = *added;
}

/* What earlier epochs left behind is not carried over. */
static void grow_lookup(struct lookup *lookup)
{
    struct lookup_entry *old = lookup->entries;
    size_t old_size = old ? (size_t)lookup->mask + 1 : 0;
    size_t size = old ? old_size * 2 : SIZE_MIN;
    assert(size - 1 < UINT32_MAX);
    lookup->entries = mem_alloc(size * sizeof(struct lookup_entry));
    lookup->mask = (uint32_t)(size - 1);
    for (size_t i = 0; i < old_size; i++)
        if (is_used(lookup, &old[i]))
            place_entry(lookup, &old[i]);
    free(old);
}

void lookup_add(struct lookup *lookup, uint64_t hash, void *item)
{
    assert(item);
    if (!lookup->entries || lookup->count > lookup->mask / 2)
        grow_lookup(lookup);
    const struct lookup_entry entry = {.hash = hash, .item = item, .epoch = lookup->epoch};
    place_entry(lookup, &entry);
    lookup->count++;
}
