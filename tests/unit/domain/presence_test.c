/* Presence, by hand: one worker under test, what others write, and what a seat is told. Random
 * worlds are in tests/sim/presence_sim.c. */
#include "presence.h"

#include <stdio.h>

#include "mem.h"
#include "suite.h"

enum { LINGER = 2000 };

static struct presence *presence;
static int64_t now_ms;
static struct presence_news news;
static char own[80]; /* key of the own beat */

/* What was read, for those who read it again. */
static struct {
    char *key, *value;
} * topic;
static size_t topic_size, topic_space;

static void note_pending(struct presence_seat *seat)
{
    (void)seat;
}

static void begin_with(uint32_t users, uint64_t entries, uint64_t tenant_entries)
{
    struct presence_config config = {.worker = {7},
                                     .users = users,
                                     .entries = entries,
                                     .tenant_entries = tenant_entries,
                                     .linger_ms = LINGER,
                                     .pending = note_pending};
    now_ms = 1000;
    presence = presence_new(&config);
    snprintf(own, sizeof(own), "[\"07000000000000000000000000000000\"]");
}

static void begin(uint32_t users, uint64_t entries)
{
    begin_with(users, entries, 10 * (uint64_t)users + entries);
}

static struct presence_seat *enter(const char *scope, const char *user)
{
    return presence_enter(presence, bytes_of_string(scope), BYTES_LITERAL("task:1"),
                          bytes_of_string(user), NULL);
}

static struct presence_seat *watcher(const char *scope, const char *user)
{
    struct presence_seat *seat = enter(scope, user);
    presence_watch(presence, seat);
    return seat;
}

static void leave(struct presence_seat *seat)
{
    presence_leave(presence, seat, now_ms);
}

static void pass(int64_t ms)
{
    for (int64_t until = now_ms + ms; now_ms < until;) {
        now_ms += 50;
        presence_run(presence, now_ms);
    }
}

static void read_at(size_t offset)
{
    presence_read(presence, (int64_t)offset, bytes_of_string(topic[offset].key),
                  topic[offset].value != NULL, bytes_of_string(topic[offset].value));
}

static void reads(const char *key, const char *value)
{
    if (topic_size == topic_space) {
        topic_space = topic_space ? 2 * topic_space : 64;
        topic = mem_resize(topic, topic_space, sizeof(*topic));
    }
    topic[topic_size].key = mem_string(bytes_of_string(key));
    topic[topic_size].value = value ? mem_string(bytes_of_string(value)) : NULL;
    read_at(topic_size++);
}

/* There is one of its key behind it. */
static bool is_compacted(size_t offset)
{
    for (size_t i = offset + 1; i < topic_size; i++)
        if (strcmp(topic[i].key, topic[offset].key) == 0)
            return true;
    return false;
}

/* "<worker>", "<scope>", "<room>": so many users, of whom one or two are named. */
static void reads_list(const char *worker, const char *scope, const char *room, const char *value)
{
    char key[100];
    snprintf(key, sizeof(key), "[\"%s\",\"%s\",\"%s\"]", worker, scope, room);
    reads(key, value);
}

/* Its own, come back. */
static void beats(unsigned count)
{
    while (count--)
        reads(own, "{}");
}

static const char *told(struct presence_seat *seat)
{
    static char text[2000];
    if (!seat->pending)
        return "";
    presence_next_news(presence, seat, &news);
    snprintf(text, sizeof(text), "%.*s", BYTES_PRINT(news.json));
    return text;
}

/* key=value of what is written, all batches. */
static const char *written(void)
{
    static char text[4000];
    struct presence_write write;
    text[0] = 0;
    for (unsigned i = 0; i < 3; i++, now_ms += PRESENCE_WRITE_MS) {
        unsigned count = 0;
        for (; presence_next_write(presence, now_ms, &write); count++) {
            size_t size = strlen(text);
            if (!bytes_equal_string(write.key, own))
                snprintf(text + size, sizeof(text) - size, "%.*s=%.*s ",
                         BYTES_PRINT(bytes_skip(
                             write.key, sizeof("['07000000000000000000000000000000',") - 1)),
                         BYTES_PRINT(write.value));
        }
        if (count)
            presence_written(presence, true, now_ms);
    }
    return text;
}

