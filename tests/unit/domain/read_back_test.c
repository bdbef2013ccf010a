/* What catching up holds is bounded by one setting, frames included, and is given back; what is live
 * does not pay for it. */
#include "hub_state.h"

#include <stdio.h>

#include "hand_source.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "suite.h"

enum {
    CLIENTS = 20,
    BACKLOG = 400,
    DATA = 7400,
    RING = 70 << 10, /* four records with their frames, and the next without */
    READ_BACK = 1 << 20,
    OUTBOX_BYTES = 30000,
    KEPT_MS = 60000
};

struct client {
    struct session *session;
    bool blocked;
    unsigned taken;
    char private_id[1024], cursor[1024];
};

static struct {
    struct hub *hub;
    struct hand_source source;
    struct layout *layout;
    struct policy *policy;
    int64_t now_ms;
    struct client clients[CLIENTS];
    unsigned framed; /* how often */
} world;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    world.framed++;
    return message_view_append_json(view, out);
}

static void keep(char place[1024], struct bytes text)
{
    if (text.size)
        snprintf(place, 1024, "%.*s", BYTES_PRINT(text));
}

/* One at a time, as a socket that is slow takes it. */
static void take_one(struct client *client)
{
    struct delivery delivery;
    if (!session_next(client->session, &delivery))
        return;
    client->taken += delivery.kind == DELIVERY_NOTIFICATION;
    keep(client->private_id, delivery.private_id);
    keep(client->cursor, delivery.cursor);
    ck_assert_int_ne(delivery.kind, DELIVERY_CLOSE);
}

static void ready(struct session *session, void *connection)
{
    struct client *client = connection;
    client->session = session;
    for (int i = 0; i < 3 && !client->blocked; i++)
        take_one(client);
}

static const struct transport_ops transport = {.name = "test", .encode = encode, .ready = ready};

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    static char data[DATA + 1];
    struct bytes room = BYTES_LITERAL("user:usr_1");
    memset(data, '7', DATA);
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .type = NOTIFICATION_CLIENT,
                                        .client = {.data = bytes_of_string(data)}};
    notification_encode(&notification, value);
    return (struct lane_record){
        .offset = offset, .key = BYTES_LITERAL("acme"), .value = buffer_peek(value)};
}

static void start_hub(void)
{
    struct hub_config config = hand_config(world.layout, world.policy);
    config.ring_bytes = RING;
    config.read_back_bytes = READ_BACK;
    config.queue_messages = 64;
    config.queue_bytes = OUTBOX_BYTES;
    config.sessions = CLIENTS;
    world.source = (struct hand_source){0};
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

static void connect_all(int64_t end)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &world.clients[i];
        struct session_request request = {
            .transport = &transport,
            .connection = client,
            .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
            .private_id = bytes_of_string(client->private_id),
            .cursor = bytes_of_string(client->cursor),
            .now_ms = world.now_ms};
        client->session = hub_open_session(world.hub, &request);
        ck_assert_ptr_nonnull(client->session);
    }
    hand_open(&world.source, world.hub, 0, end);
    hub_run(world.hub, ++world.now_ms);
}

static void close_all(void)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        session_close(world.clients[i].session);
    hub_free(world.hub);
}

/* --- what is held --- */

static size_t ring_holds(const struct ring *ring, size_t *decoded)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ring->count; i++) {
        bytes += message_bytes(ring_at(ring, i));
        if (ring_at(ring, i)->notification)
            *decoded += message_record_bytes(ring_at(ring, i));
    }
    return bytes;
}

static void check_bounds(void)
{
    const struct lane *lane = world.source.lane;
    size_t decoded = 0, largest = (size_t)4 * DATA;
    size_t held = ring_holds(&lane->ring, &decoded) + ring_holds(&lane->scan.kept, &decoded);
    ck_assert_uint_le(held, RING + READ_BACK + largest);
    ck_assert_uint_le(decoded, DECODED_BYTES + largest);
    ck_assert_uint_le(hub_stats(world.hub)->read_back_bytes, READ_BACK + largest);
    for (unsigned i = 0; i < CLIENTS; i++)
        ck_assert_uint_le(world.clients[i].session->queue.message_bytes, OUTBOX_BYTES + largest);
}

static bool all_have_taken(unsigned count)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (world.clients[i].taken < count)
            return false;
    return true;
}

static void prepare_world(void)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    ck_assert(policy_new(NULL, NULL, &world.policy, &problems) == STATUS_OK);
    start_hub();
}

static void forget_world(void)
{
    close_all();
    layout_free(world.layout);
    policy_free(world.policy);
}

/* There is room in the ring for each record, and not for its frame. */
START_TEST(what_arrives_is_framed_once_for_all_also_when_the_ring_is_full)
{
    size_t decoded = 0;
    prepare_world();
    connect_all(0);
    for (int64_t offset = 0; offset < BACKLOG; offset++) {
        hand_arrive(&world.source, world.hub, offset, record_at);
        hub_run(world.hub, ++world.now_ms);
        ck_assert_uint_eq(world.framed, (unsigned)offset + 1);
        ck_assert_uint_le(ring_holds(&world.source.lane->ring, &decoded), RING + 4 * DATA);
    }
    ck_assert_uint_eq(hub_stats(world.hub)->deliveries, (uint64_t)CLIENTS * BACKLOG);
    forget_world();
}
END_TEST

START_TEST(what_catching_up_holds_is_bounded_and_given_back)
{
    prepare_world();
    connect_all(0);
    close_all();
    start_hub(); /* it has read nothing of what they are owed */
    connect_all(BACKLOG);
    for (unsigned turn = 0; turn < 20000 && !all_have_taken(BACKLOG); turn++) {
        hand_read_back(&world.source, world.hub, 0, 10, record_at);
        for (unsigned i = 0; i < CLIENTS; i++) {
            world.clients[i].blocked = (turn / 16 + i) % 3 == 0;
            for (int j = 0; j < 2 && !world.clients[i].blocked; j++)
                take_one(&world.clients[i]);
        }
        hub_run(world.hub, ++world.now_ms);
        check_bounds();
    }
    ck_assert(all_have_taken(BACKLOG));
    world.now_ms += KEPT_MS;
    hub_run(world.hub, world.now_ms);
    size_t decoded = 0;
    ck_assert_uint_le(ring_holds(&world.source.lane->ring, &decoded), RING);
    ck_assert_uint_eq(hub_stats(world.hub)->read_back_bytes, 0);
    forget_world();
}
END_TEST

TEST_PROGRAM("read_back", what_arrives_is_framed_once_for_all_also_when_the_ring_is_full,
             what_catching_up_holds_is_bounded_and_given_back)
