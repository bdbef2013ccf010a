/* What rooms show, given of the lane's view: when it is exact, to whom, and when there is none. */
#include <stdio.h>

#include "views_fixture.h"

START_TEST(a_state_is_what_the_topic_keeps_and_the_lane_goes_on_with)
{
    world_begin();
    ask(0);
    turn(1);
    ck_assert(world.source.asked_state && !world.source.scanning);
    write_lane("c1", "c"); /* its record of the topic is not known yet */
    answer_kept(0);
    write_lane("b2", "-b");
    read_kept();
    write_lane("d1", "d");
    turn(1);
    EXPECT(0, "");
    answer_lane(world.lane_end);
    turn(1);
    EXPECT(0, "![a1 c1 d1 ] +3... ");
    write_lane("a2", "a");
    turn(1);
    EXPECT(0, "a2 ");
    ask(0); /* again, of a room that it is in */
    turn(1);
    EXPECT(0, "![c1 d1 a2 ] +3... ");
    ck_assert_uint_eq(stats()->view_loads, 1);
    ck_assert_uint_eq(stats()->states_of_views, 2);
    ck_assert_uint_eq(stats()->views, 1);
    ck_assert_uint_gt(stats()->view_bytes, 0);
    world_end();
}
END_TEST

START_TEST(it_is_exact_when_the_lane_has_come_to_where_it_ended)
{
    world_begin();
    ask(0);
    turn(1);
    answer_kept(0);
    read_kept();
    answer_lane(world.lane_end + 2); /* two are not visible yet */
    turn(1);
    EXPECT(0, "");
    write_lane("a2", "a");
    turn(1);
    EXPECT(0, "");
    hub_lane_position(world.hub, world.source.lane, world.lane_end + 1); /* a marker */
    turn(1);
    EXPECT(0, "![b1 a2 ] +2... ");
    world_end();
}
END_TEST

START_TEST(one_load_and_one_list_are_for_all_who_ask)
{
    world_begin();
    for (unsigned i = 1; i < SESSIONS; i++)
        connect_session(i);
    for (unsigned i = 0; i < SESSIONS; i++)
        ask(i);
    turn(1);
    load();
    turn(1);
    for (unsigned i = 0; i < SESSIONS; i++)
        EXPECT(i, "![a1 b1 ] +2... ");
    ck_assert_uint_eq(stats()->view_loads, 1);
    ck_assert_uint_eq(world.source.state_reads, 1);
    ck_assert_uint_eq(stats()->state_lists, 1);
    ck_assert_uint_eq(stats()->state_chunks, 1);
    ck_assert_uint_eq(world.encoded, 2);
    ck_assert_uint_eq(stats()->histories_waiting, 0);
    world_end();
}
END_TEST

/* --- a crowd: what its sessions are given is counted */

enum { CROWD = 10000 };
static struct {
    unsigned chunks, joined;
    uint64_t most_bytes;
} crowd;

static void take_in_crowd(struct session *session, void *connection)
{
    struct delivery delivery;
    (void)connection;
    if (world.hub->stats.history_bytes > crowd.most_bytes)
        crowd.most_bytes = world.hub->stats.history_bytes;
    while (session_next(session, &delivery)) {
        crowd.chunks += delivery.kind == DELIVERY_STATE;
        crowd.joined += delivery.kind == DELIVERY_JOINED && delivery.history_count == 100;
    }
}