static void end(void)
{
    presence_free(presence);
    while (topic_size > 0) {
        free(topic[--topic_size].key);
        free(topic[topic_size].value);
    }
}

START_TEST(a_snapshot_then_who_comes_and_goes)
{
    begin(10, 100);
    beats(PRESENCE_BEATS_KNOWN);
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
    end();
}
END_TEST

START_TEST(two_tabs_are_one_user)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *first = enter("acme", "bob");
    struct presence_seat *second = enter("acme", "bob");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 2);
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
    end();
}
END_TEST

/* He is there through another gateway already, so that nothing changes. */
START_TEST(who_comes_gets_a_snapshot_with_himself)
{
    begin(10, 100);
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"ann\"]}");
    pass(200);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":true}");
    leave(ann);
    end();
}
END_TEST

/* Another one asks again while there is news for him, and takes it before the next tick. */
START_TEST(who_asks_again_does_not_hide_who_comes)
{
    begin(10, 100);
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"ann\"]}");
    struct presence_seat *bob = watcher("acme", "bob");
    pass(200);
    ck_assert(bob->pending);
    struct presence_seat *ann = watcher("acme", "ann");
    presence_watch(presence, bob);
    told(bob);
    ck_assert(news.snapshot);
    pass(200);
    told(ann);
    ck_assert(news.snapshot && news.users.size > 0);
    ck_assert_uint_eq(ann->seen, bob->seen);
    leave(ann), leave(bob);
    end();
}
END_TEST

START_TEST(a_tenant_is_a_wall)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *other = watcher("umbr", "ann");
    struct presence_seat *bob = enter("umbr", "bob");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 1);
    told(other);
    ck_assert_uint_eq(news.count, 2);
    leave(bob), leave(ann), leave(other);
    end();
}
END_TEST

START_TEST(a_worker_lives_by_its_beats_between_ours)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    reads("[\"w\"]", "{}");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 1); /* who knows when that was */
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 2);
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
    end();
}
END_TEST

START_TEST(a_user_at_two_gateways)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann"), *bob = enter("acme", "bob");
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 2);
    leave(bob);
    pass(LINGER + 400);
    ck_assert_str_eq(told(ann), "");
    reads("[\"w\",\"acme\",\"task:1\"]", NULL);
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"joined\":[],\"left\":[\"bob\"],\"count\":1}");
    leave(ann);
    end();
}
END_TEST

START_TEST(who_missed_changes_gets_a_snapshot)
{
    begin(10, 100);
    struct presence_seat *slow = watcher("acme", "ann"), *bob = enter("acme", "bob");
    pass(200);
    told(slow);
    struct presence_seat *cid = enter("acme", "cid");
    pass(200);
    struct presence_seat *dan = enter("acme", "dan");
    pass(200);
    ck_assert(slow->pending); /* one mark, however much it missed */
    told(slow);
    ck_assert(news.snapshot);
    ck_assert_uint_eq(news.count, 4);
    leave(bob), leave(cid), leave(dan), leave(slow);
    end();
}
END_TEST

START_TEST(beyond_the_limit_users_are_counted)
{
    struct presence_seat *seats[5];
    char name[8];
    begin(2, 100);
    beats(PRESENCE_BEATS_KNOWN);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        seats[i] = enter("acme", name);
    }
    presence_watch(presence, seats[0]);
    pass(200);
    ck_assert_str_eq(
        told(seats[0]),
        "{\"room\":\"task:1\",\"users\":[\"u0\",\"u1\"],\"count\":5,\"complete\":false}");
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":5,\"users\":[\"u0\",\"u1\"]} ");
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":4,\"users\":[\"x\",\"y\",\"z\"]}");
    pass(200);
    told(seats[0]);
    ck_assert_uint_eq(news.count, 9);
    leave(seats[1]); /* the next one is named */
    pass(LINGER + 400);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":4,\"users\":[\"u0\",\"u2\"]} ");
    for (unsigned i = 0; i < 5; i++)
        if (i != 1)
            leave(seats[i]);
    end();
}
END_TEST

