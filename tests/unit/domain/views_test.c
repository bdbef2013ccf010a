#include "views.h"

#include <stdarg.h>
#include <stdio.h>

#include "hand_source.h"
#include "hub_state.h"
#include "suite.h"

enum { SESSIONS = 4, RECORDS = 2000, LANE_BEGINS = 5, IDLE_MS = 60000, OPEN_TIMEOUT_MS = 20000 };

/* A lane, whose first records are gone, and its state topic. What is written to both comes when a
 * test says so. */
struct row {
    struct buffer value;
    struct buffer key;
    int64_t timestamp_ms;
    uint64_t layout;
};

static struct {
    struct hub *hub;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    struct row lane[RECORDS], kept[RECORDS];
    int64_t lane_end, kept_end;
    int64_t now_ms;
    struct session *sessions[SESSIONS];
    char said[SESSIONS][4096];
    bool blocked[SESSIONS];
    unsigned encoded;
} world;

/* --- logs ------------------------------------------------------------------------------------ */

static int64_t wall_ms(void)
{
    return 1000000 + world.now_ms;
}

static void write_row(struct row *row, const char *id, const char *item, bool removed, bool keyed)
{
    struct bytes room = BYTES_LITERAL("task:1");
    struct notification notification = {.id = bytes_of_string(id),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .item = {bytes_of_string(item), removed},
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    notification_encode(&notification, &row->value);
    if (keyed)
        notification_state_key(&notification, BYTES_LITERAL("acme"), &row->key);
    row->timestamp_ms = wall_ms();
}

static struct lane_record lane_record_at(int64_t offset, struct buffer *value)
{
    const struct row *row = &world.lane[offset];
    (void)value;
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = row->timestamp_ms,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&row->value),
                                .about_item = true};
}

/* "a" or "-a". */
static void write_lane(const char *id, const char *word)
{
    bool removed = *word == '-';
    write_row(&world.lane[world.lane_end++], id, word + removed, removed, false);
    hand_arrive(&world.source, world.hub, world.lane_end - 1, lane_record_at);
}

static void write_kept(const char *id, const char *word)
{
    bool removed = *word == '-';
    write_row(&world.kept[world.kept_end++], id, word + removed, removed, true);
}

/* --- the source answers ---------------------------------------------------------------------- */

static void answer_kept(int64_t first)
{
    ck_assert(world.source.asked_state);
    world.source.asked_state = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, STATUS_OK, first, world.kept_end});
}

static void answer_lane(int64_t end)
{
    ck_assert(world.source.asked_lane_end);
    world.source.asked_lane_end = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, STATUS_OK, 0, end});
}

static void fail_ends(enum status status)
{
    ck_assert(world.source.asked_state || world.source.asked_lane_end);
    world.source.asked_state = world.source.asked_lane_end = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, status, 0, 0});
}

static void give_kept(int64_t offset)
{
    const struct row *row = &world.kept[offset];
    hub_state_record(world.hub, world.source.lane,
                     &(struct lane_record){.offset = offset,
                                           .timestamp_ms = row->timestamp_ms,
                                           .key = buffer_peek(&row->key),
                                           .value = buffer_peek(&row->value),
                                           .layout = row->layout,
                                           .about_item = true});
}

static void end_kept(enum status status)
{
    world.source.reading_state = false;
    hub_state_read(world.hub, world.source.lane, status);
}

static void read_kept(void)
{
    ck_assert(world.source.reading_state);
    for (int64_t i = world.source.state_from; i < world.source.state_to; i++)
        if (world.source.reading_state)
            give_kept(i);
    if (world.source.reading_state)
        end_kept(STATUS_OK);
}

/* All that is asked, as it is. */
static void load(void)
{
    answer_kept(0);
    if (world.source.reading_state)
        read_kept();
    answer_lane(world.lane_end);
}

/* --- sessions: "[x y ]" items by their ids, "!" before the first, "+" joined with how many, "..." if
 * that may not be all; "x" live; "-" refused --------------------------------------------------- */

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    size_t start = buffer_size(out);
    world.encoded++;
    buffer_append(out, view->notification->id);
    return (struct body_part){start, buffer_size(out) - start};
}

static void append_item(struct buffer *list, struct bytes event, struct bytes notification)
{
    (void)event;
    buffer_append(list, notification);
    buffer_append_byte(list, ' ');
}

