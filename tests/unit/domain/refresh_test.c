/* Rights that change: by a fresh token, or between two connections. */
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "returning.h"
#include "suite.h"

static const char by_claims[] =
    "{connect: ['user:{sub}', 'project:{projects}', "
    "'review:{reviewQueues}'], join: [{room: 'task:*', if: {role: member}}]}";

#define CLAIMS(more) "{\"sub\":\"usr_1\",\"tenant\":\"acme\"" more "}"

static const char *refresh(const char *claims)
{
    return session_refresh(world.session, claims_of_text(bytes_of_string(claims)), 7, world.now_ms);
}

static void begin_with(struct gateway *gateway, const char *claims)
{
    static const char rooms[] = "{review: {topic: fanout.review, key: '{tenant}', partitions: 1}}";
    unsigned most = world.rooms;
    world_reset();
    world.rooms = most;
    gateway_start(gateway, rooms, by_claims);
    client_connect(claims);
    ck_assert_str_eq(world.told, "fresh; ");
    world.told[0] = 0;
}

static void is_told(const char *expected)
{
    world_turn(1);
    ck_assert_str_eq(world.told, expected);
    world.told[0] = 0;
}

START_TEST(a_fresh_token_takes_and_gives_rooms)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\",\"b\"],\"role\":\"member\""));
    client_join("task:1", 1);
    is_told("joined task:1; ");
    world_publish(1, "task:1"); /* owed before, and given before it is told */
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"b\",\"c\"]")));
    world_publish(1, "task:1");
    world_publish(1, "project:a");
    world_publish(1, "project:c");
    is_told("notification; left project:a: not_allowed; left task:1: not_allowed; "
            "joined project:c; refreshed; notification; ");
    client_join("task:1", 2);
    client_join("project:a", 3);
    is_told("refused task:1: not_allowed; refused project:a: not_allowed; ");
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"],\"role\":\"member\"")));
    is_told("joined project:a; refreshed; ");
    client_join("task:1", 4);
    world_publish(1, "project:a");
    is_told("joined task:1; notification; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(another_users_token_changes_nothing)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"role\":\"member\""));
    ck_assert_str_eq(refresh("{\"sub\":\"usr_2\",\"tenant\":\"acme\",\"role\":\"x\"}"),
                     "other_principal");
    ck_assert_str_eq(refresh("{\"sub\":\"usr_1\",\"tenant\":\"other\"}"), "other_principal");
    ck_assert_str_eq(refresh("{\"sub\":\"usr_1\"}"), "other_principal");
    ck_assert_str_eq(refresh("[]"), "bad_claims");
    client_join("task:1", 1);
    is_told("joined task:1; ");
    session_close(world.session);
    world.session = NULL;
    world_turn(1);
    client_connect(CLAIMS(""));
    gateway_end(&gateway);
}
END_TEST

/* What was lost comes back with the rights, what the client has left does not; what was lost and is
 * not given again is not told again. */
START_TEST(rights_that_changed_between_two_connections_count)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\",\"b\"]"));
    session_leave(world.session, BYTES_LITERAL("project:b"), 1);
    is_told("left project:b; ");
    ck_assert_ptr_null(refresh(CLAIMS("")));
    is_told("left project:a: not_allowed; refreshed; ");
    session_close(world.session);
    client_connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    client_connect(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; joined project:a; joined project:c; ");
    world.told[0] = 0;
    world_publish(1, "project:a");
    world_publish(1, "project:b");
    is_told("notification; ");
    session_close(world.session);
    client_connect(CLAIMS(",\"projects\":[\"a\",\"b\",\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    client_connect(CLAIMS(",\"projects\":[\"c\"]"));
    ck_assert_str_eq(world.told, "recovered; left project:a: not_allowed; ");
    gateway_end(&gateway);
}
END_TEST

/* The client gets so many deliveries more, and comes back with these claims. */
static void cut_off_after(int deliveries, const char *claims)
{
    world.takes = deliveries;
    world_turn(1);
    client_cut_off();
    client_connect(claims);
}

/* Cut off between what was owed and the word of what is lost, or between the answer to its return
 * and that word, a client that no token gives the rooms again is told nevertheless, once. */
START_TEST(a_lost_room_is_told_over_every_cut)
{
    static const char lost[] = "recovered; left project:a: not_allowed; left task:1: not_allowed; ";
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\""));
    client_join("task:1", 1);
    is_told("joined task:1; ");
    world_publish(3, "task:1"); /* owed: the cursors of these are made after the loss */
    ck_assert_ptr_null(refresh(CLAIMS("")));
    cut_off_after(1, CLAIMS(""));
    ck_assert_str_eq(world.told, lost);
    for (int taken = 1; taken <= 3; taken++) { /* the return's answer; a word; both words */
        client_cut_off();
        world.private_id[0] = world.cursor[0] = 0;
        client_connect(CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\""));
        client_join("task:1", 1);
        client_cut_off();
        world.takes = taken;
        client_connect(CLAIMS(""));
        ck_assert_uint_eq((unsigned)world.takes, 0);
        client_cut_off();
        client_connect(CLAIMS(""));
        ck_assert_str_eq(world.told, taken == 1   ? lost
                                     : taken == 2 ? "recovered; left task:1: not_allowed; "
                                                  : "recovered; ");
        world.told[0] = 0;
        world_publish(1, "project:a");
        world_publish(1, "task:1");
        is_told("");
        client_cut_off();
        client_connect(CLAIMS(""));
        ck_assert_str_eq(world.told, "recovered; ");
    }
    gateway_end(&gateway);
}
END_TEST

