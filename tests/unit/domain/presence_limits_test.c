/* What others may take of presence, and what becomes of what did not fit. */
#include <stdio.h>

#include "mem.h"
#include "presence_fixture.h"

START_TEST(beyond_the_limit_users_are_counted)
{
    struct presence_seat *seats[5];
    char name[8];
    world_begin(2, 100);
    beats(PRESENCE_BEATS_KNOWN);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        seats[i] = enter("acme", name);
    }
    presence_watch(world.presence, seats[0]);
    pass(200);
    ck_assert_str_eq(
        told(seats[0]),
        "{\"room\":\"task:1\",\"users\":[\"u0\",\"u1\"],\"count\":5,\"complete\":false}");
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":5,\"users\":[\"u0\",\"u1\"]} ");
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":4,\"users\":[\"x\",\"y\",\"z\"]}");
    pass(200);
    told(seats[0]);
    ck_assert_uint_eq(world.news.count, 9);
    leave(seats[1]); /* the next one is named */
    pass(LINGER + 400);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":4,\"users\":[\"u0\",\"u2\"]} ");
    for (unsigned i = 0; i < 5; i++)
        if (i != 1)
            leave(seats[i]);
    world_end();
}
END_TEST

START_TEST(what_others_write_is_bounded)
{
    char key[64];
    world_begin(10, 3);
    beats(1);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":2,\"users\":[\"a\",\"b\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 3);
    reads("[\"w\",\"acme\",\"task:2\"]", "{\"count\":1,\"users\":[\"a\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_ENTRIES], 1);
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 3);
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":3,\"users\":[\"a\",\"b\",\"c\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 1); /* counted, and not named */
    for (unsigned i = 0; i < PRESENCE_WORKERS_MOST; i++) {
        snprintf(key, sizeof(key), "[\"v%u\"]", i);
        reads(key, "{}");
    }
    ck_assert_uint_eq(presence_stats(world.presence)->workers, 1 + PRESENCE_WORKERS_MOST);
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_WORKERS], 1);
    world_end();
}
END_TEST

/* Of which rooms something was left out nobody knows. */
START_TEST(what_was_left_out_makes_no_snapshot_complete)
{
    char key[64];
    world_begin(10, 2);
    beats(PRESENCE_BEATS_KNOWN);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    told(ann);
    ck_assert(world.news.complete);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"umbr\",\"task:1\"]", "{\"count\":1,\"users\":[\"a\"]}");
    presence_watch(world.presence, ann);
    told(ann);
    ck_assert(world.news.complete);
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    presence_watch(world.presence, ann);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":false}");
    ck_assert(!world.news.complete);
    ck_assert(!presence_wants_log(world.presence)); /* until there is space again */
    reads("[\"w\",\"umbr\",\"task:1\"]", NULL);
    ck_assert(!presence_wants_log(world.presence));
    beats(1);
    ck_assert(presence_wants_log(world.presence) && !presence_wants_log(world.presence));
    for (size_t i = 0, size = world.topic_size; i < size; i++)
        if (!is_compacted(i))
            read_at(i);
    pass(200);
    ck_assert_str_eq(told(ann), "");
    reads("[\"w\"]", "{}");
    pass(200);
    ck_assert_str_eq(
        told(ann),
        "{\"room\":\"task:1\",\"users\":[\"ann\",\"bob\"],\"count\":2,\"complete\":true}");
    for (unsigned i = 0; i <= PRESENCE_WORKERS_MOST; i++) {
        snprintf(key, sizeof(key), "[\"v%u\"]", i);
        reads(key, "{}");
    }
    presence_watch(world.presence, ann);
    told(ann);
    ck_assert(world.news.snapshot && !world.news.complete);
    presence_log_begins(world.presence);
    beats(PRESENCE_BEATS_KNOWN);
    pass(200);
    told(ann);
    ck_assert(world.news.snapshot && world.news.complete);
    leave(ann);
    world_end();
}
END_TEST

START_TEST(a_tenant_has_a_share)
{
    char room[16];
    world_begin_with(10, 100, 20);
    beats(PRESENCE_BEATS_KNOWN);
    struct presence_seat *ann = watcher("acme", "ann"), *zoe = watcher("umbr", "zoe");
    reads("[\"w\"]", "{}");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(room, sizeof(room), "task:%u", 100 + i);
        reads_list("w", "umbr", room, "{\"count\":1,\"users\":[\"a\"]}");
    }
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 20);
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_TENANT], 90);
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_ENTRIES], 0);
    reads_list("w", "umbr", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    /* A user's rooms are his tenant's. */
    reads_list("w", "umbr\\u001fann", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_TENANT], 92);
    reads_list("w", "acme", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    pass(200);
    ck_assert_str_eq(
        told(ann),
        "{\"room\":\"task:1\",\"users\":[\"bob\",\"ann\"],\"count\":2,\"complete\":true}");
    ck_assert_str_eq(told(zoe),
                     "{\"room\":\"task:1\",\"users\":[\"zoe\"],\"count\":1,\"complete\":false}");
    leave(ann), leave(zoe);
    world_end();
}
END_TEST

