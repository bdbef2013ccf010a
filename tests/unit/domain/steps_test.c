/* What one costs does not depend on how many others there are: counted in steps of the hub's loops
 * (hub_stats.steps), with few sessions and with many. */
#include <stdio.h>

#include "from_yaml.h"
#include "hand_source.h"
#include "layout.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

#ifdef __SANITIZE_ADDRESS__ /* which makes a session many times dearer */
enum { MOST = 8000 };
#else
enum { MOST = 50000 };
#endif
enum { CURSOR_SIZE = 200, ID_SIZE = 300, RECORDS = 400 };
static const unsigned sizes[] = {MOST / 50, MOST / 5, MOST};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

struct client {
    struct session *session;
    unsigned number, taken;
    char private_id[ID_SIZE], cursor[CURSOR_SIZE];
};

static struct {
    struct hub *hub;
    struct hand_source source;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct client *clients;
} world;

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    buffer_append(out, view->event);
    return (struct body_part){buffer_size(out) - view->event.size, view->event.size};
}

static void keep(char *place, size_t size, struct bytes text)
{
    ck_assert_uint_lt(text.size, size);
    if (text.size)
        snprintf(place, size, "%.*s", BYTES_PRINT(text));
}

static void take(struct session *session, void *connection)
{
    struct client *client = connection;
    struct delivery delivery;
    while (session_next(session, &delivery)) {
        client->taken += delivery.kind == DELIVERY_NOTIFICATION;
        keep(client->private_id, sizeof(client->private_id), delivery.private_id);
        keep(client->cursor, sizeof(client->cursor), delivery.cursor);
    }
}

static const struct transport_ops transport = {.name = "test", .encode = encode, .ready = take};

/* --- records: each for one user --- */

static struct lane_record record_for(unsigned user, int64_t offset, struct buffer *value)
{
    char room[32];
    snprintf(room, sizeof(room), "user:u%u", user);
    struct bytes rooms[] = {bytes_of_string(room)};
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .time = BYTES_LITERAL("2026-01-01T00:00:00Z"),
                                        .rooms = rooms,
                                        .room_count = 1,
                                        .type = NOTIFICATION_CLIENT,
                                        .client = {.title = BYTES_LITERAL("title")}};
    notification_encode(&notification, value);
    return (struct lane_record){
        .offset = offset, .key = BYTES_LITERAL("acme"), .value = buffer_peek(value)};
}

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    return record_for((unsigned)offset, offset, value);
}

static struct lane_record record_for_the_first(int64_t offset, struct buffer *value)
{
    return record_for(0, offset, value);
}

/* --- the world --- */

static void start_hub(void)
{
    world.source = (struct hand_source){0};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
}

static void start(unsigned clients)
{
    memset(&world, 0, sizeof(world));
    world.layout =
        layout_from_yaml("user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "late: {topic: fanout.late, key: \"{tenant}\", partitions: 1}",
                         NULL);
    world.policy = policy_from_yaml("connect: [\"user:{sub}\"]\njoin: [\"late:*\"]");
    world.config = hand_config(world.layout, world.policy);
    world.config.sessions = MOST;
    world.config.history =
        (struct history_limits){10, 1 << 20, INT64_MAX, 1 << 20, 1 << 20, 1 << 20};
    world.clients = mem_alloc(clients * sizeof(struct client));
    for (unsigned i = 0; i < clients; i++)
        world.clients[i].number = i;
    start_hub();
}

static void finish(void)
{
    hub_free(world.hub);
    policy_free(world.policy);
    layout_free(world.layout);
    free(world.clients);
}

static void connect(struct client *client)
{
    char claims[64];
    snprintf(claims, sizeof(claims), "{\"sub\":\"u%u\",\"tenant\":\"acme\"}", client->number);
    struct session_request request = {.transport = &transport,
                                      .connection = client,
                                      .claims = claims_of_text(bytes_of_string(claims)),
                                      .private_id = bytes_of_string(client->private_id),
                                      .cursor = bytes_of_string(client->cursor)};
    client->session = hub_open_session(world.hub, &request);
    ck_assert_ptr_nonnull(client->session);
}

static void connect_all(unsigned count, int64_t end)
{
    for (unsigned i = 0; i < count; i++)
        connect(&world.clients[i]);
    hand_open(&world.source, world.hub, 0, end);
    hub_run(world.hub, 1);
}

static void close_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        session_close(world.clients[i].session);
    hub_run(world.hub, 1);
}

static uint64_t steps(void)
{
    return hub_stats(world.hub)->steps;
}

/* --- tests --- */