START_TEST(what_others_write_is_bounded)
{
    char key[64];
    begin(10, 3);
    beats(1);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":2,\"users\":[\"a\",\"b\"]}");
    ck_assert_uint_eq(presence_stats(presence)->entries, 3);
    reads("[\"w\",\"acme\",\"task:2\"]", "{\"count\":1,\"users\":[\"a\"]}");
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_ENTRIES], 1);
    ck_assert_uint_eq(presence_stats(presence)->entries, 3);
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":3,\"users\":[\"a\",\"b\",\"c\"]}");
    ck_assert_uint_eq(presence_stats(presence)->entries, 1); /* counted, and not named */
    for (unsigned i = 0; i < PRESENCE_WORKERS_MOST; i++) {
        snprintf(key, sizeof(key), "[\"v%u\"]", i);
        reads(key, "{}");
    }
    ck_assert_uint_eq(presence_stats(presence)->workers, 1 + PRESENCE_WORKERS_MOST);
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_WORKERS], 1);
    end();
}
END_TEST

/* Of which rooms something was left out nobody knows. */
START_TEST(what_was_left_out_makes_no_snapshot_complete)
{
    char key[64];
    begin(10, 2);
    beats(PRESENCE_BEATS_KNOWN);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    told(ann);
    ck_assert(news.complete);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"umbr\",\"task:1\"]", "{\"count\":1,\"users\":[\"a\"]}");
    presence_watch(presence, ann);
    told(ann);
    ck_assert(news.complete);
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    presence_watch(presence, ann);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":false}");
    ck_assert(!news.complete);
    ck_assert(!presence_wants_log(presence)); /* until there is space again */
    reads("[\"w\",\"umbr\",\"task:1\"]", NULL);
    ck_assert(!presence_wants_log(presence));
    beats(1);
    ck_assert(presence_wants_log(presence) && !presence_wants_log(presence));
    for (size_t i = 0, size = topic_size; i < size; i++)
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
    presence_watch(presence, ann);
    told(ann);
    ck_assert(news.snapshot && !news.complete);
    presence_log_begins(presence);
    beats(PRESENCE_BEATS_KNOWN);
    pass(200);
    told(ann);
    ck_assert(news.snapshot && news.complete);
    leave(ann);
    end();
}
END_TEST

START_TEST(a_tenant_has_a_share)
{
    char room[16];
    begin_with(10, 100, 20);
    beats(PRESENCE_BEATS_KNOWN);
    struct presence_seat *ann = watcher("acme", "ann"), *zoe = watcher("umbr", "zoe");
    reads("[\"w\"]", "{}");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(room, sizeof(room), "task:%u", 100 + i);
        reads_list("w", "umbr", room, "{\"count\":1,\"users\":[\"a\"]}");
    }
    ck_assert_uint_eq(presence_stats(presence)->entries, 20);
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_TENANT], 90);
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_ENTRIES], 0);
    reads_list("w", "umbr", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    /* A user's rooms are his tenant's. */
    reads_list("w", "umbr\\u001fann", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_TENANT], 92);
    reads_list("w", "acme", "task:1", "{\"count\":1,\"users\":[\"bob\"]}");
    pass(200);
    ck_assert_str_eq(
        told(ann),
        "{\"room\":\"task:1\",\"users\":[\"bob\",\"ann\"],\"count\":2,\"complete\":true}");
    ck_assert_str_eq(told(zoe),
                     "{\"room\":\"task:1\",\"users\":[\"zoe\"],\"count\":1,\"complete\":false}");
    leave(ann), leave(zoe);
    end();
}
END_TEST