START_TEST(ten_thousand_who_ask_at_once_get_one_list_that_is_framed_once)
{
    static struct session *sessions[CROWD];
    struct transport_ops transport = views_transport;
    char item[16];
    transport.ready = take_in_crowd;
    world_begin();
    world.hub->config.sessions = CROWD + 1;
    memset(&crowd, 0, sizeof(crowd));
    for (unsigned i = 0; i < 98; i++) {
        snprintf(item, sizeof(item), "item-%u", i);
        write_kept(item, item);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        struct session_request request = {
            .transport = &transport,
            .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
            .now_ms = world.now_ms};
        sessions[i] = hub_open_session(world.hub, &request);
    }
    turn(1);
    const struct history_request state = {.since_ms = INT64_MIN, .state = true};
    for (unsigned i = 0; i < CROWD; i++)
        session_join_with_history(sessions[i], BYTES_LITERAL("task:1"), 1, &state, world.now_ms,
                                  wall_ms());
    turn(1);
    load();
    for (unsigned i = 0; i < 10; i++) /* so many a turn: nobody else waits for them */
        turn(1);
    ck_assert_uint_eq(crowd.joined, CROWD);
    ck_assert_uint_eq(crowd.chunks, CROWD);
    ck_assert_uint_eq(stats()->view_loads, 1);
    ck_assert_uint_eq(stats()->state_lists, 1);
    ck_assert_uint_eq(stats()->state_chunks, 1);
    ck_assert_uint_eq(world.encoded, 100);
    ck_assert_uint_lt(crowd.most_bytes, 50000); /* of all of them */
    for (unsigned i = 0; i < CROWD; i++)
        session_close(sessions[i]);
    world_end();
}
END_TEST

START_TEST(a_session_that_is_behind_gets_it_when_it_has_caught_up)
{
    world_begin();
    ask_and_load(0);
    EXPECT(0, "![a1 b1 ] +2... ");
    world.blocked[0] = true;
    for (unsigned i = 0; i < 8; i++)
        write_lane("x", "x");
    turn(1);
    ask(0); /* four are queued, and four are in the ring */
    turn(1);
    world.blocked[0] = false;
    take(world.sessions[0], NULL);
    EXPECT(0, "x x x x x x x x ");
    turn(1);
    EXPECT(0, "![a1 b1 x ] +3... ");
    world_end();
}
END_TEST

START_TEST(a_room_is_given_nothing_before_its_state)
{
    world_begin();
    world.blocked[0] = true;
    turn(1);
    ask(0);
    turn(1);
    load();
    for (unsigned i = 0; i < 3; i++)
        write_lane("y", "y");
    turn(1);
    write_lane("z", "z");
    world.blocked[0] = false;
    take(world.sessions[0], NULL);
    EXPECT(0, "![a1 b1 y ] +3... z ");
    world_end();
}
END_TEST

START_TEST(without_a_topic_the_lane_is_read_back)
{
    world_begin();
    write_lane("a2", "a");
    write_kept("a2", "a");
    ask(0);
    turn(1);
    fail_ends(STATUS_NOT_FOUND);
    rest();
    EXPECT(0, "![a2 ] +1... ");
    ask(0);
    rest();
    EXPECT(0, "![a2 ] +1... ");
    ck_assert(!world.source.asked_state);
    turn(60000); /* it may be there now */
    ask_and_load(0);
    EXPECT(0, "![b1 a2 ] +2... ");
    world_end();
}
END_TEST

/* Who looks less far back, since the records there are larger than they were thought, asks for it again,
 * though something has been found already. */
