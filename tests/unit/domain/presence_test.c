/* What a seat is told of who is in its room, and what that costs. */
#include <stdio.h>

#include "presence_fixture.h"

START_TEST(a_snapshot_then_who_comes_and_goes)
{
    world_begin_known();
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":true}");
    struct presence_seat *bob = enter("acme", "bob");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[\"bob\"],\"left\":[],\"count\":2}");
    leave(bob);
    pass(LINGER - 100);
    ck_assert_str_eq(told(ann), "");
    pass(400);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[],\"left\":[\"bob\"],\"count\":1}");
    leave(ann);
    world_end();
}
END_TEST

START_TEST(two_tabs_are_one_user)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *first = enter("acme", "bob");
    struct presence_seat *second = enter("acme", "bob");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 2);
    leave(first);
    pass(LINGER + 400);
    ck_assert_str_eq(told(ann), "");
    leave(second);
    pass(1000);
    second = enter("acme", "bob"); /* a reload */
    pass(LINGER + 400);
    ck_assert_str_eq(told(ann), "");
    leave(second);
    leave(ann);
    world_end();
}
END_TEST

/* He is there through another gateway already, so that nothing changes. */
START_TEST(who_comes_gets_a_snapshot_with_himself)
{
    world_begin_known();
    reads_another("ann");
    pass(200);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":true}");
    leave(ann);
    world_end();
}
END_TEST

/* Another one asks again while there is news for him, and takes it before the next tick. */
START_TEST(who_asks_again_does_not_hide_who_comes)
{
    world_begin_known();
    reads_another("ann");
    struct presence_seat *bob = watcher("acme", "bob");
    pass(200);
    ck_assert(bob->pending);
    struct presence_seat *ann = watcher("acme", "ann");
    presence_watch(world.presence, bob);
    told(bob);
    ck_assert(world.news.snapshot);
    pass(200);
    told(ann);
    ck_assert(world.news.snapshot && world.news.users.size > 0);
    ck_assert_uint_eq(ann->seen, bob->seen);
    leave(ann), leave(bob);
    world_end();
}
END_TEST

START_TEST(a_tenant_is_a_wall)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *other = watcher("umbr", "ann");
    struct presence_seat *bob = enter("umbr", "bob");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 1);
    told(other);
    ck_assert_uint_eq(world.news.count, 2);
    leave(bob), leave(ann), leave(other);
    world_end();
}
END_TEST

START_TEST(a_worker_lives_by_its_beats_between_ours)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    reads("[\"w\"]", "{}");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 1); /* who knows when that was */
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 2);
    pass(3600000); /* time alone makes nobody leave */
    beats(PRESENCE_BEATS_MISSED - 1);
    pass(200);
    ck_assert_str_eq(told(ann), "");
    beats(1);
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[],\"left\":[\"bob\"],\"count\":1}");
    reads("[\"w\"]", "{}"); /* it was only stopped */
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[\"bob\"],\"left\":[],\"count\":2}");
    leave(ann);
    world_end();
}
END_TEST

START_TEST(a_user_at_two_gateways)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *bob = enter("acme", "bob");
    beats(PRESENCE_BEATS_KNOWN);
    reads_another("bob");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 2);
    leave(bob);
    pass(LINGER + 400);
    ck_assert_str_eq(told(ann), "");
    reads("[\"w\",\"acme\",\"task:1\"]", NULL);
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[],\"left\":[\"bob\"],\"count\":1}");
    leave(ann);
    world_end();
}
END_TEST

START_TEST(who_missed_changes_gets_a_snapshot)
{
    world_begin(10, 100);
    struct presence_seat *slow = watcher("acme", "ann"), *bob = enter("acme", "bob");
    pass(200);
    told(slow);
    struct presence_seat *cid = enter("acme", "cid");
    pass(200);
    struct presence_seat *dan = enter("acme", "dan");
    pass(200);
    ck_assert(slow->pending); /* one mark, however much it missed */
    told(slow);
    ck_assert(world.news.snapshot);
    ck_assert_uint_eq(world.news.count, 4);
    leave(bob), leave(cid), leave(dan), leave(slow);
    world_end();
}
END_TEST

START_TEST(a_log_that_is_made_anew)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    beats(PRESENCE_BEATS_KNOWN);
    reads_another("bob");
    pass(200);
    written();
    told(ann);
    ck_assert(world.news.complete);
    presence_log_begins(world.presence);
    ck_assert(!presence_is_known(world.presence));
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 1);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":1,\"users\":[\"ann\"]} ");
    leave(ann);
    world_end();
}
END_TEST