/* And the others are told as ever meanwhile, and once in a minute is enough. */
START_TEST(what_was_left_out_comes_back)
{
    begin_with(10, 100, 20);
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
    ck_assert_uint_gt(presence_stats(presence)->dropped[PRESENCE_DROP_TENANT], 0);
    pass(200);
    told(ann);
    told(zoe);
    ck_assert(!news.complete);
    ck_assert_uint_eq(news.count, 3);
    beats(1);
    ck_assert(!presence_wants_log(presence)); /* not at the limit itself */
    reads_list("w", "umbr", "task:100", NULL);
    reads_list("w", "umbr", "task:101", NULL);
    reads_list("w", "umbr", "task:102", NULL);
    reads_list("w", "umbr", "task:103", NULL);
    beats(1);
    ck_assert(presence_wants_log(presence));
    for (size_t i = 0, size = topic_size; i < size; i++) {
        if (is_compacted(i))
            continue;
        read_at(i);
        pass(100);
    }
    ck_assert_str_eq(told(zoe), ""); /* that bob was not there is the past */
    struct presence_seat *dan = enter("acme", "dan");
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 2);
    reads("[\"w\"]", "{}");
    pass(200);
    told(zoe);
    ck_assert(news.snapshot && news.complete);
    ck_assert_uint_eq(news.count, 3);
    ck_assert_uint_eq(news.users.size, 12);
    /* A tenant who comes and goes at his limit. */
    reads_list("w", "umbr", "task:104", NULL);
    reads_list("w", "umbr", "task:105", NULL);
    for (unsigned i = 0; i < PRESENCE_AGAIN_BEATS - 1; i++) {
        for (unsigned j = 0; j < 12; j++)
            reads_list("w", "umbr", (const char *[]){"task:7", "task:8"}[j % 2],
                       j < 6 ? "{\"count\":9,\"users\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}" : NULL);
        reads("[\"w\"]", "{}");
        beats(1);
        ck_assert(!presence_wants_log(presence));
    }
    beats(1);
    ck_assert(presence_wants_log(presence));
    leave(ann), leave(zoe), leave(dan);
    end();
}
END_TEST

START_TEST(tenants_are_written_in_turn)
{
    enum { CROWD = 5 * PRESENCE_WRITES_MOST };
    static struct presence_seat *seats[CROWD];
    struct presence_write write;
    char room[16];
    unsigned count = 0;
    begin(10, 100);
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(room, sizeof(room), "task:%u", i);
        seats[i] = presence_enter(presence, BYTES_LITERAL("umbr"), bytes_of_string(room),
                                  BYTES_LITERAL("ann"), NULL);
    }
    for (unsigned i = 0; i < 10; i++)
        pass(200);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    bool written_first = false;
    while (presence_next_write(presence, now_ms, &write) && count++ < 4)
        written_first =
            written_first || bytes_equal_string(write.key, "[\"07000000000000000000000000000000\","
                                                           "\"acme\",\"task:1\"]");
    ck_assert(written_first);
    while (presence_next_write(presence, now_ms, &write))
        ;
    presence_written(presence, false, now_ms);
    for (unsigned i = 0; i < CROWD; i++)
        leave(seats[i]);
    leave(ann);
    end();
}
END_TEST

/* What many rooms are told, and what is forgotten of them, is too much for one turn. */
START_TEST(no_turn_takes_all)
{
    enum { ROOMS = 5000 };
    static struct presence_seat *seats[ROOMS];
    char room[16];
    unsigned count = 0;
    begin(10, 100000);
    for (unsigned i = 0; i < ROOMS; i++) {
        snprintf(room, sizeof(room), "task:%u", i);
        seats[i] = presence_enter(presence, BYTES_LITERAL("acme"), bytes_of_string(room),
                                  BYTES_LITERAL("ann"), NULL);
        presence_watch(presence, seats[i]);
        reads_list("w", "acme", room, "{\"count\":1,\"users\":[\"bob\"]}");
    }
    pass(1000);
    for (unsigned i = 0; i < ROOMS; i++)
        told(seats[i]);
    beats(PRESENCE_BEATS_KNOWN);
    presence_run(presence, now_ms);
    for (unsigned i = 0; i < ROOMS; i++)
        count += seats[i]->pending;
    ck_assert(count > 0 && count < ROOMS);
    ck_assert_int_le(presence_deadline_ms(presence), now_ms);
    pass(1000);
    for (unsigned i = 0; i < ROOMS; i++) {
        told(seats[i]);
        ck_assert(news.snapshot && news.complete);
    }
    reads("[\"w\"]", "{}");
    pass(2000);
    told(seats[ROOMS - 1]);
    ck_assert_uint_eq(news.count, 2);
    for (unsigned i = 0; i < 2 * ROOMS / PRESENCE_WRITES_MOST; i++)
        written();
    ck_assert_uint_eq(presence_stats(presence)->unwritten, 0);
    uint64_t before = presence_stats(presence)->steps;
    presence_log_begins(presence);
    ck_assert_uint_le(presence_stats(presence)->steps - before, 10);
    ck_assert_uint_eq(presence_stats(presence)->entries, (uint64_t)2 * ROOMS);
    presence_run(presence, now_ms);
    ck_assert(presence_stats(presence)->entries > 0 &&
              presence_stats(presence)->entries < (uint64_t)2 * ROOMS);
    ck_assert(presence_stats(presence)->unwritten > 0 &&
              presence_stats(presence)->unwritten < ROOMS);
    pass(3000);
    ck_assert_uint_eq(presence_stats(presence)->entries, 0);
    ck_assert_uint_eq(presence_stats(presence)->unwritten, ROOMS);
    told(seats[ROOMS - 1]);
    ck_assert_uint_eq(news.count, 1);
    for (unsigned i = 0; i < ROOMS; i++)
        leave(seats[i]);
    end();
}
END_TEST