static void say(unsigned who, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(unsigned who, const char *format, ...)
{
    size_t size = strlen(world.said[who]);
    va_list list;
    va_start(list, format);
    vsnprintf(world.said[who] + size, sizeof(world.said[who]) - size, format, list);
    va_end(list);
}

static void take(struct session *session, void *connection)
{
    unsigned who = (unsigned)(size_t)connection;
    struct delivery delivery;
    while (!world.blocked[who] && session_next(session, &delivery)) {
        if (delivery.kind == DELIVERY_NOTIFICATION)
            say(who, "%.*s ", BYTES_PRINT(delivery.body));
        else if (delivery.kind == DELIVERY_STATE)
            say(who, "%s[%.*s] ", delivery.first ? "!" : "", BYTES_PRINT(delivery.body));
        else if (delivery.kind == DELIVERY_JOINED && delivery.has_state)
            say(who, "+%u%s ", delivery.history_count, delivery.history_complete ? "" : "...");
        else if (delivery.kind == DELIVERY_JOIN_REFUSED)
            say(who, "-%s ", delivery.reason);
        else if (delivery.kind == DELIVERY_CLOSE)
            say(who, "close:%s ", delivery.reason);
    }
}

static const struct transport_ops transport = {"test", TRANSPORT_SLOT_SSE, encode, take,
                                               append_item};

static void turn(int64_t later_ms)
{
    hand_open(&world.source, world.hub, LANE_BEGINS, world.lane_end);
    hub_run(world.hub, world.now_ms += later_ms);
}

static void rest(void)
{
    for (unsigned i = 0; i < 20; i++) {
        turn(1);
        hand_read_back(&world.source, world.hub, LANE_BEGINS, UINT32_MAX, lane_record_at);
    }
}

#define EXPECT(who, text)                        \
    do {                                         \
        ck_assert_str_eq(world.said[who], text); \
        world.said[who][0] = '\0';               \
    } while (0)

static void connect(unsigned who)
{
    struct session_request request = {
        .transport = &transport,
        .connection = (void *)(size_t)who,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .now_ms = world.now_ms};
    world.sessions[who] = hub_open_session(world.hub, &request);
    rest();
}

static void ask_room(unsigned who, const char *room)
{
    const struct history_request request = {.since_ms = INT64_MIN, .state = true};
    session_join_with_history(world.sessions[who], bytes_of_string(room), 1, &request, world.now_ms,
                              wall_ms());
}

static void ask(unsigned who)
{
    ask_room(who, "task:1");
}

static const struct hub_stats *stats(void)
{
    return hub_stats(world.hub);
}

/* The lane's first records are gone, and with them what the topic knows. */
static void begin_world(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    world.policy = hand_policy();
    world.config = hand_config(world.layout, world.policy);
    world.config.queue_messages = 4;
    world.config.open_timeout_ms = OPEN_TIMEOUT_MS;
    world.config.history = (struct history_limits){.messages = 100,
                                                   .bytes = 1 << 20,
                                                   .age_ms = INT64_MAX,
                                                   .buffered = 1 << 20,
                                                   .tenant_buffered = 1 << 20,
                                                   .session_buffered = 1 << 20};
    world.config.state = (struct state_limits){.items = 100,
                                               .chunk_bytes = 2000,
                                               .bytes = 1 << 20,
                                               .retention_ms = 500000,
                                               .idle_ms = IDLE_MS};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
    for (unsigned i = 0; i < LANE_BEGINS; i++)
        write_lane("gone", "gone");
    write_kept("a1", "a");
    write_kept("b1", "b");
    connect(0);
}

static void end_world(void)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (world.sessions[i])
            session_close(world.sessions[i]);
    hub_run(world.hub, world.now_ms);
    ck_assert_uint_eq(stats()->history_bytes, 0);
    ck_assert_uint_eq(stats()->histories_waiting, 0);
    hub_free(world.hub);
    for (unsigned i = 0; i < RECORDS; i++) {
        buffer_deinit(&world.lane[i].value);
        buffer_deinit(&world.kept[i].value);
        buffer_deinit(&world.kept[i].key);
    }
    layout_free(world.layout);
    policy_free(world.policy);
}

/* --- */

START_TEST(a_state_is_what_the_topic_keeps_and_the_lane_goes_on_with)
{
    begin_world();
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
    end_world();
}
END_TEST

START_TEST(it_is_exact_when_the_lane_has_come_to_where_it_ended)
{
    begin_world();
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
    end_world();
}
END_TEST

