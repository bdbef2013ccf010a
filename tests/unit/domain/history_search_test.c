#include "history_search.h"

#include <stdarg.h>
#include <stdio.h>

#include "hand_source.h"
#include "hub_state.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum { RING_BYTES = 4000, QUEUE = 4, OPEN_TIMEOUT_MS = 20000 };
#define SECOND ((int64_t)1000)

/* One lane, whose record number n was published at second n. */
struct record {
    struct buffer value;
    int64_t timestamp_ms;
};

static struct {
    struct hub *hub;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    struct record records[8000];
    int64_t first, end;
    bool closed;
    int64_t now_ms;
} world;

static struct session *session;
static char cursor[2048], private_id[2048];
static char said[16384]; /* what the session was given since it was last looked at */
static bool blocked;

/* --- the lane */

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    (void)value;
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = world.records[offset].timestamp_ms,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&world.records[offset].value)};
}

static void publish_one(const char *room, struct notification_item item, const char *data,
                        int64_t timestamp_ms)
{
    char id[16];
    struct bytes name = bytes_of_string(room);
    snprintf(id, sizeof(id), "%lld", (long long)world.end);
    struct notification notification = {.id = bytes_of_string(id),
                                        .rooms = &name,
                                        .room_count = 1,
                                        .item = item,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.data = bytes_of_string(data)}};
    ck_assert_int_lt(world.end, 8000);
    struct record *record = &world.records[world.end++];
    notification_encode(&notification, &record->value);
    record->timestamp_ms = timestamp_ms;
    if (!world.closed)
        hand_arrive(&world.source, world.hub, world.end - 1, record_at);
}

static void publish_sized(const char *room, unsigned count, size_t size)
{
    auto_free char *fill = mem_alloc(size + 1);
    memset(fill, '1', size);
    for (; count; count--)
        publish_one(room, (struct notification_item){0}, fill, (world.end + 1) * SECOND);
}

/* One for each letter: about the item of that name, or, after a minus, that it is taken out. */
static void publish_items(const char *room, const char *items)
{
    for (; *items; items++) {
        struct notification_item item = {.removed = *items == '-'};
        items += item.removed;
        item.key = bytes_of(items, 1);
        publish_one(room, item, "1", (world.end + 1) * SECOND);
    }
}

static void publish(const char *room, unsigned count)
{
    publish_sized(room, count, 1);
}

static void read_back(unsigned records)
{
    hand_read_back(&world.source, world.hub, world.first, records, record_at);
}

/* --- the session: "h5" is history, "[5 6 ]" items of a state and "![" their first, "5" live, "+" and
 * "-" joined and refused; of a state, "=" is how many there are, and "@" from which second on */

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void say(const char *format, ...) PRINTF_LIKE(1, 2);
static void say(const char *format, ...)
{
    size_t size = strlen(said);
    va_list list;
    va_start(list, format);
    vsnprintf(said + size, sizeof(said) - size, format, list);
    va_end(list);
}

static void say_number(const char *kind, struct bytes json)
{
    static const char before[] = "\"id\":\"";
    const char *id = memmem(json.data, json.size, before, strlen(before));
    ck_assert_ptr_nonnull(id);
    say("%s%d ", kind, atoi(id + strlen(before)));
}

static void heard(const struct delivery *delivery)
{
    if (delivery->kind == DELIVERY_OPENED)
        say(delivery->recovered ? "recovered " : "");
    else if (delivery->kind == DELIVERY_NOTIFICATION)
        say_number("", delivery->body);
    else if (delivery->kind == DELIVERY_HISTORY)
        say_number("h", delivery->body);
    else if (delivery->kind == DELIVERY_STATE)
        say("%s[%.*s] ", delivery->first ? "!" : "", BYTES_PRINT(delivery->body));
    else if (delivery->kind == DELIVERY_JOINED && delivery->has_state)
        say("+%.*s=%u%s@%lld ", BYTES_PRINT(delivery->room), delivery->history_count,
            delivery->history_complete ? "" : "...", (long long)(delivery->since_ms / SECOND));
    else if (delivery->kind == DELIVERY_JOINED && delivery->has_history)
        say("+%.*s:%u%s ", BYTES_PRINT(delivery->room), delivery->history_count,
            delivery->history_complete ? "" : "...");
    else if (delivery->kind == DELIVERY_JOINED)
        say("+%.*s ", BYTES_PRINT(delivery->room));
    else if (delivery->kind == DELIVERY_JOIN_REFUSED)
        say("-%.*s:%s%s ", BYTES_PRINT(delivery->room), delivery->reason,
            delivery->transient ? "!" : "");
    else if (delivery->kind == DELIVERY_LEFT)
        say("left ");
    else
        say("%d ", (int)delivery->kind);
    if (delivery->cursor.size)
        snprintf(cursor, sizeof(cursor), "%.*s", BYTES_PRINT(delivery->cursor));
    if (delivery->private_id.size)
        snprintf(private_id, sizeof(private_id), "%.*s", BYTES_PRINT(delivery->private_id));
}

