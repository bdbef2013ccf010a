#include "views_fixture.h"

#include <stdarg.h>
#include <stdio.h>

enum { QUEUE = 4 };

struct views_world world;

int64_t wall_ms(void)
{
    return 1000000 + world.now_ms;
}

static void write_row(struct views_row *row, const char *id, const char *item, bool removed,
                      bool keyed)
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

struct lane_record lane_record_at(int64_t offset, struct buffer *value)
{
    const struct views_row *row = &world.lane[offset];
    (void)value;
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = row->timestamp_ms,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&row->value),
                                .about_item = true};
}

void write_lane(const char *id, const char *word)
{
    bool removed = *word == '-';
    write_row(&world.lane[world.lane_end++], id, word + removed, removed, false);
    hand_arrive(&world.source, world.hub, world.lane_end - 1, lane_record_at);
}

void write_kept(const char *id, const char *word)
{
    bool removed = *word == '-';
    write_row(&world.kept[world.kept_end++], id, word + removed, removed, true);
}

void answer_kept(int64_t first)
{
    ck_assert(world.source.asked_state);
    world.source.asked_state = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, STATUS_OK, first, world.kept_end});
}

void answer_lane(int64_t end)
{
    ck_assert(world.source.asked_lane_end);
    world.source.asked_lane_end = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, STATUS_OK, 0, end});
}

void fail_ends(enum status status)
{
    ck_assert(world.source.asked_state || world.source.asked_lane_end);
    world.source.asked_state = world.source.asked_lane_end = false;
    hub_state_ends(world.hub, world.source.lane,
                   &(struct state_ends){world.source.question, status, 0, 0});
}

void give_kept(int64_t offset)
{
    const struct views_row *row = &world.kept[offset];
    hub_state_record(world.hub, world.source.lane,
                     &(struct lane_record){.offset = offset,
                                           .timestamp_ms = row->timestamp_ms,
                                           .key = buffer_peek(&row->key),
                                           .value = buffer_peek(&row->value),
                                           .layout = row->layout,
                                           .about_item = true});
}

void end_kept(enum status status)
{
    world.source.reading_state = false;
    hub_state_read(world.hub, world.source.lane, status);
}

void read_kept(void)
{
    ck_assert(world.source.reading_state);
    for (int64_t i = world.source.state_from; i < world.source.state_to; i++)
        if (world.source.reading_state)
            give_kept(i);
    if (world.source.reading_state)
        end_kept(STATUS_OK);
}

void load(void)
{
    answer_kept(0);
    if (world.source.reading_state)
        read_kept();
    answer_lane(world.lane_end);
}

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

void take(struct session *session, void *connection)
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

const struct transport_ops views_transport = {"test", TRANSPORT_SLOT_SSE, encode, take,
                                              append_item};

void turn(int64_t later_ms)
{
    hand_open(&world.source, world.hub, LANE_BEGINS, world.lane_end);
    hub_run(world.hub, world.now_ms += later_ms);
}

void rest(void)
{
    for (unsigned i = 0; i < 20; i++) {
        turn(1);
        hand_read_back(&world.source, world.hub, LANE_BEGINS, UINT32_MAX, lane_record_at);
    }
}

void connect_session(unsigned who)
{
    struct session_request request = {
        .transport = &views_transport,
        .connection = (void *)(size_t)who,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .now_ms = world.now_ms};
    world.sessions[who] = hub_open_session(world.hub, &request);
    rest();
}

void ask(unsigned who)
{
    const struct history_request request = {.since_ms = INT64_MIN, .state = true};
    session_join_with_history(world.sessions[who], BYTES_LITERAL("task:1"), 1, &request,
                              world.now_ms, wall_ms());
}

void ask_and_load(unsigned who)
{
    ask(who);
    turn(1);
    load();
    turn(1);
}

const struct hub_stats *stats(void)
{
    return hub_stats(world.hub);
}

void world_begin(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    world.policy = hand_policy();
    world.config = hand_config(world.layout, world.policy);
    world.config.queue_messages = QUEUE;
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
    connect_session(0);
}

void world_end(void)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (world.sessions[i])
            session_close(world.sessions[i]);
    hub_run(world.hub, world.now_ms);
    ck_assert_uint_eq(stats()->history_bytes, 0);
    ck_assert_uint_eq(stats()->histories_waiting, 0);
    hub_free(world.hub);
    for (unsigned i = 0; i < ROWS_MOST; i++) {
        buffer_deinit(&world.lane[i].value);
        buffer_deinit(&world.kept[i].value);
        buffer_deinit(&world.kept[i].key);
    }
    layout_free(world.layout);
    policy_free(world.policy);
}
