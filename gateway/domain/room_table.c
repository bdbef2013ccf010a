/* Open addressing: a room stands in the first free slot from its own on, and when one leaves, those
 * behind it that could stand nearer move up. So there are no marks of what was there once, and a
 * look ends at the first free slot. */
#include "room_table.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"

enum { CAPACITY_LEAST = 8 };

static size_t own_slot(const struct room_table *table, uint64_t seed, uint64_t hash)
{
    assert(table->capacity > 0);
    return XXH3_64bits_withSeed(&hash, sizeof(hash), seed) & (table->capacity - 1);
}

/* The slot of this hash, or the free one in which it would be. */
static size_t slot_for(const struct room_table *table, uint64_t seed, uint64_t hash)
{
    assert(table->count < table->capacity); /* else it might not end */
    size_t at = own_slot(table, seed, hash);
    while (table->slots[at].room && table->slots[at].hash != hash)
        at = (at + 1) & (table->capacity - 1);
    return at;
}

struct room *room_table_find(const struct room_table *table, uint64_t seed, uint64_t hash)
{
    return table->count ? table->slots[slot_for(table, seed, hash)].room : NULL;
}

static void grow_room_table(struct room_table *table, uint64_t seed)
{
    struct room_table old = *table;
    table->capacity = old.capacity ? 2 * old.capacity : CAPACITY_LEAST;
    table->slots = mem_resize(NULL, table->capacity, sizeof(*table->slots));
    for (size_t i = 0; i < table->capacity; i++)
        table->slots[i] = (struct room_slot){0};
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].room)
            table->slots[slot_for(table, seed, old.slots[i].hash)] = old.slots[i];
    free(old.slots);
}

/* Three quarters full at most: then a look passes two or three slots, of one cache line or two. */
void room_table_set(struct room_table *table, uint64_t seed, uint64_t hash, struct room *room)
{
    assert(room);
    if (4 * (table->count + 1) > 3 * table->capacity)
        grow_room_table(table, seed);
    struct room_slot *slot = &table->slots[slot_for(table, seed, hash)];
    table->count += !slot->room;
    *slot = (struct room_slot){hash, room};
}

void room_table_remove(struct room_table *table, uint64_t seed, uint64_t hash)
{
    assert(table->count > 0);
    size_t mask = table->capacity - 1, hole = slot_for(table, seed, hash);
    assert(table->slots[hole].room);
    for (size_t at = (hole + 1) & mask; table->slots[at].room; at = (at + 1) & mask) {
        size_t own = own_slot(table, seed, table->slots[at].hash);
        /* It may not move in front of its own slot. */
        if (((at - own) & mask) < ((at - hole) & mask))
            continue;
        table->slots[hole] = table->slots[at];
        hole = at;
    }
    table->slots[hole] = (struct room_slot){0};
    if (--table->count > 0)
        return;
    free(table->slots);
    *table = (struct room_table){0};
}

size_t room_table_longest(const struct room_table *table, uint64_t seed)
{
    size_t longest = 0;
    for (size_t i = 0; i < table->capacity; i++) {
        if (!table->slots[i].room)
            continue;
        size_t passed = (i - own_slot(table, seed, table->slots[i].hash)) & (table->capacity - 1);
        longest = passed > longest ? passed : longest;
    }
    return longest;
}
