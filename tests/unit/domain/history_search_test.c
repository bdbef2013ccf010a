/* Histories: given before the join is confirmed, across gateways, whatever happens meanwhile. */
#include "history_search_fixture.h"

/* --- what is given */

START_TEST(the_last_ones_come_before_the_confirmation)
{
    world_begin_connected();
    publish("task:1", 3);
    publish("task:2", 2);
    publish("task:1", 2); /* 5 and 6 */
    last("task:1", 3);
    publish("task:1", 1); /* before the history is whole: in it */
    turn();
    EXPECT("h5 h6 h7 +task:1:3 ");
    publish("task:1", 1);
    turn();
    EXPECT("8 ");
    ck_assert_uint_eq(world.source.scans, 0);
    world_end();
}
END_TEST

START_TEST(what_is_since_a_time_comes)
{
    world_begin_connected();
    publish("task:1", 30); /* at seconds 1 to 30 */
    ask("task:1", 28 * SECOND, 0);
    turn();
    EXPECT("h27 h28 h29 +task:1:3 ");
    ask("task:2", 28 * SECOND, 5);
    ask("task:1", 1000 * SECOND, 5);
    turn();
    EXPECT("+task:2:0 +task:1:0 ");
    ask("task:1", 28 * SECOND, 2);
    turn();
    EXPECT("h28 h29 +task:1:2 ");
    world_end();
}
END_TEST

START_TEST(a_room_that_has_no_past_has_none)
{
    world_begin_connected();
    last("task:1", 3);
    turn();
    EXPECT("+task:1:0 ");
    world_end();
}
END_TEST

START_TEST(what_the_ring_does_not_have_is_read)
{
    world_begin();
    publish("task:1", 10);
    publish("task:2", 40);
    start_gateway();
    connect_client();
    last("task:1", 12);
    rest();
    EXPECT("h0 h1 h2 h3 h4 h5 h6 h7 h8 h9 +task:1:10 ");
    ck_assert_uint_gt(world.source.scans, 0);
    unsigned scans = world.source.scans;
    last("task:2", 2);
    rest();
    EXPECT("h48 h49 +task:2:2 ");
    ck_assert_uint_eq(world.source.scans, scans); /* what was read back is there */
    world_end();
}
END_TEST

START_TEST(nothing_of_the_room_comes_before_its_history)
{
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    publish("user:usr_1", 1);
    publish("task:1", 2);
    turn();
    EXPECT("2 "); /* the rest of the stream goes on */
    read_back(1);
    publish("task:1", 1);
    read_back(100);
    turn();
    EXPECT("h0 h1 h3 h4 h5 +task:1:5 ");
    publish("task:1", 1);
    turn();
    EXPECT("6 ");
    world_end();
}
END_TEST

START_TEST(a_room_that_the_session_is_in_has_a_past_too)
{
    world_begin_connected();
    publish("user:usr_1", 3);
    turn();
    EXPECT("0 1 2 ");
    last("user:usr_1", 2);
    publish("user:usr_1", 1);
    turn();
    EXPECT("3 h2 h3 +user:usr_1:2 ");
    publish("user:usr_1", 1);
    turn();
    EXPECT("4 ");
    world_end();
}
END_TEST

START_TEST(a_slow_session_gets_history_where_it_stands)
{
    world_begin_connected();
    world.blocked = true;
    publish("user:usr_1", 8); /* four are queued, and it is behind */
    turn();
    last("task:1", 5);
    publish("task:1", 2);
    turn();
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("0 1 2 3 +task:1:0 4 5 6 7 8 9 ");
    world_end();
}
END_TEST

/* --- the cursor */

START_TEST(what_was_history_does_not_come_again_elsewhere)
{
    world_begin_connected();
    publish("user:usr_1", 1);
    publish("task:1", 3);
    turn();
    last("task:1", 9);
    turn();
    EXPECT("0 h1 h2 h3 +task:1:3 ");
    end_gateway();
    world.source.lane = NULL;
    publish("task:1", 2);
    start_gateway();
    connect_client();
    EXPECT("recovered 4 5 ");
    world_end();
}
END_TEST

START_TEST(a_queue_behind_the_history_does_not_hold_its_cursor_back)
{
    struct delivery delivery;
    world_begin_connected();
    publish("task:1", 3);
    world.blocked = true;
    last("task:1", 9);
    turn();
    publish("task:1", 2); /* queued behind it */
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(session_next(world.session, &delivery));
        heard(&delivery);
    }
    EXPECT("h0 h1 h2 +task:1:3 ");
    end_gateway();
    world.source.lane = NULL;
    world.blocked = false;
    start_gateway();
    connect_client();
    EXPECT("recovered 3 4 ");
    world_end();
}
END_TEST