static void take(struct session *of, void *connection)
{
    struct delivery delivery;
    (void)connection;
    while (!blocked && session_next(of, &delivery))
        heard(&delivery);
}

static void append_item(struct buffer *list, struct bytes event, struct bytes body)
{
    (void)event;
    static const char before[] = "\"id\":\"";
    const char *id = memmem(body.data, body.size, before, strlen(before));
    ck_assert_ptr_nonnull(id);
    buffer_append_format(list, "%d ", atoi(id + strlen(before)));
}

static const struct transport_ops transport = {"test", TRANSPORT_SLOT_SSE, encode, take,
                                               append_item};

static void turn(void)
{
    if (!world.closed)
        hand_open(&world.source, world.hub, world.first, world.end);
    hub_run(world.hub, ++world.now_ms);
}

/* Turns until nothing is left to do. */
static void rest(void)
{
    for (unsigned i = 0; i < 100; i++) {
        turn();
        read_back(UINT32_MAX);
    }
}

#define EXPECT(...)                                        \
    do {                                                   \
        char expected[sizeof(said)];                       \
        snprintf(expected, sizeof(expected), __VA_ARGS__); \
        ck_assert_str_eq(said, expected);                  \
        said[0] = '\0';                                    \
    } while (0)

static void connect(void)
{
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .private_id = bytes_of_string(private_id),
        .cursor = bytes_of_string(cursor),
        .now_ms = world.now_ms};
    session = hub_open_session(world.hub, &request);
    ck_assert_ptr_nonnull(session);
    rest();
}

/* At the time at which the next record is published. */
static void ask(const char *room, int64_t since_ms, uint32_t last)
{
    const struct history_request request = {.since_ms = since_ms, .last = last};
    session_join_with_history(session, bytes_of_string(room), 1, &request, world.now_ms,
                              world.end * SECOND);
}

static void last(const char *room, uint32_t count)
{
    ask(room, INT64_MIN, count);
}

static void ask_state(const char *room)
{
    const struct history_request request = {.since_ms = INT64_MIN, .state = true};
    session_join_with_history(session, bytes_of_string(room), 1, &request, world.now_ms,
                              world.end * SECOND);
}

static void start_gateway(void)
{
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
}

static void begin(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    said[0] = cursor[0] = private_id[0] = '\0';
    blocked = false;
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    world.policy = hand_policy();
    world.config = hand_config(world.layout, world.policy);
    world.config.ring_bytes = RING_BYTES;
    world.config.queue_messages = QUEUE;
    world.config.pending_joins = 3;
    world.config.open_timeout_ms = OPEN_TIMEOUT_MS;
    world.config.history = (struct history_limits){.messages = 100,
                                                   .bytes = 1 << 20,
                                                   .age_ms = INT64_MAX,
                                                   .buffered = 1 << 20,
                                                   .tenant_buffered = 1 << 20,
                                                   .session_buffered = 1 << 20};
    world.config.state = (struct state_limits){.items = 100, .chunk_bytes = 1000};
}

static void begin_connected(void)
{
    begin();
    start_gateway();
    connect();
}

static void end_gateway(void)
{
    session_close(session);
    hub_run(world.hub, world.now_ms);
    ck_assert_uint_eq(hub_stats(world.hub)->history_bytes, 0);
    ck_assert_uint_eq(hub_stats(world.hub)->histories_waiting, 0);
    hub_free(world.hub);
    world.source.scanning = false;
}

static void end(void)
{
    end_gateway();
    layout_free(world.layout);
    policy_free(world.policy);
    for (int64_t i = 0; i < world.end; i++)
        buffer_deinit(&world.records[i].value);
}

/* --- what is given */