/* What is forgotten yet keeps no space from what is read. */
START_TEST(a_log_made_anew_has_all_the_space)
{
    begin_with(10, 12, 11);
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads_list("w", "acme", "task:1", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    reads_list("w", "acme", "task:2", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    presence_log_begins(presence);
    reads("[\"v\"]", "{}");
    reads_list("v", "acme", "task:3", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    reads_list("v", "acme", "task:4", "{\"count\":4,\"users\":[\"a\",\"b\",\"c\",\"d\"]}");
    ck_assert_uint_eq(presence_stats(presence)->entries, 10);
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_TENANT], 0);
    end();
}
END_TEST

static void land(int64_t offset)
{
    struct presence_write write;
    while (presence_next_write(presence, now_ms, &write))
        if (write.number != PRESENCE_NO_NUMBER)
            presence_landed(presence, write.number, offset);
    presence_written(presence, true, now_ms);
    now_ms += PRESENCE_WRITE_MS;
}

/* It was given up as lost, written again, and lies behind that now. */
START_TEST(what_arrives_late_is_written_over)
{
    const char *key = "[\"07000000000000000000000000000000\",\"acme\",\"task:1\"]";
    begin(10, 100);
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
    ck_assert_uint_eq(presence_stats(presence)->unwritten, 0);
    reads(key, "{\"count\":1,\"users\":[\"ann\"]}");
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":2,\"users\":[\"ann\",\"bob\"]} ");
    leave(ann), leave(bob);
    pass(LINGER + 400);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    reads(key, "{\"count\":1,\"users\":[\"bob\"]}"); /* of a room that is gone */
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    reads(key, NULL);
    ck_assert_str_eq(written(), "");
    end();
}
END_TEST