/* And the others are told as ever meanwhile, and once in a minute is enough. */
START_TEST(what_was_left_out_comes_back)
{
    world_begin_with(10, 100, 20);
    beats(PRESENCE_BEATS_KNOWN);
    struct presence_seat *ann = watcher("acme", "ann"), *zoe = watcher("umbr", "zoe");
    reads("[\"w\"]", "{}");
    reads_list("w", "umbr", "task:1", "{\"count\":1,\"users\":[\"yan\"]}");
    for (unsigned i = 0; i < 12; i++) {
        char room[16];
        snprintf(room, sizeof(room), "task:%u", 100 + i);
        reads_list("w", "umbr", room, "{\"count\":1,\"users\":[\"a\"]}");
    }
    reads_list("w", "umbr", "task:1", "{\"count\":2,\"users\":[\"yan\",\"bob\"]}");
    ck_assert_uint_gt(presence_stats(world.presence)->dropped[PRESENCE_DROP_TENANT], 0);
    pass(200);
    told(ann);
    told(zoe);
    ck_assert(!world.news.complete);
    ck_assert_uint_eq(world.news.count, 3);
    beats(1);
    ck_assert(!presence_wants_log(world.presence)); /* not at the limit itself */
    reads_list("w", "umbr", "task:100", NULL);
    reads_list("w", "umbr", "task:101", NULL);
    reads_list("w", "umbr", "task:102", NULL);
    reads_list("w", "umbr", "task:103", NULL);
    beats(1);
    ck_assert(presence_wants_log(world.presence));
    for (size_t i = 0, size = world.topic_size; i < size; i++) {
        if (is_compacted(i))
            continue;
        read_at(i);
        pass(100);
    }
    ck_assert_str_eq(told(zoe), ""); /* that bob was not there is the past */
    struct presence_seat *dan = enter("acme", "dan");
    pass(200);
    told(ann);
    ck_assert_uint_eq(world.news.count, 2);
    reads("[\"w\"]", "{}");
    pass(200);
    told(zoe);
    ck_assert(world.news.snapshot && world.news.complete);
    ck_assert_uint_eq(world.news.count, 3);
    ck_assert_uint_eq(world.news.users.size, 12);
    /* A tenant who comes and goes at his limit. */
    reads_list("w", "umbr", "task:104", NULL);
    reads_list("w", "umbr", "task:105", NULL);
    for (unsigned i = 0; i < PRESENCE_AGAIN_BEATS - 1; i++) {
        for (unsigned j = 0; j < 12; j++)
            reads_list("w", "umbr", (const char *[]){"task:7", "task:8"}[j % 2],
                       j < 6 ? "{\"count\":9,\"users\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}" : NULL);
        reads("[\"w\"]", "{}");
        beats(1);
        ck_assert(!presence_wants_log(world.presence));
    }
    beats(1);
    ck_assert(presence_wants_log(world.presence));
    leave(ann), leave(zoe), leave(dan);
    world_end();
}
END_TEST

START_TEST(tenants_are_written_in_turn)
{
    enum { CROWD = 5 * PRESENCE_WRITES_MOST };
    static struct presence_seat *seats[CROWD];
    struct presence_write write;
    unsigned count = 0;
    world_begin(10, 100);
    for (unsigned i = 0; i < CROWD; i++)
        seats[i] = enter_task("umbr", i, "ann");
    for (unsigned i = 0; i < 10; i++)
        pass(200);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    bool written_first = false;
    while (presence_next_write(world.presence, world.now_ms, &write) && count++ < 4)
        written_first =
            written_first || bytes_equal_string(write.key, "[\"07000000000000000000000000000000\","
                                                           "\"acme\",\"task:1\"]");
    ck_assert(written_first);
    while (presence_next_write(world.presence, world.now_ms, &write))
        ;
    presence_written(world.presence, false, world.now_ms);
    for (unsigned i = 0; i < CROWD; i++)
        leave(seats[i]);
    leave(ann);
    world_end();
}
END_TEST

