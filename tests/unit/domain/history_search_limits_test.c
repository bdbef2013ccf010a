/* How much of the past is looked for, found and kept. */
#include "history_search_fixture.h"

START_TEST(more_than_there_may_be_is_cut_off)
{
    world_begin();
    world.config.history.messages = 3;
    start_gateway();
    connect_client();
    publish("task:1", 5);
    publish("task:2", 3);
    last("task:1", 4);
    last("task:2", 3);
    ask("task:2", 7 * SECOND, 0);
    turn();
    EXPECT("h2 h3 h4 +task:1:3... h5 h6 h7 +task:2:3 h6 h7 +task:2:2 ");
    ck_assert_uint_eq(hub_stats(world.hub)->histories, 3);
    ck_assert_uint_eq(hub_stats(world.hub)->histories_incomplete, 1);
    ck_assert_uint_eq(hub_stats(world.hub)->history_messages, 8);
    world_end();
}
END_TEST

START_TEST(too_old_is_cut_off)
{
    world_begin();
    world.config.history.age_ms = 2 * SECOND;
    start_gateway();
    connect_client();
    publish("task:1", 30);
    last("task:1", 5);
    last("task:1", 2);
    turn();
    EXPECT("h27 h28 h29 +task:1:3... h28 h29 +task:1:2 ");
    world_end();
}
END_TEST

START_TEST(a_lane_is_not_read_further_back_than_it_may)
{
    world_begin();
    world.config.history.bytes = 25600; /* fifty of what a record is thought to be at first */
    publish("task:1", 10);
    publish("task:2", 100);
    publish("task:1", 1);
    start_gateway();
    connect_client();
    last("task:1", 5);
    rest();
    EXPECT("h110 +task:1:1... ");
    ck_assert_uint_le(world.source.scanned, 100);
    world_end();
}
END_TEST

START_TEST(larger_records_than_were_thought_are_noticed)
{
    world_begin();
    world.config.history.bytes = 100000;
    publish_sized("task:2", 200, 10000);
    publish_sized("task:1", 2, 10000);
    start_gateway();
    connect_client();
    last("task:1", 5);
    rest();
    EXPECT("h200 h201 +task:1:2... ");
    ck_assert_uint_le(world.source.scanned, 60); /* not 200, which it would have been */
    publish("user:usr_1", 1);
    turn();
    EXPECT("202 ");
    world_end();
}
END_TEST

START_TEST(what_is_held_for_all_is_bounded)
{
    world_begin();
    world.config.history.buffered = 65536;
    start_gateway();
    connect_client();
    publish_sized("task:1", 6, 2000); /* of which one history may hold 8 KiB */
    world.blocked = true;
    for (unsigned i = 0; i < 3; i++)
        last("task:1", 5);
    rest();
    ck_assert_uint_le(hub_stats(world.hub)->history_bytes, 24576);
    ck_assert_uint_gt(hub_stats(world.hub)->history_bytes, 0);
    last("task:1", 5);
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("h3 h4 h5 +task:1:3... h3 h4 h5 +task:1:3... h3 h4 h5 +task:1:3... "
           "-task:1:too_many_requests ");
    world_end();
}
END_TEST

/* What is counted for those who hold it is the record: a frame would come on top of it. */
START_TEST(what_no_ring_holds_keeps_no_frame)
{
    world_begin();
    world.config.read_back_bytes = 0;
    start_gateway();
    connect_client();
    struct session *first = world.session;
    unsigned outside = 0;
    world.cursor[0] = world.private_id[0] = '\0';
    connect_client();
    publish_sized("task:1", 20, 1000);
    world.blocked = true;
    last("task:1", 15);
    struct session *second = world.session;
    world.session = first;
    last("task:1", 15);
    rest();
    world.blocked = false;
    take(second, NULL);
    const struct history *history = session_queue_first(&first->queue)->control->history;
    ck_assert_uint_eq(history->count, 15);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct message *message =
            history->messages[(history->start + i) & (history->capacity - 1)];
        if (ring_get(&world.hub->lanes->ring, message->offset) == message)
            continue;
        ck_assert_ptr_null(message->frames[TRANSPORT_SLOT_SSE]);
        outside++;
    }
    ck_assert_uint_gt(outside, 0);
    session_close(second);
    world_end();
}
END_TEST