/* More of them than can be known; and what those who live wrote first is read again. */
START_TEST(who_is_gone_keeps_out_nobody_who_lives)
{
    char key[64];
    begin(10, 100000);
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
    ck_assert_uint_eq(presence_stats(presence)->workers, 2);
    ck_assert_uint_eq(presence_stats(presence)->dropped[PRESENCE_DROP_WORKERS], 0);
    told(ann);
    ck_assert_uint_eq(news.count, 1);
    ck_assert(!news.complete);
    beats(1);
    ck_assert(presence_wants_log(presence));
    for (size_t i = 0, size = topic_size; i < size; i++)
        read_at(i);
    reads("[\"w\"]", "{}");
    pass(400);
    told(ann);
    ck_assert_uint_eq(news.count, 2);
    ck_assert(news.complete);
    ck_assert_uint_eq(presence_stats(presence)->workers, 2);
    leave(ann);
    end();
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
    begin(USERS, 1000);
    for (unsigned i = 0; i < USERS; i++) {
        memset(name, 1, sizeof(name));
        name[0] = (uint8_t)(1 + i % 31);
        name[1] = (uint8_t)(1 + i / 31);
        seats[i] = presence_enter(presence, BYTES_LITERAL("acme"), BYTES_LITERAL("task:1"),
                                  bytes_of(name, sizeof(name)), NULL);
    }
    presence_watch(presence, seats[0]);
    pass(200);
    while (presence_next_write(presence, now_ms, &write))
        largest = write.value.size > largest ? write.value.size : largest;
    presence_written(presence, true, now_ms);
    ck_assert_uint_gt(largest, PRESENCE_NAMES_BYTES);
    ck_assert_uint_le(largest, PRESENCE_RECORD_BYTES - PRESENCE_KEY_LIMIT);
    presence_next_news(presence, seats[0], &news);
    ck_assert(news.snapshot && !news.complete);
    ck_assert_uint_eq(news.count, USERS);
    ck_assert_uint_le(news.users.size, PRESENCE_NAMES_BYTES + USERS);
    ck_assert_uint_gt(news.users.size, PRESENCE_NAMES_BYTES - SIZE);
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
    presence_watch(presence, seats[0]);
    pass(200);
    presence_next_news(presence, seats[0], &news);
    ck_assert(news.snapshot && !news.complete);
    ck_assert_uint_eq(news.count, USERS + 300);
    ck_assert_uint_le(news.users.size, PRESENCE_NAMES_BYTES + USERS);
    for (unsigned i = 1; i < USERS / 2; i++)
        leave(seats[i]);
    pass(LINGER + 400); /* others are named now: too much for changes */
    presence_next_news(presence, seats[0], &news);
    ck_assert(news.snapshot);
    ck_assert_uint_eq(news.count, USERS - USERS / 2 + 1 + 300);
    leave(seats[0]);
    for (unsigned i = USERS / 2; i < USERS; i++)
        leave(seats[i]);
    end();
}
END_TEST

START_TEST(faulty_records_are_counted_and_passed_over)
{
    begin(10, 100);
    reads("nonsense", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{}");
    ck_assert_uint_eq(presence_stats(presence)->faulty[PRESENCE_FAULTY_KEY], 1);
    ck_assert_uint_eq(presence_stats(presence)->faulty[PRESENCE_FAULTY_VALUE], 1);
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    end();
}
END_TEST

START_TEST(what_is_written)
{
    struct presence_write write;
    begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    ck_assert(presence_next_write(presence, now_ms, &write));
    ck_assert(bytes_equal_string(write.key, own)); /* the beat comes first */
    ck_assert(presence_next_write(presence, now_ms, &write));
    ck_assert(!presence_next_write(presence, now_ms, &write));
    leave(ann);
    pass(LINGER + 400);
    ck_assert(!presence_next_write(presence, now_ms, &write)); /* one batch at a time */
    presence_written(presence, false, now_ms);                 /* lost: again, as it is now */
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    ck_assert_str_eq(written(), "");
    end();
}
END_TEST

START_TEST(a_removal_that_was_lost_is_written_again)
{
    struct presence_write write;
    begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    written();
    leave(ann);
    pass(LINGER + 400);
    while (presence_next_write(presence, now_ms, &write))
        ;
    presence_written(presence, false, now_ms);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]= ");
    end();
}
END_TEST

/* One user after the other comes into a room of his own and leaves it, while the broker does not take
 * anything: what is left of them is bounded by a batch. */
START_TEST(rooms_that_the_log_never_held_are_not_kept)
{
    enum { PASSERS = 3 * PRESENCE_WRITES_MOST, AT_ONCE = 50 };
    struct presence_seat *seats[AT_ONCE];
    struct presence_write write;
    char room[16];
    begin(10, 100);
    for (unsigned i = 0; i < PASSERS;) {
        for (unsigned j = 0; j < AT_ONCE; j++, i++) {
            snprintf(room, sizeof(room), "task:%u", i);
            seats[j] = presence_enter(presence, BYTES_LITERAL("acme"), bytes_of_string(room),
                                      BYTES_LITERAL("ann"), NULL);
        }
        pass(400);
        unsigned count = 0;
        while (presence_next_write(presence, now_ms, &write))
            count++;
        for (unsigned j = 0; j < AT_ONCE; j++)
            leave(seats[j]);
        pass(LINGER + 400);
        if (count)
            presence_written(presence, false, now_ms);
    }
    ck_assert_uint_le(presence_stats(presence)->unwritten, PRESENCE_WRITES_MOST);
    ck_assert_uint_le(presence_stats(presence)->rooms, PRESENCE_WRITES_MOST);
    ck_assert_uint_gt(presence_stats(presence)->unwritten, 0); /* it may hold these */
    for (unsigned i = 0; i < 3; i++)
        written();
    pass(400);
    ck_assert_uint_eq(presence_stats(presence)->unwritten, 0);
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    end();
}
END_TEST

