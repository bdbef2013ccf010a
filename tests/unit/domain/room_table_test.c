/* A client chooses the names of rooms, and cannot choose where they lie in a lane's table. */
#include "lane.h"
#include "mem.h"
#include "suite.h"

#include <stdio.h>

enum { CRAFTED = 285, SLOT_BITS = 12, LONGEST = 40 };

static char names[CRAFTED][32];
static struct hub hub;
static struct lane lane;

static uint64_t hash_of(const char *name)
{
    return room_hash(BYTES_LITERAL("acme"), bytes_of_string(name));
}

/* Rooms that all have one slot of their own in a table with this seed, whatever its size. */
static void craft(uint64_t seed)
{
    struct hub other = {.config.hash_seed = seed};
    for (unsigned found = 0, i = 0; found < CRAFTED; i++) {
        snprintf(names[found], sizeof(names[found]), "task:%u", i);
        uint64_t hash = hash_of(names[found]);
        found += (hub_hash(&other, &hash, sizeof(hash)) & ((1u << SLOT_BITS) - 1)) == 0;
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

static size_t longest(uint64_t seed)
{
    return room_table_longest(&lane.rooms, seed);
}

static void empty(void)
{
    for (unsigned i = 0; i < CRAFTED; i++)
        room_release(room_find(&lane, hash_of(names[i])));
    ck_assert_uint_eq(hub.stats.rooms, 0);
    ck_assert_uint_eq(lane.rooms.count, 0);
    ck_assert_ptr_null(lane.rooms.slots);
}

START_TEST(names_that_collide_under_one_seed_do_not_under_another)
{
    craft(0);
    fill(0);
    ck_assert_uint_eq(longest(0), CRAFTED - 1);
    empty();
    for (uint64_t seed = 1; seed < 20; seed++) {
        fill(seed * 0x9e3779b97f4a7c15u);
        ck_assert_uint_le(longest(hub.config.hash_seed), LONGEST);
        empty();
    }
}
END_TEST

/* Against what was done, at every count: some share a slot, and the table grows, and wraps. */
START_TEST(what_was_set_is_found_until_it_is_removed)
{
    enum { KEYS = 300, STEPS = 20000, SEED = 5 };
    struct room_table table = {0};
    static struct room rooms[KEYS];
    struct room *expected[KEYS] = {0};
    uint64_t random = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned key = (random >> 33) % KEYS, most = (step / 2000) % 2 ? 40 : KEYS;
        if (expected[key]) {
            room_table_remove(&table, SEED, key);
            expected[key] = NULL;
        } else if (key < most) {
            expected[key] = &rooms[key];
            room_table_set(&table, SEED, key, expected[key]);
        }
        size_t count = 0, wrong = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            wrong += room_table_find(&table, SEED, i) != expected[i];
            count += expected[i] != NULL;
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_uint_eq(table.count, count);
    }
    for (unsigned i = 0; i < KEYS; i++)
        if (expected[i])
            room_table_remove(&table, SEED, i);
    ck_assert_ptr_null(table.slots);
}
END_TEST

TEST_PROGRAM("room_table", what_was_set_is_found_until_it_is_removed,
             names_that_collide_under_one_seed_do_not_under_another)
