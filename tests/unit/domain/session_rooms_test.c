/* Rooms that a session has: by a token's claims and by joining, no more than it can come back with.
 */
#include <stdio.h>

#include "mem.h"
#include "returning.h"
#include "suite.h"

/* Two rooms of one hash are two rooms, and so are rooms of one name of two tenants. */
START_TEST(a_hash_is_not_a_room)
{
    struct gateway gateway;
    world_begin(&gateway, access_all);
    client_join("task:1", 1);
    world.told[0] = 0;
    world_publish_forged(1, "task:2", &(struct forged){"acme", "task:1"});
    world_publish_forged(1, "task:1", &(struct forged){"other", "task:1"});
    world_turn(1);
    ck_assert_str_eq(world.told, "");
    world_publish_forged(1, "task:1", &(struct forged){"acme", "task:1"});
    world_turn(1);
    ck_assert_str_eq(world.told, "notification; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(joining_again_changes_nothing)
{
    struct gateway gateway;
    world_begin(&gateway, access_all);
    world.told[0] = 0;
    client_join("task:1", 1);
    client_join("task:1", 2);
    world_publish(1, "task:1");
    world_turn(1);
    ck_assert_str_eq(world.told, "joined task:1; joined task:1; notification; ");
    session_leave(world.session, BYTES_LITERAL("task:1"), 3);
    world_publish(1, "task:1");
    world_turn(1);
    ck_assert_str_eq(world.told, "joined task:1; joined task:1; notification; left task:1; ");
    gateway_end(&gateway);
}
END_TEST

/* The word and the claim, by the name that the configuration gives it. */
START_TEST(a_claim_that_is_missing_is_named)
{
    struct gateway gateway;
    world_reset();
    gateway_start(&gateway, NULL, "{connect: ['user:{sub}'], tenant_claim: org}");
    client_connect("{\"sub\":\"usr_1\",\"tenantId\":\"acme\"}");
    ck_assert_str_eq(world.told, "turned away: tenant_missing (org); ");
    gateway_end(&gateway);
    gateway_start(&gateway, "{user: {topic: fanout.user, key: '{user}'}}",
                  "{connect: ['user:{uid}']}");
    client_connect("{\"uid\":\"usr_1\"}");
    ck_assert_str_eq(world.told, "turned away: user_missing (sub); ");
    gateway_end(&gateway);
}
END_TEST

/* A stock client that is refused stays away: one queue that nobody has configured does not cost it
 * the others. */
START_TEST(a_room_that_there_is_not_is_left_out_and_told)
{
    static const char queues[] =
        "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"reviewQueues\":[\"nowhere\"]}";
    struct gateway gateway;
    world_begin(&gateway, "{connect: ['user:{sub}', 'review:{reviewQueues}']}");
    session_close(world.session);
    world.private_id[0] = 0;
    client_connect(queues);
    ck_assert_str_eq(world.told, "fresh; left review:nowhere: no_such_room; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
    ck_assert_uint_eq(hub_stats(world.hub)->rooms_left_out, 1);
    gateway_end(&gateway);
}
END_TEST

/* Whoever is cut off before it was told of them all starts afresh, and is told; with the cursor of
 * CONNECT's answer as without it, as the stock client comes, which keeps those of events alone. */
START_TEST(a_room_left_out_is_told_over_every_cut)
{
    static const char queues[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\","
                                 "\"reviewQueues\":[\"here\",\"there\"]}";
    static const char again[] = "fresh: unknown_session; left review:here: no_such_room; "
                                "left review:there: no_such_room; ";
    enum { ALL = 3 /* OPENED, and a room each */ };
    struct gateway gateway;
    world_begin(&gateway, "{connect: ['review:{reviewQueues}', 'user:{sub}'], join: ['task:*']}");
    for (int cursors = 0; cursors <= ALL; cursors++) {
        client_cut_off();
        world.private_id[0] = world.cursor[0] = 0;
        world.takes = cursors ? cursors : 1;
        client_connect(queues);
        ck_assert_int_eq(world.takes, 0);
        client_cut_off();
        if (cursors == 0)
            world.cursor[0] = 0;
        client_connect(queues);
        ck_assert_str_eq(world.told, cursors < ALL ? again : "recovered; ");
        ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
        client_join("task:1", 1);
        client_cut_off();
        client_connect(queues);
        ck_assert_str_eq(world.told, "recovered; ");
        ck_assert(session_is_in(world.session, BYTES_LITERAL("task:1")));
    }
    gateway_end(&gateway);
}
END_TEST

/* Nor is it forgotten when a lane breaks while another is waited for: by a session that is new, and
 * by those that come back and start afresh, by which the walk over the lane comes twice. */
START_TEST(a_room_left_out_is_told_though_a_lane_breaks)
{
    static const char claims[] = "{\"sub\":\"usr_1\",\"tenant\":\"acme\","
                                 "\"reviewQueues\":[\"nowhere\"],\"projects\":[\"a\"]}";
    static const char rooms[] =
        "{project: {topic: fanout.project, key: '{tenant}', partitions: 1}}";
    struct gateway gateway;
    world_reset();
    gateway_start(&gateway, rooms,
                  "{connect: ['user:{sub}', 'review:{reviewQueues}', 'project:{projects}']}");
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *first = world.session;
    struct lane *lane = world.source.lane;
    world.private_id[0] = world.cursor[0] = 0;
    client_open(claims);
    ck_assert_ptr_ne(world.source.lane, lane);
    hub_lane_broken(world.hub, lane, "truncated");
    hub_lane_opened(world.hub, lane, 0, 0);
    world_turn(1);
    ck_assert_str_eq(world.told, "close: truncated; fresh; left review:nowhere: no_such_room; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1")));
    session_close(first);
    gateway_end(&gateway);
    gateway_start(&gateway, rooms,
                  "{connect: ['user:{sub}', 'review:{reviewQueues}', 'project:{projects}']}");
    world.takes = 0;
    client_open("{\"sub\":\"usr_2\",\"tenant\":\"acme\"}");
    struct session *other = world.session;
    lane = world.source.lane;
    world.takes = -1;
    client_open(claims);
    first = world.session;
    client_open(claims);
    session_close(other);
    hub_lane_opened(world.hub, lane, 0, 0);
    hub_lane_broken(world.hub, lane, "truncated");
    hub_lane_opened(world.hub, lane, 0, 0);
    world_turn(1);
    ck_assert_str_eq(world.told, "fresh: truncated; left review:nowhere: no_such_room; "
                                 "fresh: truncated; left review:nowhere: no_such_room; ");
    session_close(first);
    gateway_end(&gateway);
}
END_TEST

START_TEST(more_rooms_than_a_session_may_have_are_left_out_and_told)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    gateway_end(&gateway);
    world.private_id[0] = 0;
    world.rooms = 2;
    gateway_start(&gateway, NULL, "{connect: ['task:{tasks}']}");
    client_connect("{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"tasks\":[\"1\",\"2\",\"3\"]}");
    ck_assert_str_eq(world.told, "fresh; left task:3: too_many_rooms; ");
    gateway_end(&gateway);
}
END_TEST

/* --- long names: what a cursor can bring back --- */

enum { MANY = 100 }; /* rooms of a session */

static void name_long(char name[ROOM_NAME_LIMIT + 1], const char *kind, unsigned number)
{
    snprintf(name, ROOM_NAME_LIMIT + 1, "%s:%0*u", kind, ROOM_KEY_LIMIT, number);
}

/* Joins rooms of the longest names until one is refused; how many it is in. */
static unsigned join_long(const char *kind)
{
    char name[ROOM_NAME_LIMIT + 1], refused[ROOM_NAME_LIMIT + 64];
    for (unsigned i = 0; i < MANY; i++) {
        name_long(name, kind, i);
        world.told[0] = 0;
        client_join(name, i + 1);
        if (session_is_in(world.session, bytes_of_string(name)))
            continue;
        snprintf(refused, sizeof(refused), "refused %s: too_many_rooms; ", name);
        ck_assert_str_eq(world.told, refused);
        return i;
    }
    return MANY;
}

static void begin_many(struct gateway *gateway)
{
    world_begin(gateway, access_all);
    gateway_end(gateway);
    world.private_id[0] = 0;
    world.rooms = MANY;
    gateway_start(gateway, NULL, "{connect: ['user:{sub}'], join: ['task:*', 'project:*']}");
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
}

START_TEST(a_session_is_given_no_more_rooms_than_it_can_come_back_with)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1] = "";
    begin_many(&gateway);
    unsigned rooms = join_long("task");
    world_publish(1, "user:usr_1");
    world_turn(1);
    session_close(world.session);
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; "); /* and nothing twice */
    for (unsigned i = 0; i < rooms; i++) {
        name_long(name, "task", i);
        ck_assert(session_is_in(world.session, bytes_of_string(name)));
    }
    ck_assert_uint_ge(rooms, 40);
    ck_assert_uint_lt(rooms, MANY);
    /* What it leaves makes room. */
    session_leave(world.session, bytes_of_string(name), 1);
    ck_assert_uint_eq(join_long("project"), 1);
    gateway_end(&gateway);
}
END_TEST