/* Nothing of it was even handed out. */
START_TEST(a_room_that_was_not_handed_out_is_not_kept)
{
    begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    ck_assert_uint_eq(presence_stats(presence)->unwritten, 1);
    leave(ann);
    pass(LINGER + 400);
    ck_assert_uint_eq(presence_stats(presence)->unwritten, 0);
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    ck_assert_str_eq(written(), "");
    end();
}
END_TEST

START_TEST(who_was_taken_for_gone_writes_again)
{
    begin(10, 100);
    struct presence_seat *ann = enter("acme", "ann");
    pass(200);
    written();
    reads("[\"07000000000000000000000000000000\",\"acme\",\"task:1\"]", NULL);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":1,\"users\":[\"ann\"]} ");
    leave(ann);
    end();
}
END_TEST

START_TEST(who_is_long_gone_is_swept)
{
    begin(10, 100);
    beats(1);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    written();
    beats(2 * PRESENCE_SWEEP_AFTER);
    now_ms += 5000;
    struct presence_write write;
    ck_assert(presence_next_write(presence, now_ms, &write)); /* the own beat */
    ck_assert(presence_next_write(presence, now_ms, &write));
    ck_assert(bytes_equal_string(write.key, "[\"w\",\"acme\",\"task:1\"]"));
    ck_assert(!write.has_value);
    ck_assert(!presence_next_write(presence, now_ms, &write));
    presence_written(presence, true, now_ms);
    reads("[\"w\",\"acme\",\"task:1\"]", NULL);
    beats(1);
    now_ms += 5000;
    ck_assert(presence_next_write(presence, now_ms, &write));
    ck_assert(presence_next_write(presence, now_ms, &write));
    ck_assert(bytes_equal_string(write.key, "[\"w\"]"));
    reads("[\"w\"]", NULL);
    pass(400);
    ck_assert_uint_eq(presence_stats(presence)->rooms, 0);
    end();
}
END_TEST

START_TEST(a_log_that_is_made_anew)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    beats(PRESENCE_BEATS_KNOWN);
    reads("[\"w\"]", "{}");
    reads("[\"w\",\"acme\",\"task:1\"]", "{\"count\":1,\"users\":[\"bob\"]}");
    pass(200);
    written();
    told(ann);
    ck_assert(news.complete);
    presence_log_begins(presence);
    ck_assert(!presence_is_known(presence));
    pass(200);
    told(ann);
    ck_assert_uint_eq(news.count, 1);
    ck_assert_str_eq(written(), "\"acme\",\"task:1\"]={\"count\":1,\"users\":[\"ann\"]} ");
    leave(ann);
    end();
}
END_TEST

START_TEST(what_is_not_known_yet_is_not_complete)
{
    begin(10, 100);
    struct presence_seat *ann = watcher("acme", "ann");
    pass(200);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":false}");
    beats(PRESENCE_BEATS_KNOWN);
    pass(50);
    ck_assert_str_eq(told(ann),
                     "{\"room\":\"task:1\",\"users\":[\"ann\"],\"count\":1,\"complete\":true}");
    leave(ann);
    end();
}
END_TEST

/* One user comes and goes where there are `users` in his room, and `rooms` others of which three other
 * workers tell: what is looked at for that. */
static uint64_t steps_of_one(unsigned users, unsigned rooms)
{
    static struct presence_seat *seats[3000];
    char text[64];
    begin(10, 1000000);
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
    presence_watch(presence, seats[0]);
    told(seats[0]);
    uint64_t before = presence_stats(presence)->steps;
    struct presence_seat *one = enter("acme", "one");
    pass(200);
    written();
    told(seats[0]);
    leave(one);
    pass(LINGER + 400);
    written();
    told(seats[0]);
    uint64_t steps = presence_stats(presence)->steps - before;
    for (unsigned i = 0; i < users; i++)
        leave(seats[i]);
    end();
    return steps;
}

