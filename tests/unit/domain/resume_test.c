/* What a client finds when it comes back: rules that random worlds do not reach. */
#include "cursor.h"
#include "returning.h"
#include "suite.h"

START_TEST(a_room_that_is_not_allowed_any_more_is_told)
{
    struct gateway gateway;
    world_begin(&gateway, access_all);
    client_join("task:1", 1);
    client_join("project:1", 2);
    gateway_end(&gateway);
    gateway_start(&gateway, NULL, "{join: ['task:*']}");
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; ");
    ck_assert(session_is_in(world.session, BYTES_LITERAL("task:1")));
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("project:1")));
    world_publish(1, "project:1");
    world_turn(1);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; ");
    gateway_end(&gateway);
}
END_TEST

/* The cursor of a notification does not name the room any more: whoever loses the connection behind
 * it would never hear. */
START_TEST(a_lost_room_is_told_before_anything_else)
{
    struct gateway gateway;
    world_begin(&gateway, access_all);
    client_join("task:1", 1);
    client_join("project:1", 2);
    gateway_end(&gateway);
    gateway_start(&gateway, NULL, "{join: ['task:*']}");
    client_open(acme);
    hand_open(&world.source, world.hub, 0, world.end);
    world_publish(1, "task:1");
    world_turn(1);
    ck_assert_str_eq(world.told, "recovered; left project:1: not_allowed; notification; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(another_layout_gives_a_fresh_session)
{
    static const char user_only[] = "{connect: ['user:{sub}']}";
    struct gateway gateway;
    world_begin(&gateway, user_only);
    gateway_end(&gateway);
    gateway_start(&gateway, "{user: {topic: fanout.elsewhere, key: '{tenant}'}}", user_only);
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh: layout; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(somebody_elses_session_is_not_continued)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    session_close(world.session);
    client_connect("{\"sub\":\"usr_2\",\"tenant\":\"acme\"}");
    ck_assert_str_eq(world.told, "fresh: other_principal; ");
    session_close(world.session);
    client_connect("{\"sub\":\"usr_2\",\"tenant\":\"other\"}");
    ck_assert_str_eq(world.told, "fresh: other_principal; ");
    gateway_end(&gateway);
}
END_TEST

/* A copied tab, or a connection that is not yet known to be dead: both are served. */
START_TEST(one_private_id_may_live_twice)
{
    struct gateway gateway;
    world_begin(&gateway, access_all);
    client_join("task:1", 1);
    struct session *first = world.session;
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    world.told[0] = 0;
    world_publish(1, "task:1");
    world_turn(1);
    ck_assert_str_eq(world.told, "notification; notification; ");
    session_close(first);
    gateway_end(&gateway);
}
END_TEST

/* What it was given since cannot be known: to go on from the private id's own positions would give
 * it twice, and leave the rooms out that it has joined. */
START_TEST(a_cursor_that_is_too_long_gives_a_fresh_session)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    world_publish(1, "user:usr_1");
    world_turn(1);
    session_close(world.session);
    memset(world.cursor, 'A', CURSOR_TEXT_LIMIT + 1);
    world.cursor[CURSOR_TEXT_LIMIT + 1] = 0;
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh: unknown_session; ");
    gateway_end(&gateway);
}
END_TEST

/* A broker's new leader may know the end of the log a little late. */
START_TEST(what_is_queued_of_a_log_that_broke_says_nothing_of_the_next)
{
    struct gateway gateway;
    world_begin(&gateway, "{connect: [], join: ['task:*']}");
    client_join("task:1", 1);
    world_publish(50, "task:2");
    world.takes = 0; /* its socket blocks */
    world_publish(1, "task:1");
    session_leave(world.session, BYTES_LITERAL("task:1"), 2);
    hub_lane_broken(world.hub, world.source.lane, "truncated");
    world.end = 3;
    client_join("task:1", 3);
    world.takes = -1;
    client_take();
    ck_assert_str_eq(world.told,
                     "fresh; joined task:1; notification; left task:1; joined task:1; ");
    session_close(world.session);
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(an_end_that_comes_late_is_waited_for)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    world_publish(3, "user:usr_1");
    world_turn(1);
    gateway_end(&gateway);
    gateway_start(&gateway, NULL, NULL);
    world.end = 2;
    client_connect(acme);
    hub_lane_ends(world.hub, world.source.lane, 0, 2);
    world_turn(1);
    ck_assert_str_eq(world.told, "");
    world_publish(1, "user:usr_1");
    hub_lane_ends(world.hub, world.source.lane, 0, 3);
    world_turn(1);
    ck_assert_str_eq(world.told, "recovered; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(who_is_too_far_behind_starts_afresh)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    world_publish(1, "user:usr_1");
    world_turn(1);
    session_close(world.session);
    world_publish(HORIZON / RECORD * 2, "user:usr_2");
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh: too_far; ");
    gateway_end(&gateway);
}
END_TEST

static void stays_quiet_beyond_the_horizon(uint64_t lag)
{
    struct gateway gateway;
    world_reset();
    world.lag = lag;
    gateway_start(&gateway, NULL, NULL);
    client_connect(acme);
    world_publish(1, "user:usr_1");
    world_turn(1);
    world.told[0] = 0;
    for (unsigned i = 0; i < 3; i++)
        world_turn(1000);
    ck_assert_str_eq(world.told, "");
    world_publish(HORIZON / RECORD * 2, "user:usr_2"); /* nothing for this client */
    for (unsigned i = 0; i < 12; i++)
        world_turn(1000);
    ck_assert_str_eq(world.told, "cursor; ");
    session_close(world.session);
    client_connect(acme);
    ck_assert_str_eq(world.told, "recovered; ");
    gateway_end(&gateway);
}

/* However far behind the settings let it be. */
START_TEST(a_quiet_client_gets_a_newer_cursor)
{
    stays_quiet_beyond_the_horizon(0);
    stays_quiet_beyond_the_horizon(UINT64_C(100) * HORIZON);
}
END_TEST

START_TEST(a_lane_without_sessions_is_read_on_for_a_while)
{
    struct gateway gateway;
    world_begin(&gateway, NULL);
    session_close(world.session);
    world_turn(LINGER_MS - 1000);
    ck_assert_uint_eq(world.source.closed, 0);
    client_connect(acme); /* finds it open */
    ck_assert_str_eq(world.told, "recovered; ");
    session_close(world.session);
    world_turn(1);
    world_turn(LINGER_MS);
    ck_assert_uint_eq(world.source.closed, 1);
    client_connect(acme);
    gateway_end(&gateway);
}
END_TEST

TEST_PROGRAM("resume", a_room_that_is_not_allowed_any_more_is_told,
             a_lost_room_is_told_before_anything_else, another_layout_gives_a_fresh_session,
             somebody_elses_session_is_not_continued, one_private_id_may_live_twice,
             a_cursor_that_is_too_long_gives_a_fresh_session,
             what_is_queued_of_a_log_that_broke_says_nothing_of_the_next,
             an_end_that_comes_late_is_waited_for, who_is_too_far_behind_starts_afresh,
             a_quiet_client_gets_a_newer_cursor, a_lane_without_sessions_is_read_on_for_a_while)
