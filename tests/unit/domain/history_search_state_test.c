/* What a room shows, folded of its past. */
#include "history_search_fixture.h"

START_TEST(a_state_has_the_newest_of_each_item)
{
    world_begin_connected();
    publish_items("task:1", "abca");
    publish("task:1", 1);            /* about no item */
    publish_items("task:2", "b");    /* of another room */
    publish_items("task:1", "de-d"); /* 6 to 8 */
    ask_state("task:1");
    publish_items("task:1", "c"); /* before it is whole: in it */
    turn();
    EXPECT("![1 3 7 9 ] +task:1=4@0 ");
    publish_items("task:1", "-b");
    publish("task:1", 1);
    turn();
    EXPECT("10 11 ");
    ask_state("task:1");
    turn();
    EXPECT("![3 7 9 ] +task:1=3@0 ");
    ck_assert_uint_eq(hub_stats(world.hub)->states, 2);
    ck_assert_uint_eq(hub_stats(world.hub)->state_items, 7);
    ck_assert_uint_eq(hub_stats(world.hub)->histories, 0);
    world_end();
}
END_TEST

START_TEST(a_room_without_items_has_an_empty_state)
{
    world_begin_connected();
    ask_state("task:1");
    turn();
    EXPECT("![] +task:1=0@0 ");
    publish_items("task:2", "a-a");
    ask_state("task:2");
    turn();
    EXPECT("![] +task:2=0@0 ");
    world_end();
}
END_TEST

START_TEST(a_state_comes_in_chunks)
{
    struct delivery delivery;
    world_begin();
    world.config.state.chunk_bytes = 4;
    start_gateway();
    connect_client();
    publish_items("task:1", "abcdefghijklm");
    world.blocked = true;
    ask_state("task:1");
    turn();
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(session_next(world.session, &delivery));
        heard(&delivery);
    }
    EXPECT("![0 1 ] [2 3 ] [4 5 ] [6 7 ] [8 9 ] [10 ] ");
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("[11 ] [12 ] +task:1=13@0 ");
    world_end();
}
END_TEST

START_TEST(a_state_is_read_back_as_a_history_is)
{
    world_begin();
    publish_items("task:1", "ab");
    publish("task:2", 40);
    publish_items("task:1", "c-a");
    start_gateway();
    connect_client();
    ask_state("task:1");
    turn();
    publish_items("task:1", "d");
    turn();
    EXPECT("%s", "");
    rest();
    EXPECT("![1 42 44 ] +task:1=3@0 ");
    ck_assert_uint_gt(world.source.scans, 0);
    world_end();
}
END_TEST

START_TEST(a_slow_session_gets_the_state_where_it_stands)
{
    world_begin_connected();
    publish_items("task:1", "a");
    world.blocked = true;
    publish("user:usr_1", 8); /* four are queued, and it is behind */
    turn();
    ask_state("task:1");
    publish_items("task:1", "-ab");
    turn();
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("1 2 3 4 ![0 ] +task:1=1@0 5 6 7 8 9 10 ");
    world_end();
}
END_TEST

START_TEST(a_state_that_is_cut_off_in_the_middle_is_asked_for_again)
{
    struct delivery delivery;
    world_begin();
    world.config.state.chunk_bytes = 4;
    start_gateway();
    connect_client();
    publish_items("task:1", "abc");
    world.blocked = true;
    ask_state("task:1");
    turn();
    ck_assert(session_next(world.session, &delivery));
    heard(&delivery);
    EXPECT("![0 1 ] ");
    end_gateway();
    world.source.lane = NULL;
    world.blocked = false;
    start_gateway();
    connect_client();
    publish_items("task:1", "-a");
    turn();
    EXPECT("recovered "); /* it is not in the room */
    ask_state("task:1");
    rest();
    EXPECT("![1 2 ] +task:1=2@0 ");
    world_end();
}
END_TEST

START_TEST(who_comes_back_has_the_state_and_gets_what_it_missed)
{
    world_begin_connected();
    publish_items("task:1", "ab");
    ask_state("task:1");
    turn();
    EXPECT("![0 1 ] +task:1=2@0 ");
    end_gateway();
    world.source.lane = NULL;
    publish_items("task:1", "-ac");
    start_gateway();
    connect_client();
    EXPECT("recovered 2 3 ");
    world_end();
}
END_TEST