START_TEST(who_comes_and_goes_costs_the_same_among_few_and_many)
{
    uint64_t few = steps_of_one(30, 30), many = steps_of_one(3000, 3000);
    ck_assert_uint_gt(few, 0);
    ck_assert_uint_eq(many, few);
}
END_TEST

START_TEST(a_batch_has_a_limit)
{
    static struct presence_seat *seats[PRESENCE_WRITES_MOST + 10];
    struct presence_write write;
    char room[16];
    unsigned count = 0;
    begin(10, 100);
    for (size_t i = 0; i < sizeof(seats) / sizeof(seats[0]); i++) {
        snprintf(room, sizeof(room), "task:%zu", i);
        seats[i] = presence_enter(presence, BYTES_LITERAL("acme"), bytes_of_string(room),
                                  BYTES_LITERAL("ann"), NULL);
    }
    pass(200);
    while (presence_next_write(presence, now_ms, &write))
        count++;
    ck_assert_uint_eq(count, PRESENCE_WRITES_MOST);
    presence_written(presence, true, now_ms);
    now_ms += PRESENCE_WRITE_MS;
    for (count = 0; presence_next_write(presence, now_ms, &write);)
        count++;
    ck_assert_uint_eq(count, 11);
    for (size_t i = 0; i < sizeof(seats) / sizeof(seats[0]); i++)
        leave(seats[i]);
    end();
}
END_TEST

/* What each who comes costs there is bounded by the clock. */
START_TEST(a_crowd_is_told_less_often)
{
    enum { CROWD = 10000 };
    static struct presence_seat *seats[CROWD];
    char name[16];
    begin(10, 100);
    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "u%u", i);
        seats[i] = watcher("acme", name);
    }
    pass(200);
    told(seats[0]);
    ck_assert_uint_eq(news.count, CROWD);
    uint64_t before = presence_stats(presence)->joined + presence_stats(presence)->left;
    struct presence_seat *one = enter("acme", "one");
    pass(CROWD / PRESENCE_WATCHERS_A_MS - 300);
    ck_assert(!seats[0]->pending);
    pass(500);
    told(seats[0]);
    ck_assert_uint_eq(news.count, CROWD + 1);
    ck_assert_uint_eq(presence_stats(presence)->joined + presence_stats(presence)->left, before);
    leave(one);
    for (unsigned i = 0; i < CROWD; i++)
        leave(seats[i]);
    end();
}
END_TEST

/* Who comes into another room is told with those who come within a tick, as ever. */
START_TEST(a_crowd_does_not_hurry_other_rooms)
{
    enum { CROWD = 10000 };
    static struct presence_seat *seats[CROWD];
    struct presence_seat *others[20];
    char name[16];
    begin(10, 100);
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
    end();
}
END_TEST

TEST_PROGRAM("presence", a_snapshot_then_who_comes_and_goes, two_tabs_are_one_user,
             who_comes_gets_a_snapshot_with_himself, a_tenant_is_a_wall,
             a_worker_lives_by_its_beats_between_ours, a_user_at_two_gateways,
             who_missed_changes_gets_a_snapshot, beyond_the_limit_users_are_counted,
             what_others_write_is_bounded, faulty_records_are_counted_and_passed_over,
             what_is_written, a_removal_that_was_lost_is_written_again, a_tenant_has_a_share,
             what_was_left_out_comes_back, tenants_are_written_in_turn, no_turn_takes_all,
             a_log_made_anew_has_all_the_space, what_arrives_late_is_written_over,
             who_is_gone_keeps_out_nobody_who_lives, a_crowd_does_not_hurry_other_rooms,
             what_is_named_is_bounded_by_bytes, what_was_left_out_makes_no_snapshot_complete,
             rooms_that_the_log_never_held_are_not_kept, a_room_that_was_not_handed_out_is_not_kept,
             who_asks_again_does_not_hide_who_comes, who_was_taken_for_gone_writes_again,
             who_is_long_gone_is_swept, a_log_that_is_made_anew,
             what_is_not_known_yet_is_not_complete, a_batch_has_a_limit,
             who_comes_and_goes_costs_the_same_among_few_and_many, a_crowd_is_told_less_often)