START_TEST(the_last_ones_come_before_the_confirmation)
{
    begin_connected();
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
    end();
}
END_TEST

START_TEST(what_is_since_a_time_comes)
{
    begin_connected();
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
    end();
}
END_TEST

START_TEST(a_room_that_has_no_past_has_none)
{
    begin_connected();
    last("task:1", 3);
    turn();
    EXPECT("+task:1:0 ");
    end();
}
END_TEST

START_TEST(what_the_ring_does_not_have_is_read)
{
    begin();
    publish("task:1", 10);
    publish("task:2", 40);
    start_gateway();
    connect();
    last("task:1", 12);
    rest();
    EXPECT("h0 h1 h2 h3 h4 h5 h6 h7 h8 h9 +task:1:10 ");
    ck_assert_uint_gt(world.source.scans, 0);
    unsigned scans = world.source.scans;
    last("task:2", 2);
    rest();
    EXPECT("h48 h49 +task:2:2 ");
    ck_assert_uint_eq(world.source.scans, scans); /* what was read back is there */
    end();
}
END_TEST

START_TEST(nothing_of_the_room_comes_before_its_history)
{
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
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
    end();
}
END_TEST

START_TEST(a_room_that_the_session_is_in_has_a_past_too)
{
    begin_connected();
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
    end();
}
END_TEST

START_TEST(a_slow_session_gets_history_where_it_stands)
{
    begin_connected();
    blocked = true;
    publish("user:usr_1", 8); /* four are queued, and it is behind */
    turn();
    last("task:1", 5);
    publish("task:1", 2);
    turn();
    blocked = false;
    take(session, NULL);
    EXPECT("0 1 2 3 +task:1:0 4 5 6 7 8 9 ");
    end();
}
END_TEST

/* --- the cursor */

START_TEST(what_was_history_does_not_come_again_elsewhere)
{
    begin_connected();
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
    connect();
    EXPECT("recovered 4 5 ");
    end();
}
END_TEST

START_TEST(a_queue_behind_the_history_does_not_hold_its_cursor_back)
{
    struct delivery delivery;
    begin_connected();
    publish("task:1", 3);
    blocked = true;
    last("task:1", 9);
    turn();
    publish("task:1", 2); /* queued behind it */
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(session_next(session, &delivery));
        heard(&delivery);
    }
    EXPECT("h0 h1 h2 +task:1:3 ");
    end_gateway();
    world.source.lane = NULL;
    blocked = false;
    start_gateway();
    connect();
    EXPECT("recovered 3 4 ");
    end();
}
END_TEST

START_TEST(a_history_that_is_cut_off_in_the_middle_is_asked_for_again)
{
    struct delivery delivery;
    begin_connected();
    publish("task:1", 3);
    blocked = true;
    last("task:1", 9);
    turn();
    ck_assert(session_next(session, &delivery));
    heard(&delivery);
    EXPECT("h0 ");
    end_gateway();
    world.source.lane = NULL;
    blocked = false;
    start_gateway();
    connect();
    publish("task:1", 1);
    turn();
    EXPECT("recovered "); /* it is not in the room */
    last("task:1", 9);
    rest();
    EXPECT("h0 h1 h2 h3 +task:1:4 ");
    end();
}
END_TEST

/* --- limits */

START_TEST(more_than_there_may_be_is_cut_off)
{
    begin();
    world.config.history.messages = 3;
    start_gateway();
    connect();
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
    end();
}
END_TEST

START_TEST(too_old_is_cut_off)
{
    begin();
    world.config.history.age_ms = 2 * SECOND;
    start_gateway();
    connect();
    publish("task:1", 30);
    last("task:1", 5);
    last("task:1", 2);
    turn();
    EXPECT("h27 h28 h29 +task:1:3... h28 h29 +task:1:2 ");
    end();
}
END_TEST

START_TEST(a_lane_is_not_read_further_back_than_it_may)
{
    begin();
    world.config.history.bytes = 25600; /* fifty of what a record is thought to be at first */
    publish("task:1", 10);
    publish("task:2", 100);
    publish("task:1", 1);
    start_gateway();
    connect();
    last("task:1", 5);
    rest();
    EXPECT("h110 +task:1:1... ");
    ck_assert_uint_le(world.source.scanned, 100);
    end();
}
END_TEST

