/* A client chooses the names of rooms, and cannot choose where they lie in a lane's table. */
#include "lane.h"
#include "mem.h"
#include "suite.h"

#include <stdio.h>

enum { CRAFTED = 285, BUCKET_BITS = 12, LONGEST = 20 };

static char names[CRAFTED][32];
static struct hub hub;
static struct lane lane;

static uint64_t hash_of(const char *name)
{
    return room_hash(BYTES_LITERAL("acme"), bytes_of_string(name));
}

/* Rooms that all lie in one bucket of a table with this seed, whatever its size. */
static void craft(uint64_t seed)
{
    struct hub other = {.config.hash_seed = seed};
    for (unsigned found = 0, i = 0; found < CRAFTED; i++) {
        snprintf(names[found], sizeof(names[found]), "task:%u", i);
        uint64_t hash = hash_of(names[found]);
        found += (hub_hash(&other, &hash, sizeof(hash)) & ((1u << BUCKET_BITS) - 1)) == 0;
    }
}

static void fill(uint64_t seed)
{
    hub = (struct hub){.config.hash_seed = seed};
    lane = (struct lane){.hub = &hub};
    for (unsigned i = 0; i < CRAFTED; i++)
        (void)room_get(&lane, BYTES_LITERAL("acme"), bytes_of_string(names[i]));
    ck_assert_uint_eq(hub.stats.rooms, CRAFTED);
}

static unsigned longest_chain(void)
{
    const struct UT_hash_table *table = lane.rooms->hh.tbl;
    unsigned longest = 0;
    for (unsigned i = 0; i < table->num_buckets; i++)
        if (table->buckets[i].count > longest)
            longest = table->buckets[i].count;
    return longest;
}

static void empty(void)
{
    for (unsigned i = 0; i < CRAFTED; i++)
        room_release(room_find(&lane, hash_of(names[i])));
    ck_assert_uint_eq(hub.stats.rooms, 0);
    ck_assert_ptr_null(lane.rooms);
}

START_TEST(names_that_collide_under_one_seed_do_not_under_another)
{
    craft(0);
    fill(0);
    ck_assert_uint_eq(longest_chain(), CRAFTED);
    empty();
    for (uint64_t seed = 1; seed < 20; seed++) {
        fill(seed * 0x9e3779b97f4a7c15u);
        ck_assert_uint_le(longest_chain(), LONGEST);
        ck_assert(!lane.rooms->hh.tbl->noexpand);
        empty();
    }
}
END_TEST

TEST_PROGRAM("room_table", names_that_collide_under_one_seed_do_not_under_another)