START_TEST(a_session_that_moves_takes_its_state_first)
{
    struct delivery delivery;
    auto_buffer struct buffer state = {0};
    world_begin();
    publish_items("task:1", "aba");
    world.config.state.chunk_bytes = 2;
    start_gateway();
    connect_client();
    ask_state("task:1");
    turn();
    ck_assert(session_migrate_out(world.session, &state) == STATUS_INCOMPLETE);
    world.blocked = true;
    rest();
    ck_assert(session_migrate_out(world.session, &state) == STATUS_INCOMPLETE);
    /* Not into a queue of the transport while it could not go yet. */
    ask_state("task:2");
    ck_assert(!session_next_answer(world.session, &delivery));
    rest();
    while (session_next_answer(world.session, &delivery))
        heard(&delivery);
    EXPECT("![1 ] [2 ] +task:1=2@0 ![] +task:2=0@0 ");
    ck_assert(session_migrate_out(world.session, &state) == STATUS_OK);
    world_end();
}
END_TEST

START_TEST(of_too_many_items_the_newest_come)
{
    world_begin();
    world.config.state.items = 3;
    start_gateway();
    connect_client();
    publish_items("task:1", "abcdea"); /* at seconds 1 to 6; then b and c are left out */
    ask_state("task:1");
    turn();
    EXPECT("![3 4 5 ] +task:1=3...@3 ");
    publish_items("task:1", "-e");
    turn();
    EXPECT("6 ");
    ask_state("task:1");
    turn();
    EXPECT("![3 5 ] +task:1=2...@3 ");
    ck_assert_uint_eq(hub_stats(world.hub)->states_incomplete, 2);
    world_end();
}
END_TEST

START_TEST(a_state_says_how_far_it_looked)
{
    world_begin();
    publish_items("task:1", "ab");
    publish("task:2", 10);
    publish_items("task:1", "c");
    start_gateway();
    world.first = 3; /* at second 4; retention */
    connect_client();
    ask_state("task:1");
    rest();
    EXPECT("![12 ] +task:1=1...@4 ");
    world_end();
}
END_TEST

START_TEST(a_log_without_records_says_when_it_was_looked_at)
{
    world_begin();
    publish("task:1", 10);
    start_gateway();
    world.first = 10;
    connect_client();
    ask_state("task:1");
    rest();
    EXPECT("![] +task:1=0...@10 ");
    world_end();
}
END_TEST

/* What lies behind the first that is young enough counts, whatever its clock says. */
START_TEST(a_clock_that_goes_wrong_does_not_bring_back_what_was)
{
    world_begin();
    world.config.history.age_ms = 20 * SECOND;
    start_gateway();
    connect_client();
    publish_items("task:1", "a");
    publish("task:2", 30);
    publish_items("task:1", "bc"); /* at seconds 32 and 33 */
    publish_one("task:1", (struct notification_item){BYTES_LITERAL("b"), true}, "1", 1 * SECOND);
    publish_one("task:1", (struct notification_item){BYTES_LITERAL("d"), false}, "1", 1 * SECOND);
    ask_state("task:1");
    rest();
    EXPECT("![32 34 ] +task:1=2...@15 ");
    world_end();
}
END_TEST

/* Its age says nothing of the state. */
START_TEST(what_is_about_no_item_is_no_part_of_a_state)
{
    world_begin();
    world.config.history.age_ms = 20 * SECOND;
    start_gateway();
    connect_client();
    publish("task:1", 1);
    publish("task:2", 30);
    publish_items("task:1", "a");
    ask_state("task:1");
    rest();
    EXPECT("![31 ] +task:1=1@0 ");
    world_end();
}
END_TEST

START_TEST(a_state_can_be_switched_off)
{
    world_begin();
    world.config.state.items = 0;
    start_gateway();
    connect_client();
    ask_state("task:1");
    turn();
    EXPECT("-task:1:no_state ");
    last("task:1", 1);
    turn();
    EXPECT("+task:1:0 ");
    world_end();
}
END_TEST

TEST_PROGRAM("history_search_state", a_state_has_the_newest_of_each_item,
             a_room_without_items_has_an_empty_state, a_state_comes_in_chunks,
             a_state_is_read_back_as_a_history_is, a_slow_session_gets_the_state_where_it_stands,
             a_state_that_is_cut_off_in_the_middle_is_asked_for_again,
             who_comes_back_has_the_state_and_gets_what_it_missed,
             a_session_that_moves_takes_its_state_first, of_too_many_items_the_newest_come,
             a_state_says_how_far_it_looked, a_log_without_records_says_when_it_was_looked_at,
             a_clock_that_goes_wrong_does_not_bring_back_what_was,
             what_is_about_no_item_is_no_part_of_a_state, a_state_can_be_switched_off)