START_TEST(larger_records_than_were_thought_are_noticed)
{
    begin();
    world.config.history.bytes = 100000;
    publish_sized("task:2", 200, 10000);
    publish_sized("task:1", 2, 10000);
    start_gateway();
    connect();
    last("task:1", 5);
    rest();
    EXPECT("h200 h201 +task:1:2... ");
    ck_assert_uint_le(world.source.scanned, 60); /* not 200, which it would have been */
    publish("user:usr_1", 1);
    turn();
    EXPECT("202 ");
    end();
}
END_TEST

START_TEST(what_is_held_for_all_is_bounded)
{
    begin();
    world.config.history.buffered = 65536;
    start_gateway();
    connect();
    publish_sized("task:1", 6, 2000); /* of which one history may hold 8 KiB */
    blocked = true;
    for (unsigned i = 0; i < 3; i++)
        last("task:1", 5);
    rest();
    ck_assert_uint_le(hub_stats(world.hub)->history_bytes, 24576);
    ck_assert_uint_gt(hub_stats(world.hub)->history_bytes, 0);
    last("task:1", 5);
    blocked = false;
    take(session, NULL);
    EXPECT("h3 h4 h5 +task:1:3... h3 h4 h5 +task:1:3... h3 h4 h5 +task:1:3... "
           "-task:1:too_many_requests ");
    end();
}
END_TEST

/* What is counted for those who hold it is the record: a frame would come on top of it. */
START_TEST(what_no_ring_holds_keeps_no_frame)
{
    begin();
    world.config.read_back_bytes = 0;
    start_gateway();
    connect();
    struct session *first = session;
    unsigned outside = 0;
    cursor[0] = private_id[0] = '\0';
    connect();
    publish_sized("task:1", 20, 1000);
    blocked = true;
    last("task:1", 15);
    struct session *second = session;
    session = first;
    last("task:1", 15);
    rest();
    blocked = false;
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
    end();
}
END_TEST

/* It is told, and asks again when it has read. */
START_TEST(who_does_not_read_is_given_no_more)
{
    begin();
    world.config.pending_joins = 20;
    world.config.history.session_buffered = 8000;
    start_gateway();
    connect();
    publish_sized("task:1", 6, 2000);
    blocked = true;
    for (unsigned i = 0; i < 3; i++) {
        last("task:1", 3);
        rest();
    }
    blocked = false;
    take(session, NULL);
    EXPECT("h3 h4 h5 +task:1:3 -task:1:too_much_unread! -task:1:too_much_unread! ");
    ck_assert_uint_eq(hub_stats(world.hub)->histories_refused[HISTORY_LIMIT_SESSION], 2);
    last("task:1", 3);
    turn();
    EXPECT("h3 h4 h5 +task:1:3 ");
    end();
}
END_TEST

START_TEST(retention_cuts_off)
{
    begin();
    publish("task:1", 60);
    world.first = 20;
    start_gateway();
    connect();
    last("task:1", 99);
    rest();
    ck_assert_ptr_eq(strstr(said, "h20 "), said);
    ck_assert_ptr_nonnull(strstr(said, "h59 +task:1:40... "));
    said[0] = '\0';
    world.first = 50; /* and nobody has told yet */
    end_gateway();
    world.source.lane = NULL;
    start_gateway();
    world.first = 0;
    cursor[0] = private_id[0] = '\0';
    connect();
    world.first = 50;
    last("task:1", 99);
    rest();
    EXPECT("h50 h51 h52 h53 h54 h55 h56 h57 h58 h59 +task:1:10... ");
    end();
}
END_TEST

START_TEST(there_may_be_none)
{
    begin();
    world.config.history.messages = 0;
    start_gateway();
    connect();
    last("task:1", 5);
    turn();
    EXPECT("-task:1:no_history ");
    end();
}
END_TEST

/* --- what happens meanwhile */

START_TEST(a_history_that_does_not_come_is_refused)
{
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
    last("task:1", 5);
    last("user:usr_1", 5);
    turn();
    world.now_ms += OPEN_TIMEOUT_MS;
    turn();
    EXPECT("-task:1:unavailable! -user:usr_1:unavailable! ");
    ck_assert(!session_is_in(session, BYTES_LITERAL("task:1")));
    ck_assert(session_is_in(session, BYTES_LITERAL("user:usr_1"))); /* it was before */
    read_back(100);
    publish("user:usr_1", 1);
    publish("task:1", 1);
    rest();
    EXPECT("2 ");
    end();
}
END_TEST