/* What `connect` gives is given again, what was joined is to be asked for again. */
START_TEST(a_lost_room_is_told_before_it_is_given_again)
{
    static const char all[] = CLAIMS(",\"projects\":[\"a\"],\"role\":\"member\"");
    struct gateway gateway;
    begin_with(&gateway, all);
    client_join("task:1", 1);
    is_told("joined task:1; ");
    world_publish(1, "task:1");
    ck_assert_ptr_null(refresh(CLAIMS("")));
    cut_off_after(1, all);
    ck_assert_str_eq(world.told, "recovered; left project:a: not_allowed; "
                                 "left task:1: not_allowed; joined project:a; ");
    client_cut_off();
    client_connect(all);
    ck_assert_str_eq(world.told, "recovered; ");
    gateway_end(&gateway);
}
END_TEST

/* Of whoever loses more than a session may have, before it is told of the first, the connection is
 * ended; its cursor names what it had. */
START_TEST(more_lost_rooms_than_a_cursor_names_end_the_session)
{
    struct gateway gateway;
    world.rooms = 2;
    begin_with(&gateway, CLAIMS(""));
    for (int i = 0; i < 3; i++) { /* a room each time, and none of the private id's */
        world.takes = 0;
        ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\"]")));
        ck_assert_ptr_null(refresh(CLAIMS("")));
    }
    ck_assert_str_eq(refresh(CLAIMS("")), "not_connected");
    world.takes = -1;
    is_told("close: too_many_answers; ");
    ck_assert_uint_eq(hub_stats(world.hub)->overflowed, 1);
    gateway_end(&gateway);
    world.rooms = 0;
}
END_TEST

static const char *claims_with_projects(char kind, unsigned count)
{
    static char text[4096];
    size_t size = (size_t)snprintf(text, sizeof(text),
                                   "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"projects\":[");
    for (unsigned i = 0; i < count; i++)
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s\"%c%u\"", i ? "," : "", kind, i);
    snprintf(text + size, sizeof(text) - size, "]}");
    return text;
}

/* To be ended for what it was told, before it was let in, would not help: its cursor stays. */
START_TEST(more_lost_rooms_than_can_be_told_give_a_fresh_session)
{
    enum { ROOMS = 64 /* as many as answers */, OF_CONNECT = 50, TIMES = 4 };
    struct gateway gateway;
    world.rooms = ROOMS;
    begin_with(&gateway, claims_with_projects('a', OF_CONNECT));
    world_publish(1, "user:usr_1"); /* is owed, with a cursor that names what is lost here */
    world.takes = 0;
    for (int i = 0; i < TIMES; i++) {
        auto_free char *both = mem_string(bytes_of_string(claims_with_projects('a', OF_CONNECT)));
        size_t size = strlen(both);
        char more[4096];
        snprintf(more, sizeof(more), "%.*s,\"b1\",\"b2\",\"b3\",\"b4\",\"b5\",\"b6\"]}",
                 (int)size - 2, both);
        ck_assert_ptr_null(refresh(more));
        ck_assert_ptr_null(refresh(both));
    }
    world.takes = 1;
    client_take();
    ck_assert_str_eq(world.told, "notification; ");
    client_cut_off();
    client_connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "fresh: unknown_session; ");
    client_cut_off();
    client_connect(CLAIMS(""));
    ck_assert_str_eq(world.told, "recovered; ");
    gateway_end(&gateway);
    world.rooms = 0;
}
END_TEST

START_TEST(a_join_that_waits_is_judged_by_the_new_claims)
{
    static const struct history_request history = {.since_ms = INT64_MIN, .last = 1};
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(",\"role\":\"member\""));
    session_join_with_history(world.session, BYTES_LITERAL("task:1"), 5, &history, world.now_ms, 1);
    ck_assert_ptr_null(refresh(CLAIMS("")));
    world_turn(1);
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("task:1")));
    ck_assert_msg(strstr(world.told, "left task:1: not_allowed; refreshed; "), "%s", world.told);
    ck_assert(strstr(world.told, "refused task:1: not_allowed; "));
    ck_assert(!strstr(world.told, "joined"));
    gateway_end(&gateway);
}
END_TEST

/* Who is given a room whose lane does not come is let go, as at connect: it returns to all of it.
 */
START_TEST(a_room_that_is_given_and_does_not_come_ends_the_session)
{
    struct gateway gateway;
    begin_with(&gateway, CLAIMS(""));
    ck_assert_ptr_null(refresh(CLAIMS(",\"projects\":[\"a\"]")));
    is_told("joined project:a; refreshed; ");
    struct bytes claims =
        BYTES_LITERAL(CLAIMS(",\"projects\":[\"a\"],\"reviewQueues\":[\"legal\"]"));
    ck_assert_ptr_null(session_refresh(world.session, claims_of_text(claims), 8, world.now_ms));
    hub_run(world.hub, world.now_ms += 1); /* the second lane is not answered */
    ck_assert_str_eq(world.told, "refreshed; ");
    hub_run(world.hub, world.now_ms += 100000);
    ck_assert_str_eq(world.told, "refreshed; close: unavailable; ");
    ck_assert_str_eq(refresh(CLAIMS("")), "not_connected");
    gateway_end(&gateway);
}
END_TEST

TEST_PROGRAM("refresh", a_fresh_token_takes_and_gives_rooms, another_users_token_changes_nothing,
             rights_that_changed_between_two_connections_count, a_lost_room_is_told_over_every_cut,
             a_lost_room_is_told_before_it_is_given_again,
             more_lost_rooms_than_a_cursor_names_end_the_session,
             more_lost_rooms_than_can_be_told_give_a_fresh_session,
             a_join_that_waits_is_judged_by_the_new_claims,
             a_room_that_is_given_and_does_not_come_ends_the_session)