START_TEST(what_is_not_known_yet_is_not_complete)
{
    world_begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":false}");
    beats(PRESENCE_BEATS_KNOWN);
    pass(50);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":true}");
    leave(ann);
    world_end();
}
END_TEST

/* One user comes and goes where there are `users` in his room, and `rooms` others of which three other
 * workers tell: what is looked at for that. */
static uint64_t steps_of_one(unsigned users, unsigned rooms)
{
    static struct presence_seat *seats[3000];
    char text[64];
    world_begin(10, 1000000);
    beats(PRESENCE_BEATS_KNOWN);
    for (unsigned i = 0; i < users; i++) {
        snprintf(text, sizeof(text), "u%u", i);
        seats[i] = enter("acme", text);
    }
    for (unsigned i = 0; i < 3 * rooms; i++) {
        snprintf(text, sizeof(text), "[\"w%u\",\"acme\",\"task:%u\"]", i % 3, i / 3);
        reads(text, "{\"count\":2,\"users\":[\"ann\",\"bob\"]}");
    }
    reads("[\"w0\"]", "{}"), reads("[\"w1\"]", "{}"), reads("[\"w2\"]", "{}");
    for (unsigned i = 0; i < 60; i++) {
        pass(200);
        written();
    }
    presence_watch(world.presence, seats[0]);
    told(seats[0]);
    uint64_t before = presence_stats(world.presence)->steps;
    struct presence_seat *one = enter("acme", "one");
    pass(200);
    written();
    told(seats[0]);
    leave(one);
    pass(LINGER + 400);
    written();
    told(seats[0]);
    uint64_t steps = presence_stats(world.presence)->steps - before;
    for (unsigned i = 0; i < users; i++)
        leave(seats[i]);
    world_end();
    return steps;
}

START_TEST(who_comes_and_goes_costs_the_same_among_few_and_many)
{
    uint64_t few = steps_of_one(30, 30), many = steps_of_one(3000, 3000);
    ck_assert_uint_gt(few, 0);
    ck_assert_uint_eq(many, few);
}
END_TEST

/* What each who comes costs there is bounded by the clock. */
START_TEST(a_crowd_is_told_less_often)
{
    enum { CROWD = 10000 };
    static struct presence_seat *seats[CROWD];
    char name[16];
    world_begin(10, 100);
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        seats[i] = watcher("acme", name);
    }
    pass(200);
    told(seats[0]);
    ck_assert_uint_eq(world.news.count, CROWD);
    uint64_t before = presence_stats(world.presence)->joined + presence_stats(world.presence)->left;
    struct presence_seat *one = enter("acme", "one");
    pass(CROWD / PRESENCE_WATCHERS_A_MS - 300);
    ck_assert(!seats[0]->pending);
    pass(500);
    told(seats[0]);
    ck_assert_uint_eq(world.news.count, CROWD + 1);
    ck_assert_uint_eq(presence_stats(world.presence)->joined + presence_stats(world.presence)->left,
                      before);
    leave(one);
    for (unsigned i = 0; i < CROWD; i++)
        leave(seats[i]);
    world_end();
}
END_TEST

/* Who comes into another room is told with those who come within a tick, as ever. */
START_TEST(a_crowd_does_not_hurry_other_rooms)
{
    enum { CROWD = 10000 };
    static struct presence_seat *seats[CROWD];
    struct presence_seat *others[20];
    char name[16];
    world_begin(10, 100);
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        seats[i] = watcher("acme", name);
    }
    struct presence_seat *one = watcher("umbr", "one");
    pass(200);
    told(one);
    struct presence_seat *more = enter("acme", "more"); /* told a second later */
    unsigned count = 0;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "v%u", i);
        others[i] = enter("umbr", name);
        pass(20);
        count += one->pending;
        told(one);
    }
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_le(count, 1 + 20 * 50 / PRESENCE_TICK_MS); /* pass() goes in steps of 50 ms */
    for (unsigned i = 0; i < 20; i++)
        leave(others[i]);
    for (unsigned i = 0; i < CROWD; i++)
        leave(seats[i]);
    leave(one), leave(more);
    world_end();
}
END_TEST

TEST_PROGRAM("presence", a_snapshot_then_who_comes_and_goes, two_tabs_are_one_user,
             who_comes_gets_a_snapshot_with_himself, who_asks_again_does_not_hide_who_comes,
             a_tenant_is_a_wall, a_worker_lives_by_its_beats_between_ours, a_user_at_two_gateways,
             who_missed_changes_gets_a_snapshot, a_log_that_is_made_anew,
             what_is_not_known_yet_is_not_complete,
             who_comes_and_goes_costs_the_same_among_few_and_many, a_crowd_is_told_less_often,
             a_crowd_does_not_hurry_other_rooms)