START_TEST(a_view_that_comes_while_the_lane_is_read_back_is_given)
{
    char large[4000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    world_begin();
    world.hub->config.ring_bytes = 1000;
    world.hub->config.history.bytes = 32000; /* the first look goes a sixteenth back */
    for (unsigned i = 0; i < 100; i++)
        write_lane(large, "x");
    ask(0);
    turn(1);
    fail_ends(STATUS_NOT_FOUND);
    rest();
    world.said[0][0] = '\0';
    for (unsigned i = 0; i < 100; i++)
        write_lane("x", "x");
    write_kept("x", "x");
    turn(59000);
    world.said[0][0] = '\0';
    ask(0);
    for (unsigned i = 0; i < 2; i++) { /* it looks, and looks further */
        turn(1);
        turn(1);
        ck_assert(world.source.scanning);
        if (i == 1)
            turn(2000); /* the topic may be there now */
        hand_read_back(&world.source, world.hub, LANE_BEGINS, UINT32_MAX, lane_record_at);
    }
    turn(1);
    turn(1);
    ck_assert(world.source.asked_state);
    /* Until the topic says more. */
    ck_assert_int_eq(world.source.lane->view.view->since_ms, wall_ms());
    load();
    turn(1);
    EXPECT(0, "![a1 b1 x ] +3... ");
    world_end();
}
END_TEST

START_TEST(a_lane_that_is_whole_and_short_is_read_back)
{
    world_begin();
    world.config.state.lane_bytes = 1 << 20;
    session_close(world.sessions[0]);
    world.sessions[0] = NULL;
    hub_run(world.hub, world.now_ms);
    hub_free(world.hub);
    world.source = (struct hand_source){0};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
    connect_session(0);
    ask(0);
    turn(1); /* its first records are gone */
    ck_assert(world.source.asked_state);
    load();
    turn(1);
    EXPECT(0, "![a1 b1 ] +2... ");
    hub_lane_ends(world.hub, world.source.lane, 0, world.lane_end);
    ask(0);
    turn(1);
    turn(1);
    EXPECT(0, "");
    hand_read_back(&world.source, world.hub, 0, UINT32_MAX, lane_record_at);
    rest();
    EXPECT(0, "![gone ] +1 ");
    world_end();
}
END_TEST

START_TEST(what_fails_is_done_again)
{
    world_begin();
    ask(0);
    turn(1);
    fail_ends(STATUS_UNAVAILABLE);
    turn(499);
    ck_assert(!world.source.asked_state);
    turn(1);
    answer_kept(0);
    give_kept(0);
    end_kept(STATUS_EXPIRED); /* retention was quicker: what was read has a hole */
    turn(1);
    answer_kept(1);
    give_kept(1);
    end_kept(STATUS_UNAVAILABLE);
    turn(1);
    ck_assert(!world.source.asked_state);
    turn(500);
    answer_kept(1);
    read_kept();
    fail_ends(STATUS_UNAVAILABLE);
    turn(500);
    answer_lane(world.lane_end);
    turn(1);
    EXPECT(0, "![b1 ] +1... ");
    ck_assert_uint_eq(stats()->views_failed, 2);
    ck_assert_uint_eq(stats()->view_loads, 3);
    world_end();
}
END_TEST

START_TEST(who_waits_too_long_is_refused_and_the_next_one_is_not)
{
    world_begin();
    ask(0);
    turn(1);
    answer_kept(0);
    turn(OPEN_TIMEOUT_MS);
    EXPECT(0, "-unavailable ");
    read_kept();
    answer_lane(world.lane_end);
    ask(0);
    turn(1);
    EXPECT(0, "![a1 b1 ] +2... ");
    ck_assert_uint_eq(stats()->view_loads, 1);
    world_end();
}
END_TEST

START_TEST(a_view_that_does_not_fit_is_not_kept)
{
    char item[16];
    world_begin();
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(item, sizeof(item), "item-%u", i);
        write_kept("k", item);
    }
    world.hub->config.state.bytes = 20000;
    write_lane("a2", "a");
    ask(0);
    turn(1);
    answer_kept(0);
    read_kept();
    ck_assert_uint_eq(world.source.state_cancels, 1);
    rest();
    EXPECT(0, "![a2 ] +1... ");
    ck_assert_uint_eq(stats()->views_too_large, 1);
    ck_assert_uint_eq(stats()->view_bytes, 0);
    ck_assert_uint_eq(stats()->views, 0);
    ask(0);
    rest();
    EXPECT(0, "![a2 ] +1... ");
    ck_assert_uint_eq(stats()->view_loads, 1);
    world.hub->config.state.bytes = 1 << 20;
    turn(60000);
    ask_and_load(0);
    ck_assert_uint_eq(stats()->views, 1);
    for (unsigned i = 0; i < 50; i++) { /* room for others */
        snprintf(item, sizeof(item), "-item-%u", 999 - i);
        write_lane("l", item);
    }
    world.hub->config.state.bytes = stats()->view_bytes + 100;
    write_lane("l", "other"); /* it grows, by its lane */
    ck_assert_uint_eq(stats()->views_too_large, 2);
    ck_assert_uint_eq(stats()->view_bytes, 0);
    world_end();
}
END_TEST