/* All wait for a lane, which opens; or they go before. */
static uint64_t steps_of_joins(unsigned count, bool opens, bool with_history)
{
    struct history_request past = {.since_ms = INT64_MIN, .last = 1};
    start(count);
    connect_all(count, 0);
    uint64_t before = steps();
    for (unsigned i = 0; i < count; i++)
        if (with_history)
            session_join_with_history(world.clients[i].session, BYTES_LITERAL("late:1"), 1, &past,
                                      1, 1);
        else
            session_join(world.clients[i].session, BYTES_LITERAL("late:1"), 1, 1);
    if (opens)
        hand_open(&world.source, world.hub, 0, 0);
    hub_run(world.hub, 1);
    close_all(count);
    uint64_t taken = steps() - before;
    finish();
    return taken;
}

START_TEST(a_join_costs_the_same_however_many_wait)
{
    for (unsigned i = 0; i < SIZES; i++)
        ck_assert_uint_le(steps_of_joins(sizes[i], i > 0, false), 4UL * sizes[i]);
    ck_assert_uint_le(steps_of_joins(sizes[1], false, false), 4UL * sizes[1]);
    ck_assert_uint_le(steps_of_joins(sizes[0], true, true), 4UL * sizes[0]);
    ck_assert_uint_le(steps_of_joins(sizes[1], false, true), 4UL * sizes[1]);
}
END_TEST

/* One is read back to, in as many pauses as its queue makes of it, among many who are live. */
static uint64_t steps_of_one_who_returns(unsigned count)
{
    start(count);
    connect(&world.clients[0]);
    hand_open(&world.source, world.hub, 0, 0);
    hub_run(world.hub, 1);
    session_close(world.clients[0].session);
    hub_free(world.hub);
    start_hub();
    for (unsigned i = 1; i < count; i++)
        connect(&world.clients[i]);
    hand_open(&world.source, world.hub, 0, RECORDS);
    hub_run(world.hub, 1);
    uint64_t before = steps();
    connect(&world.clients[0]);
    for (unsigned i = 0; i < RECORDS && world.clients[0].taken < RECORDS; i++) {
        hub_run(world.hub, 1);
        hand_read_back(&world.source, world.hub, 0, RECORDS, record_for_the_first);
    }
    hub_run(world.hub, 1);
    ck_assert_uint_eq(world.clients[0].taken, RECORDS);
    uint64_t taken = steps() - before;
    close_all(count);
    finish();
    return taken;
}

START_TEST(to_be_read_back_to_costs_the_same_however_many_are_live)
{
    uint64_t few = steps_of_one_who_returns(sizes[0]);
    ck_assert_uint_le(few, 2UL * RECORDS);
    ck_assert_uint_eq(steps_of_one_who_returns(sizes[1]), few);
}
END_TEST

/* Everyone's last record lies elsewhere, and this gateway comes to each of them later. */
static uint64_t steps_of_those_ahead(unsigned count)
{
    start(count);
    connect_all(count, 0);
    for (unsigned i = 0; i < count; i++) {
        hand_arrive(&world.source, world.hub, i, record_at);
        hub_run(world.hub, 1);
        ck_assert_uint_eq(world.clients[i].taken, 1);
    }
    close_all(count);
    hub_free(world.hub);
    start_hub();
    connect_all(count, 0);
    hub_lane_ends(world.hub, world.source.lane, 0, count);
    uint64_t before = steps();
    for (unsigned i = 0; i < count; i++)
        hand_arrive(&world.source, world.hub, i, record_at);
    uint64_t taken = steps() - before;
    hub_run(world.hub, 1);
    ck_assert_uint_eq(hub_stats(world.hub)->sessions_recovered, count);
    close_all(count);
    finish();
    return taken;
}

START_TEST(a_cursor_ahead_of_the_gateway_costs_the_same_however_many_there_are)
{
    for (unsigned i = 0; i < SIZES - 1; i++)
        ck_assert_uint_le(steps_of_those_ahead(sizes[i]), 2UL * sizes[i]);
}
END_TEST

/* All have come back, their lane is about to be read, and they go again. */
START_TEST(to_leave_a_scan_costs_the_same_however_many_ride)
{
    for (unsigned i = 0; i < SIZES - 1; i++) {
        unsigned count = sizes[i];
        start(count);
        connect_all(count, 0);
        for (unsigned j = 0; j < count; j++) {
            hand_arrive(&world.source, world.hub, j, record_at);
            hub_run(world.hub, 1);
        }
        close_all(count);
        hub_free(world.hub);
        start_hub();
        connect_all(count, 2L * count);
        hub_run(world.hub, 1);
        ck_assert(world.source.scanning);
        uint64_t before = steps();
        close_all(count);
        ck_assert_uint_le(steps() - before, 2UL * count);
        finish();
    }
}
END_TEST

TEST_PROGRAM("steps", a_join_costs_the_same_however_many_wait,
             to_be_read_back_to_costs_the_same_however_many_are_live,
             a_cursor_ahead_of_the_gateway_costs_the_same_however_many_there_are,
             to_leave_a_scan_costs_the_same_however_many_ride)