/* What many rooms are told, and what is forgotten of them, is too much for one turn. */
START_TEST(no_turn_takes_all)
{
    enum { ROOMS = 5000 };
    static struct presence_seat *seats[ROOMS];
    char room[16];
    unsigned count = 0;
    world_begin(10, 100000);
    for (unsigned i = 0; i < ROOMS; i++) {
        snprintf(room, sizeof(room), "task:%u", i);
        seats[i] = enter_task("acme", i, "ann");
        presence_watch(world.presence, seats[i]);
        reads_list("w", "acme", room, "{\"count\":1,\"users\":[\"bob\"]}");
    }
    pass(1000);
    for (unsigned i = 0; i < ROOMS; i++)
        told(seats[i]);
    beats(PRESENCE_BEATS_KNOWN);
    presence_run(world.presence, world.now_ms);
    for (unsigned i = 0; i < ROOMS; i++)
        count += seats[i]->pending;
    ck_assert(count > 0 && count < ROOMS);
    ck_assert_int_le(presence_deadline_ms(world.presence), world.now_ms);
    pass(1000);
    for (unsigned i = 0; i < ROOMS; i++) {
        told(seats[i]);
        ck_assert(world.news.snapshot && world.news.complete);
    }
    reads("[\"w\"]", "{}");
    pass(2000);
    told(seats[ROOMS - 1]);
    ck_assert_uint_eq(world.news.count, 2);
    for (unsigned i = 0; i < 2 * ROOMS / PRESENCE_WRITES_MOST; i++)
        written();
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, 0);
    uint64_t before = presence_stats(world.presence)->steps;
    presence_log_begins(world.presence);
    ck_assert_uint_le(presence_stats(world.presence)->steps - before, 10);
    ck_assert_uint_eq(presence_stats(world.presence)->entries, (uint64_t)2 * ROOMS);
    presence_run(world.presence, world.now_ms);
    ck_assert(presence_stats(world.presence)->entries > 0 &&
              presence_stats(world.presence)->entries < (uint64_t)2 * ROOMS);
    ck_assert(presence_stats(world.presence)->unwritten > 0 &&
              presence_stats(world.presence)->unwritten < ROOMS);
    pass(3000);
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 0);
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, ROOMS);
    told(seats[ROOMS - 1]);
    ck_assert_uint_eq(world.news.count, 1);
    for (unsigned i = 0; i < ROOMS; i++)
        leave(seats[i]);
    world_end();
}
END_TEST

/* What is forgotten yet keeps no space from what is read. */
START_TEST(a_log_made_anew_has_all_the_space)
{
    world_begin_with(10, 12, 11);
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads_list("w", "acme", "task:1", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    reads_list("w", "acme", "task:2", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    presence_log_begins(world.presence);
    reads("[\"v\"]", "{}");
    reads_list("v", "acme", "task:3", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    reads_list("v", "acme", "task:4", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->entries, 10);
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_TENANT], 0);
    world_end();
}
END_TEST

static void land(int64_t offset)
{
    struct presence_write write;
    while (presence_next_write(world.presence, world.now_ms, &write))
        if (write.number != PRESENCE_NO_NUMBER)
            presence_landed(world.presence, write.number, offset);
    presence_written(world.presence, true, world.now_ms);
    world.now_ms += PRESENCE_WRITE_MS;
}

/* It was given up as lost, written again, and lies behind that now. */
START_TEST(what_arrives_late_is_written_over)
{
    const char *key = "[\"07000000000000000000000000000000\",\"acme\",\"task:1\"]";
    world_begin(10, 100);
    for (unsigned i = 0; i < 20; i++)
        reads("[\"w\"]", "{}");
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    land(20);
    struct presence_seat *bob = enter("acme", "bob");
    pass(200);
    land(22);
    reads(key, "{\"count\":1,\"users\":[\"ann\"]}"); /* 20: it is only read late */
    reads("[\"w\"]", "{}");
    reads(key, "{\"count\":2,\"users\":[\"ann\",\"bob\"]}");
    ck_assert_uint_eq(presence_stats(world.presence)->unwritten, 0);
    reads(key, "{\"count\":1,\"users\":[\"ann\"]}");
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":2,\"users\":[\"ann\",\"bob\"]} ");
    leave(ann), leave(bob);
    pass(LINGER + 400);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    reads(key, "{\"count\":1,\"users\":[\"bob\"]}"); /* of a room that is gone */
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_uint_eq(presence_stats(world.presence)->rooms, 0);
    reads(key, NULL);
    ck_assert_str_eq(written(), "");
    world_end();
}
END_TEST

