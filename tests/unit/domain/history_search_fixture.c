#include "history_search_fixture.h"

#include <stdio.h>

#include "mem.h"
#include "notification.h"
#include "policy.h"

enum { RING_BYTES = 4000 };

struct history_world world;

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    (void)value;
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = world.records[offset].timestamp_ms,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(&world.records[offset].value)};
}

void publish_one(const char *room, struct notification_item item, const char *data,
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
    ck_assert_int_lt(world.end, RECORDS_MOST);
    struct history_record *record = &world.records[world.end++];
    notification_encode(&notification, &record->value);
    record->timestamp_ms = timestamp_ms;
    if (!world.closed)
        hand_arrive(&world.source, world.hub, world.end - 1, record_at);
}

void publish_sized(const char *room, unsigned count, size_t size)
{
    auto_free char *fill = mem_alloc(size + 1);
    memset(fill, '1', size);
    for (; count; count--)
        publish_one(room, (struct notification_item){0}, fill, (world.end + 1) * SECOND);
}

void publish_items(const char *room, const char *items)
{
    for (; *items; items++) {
        struct notification_item item = {.removed = *items == '-'};
        items += item.removed;
        item.key = bytes_of(items, 1);
        publish_one(room, item, "1", (world.end + 1) * SECOND);
    }
}

void publish(const char *room, unsigned count)
{
    publish_sized(room, count, 1);
}

void read_back(unsigned records)
{
    hand_read_back(&world.source, world.hub, world.first, records, record_at);
}

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void say_number(const char *kind, struct bytes json)
{
    static const char before[] = "\"id\":\"";
    const char *id = memmem(json.data, json.size, before, strlen(before));
    ck_assert_ptr_nonnull(id);
    buffer_append_format(&world.said, "%s%d ", kind, atoi(id + strlen(before)));
}

void heard(const struct delivery *delivery)
{
    if (delivery->kind == DELIVERY_OPENED)
        buffer_append_format(&world.said, "%s", delivery->recovered ? "recovered " : "");
    else if (delivery->kind == DELIVERY_NOTIFICATION)
        say_number("", delivery->body);
    else if (delivery->kind == DELIVERY_HISTORY)
        say_number("h", delivery->body);
    else if (delivery->kind == DELIVERY_STATE)
        buffer_append_format(&world.said, "%s[%.*s] ", delivery->first ? "!" : "",
                             BYTES_PRINT(delivery->body));
    else if (delivery->kind == DELIVERY_JOINED && delivery->has_state)
        buffer_append_format(&world.said, "+%.*s=%u%s@%lld ", BYTES_PRINT(delivery->room),
                             delivery->history_count, delivery->history_complete ? "" : "...",
                             (long long)(delivery->since_ms / SECOND));
    else if (delivery->kind == DELIVERY_JOINED && delivery->has_history)
        buffer_append_format(&world.said, "+%.*s:%u%s ", BYTES_PRINT(delivery->room),
                             delivery->history_count, delivery->history_complete ? "" : "...");
    else if (delivery->kind == DELIVERY_JOINED)
        buffer_append_format(&world.said, "+%.*s ", BYTES_PRINT(delivery->room));
    else if (delivery->kind == DELIVERY_JOIN_REFUSED)
        buffer_append_format(&world.said, "-%.*s:%s%s ", BYTES_PRINT(delivery->room),
                             delivery->reason, delivery->transient ? "!" : "");
    else if (delivery->kind == DELIVERY_LEFT)
        buffer_append_format(&world.said, "left ");
    else
        buffer_append_format(&world.said, "%d ", (int)delivery->kind);
    if (delivery->cursor.size)
        snprintf(world.cursor, sizeof(world.cursor), "%.*s", BYTES_PRINT(delivery->cursor));
    if (delivery->private_id.size)
        snprintf(world.private_id, sizeof(world.private_id), "%.*s",
                 BYTES_PRINT(delivery->private_id));
}

const char *take_said(void)
{
    buffer_append_byte(&world.said, 0);
    const char *said = (const char *)buffer_peek(&world.said).data;
    buffer_clear(&world.said);
    return said;
}

void take(struct session *of, void *connection)
{
    struct delivery delivery;
    (void)connection;
    while (!world.blocked && session_next(of, &delivery))
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

const struct transport_ops history_transport = {"test", TRANSPORT_SLOT_SSE, encode, take,
                                                append_item};

void turn(void)
{
    if (!world.closed)
        hand_open(&world.source, world.hub, world.first, world.end);
    hub_run(world.hub, ++world.now_ms);
}

void rest(void)
{
    for (unsigned i = 0; i < 100; i++) {
        turn();
        read_back(UINT32_MAX);
    }
}

void connect_client(void)
{
    struct session_request request = {
        .transport = &history_transport,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .private_id = bytes_of_string(world.private_id),
        .cursor = bytes_of_string(world.cursor),
        .now_ms = world.now_ms};
    world.session = hub_open_session(world.hub, &request);
    ck_assert_ptr_nonnull(world.session);
    rest();
}

void ask(const char *room, int64_t since_ms, uint32_t count)
{
    const struct history_request request = {.since_ms = since_ms, .last = count};
    session_join_with_history(world.session, bytes_of_string(room), 1, &request, world.now_ms,
                              world.end * SECOND);
}

void last(const char *room, uint32_t count)
{
    ask(room, INT64_MIN, count);
}

void ask_state(const char *room)
{
    const struct history_request request = {.since_ms = INT64_MIN, .state = true};
    session_join_with_history(world.session, bytes_of_string(room), 1, &request, world.now_ms,
                              world.end * SECOND);
}

void start_gateway(void)
{
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
}

void world_begin(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
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

void world_begin_connected(void)
{
    world_begin();
    start_gateway();
    connect_client();
}

void end_gateway(void)
{
    session_close(world.session);
    hub_run(world.hub, world.now_ms);
    ck_assert_uint_eq(hub_stats(world.hub)->history_bytes, 0);
    ck_assert_uint_eq(hub_stats(world.hub)->histories_waiting, 0);
    hub_free(world.hub);
    world.source.scanning = false;
}

void world_end(void)
{
    end_gateway();
    buffer_deinit(&world.said);
    layout_free(world.layout);
    policy_free(world.policy);
    for (int64_t i = 0; i < world.end; i++)
        buffer_deinit(&world.records[i].value);
}