START_TEST(a_room_may_be_left_while_its_history_comes)
{
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
    last("task:1", 5);
    turn();
    session_leave(session, BYTES_LITERAL("task:1"), 2);
    rest();
    EXPECT("-task:1:left left ");
    last("task:1", 5);
    rest();
    EXPECT("h0 h1 +task:1:2 ");
    end();
}
END_TEST

START_TEST(a_plain_join_does_not_wait_for_another_ones_history)
{
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
    last("task:1", 5);
    turn();
    session_join(session, BYTES_LITERAL("task:1"), 2, world.now_ms);
    publish("task:1", 1);
    turn();
    EXPECT("+task:1 2 ");
    rest();
    EXPECT("h0 h1 h2 +task:1:3 ");
    end();
}
END_TEST

START_TEST(a_session_may_end_while_its_history_comes)
{
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
    last("task:1", 5);
    turn();
    ck_assert_uint_eq(hub_stats(world.hub)->histories_waiting, 1);
    read_back(1);
    session_close(session);
    rest();
    connect();
    end();
}
END_TEST

START_TEST(a_lane_that_is_not_open_yet_is_waited_for)
{
    begin();
    world.closed = true;
    start_gateway();
    struct session_request request = {
        .transport = &transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .now_ms = world.now_ms};
    publish("task:1", 2);
    session = hub_open_session(world.hub, &request);
    turn();
    world.closed = false;
    rest();
    last("task:1", 5);
    rest();
    EXPECT("h0 h1 +task:1:2 ");
    end();
}
END_TEST

/* Who does not read stands far behind the ring. Where its history ends is passed long before the scan
 * has read too much, and no record of the room says so. */
START_TEST(who_does_not_read_makes_nobody_read_without_end)
{
    begin();
    world.config.history.bytes = 2000;
    start_gateway();
    connect();
    last("task:0", 1);
    rest();
    blocked = true;
    publish("task:0", 2 * QUEUE);
    publish_sized("task:9", 30, 1000);
    EXPECT("+task:0:0 ");
    last("task:1", 3);
    rest();
    ck_assert_uint_le(world.source.scans, 4);
    blocked = false;
    take(session, NULL);
    EXPECT("0 1 2 3 +task:1:0 ");
    rest();
    EXPECT("4 5 6 7 ");
    end();
}
END_TEST

START_TEST(a_session_that_moves_takes_its_history_first)
{
    struct delivery delivery;
    auto_buffer struct buffer state = {0};
    begin();
    publish("task:1", 2);
    start_gateway();
    connect();
    last("task:1", 5);
    turn();
    ck_assert(session_migrate_out(session, &state) == STATUS_INCOMPLETE);
    blocked = true;
    rest();
    ck_assert(session_migrate_out(session, &state) == STATUS_INCOMPLETE);
    while (session_next_answer(session, &delivery))
        heard(&delivery);
    EXPECT("h0 h1 +task:1:2 ");
    ck_assert(session_migrate_out(session, &state) == STATUS_OK);
    end();
}
END_TEST

/* --- the state of a room */

START_TEST(a_state_has_the_newest_of_each_item)
{
    begin_connected();
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
    end();
}
END_TEST

START_TEST(a_room_without_items_has_an_empty_state)
{
    begin_connected();
    ask_state("task:1");
    turn();
    EXPECT("![] +task:1=0@0 ");
    publish_items("task:2", "a-a");
    ask_state("task:2");
    turn();
    EXPECT("![] +task:2=0@0 ");
    end();
}
END_TEST

START_TEST(a_state_comes_in_chunks)
{
    struct delivery delivery;
    begin();
    world.config.state.chunk_bytes = 4;
    start_gateway();
    connect();
    publish_items("task:1", "abcdefghijklm");
    blocked = true;
    ask_state("task:1");
    turn();
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(session_next(session, &delivery));
        heard(&delivery);
    }
    EXPECT("![0 1 ] [2 3 ] [4 5 ] [6 7 ] [8 9 ] [10 ] ");
    blocked = false;
    take(session, NULL);
    EXPECT("[11 ] [12 ] +task:1=13@0 ");
    end();
}
END_TEST