/* More of them than can be known; and what those who live wrote first is read again. */
START_TEST(who_is_gone_keeps_out_nobody_who_lives)
{
    char key[64];
    world_begin(10, 100000);
    struct presence_seat *ann = watcher("acme", "ann");
    reads_list("w", "acme", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    for (unsigned i = 0; i < 2 * PRESENCE_WORKERS_MOST; i++) {
        snprintf(key, sizeof(key), "[\"v%u\"]", i);
        reads(key, "{}");
    }
    for (unsigned i = 0; i < PRESENCE_BEATS_KNOWN; i++) {
        beats(1);
        reads("[\"w\"]", "{}");
    }
    pass(200);
    ck_assert_uint_eq(presence_stats(world.presence)->workers, 2);
    ck_assert_uint_eq(presence_stats(world.presence)->dropped[PRESENCE_DROP_WORKERS], 0);
    told(ann);
    ck_assert_uint_eq(world.news.count, 1);
    ck_assert(!world.news.complete);
    beats(1);
    ck_assert(presence_wants_log(world.presence));
    for (size_t i = 0, size = world.topic_size; i < size; i++)
        read_at(i);
    reads("[\"w\"]", "{}");
    pass(400);
    told(ann);
    ck_assert_uint_eq(world.news.count, 2);
    ck_assert(world.news.complete);
    ck_assert_uint_eq(presence_stats(world.presence)->workers, 2);
    leave(ann);
    world_end();
}
END_TEST

/* 1,000 may be named, of 200 bytes, and each byte written as six. */
START_TEST(what_is_named_is_bounded_by_bytes)
{
    enum { USERS = 1000, SIZE = 200 };
    static struct presence_seat *seats[USERS];
    struct presence_write write;
    uint8_t name[SIZE];
    size_t largest = 0;
    world_begin(USERS, 1000);
    for (unsigned i = 0; i < USERS; i++) {
        memset(name, 1, sizeof(name));
        name[0] = (uint8_t)(1 + i % 31);
        name[1] = (uint8_t)(1 + i / 31);
        seats[i] = presence_enter(world.presence, BYTES_LITERAL("acme"), BYTES_LITERAL("task:1"),
                                  bytes_of(name, sizeof(name)), NULL);
    }
    presence_watch(world.presence, seats[0]);
    pass(200);
    while (presence_next_write(world.presence, world.now_ms, &write))
        largest = write.value.size > largest ? write.value.size : largest;
    presence_written(world.presence, true, world.now_ms);
    ck_assert_uint_gt(largest, PRESENCE_NAMES_BYTES);
    ck_assert_uint_le(largest, PRESENCE_RECORD_BYTES - PRESENCE_KEY_LIMIT);
    presence_next_news(world.presence, seats[0], &world.news);
    ck_assert(world.news.snapshot && !world.news.complete);
    ck_assert_uint_eq(world.news.count, USERS);
    ck_assert_uint_le(world.news.users.size, PRESENCE_NAMES_BYTES + USERS);
    ck_assert_uint_gt(world.news.users.size, PRESENCE_NAMES_BYTES - SIZE);
    /* Another gateway names as many. */
    auto_buffer struct buffer value = {0};
    presence_begin_list(&value, 300);
    memset(name, 'x', sizeof(name));
    for (unsigned i = 0; i < 300; i++) {
        name[0] = (uint8_t)('a' + i % 26);
        name[1] = (uint8_t)('a' + i / 26);
        presence_append_user(&value, bytes_of(name, sizeof(name)));
    }
    presence_end_list(&value);
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    buffer_append_byte(&value, 0);
    reads("[\"w\",\"acme\",\"task:1\"]", (const char *)buffer_peek(&value).data);
    pass(400);
    presence_watch(world.presence, seats[0]);
    pass(200);
    presence_next_news(world.presence, seats[0], &world.news);
    ck_assert(world.news.snapshot && !world.news.complete);
    ck_assert_uint_eq(world.news.count, USERS + 300);
    ck_assert_uint_le(world.news.users.size, PRESENCE_NAMES_BYTES + USERS);
    for (unsigned i = 1; i < USERS / 2; i++)
        leave(seats[i]);
    pass(LINGER + 400); /* others are named now: too much for changes */
    presence_next_news(world.presence, seats[0], &world.news);
    ck_assert(world.news.snapshot);
    ck_assert_uint_eq(world.news.count, USERS - USERS / 2 + 1 + 300);
    leave(seats[0]);
    for (unsigned i = USERS / 2; i < USERS; i++)
        leave(seats[i]);
    world_end();
}
END_TEST

TEST_PROGRAM("presence_limits", beyond_the_limit_users_are_counted, what_others_write_is_bounded,
             what_was_left_out_makes_no_snapshot_complete, a_tenant_has_a_share,
             what_was_left_out_comes_back, tenants_are_written_in_turn, no_turn_takes_all,
             a_log_made_anew_has_all_the_space, what_arrives_late_is_written_over,
             who_is_gone_keeps_out_nobody_who_lives, what_is_named_is_bounded_by_bytes)