START_TEST(a_history_that_is_cut_off_in_the_middle_is_asked_for_again)
{
    struct delivery delivery;
    world_begin_connected();
    publish("task:1", 3);
    world.blocked = true;
    last("task:1", 9);
    turn();
    ck_assert(session_next(world.session, &delivery));
    heard(&delivery);
    EXPECT("h0 ");
    end_gateway();
    world.source.lane = NULL;
    world.blocked = false;
    start_gateway();
    connect_client();
    publish("task:1", 1);
    turn();
    EXPECT("recovered "); /* it is not in the room */
    last("task:1", 9);
    rest();
    EXPECT("h0 h1 h2 h3 +task:1:4 ");
    world_end();
}
END_TEST

/* --- what happens meanwhile */

START_TEST(a_history_that_does_not_come_is_refused)
{
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    last("user:usr_1", 5);
    turn();
    world.now_ms += OPEN_TIMEOUT_MS;
    turn();
    EXPECT("-task:1:unavailable! -user:usr_1:unavailable! ");
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("task:1")));
    ck_assert(session_is_in(world.session, BYTES_LITERAL("user:usr_1"))); /* it was before */
    read_back(100);
    publish("user:usr_1", 1);
    publish("task:1", 1);
    rest();
    EXPECT("2 ");
    world_end();
}
END_TEST

START_TEST(a_room_may_be_left_while_its_history_comes)
{
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    session_leave(world.session, BYTES_LITERAL("task:1"), 2);
    rest();
    EXPECT("-task:1:left left ");
    last("task:1", 5);
    rest();
    EXPECT("h0 h1 +task:1:2 ");
    world_end();
}
END_TEST

START_TEST(a_plain_join_does_not_wait_for_another_ones_history)
{
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    session_join(world.session, BYTES_LITERAL("task:1"), 2, world.now_ms);
    publish("task:1", 1);
    turn();
    EXPECT("+task:1 2 ");
    rest();
    EXPECT("h0 h1 h2 +task:1:3 ");
    world_end();
}
END_TEST

START_TEST(a_session_may_end_while_its_history_comes)
{
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    ck_assert_uint_eq(hub_stats(world.hub)->histories_waiting, 1);
    read_back(1);
    session_close(world.session);
    rest();
    connect_client();
    world_end();
}
END_TEST

START_TEST(a_lane_that_is_not_open_yet_is_waited_for)
{
    world_begin();
    world.closed = true;
    start_gateway();
    struct session_request request = {
        .transport = &history_transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .now_ms = world.now_ms};
    publish("task:1", 2);
    world.session = hub_open_session(world.hub, &request);
    turn();
    world.closed = false;
    rest();
    last("task:1", 5);
    rest();
    EXPECT("h0 h1 +task:1:2 ");
    world_end();
}
END_TEST

START_TEST(a_session_that_moves_takes_its_history_first)
{
    struct delivery delivery;
    auto_buffer struct buffer state = {0};
    world_begin();
    publish("task:1", 2);
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    ck_assert(session_migrate_out(world.session, &state) == STATUS_INCOMPLETE);
    world.blocked = true;
    rest();
    ck_assert(session_migrate_out(world.session, &state) == STATUS_INCOMPLETE);
    while (session_next_answer(world.session, &delivery))
        heard(&delivery);
    EXPECT("h0 h1 +task:1:2 ");
    ck_assert(session_migrate_out(world.session, &state) == STATUS_OK);
    world_end();
}
END_TEST

TEST_PROGRAM("history_search", the_last_ones_come_before_the_confirmation,
             what_is_since_a_time_comes, a_room_that_has_no_past_has_none,
             what_the_ring_does_not_have_is_read, nothing_of_the_room_comes_before_its_history,
             a_room_that_the_session_is_in_has_a_past_too,
             a_slow_session_gets_history_where_it_stands,
             what_was_history_does_not_come_again_elsewhere,
             a_queue_behind_the_history_does_not_hold_its_cursor_back,
             a_history_that_is_cut_off_in_the_middle_is_asked_for_again,
             a_history_that_does_not_come_is_refused, a_room_may_be_left_while_its_history_comes,
             a_plain_join_does_not_wait_for_another_ones_history,
             a_session_may_end_while_its_history_comes, a_lane_that_is_not_open_yet_is_waited_for,
             a_session_that_moves_takes_its_history_first)