START_TEST(a_view_that_nobody_asks_for_goes)
{
    world_begin();
    ask_and_load(0);
    turn(IDLE_MS - 10);
    ask(0);
    turn(1);
    ck_assert_int_eq(views_deadline_ms(world.hub), world.now_ms + IDLE_MS + 1);
    turn(IDLE_MS);
    ck_assert_uint_eq(stats()->views, 1);
    turn(1);
    ck_assert_uint_eq(stats()->views, 0);
    ck_assert_uint_eq(stats()->view_bytes, 0);
    turn(1);
    ck_assert_ptr_null(world.hub->views.retired);
    world_end();
}
END_TEST

START_TEST(a_lane_that_breaks_or_is_opened_anew_takes_its_view_with_it)
{
    world_begin();
    ask_and_load(0);
    EXPECT(0, "![a1 b1 ] +2... ");
    hub_lane_opened(world.hub, world.source.lane, LANE_BEGINS, world.lane_end);
    ck_assert_uint_eq(stats()->views, 0);
    ask(0);
    turn(1);
    answer_kept(0);
    hub_lane_opened(world.hub, world.source.lane, LANE_BEGINS, world.lane_end); /* who waits asks */
    turn(1);
    load();
    turn(1);
    EXPECT(0, "![a1 b1 ] +2... ");
    ask(0);
    world.blocked[0] = true;
    hub_lane_broken(world.hub, world.source.lane, "recreated");
    ck_assert_uint_eq(stats()->views, 0);
    world.blocked[0] = false;
    rest();
    EXPECT(0, "close:recreated ");
    world_end();
}
END_TEST

START_TEST(what_another_layout_has_written_and_what_nobody_can_read_is_passed_over)
{
    world_begin();
    write_kept("c1", "c");
    world.kept[2].layout = 1; /* another one */
    world.now_ms++;
    write_kept("d1", "d");
    write_kept("e1", "e");
    buffer_clear(&world.kept[4].key);
    write_kept("f1", "f");
    buffer_append_byte(&world.kept[5].value, 0xff);
    write_kept("g1", "g");
    world.kept[6].layout = layout_revision(world.layout);
    ask_and_load(0);
    EXPECT(0, "![d1 g1 ] +2... ");
    ck_assert_uint_eq(stats()->records_faulty[RECORD_BAD_KEY], 1);
    ck_assert_uint_eq(stats()->records_faulty[RECORD_BAD_VALUE], 1);
    world_end();
}
END_TEST

/* What has not changed for so long is shown by nobody. */
START_TEST(a_topic_that_is_as_old_as_items_may_be_has_them_all)
{
    world_begin();
    world.kept[0].timestamp_ms = 499999; /* of "a" */
    world.kept[1].timestamp_ms = 700000;
    ask_and_load(0);
    EXPECT(0, "![b1 ] +1 ");
    world_end();
}
END_TEST

TEST_PROGRAM("views", a_state_is_what_the_topic_keeps_and_the_lane_goes_on_with,
             it_is_exact_when_the_lane_has_come_to_where_it_ended,
             one_load_and_one_list_are_for_all_who_ask,
             ten_thousand_who_ask_at_once_get_one_list_that_is_framed_once,
             a_session_that_is_behind_gets_it_when_it_has_caught_up,
             a_room_is_given_nothing_before_its_state, without_a_topic_the_lane_is_read_back,
             a_view_that_comes_while_the_lane_is_read_back_is_given,
             a_lane_that_is_whole_and_short_is_read_back, what_fails_is_done_again,
             who_waits_too_long_is_refused_and_the_next_one_is_not,
             a_view_that_does_not_fit_is_not_kept, a_view_that_nobody_asks_for_goes,
             a_lane_that_breaks_or_is_opened_anew_takes_its_view_with_it,
             what_another_layout_has_written_and_what_nobody_can_read_is_passed_over,
             a_topic_that_is_as_old_as_items_may_be_has_them_all)