START_TEST(a_state_is_read_back_as_a_history_is)
{
    begin();
    publish_items("task:1", "ab");
    publish("task:2", 40);
    publish_items("task:1", "c-a");
    start_gateway();
    connect();
    ask_state("task:1");
    turn();
    publish_items("task:1", "d");
    turn();
    ck_assert_str_eq(said, "");
    rest();
    EXPECT("![1 42 44 ] +task:1=3@0 ");
    ck_assert_uint_gt(world.source.scans, 0);
    end();
}
END_TEST

START_TEST(a_slow_session_gets_the_state_where_it_stands)
{
    begin_connected();
    publish_items("task:1", "a");
    blocked = true;
    publish("user:usr_1", 8); /* four are queued, and it is behind */
    turn();
    ask_state("task:1");
    publish_items("task:1", "-ab");
    turn();
    blocked = false;
    take(session, NULL);
    EXPECT("1 2 3 4 ![0 ] +task:1=1@0 5 6 7 8 9 10 ");
    end();
}
END_TEST

START_TEST(a_state_that_is_cut_off_in_the_middle_is_asked_for_again)
{
    struct delivery delivery;
    begin();
    world.config.state.chunk_bytes = 4;
    start_gateway();
    connect();
    publish_items("task:1", "abc");
    blocked = true;
    ask_state("task:1");
    turn();
    ck_assert(session_next(session, &delivery));
    heard(&delivery);
    EXPECT("![0 1 ] ");
    end_gateway();
    world.source.lane = NULL;
    blocked = false;
    start_gateway();
    connect();
    publish_items("task:1", "-a");
    turn();
    EXPECT("recovered "); /* it is not in the room */
    ask_state("task:1");
    rest();
    EXPECT("![1 2 ] +task:1=2@0 ");
    end();
}
END_TEST

START_TEST(who_comes_back_has_the_state_and_gets_what_it_missed)
{
    begin_connected();
    publish_items("task:1", "ab");
    ask_state("task:1");
    turn();
    EXPECT("![0 1 ] +task:1=2@0 ");
    end_gateway();
    world.source.lane = NULL;
    publish_items("task:1", "-ac");
    start_gateway();
    connect();
    EXPECT("recovered 2 3 ");
    end();
}
END_TEST

START_TEST(a_session_that_moves_takes_its_state_first)
{
    struct delivery delivery;
    auto_buffer struct buffer state = {0};
    begin();
    publish_items("task:1", "aba");
    world.config.state.chunk_bytes = 2;
    start_gateway();
    connect();
    ask_state("task:1");
    turn();
    ck_assert(session_migrate_out(session, &state) == STATUS_INCOMPLETE);
    blocked = true;
    rest();
    ck_assert(session_migrate_out(session, &state) == STATUS_INCOMPLETE);
    /* Not into a queue of the transport while it could not go yet. */
    ask_state("task:2");
    ck_assert(!session_next_answer(session, &delivery));
    rest();
    while (session_next_answer(session, &delivery))
        heard(&delivery);
    EXPECT("![1 ] [2 ] +task:1=2@0 ![] +task:2=0@0 ");
    ck_assert(session_migrate_out(session, &state) == STATUS_OK);
    end();
}
END_TEST

START_TEST(of_too_many_items_the_newest_come)
{
    begin();
    world.config.state.items = 3;
    start_gateway();
    connect();
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
    end();
}
END_TEST

START_TEST(a_state_says_how_far_it_looked)
{
    begin();
    publish_items("task:1", "ab");
    publish("task:2", 10);
    publish_items("task:1", "c");
    start_gateway();
    world.first = 3; /* at second 4; retention */
    connect();
    ask_state("task:1");
    rest();
    EXPECT("![12 ] +task:1=1...@4 ");
    end();
}
END_TEST

START_TEST(a_log_without_records_says_when_it_was_looked_at)
{
    begin();
    publish("task:1", 10);
    start_gateway();
    world.first = 10;
    connect();
    ask_state("task:1");
    rest();
    EXPECT("![] +task:1=0...@10 ");
    end();
}
END_TEST

/* What lies behind the first that is young enough counts, whatever its clock says. */
START_TEST(a_clock_that_goes_wrong_does_not_bring_back_what_was)
{
    begin();
    world.config.history.age_ms = 20 * SECOND;
    start_gateway();
    connect();
    publish_items("task:1", "a");
    publish("task:2", 30);
    publish_items("task:1", "bc"); /* at seconds 32 and 33 */
    publish_one("task:1", (struct notification_item){BYTES_LITERAL("b"), true}, "1", 1 * SECOND);
    publish_one("task:1", (struct notification_item){BYTES_LITERAL("d"), false}, "1", 1 * SECOND);
    ask_state("task:1");
    rest();
    EXPECT("![32 34 ] +task:1=2...@15 ");
    end();
}
END_TEST