START_TEST(one_load_and_one_list_are_for_all_who_ask)
{
    begin_world();
    for (unsigned i = 1; i < SESSIONS; i++)
        connect(i);
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
    end_world();
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

static const struct transport_ops crowd_transport = {"crowd", TRANSPORT_SLOT_SSE, encode,
                                                     take_in_crowd, append_item};

START_TEST(ten_thousand_who_ask_at_once_get_one_list_that_is_framed_once)
{
    static struct session *sessions[CROWD];
    char item[16];
    begin_world();
    world.hub->config.sessions = CROWD + 1;
    memset(&crowd, 0, sizeof(crowd));
    for (unsigned i = 0; i < 98; i++) {
        snprintf(item, sizeof(item), "item-%u", i);
        write_kept(item, item);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        struct session_request request = {
            .transport = &crowd_transport,
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
    end_world();
}
END_TEST

START_TEST(a_session_that_is_behind_gets_it_when_it_has_caught_up)
{
    begin_world();
    ask(0);
    turn(1);
    load();
    turn(1);
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
    end_world();
}
END_TEST

START_TEST(a_room_is_given_nothing_before_its_state)
{
    begin_world();
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
    end_world();
}
END_TEST

START_TEST(without_a_topic_the_lane_is_read_back)
{
    begin_world();
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
    ask(0);
    turn(1);
    load();
    turn(1);
    EXPECT(0, "![b1 a2 ] +2... ");
    end_world();
}
END_TEST

START_TEST(a_lane_that_is_whole_and_short_is_read_back)
{
    begin_world();
    world.config.state.lane_bytes = 1 << 20;
    session_close(world.sessions[0]);
    world.sessions[0] = NULL;
    hub_run(world.hub, world.now_ms);
    hub_free(world.hub);
    world.source = (struct hand_source){0};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
    connect(0);
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
    end_world();
}
END_TEST

START_TEST(what_fails_is_done_again)
{
    begin_world();
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
    end_world();
}
END_TEST

START_TEST(who_waits_too_long_is_refused_and_the_next_one_is_not)
{
    begin_world();
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
    end_world();
}
END_TEST

START_TEST(a_view_that_does_not_fit_is_not_kept)
{
    char item[16];
    begin_world();
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
    ask(0);
    turn(1);
    load();
    turn(1);
    ck_assert_uint_eq(stats()->views, 1);
    for (unsigned i = 0; i < 50; i++) { /* room for others */
        snprintf(item, sizeof(item), "-item-%u", 999 - i);
        write_lane("l", item);
    }
    world.hub->config.state.bytes = stats()->view_bytes + 100;
    write_lane("l", "other"); /* it grows, by its lane */
    ck_assert_uint_eq(stats()->views_too_large, 2);
    ck_assert_uint_eq(stats()->view_bytes, 0);
    end_world();
}
END_TEST

START_TEST(a_view_that_nobody_asks_for_goes)
{
    begin_world();
    ask(0);
    turn(1);
    load();
    turn(1);
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
    end_world();
}
END_TEST

START_TEST(a_lane_that_breaks_or_is_opened_anew_takes_its_view_with_it)
{
    begin_world();
    ask(0);
    turn(1);
    load();
    turn(1);
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
    end_world();
}
END_TEST

START_TEST(what_another_layout_has_written_and_what_nobody_can_read_is_passed_over)
{
    begin_world();
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
    ask(0);
    turn(1);
    load();
    turn(1);
    EXPECT(0, "![d1 g1 ] +2... ");
    ck_assert_uint_eq(stats()->records_faulty[RECORD_BAD_KEY], 1);
    ck_assert_uint_eq(stats()->records_faulty[RECORD_BAD_VALUE], 1);
    end_world();
}
END_TEST

/* What has not changed for so long is shown by nobody. */
START_TEST(a_topic_that_is_as_old_as_items_may_be_has_them_all)
{
    begin_world();
    world.kept[0].timestamp_ms = 499999; /* of "a" */
    world.kept[1].timestamp_ms = 700000;
    ask(0);
    turn(1);
    load();
    turn(1);
    EXPECT(0, "![b1 ] +1 ");
    end_world();
}
END_TEST

TEST_PROGRAM("views", a_state_is_what_the_topic_keeps_and_the_lane_goes_on_with,
             it_is_exact_when_the_lane_has_come_to_where_it_ended,
             one_load_and_one_list_are_for_all_who_ask,
             ten_thousand_who_ask_at_once_get_one_list_that_is_framed_once,
             a_session_that_is_behind_gets_it_when_it_has_caught_up,
             a_room_is_given_nothing_before_its_state, without_a_topic_the_lane_is_read_back,
             a_lane_that_is_whole_and_short_is_read_back, what_fails_is_done_again,
             who_waits_too_long_is_refused_and_the_next_one_is_not,
             a_view_that_does_not_fit_is_not_kept, a_view_that_nobody_asks_for_goes,
             a_lane_that_breaks_or_is_opened_anew_takes_its_view_with_it,
             what_another_layout_has_written_and_what_nobody_can_read_is_passed_over,
             a_topic_that_is_as_old_as_items_may_be_has_them_all)