START_TEST(lost_rooms_count_until_the_client_was_told)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1];
    begin_many(&gateway);
    (void)join_long("task");
    gateway_end(&gateway);
    gateway_start(&gateway, NULL, "{connect: ['user:{sub}'], join: ['project:*']}");
    world.takes = 1;
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    name_long(name, "project", 1);
    session_join(world.session, bytes_of_string(name), 1, world.now_ms);
    ck_assert(!session_is_in(world.session, bytes_of_string(name)));
    world.takes = -1;
    client_take(); /* told of all */
    client_join(name, 2);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    gateway_end(&gateway);
}
END_TEST

START_TEST(long_rooms_of_the_claims_are_left_out_and_told)
{
    struct gateway gateway;
    char name[ROOM_NAME_LIMIT + 1];
    auto_buffer struct buffer claims = {0};
    world_begin(&gateway, NULL);
    gateway_end(&gateway);
    world.private_id[0] = 0;
    world.rooms = MANY;
    gateway_start(&gateway, NULL,
                  "{connect: ['user:{sub}', 'task:{tasks}', 'project:{tasks}', 'user:{tasks}']}");
    buffer_append_string(&claims, "{\"sub\":\"usr_1\",\"tenant\":\"acme\",\"tasks\":[");
    for (unsigned i = 0; i < 18; i++) /* of what is read of a token, nearly all */
        buffer_append_format(&claims, "%s\"%0*u\"", i ? "," : "", ROOM_KEY_LIMIT, i);
    buffer_append_string(&claims, "]}");
    auto_free char *text = mem_string(buffer_peek(&claims));
    client_connect(text);
    name_long(name, "task", 0);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    ck_assert(strstr(world.told, ": too_many_rooms; "));
    session_close(world.session);
    client_connect(text);
    ck_assert_int_eq(strncmp(world.told, "recovered; ", 11), 0);
    ck_assert(session_is_in(world.session, bytes_of_string(name)));
    gateway_end(&gateway);
}
END_TEST

TEST_PROGRAM("session_rooms", a_hash_is_not_a_room, joining_again_changes_nothing,
             a_claim_that_is_missing_is_named, a_room_that_there_is_not_is_left_out_and_told,
             a_room_left_out_is_told_over_every_cut, a_room_left_out_is_told_though_a_lane_breaks,
             more_rooms_than_a_session_may_have_are_left_out_and_told,
             a_session_is_given_no_more_rooms_than_it_can_come_back_with,
             lost_rooms_count_until_the_client_was_told,
             long_rooms_of_the_claims_are_left_out_and_told)