/* It is told, and asks again when it has read. */
START_TEST(who_does_not_read_is_given_no_more)
{
    world_begin();
    world.config.pending_joins = 20;
    world.config.history.session_buffered = 8000;
    start_gateway();
    connect_client();
    publish_sized("task:1", 6, 2000);
    world.blocked = true;
    for (unsigned i = 0; i < 3; i++) {
        last("task:1", 3);
        rest();
    }
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("h3 h4 h5 +task:1:3 -task:1:too_much_unread! -task:1:too_much_unread! ");
    ck_assert_uint_eq(hub_stats(world.hub)->histories_refused[HISTORY_LIMIT_SESSION], 2);
    last("task:1", 3);
    turn();
    EXPECT("h3 h4 h5 +task:1:3 ");
    world_end();
}
END_TEST

START_TEST(retention_cuts_off)
{
    world_begin();
    publish("task:1", 60);
    world.first = 20;
    start_gateway();
    connect_client();
    last("task:1", 99);
    rest();
    const char *said = take_said();
    ck_assert_ptr_eq(strstr(said, "h20 "), said);
    ck_assert_ptr_nonnull(strstr(said, "h59 +task:1:40... "));
    world.first = 50; /* and nobody has told yet */
    end_gateway();
    world.source.lane = NULL;
    start_gateway();
    world.first = 0;
    world.cursor[0] = world.private_id[0] = '\0';
    connect_client();
    world.first = 50;
    last("task:1", 99);
    rest();
    EXPECT("h50 h51 h52 h53 h54 h55 h56 h57 h58 h59 +task:1:10... ");
    world_end();
}
END_TEST

START_TEST(there_may_be_none)
{
    world_begin();
    world.config.history.messages = 0;
    start_gateway();
    connect_client();
    last("task:1", 5);
    turn();
    EXPECT("-task:1:no_history ");
    world_end();
}
END_TEST

/* Who does not read stands far behind the ring. Where its history ends is passed long before the scan
 * has read too much, and no record of the room says so. */
START_TEST(who_does_not_read_makes_nobody_read_without_end)
{
    world_begin();
    world.config.history.bytes = 2000;
    start_gateway();
    connect_client();
    last("task:0", 1);
    rest();
    world.blocked = true;
    publish("task:0", 2 * QUEUE);
    publish_sized("task:9", 30, 1000);
    EXPECT("+task:0:0 ");
    last("task:1", 3);
    rest();
    ck_assert_uint_le(world.source.scans, 4);
    world.blocked = false;
    take(world.session, NULL);
    EXPECT("0 1 2 3 +task:1:0 ");
    rest();
    EXPECT("4 5 6 7 ");
    world_end();
}
END_TEST

/* Nobody waits long for others who ask for much. */
START_TEST(what_a_turn_looks_at_is_bounded)
{
    world_begin();
    world.config.ring_bytes = 8 << 20;
    world.config.history.bytes = 1 << 26;
    start_gateway();
    connect_client();
    for (unsigned i = 0; i < 3500; i++)
        publish_items("task:1", "a");
    for (unsigned i = 0; i < 3; i++)
        ask_state("task:1");
    turn();
    EXPECT("![3499 ] +task:1=1@0 ");
    turn(); /* goes on where it was */
    EXPECT("![3499 ] +task:1=1@0 ");
    turn();
    EXPECT("![3499 ] +task:1=1@0 ");
    world_end();
}
END_TEST

START_TEST(large_records_count_for_more_in_a_turn)
{
    enum { RECORDS = 900, BYTES = 4000 };
    char data[BYTES];
    memset(data, 'x', sizeof(data));
    data[0] = data[BYTES - 2] = '"';
    data[BYTES - 1] = 0;
    world_begin();
    world.config.ring_bytes = 8 << 20;
    world.config.history.bytes = 1 << 26;
    start_gateway();
    connect_client();
    for (unsigned i = 0; i < RECORDS; i++)
        publish_one("task:1", (struct notification_item){BYTES_LITERAL("a"), false}, data,
                    (i + 1) * SECOND);
    ask_state("task:1");
    turn();
    EXPECT("%s", "");
    turn();
    EXPECT("![899 ] +task:1=1@0 ");
    world_end();
}
END_TEST

TEST_PROGRAM("history_search_limits", more_than_there_may_be_is_cut_off, too_old_is_cut_off,
             a_lane_is_not_read_further_back_than_it_may,
             larger_records_than_were_thought_are_noticed, what_is_held_for_all_is_bounded,
             what_no_ring_holds_keeps_no_frame, who_does_not_read_is_given_no_more,
             retention_cuts_off, there_may_be_none, who_does_not_read_makes_nobody_read_without_end,
             what_a_turn_looks_at_is_bounded, large_records_count_for_more_in_a_turn)