/* Its age says nothing of the state. */
START_TEST(what_is_about_no_item_is_no_part_of_a_state)
{
    begin();
    world.config.history.age_ms = 20 * SECOND;
    start_gateway();
    connect();
    publish("task:1", 1);
    publish("task:2", 30);
    publish_items("task:1", "a");
    ask_state("task:1");
    rest();
    EXPECT("![31 ] +task:1=1@0 ");
    end();
}
END_TEST

START_TEST(a_state_can_be_switched_off)
{
    begin();
    world.config.state.items = 0;
    start_gateway();
    connect();
    ask_state("task:1");
    turn();
    EXPECT("-task:1:no_state ");
    last("task:1", 1);
    turn();
    EXPECT("+task:1:0 ");
    end();
}
END_TEST

/* Nobody waits long for others who ask for much. */
START_TEST(what_a_turn_looks_at_is_bounded)
{
    begin();
    world.config.ring_bytes = 8 << 20;
    world.config.history.bytes = 1 << 26;
    start_gateway();
    connect();
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
    end();
}
END_TEST

START_TEST(large_records_count_for_more_in_a_turn)
{
    enum { RECORDS = 900, BYTES = 4000 };
    char data[BYTES];
    memset(data, 'x', sizeof(data));
    data[0] = data[BYTES - 2] = '"';
    data[BYTES - 1] = 0;
    begin();
    world.config.ring_bytes = 8 << 20;
    world.config.history.bytes = 1 << 26;
    start_gateway();
    connect();
    for (unsigned i = 0; i < RECORDS; i++)
        publish_one("task:1", (struct notification_item){BYTES_LITERAL("a"), false}, data,
                    (i + 1) * SECOND);
    ask_state("task:1");
    turn();
    ck_assert_str_eq(said, "");
    turn();
    EXPECT("![899 ] +task:1=1@0 ");
    end();
}
END_TEST

TEST_PROGRAM(
    "history", the_last_ones_come_before_the_confirmation, what_is_since_a_time_comes,
    a_room_that_has_no_past_has_none, what_the_ring_does_not_have_is_read,
    nothing_of_the_room_comes_before_its_history, a_room_that_the_session_is_in_has_a_past_too,
    a_slow_session_gets_history_where_it_stands, what_was_history_does_not_come_again_elsewhere,
    a_queue_behind_the_history_does_not_hold_its_cursor_back,
    a_history_that_is_cut_off_in_the_middle_is_asked_for_again, more_than_there_may_be_is_cut_off,
    too_old_is_cut_off, a_lane_is_not_read_further_back_than_it_may,
    larger_records_than_were_thought_are_noticed, what_is_held_for_all_is_bounded,
    what_no_ring_holds_keeps_no_frame, who_does_not_read_is_given_no_more, retention_cuts_off,
    there_may_be_none, a_history_that_does_not_come_is_refused,
    a_room_may_be_left_while_its_history_comes, a_plain_join_does_not_wait_for_another_ones_history,
    a_session_may_end_while_its_history_comes, a_lane_that_is_not_open_yet_is_waited_for,
    who_does_not_read_makes_nobody_read_without_end, a_session_that_moves_takes_its_history_first,
    a_state_has_the_newest_of_each_item, a_room_without_items_has_an_empty_state,
    a_state_comes_in_chunks, a_state_is_read_back_as_a_history_is,
    a_slow_session_gets_the_state_where_it_stands,
    a_state_that_is_cut_off_in_the_middle_is_asked_for_again,
    who_comes_back_has_the_state_and_gets_what_it_missed,
    a_session_that_moves_takes_its_state_first, of_too_many_items_the_newest_come,
    a_state_says_how_far_it_looked, a_log_without_records_says_when_it_was_looked_at,
    a_clock_that_goes_wrong_does_not_bring_back_what_was,
    what_is_about_no_item_is_no_part_of_a_state, a_state_can_be_switched_off,
    what_a_turn_looks_at_is_bounded, large_records_count_for_more_in_a_turn)
