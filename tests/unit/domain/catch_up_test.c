#include <stdio.h>

#include "hand_source.h"
#include "mem.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum {
    BACKLOG = 200,
    QUEUE = 8,
    RING_BYTES = 2000,
    READ_BACK_BYTES = 1 << 20,
    SMALL_READ_BACK_BYTES = 3000, /* far less than the backlog */
    KEPT_MS = 60000,
};

/* One lane, read by one hub at a time; a session's stream is taken by hand. */
static struct {
    struct hub *hub;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    int64_t end;
    int64_t now_ms;
    unsigned log; /* its records differ from those of the one before */
} world;

struct client {
    struct session *session;
    char private_id[1024], cursor[1024];
    bool recovered, blocked;
    unsigned taken, next; /* how many, and the number that is next in order */
};

static struct lane_record record_at(int64_t offset, struct buffer *value)
{
    char id[32], task[16];
    struct bytes room = BYTES_LITERAL("user:usr_1");
    snprintf(id, sizeof(id), "%lld", (long long)offset);
    snprintf(task, sizeof(task), "%u", world.log);
    struct notification notification = {
        .id = bytes_of_string(id),
        .rooms = &room,
        .room_count = 1,
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.task_id = bytes_of_string(task), .status = BYTES_LITERAL("progress")}};
    notification_encode(&notification, value);
    return (struct lane_record){.offset = offset,
                                .timestamp_ms = 1,
                                .key = BYTES_LITERAL("acme"),
                                .value = buffer_peek(value)};
}

static void publish(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        hand_arrive(&world.source, world.hub, world.end++, record_at);
}

static void read_back(unsigned records)
{
    hand_read_back(&world.source, world.hub, 0, records, record_at);
}

/* --- clients */

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void keep_text(char out[1024], struct bytes text)
{
    if (text.size)
        snprintf(out, 1024, "%.*s", BYTES_PRINT(text));
}

static void take_all(struct session *session, void *connection)
{
    struct client *client = connection;
    struct delivery delivery;
    while (!client->blocked && session_next(session, &delivery)) {
        ck_assert(delivery.kind == DELIVERY_OPENED || delivery.kind == DELIVERY_NOTIFICATION);
        keep_text(client->private_id, delivery.private_id);
        keep_text(client->cursor, delivery.cursor);
        if (delivery.kind == DELIVERY_OPENED) {
            client->recovered = delivery.recovered;
            continue;
        }
        char id[32];
        snprintf(id, sizeof(id), "\"id\":\"%u\"", client->next++);
        ck_assert_ptr_nonnull(memmem(delivery.body.data, delivery.body.size, id, strlen(id)));
        client->taken++;
    }
}

static const struct transport_ops transport = {
    .name = "test", .slot = TRANSPORT_SLOT_SSE, .encode = encode, .ready = take_all};

static void turn(void)
{
    hand_open(&world.source, world.hub, 0, world.end);
    hub_run(world.hub, ++world.now_ms);
}

static void connect(struct client *client)
{
    struct session_request request = {
        .transport = &transport,
        .connection = client,
        .claims = claims_of_text(BYTES_LITERAL("{\"sub\":\"usr_1\",\"tenant\":\"acme\"}")),
        .private_id = bytes_of_string(client->private_id),
        .cursor = bytes_of_string(client->cursor),
        .now_ms = world.now_ms};
    client->session = hub_open_session(world.hub, &request);
    ck_assert_ptr_nonnull(client->session);
    turn();
}

/* The session is told by itself only once; who has left something takes it up on its own. */
static void unblock(struct client *client)
{
    client->blocked = false;
    take_all(client->session, client);
    turn();
}

static void start_gateway(size_t read_back_bytes)
{
    struct hub_config config = hand_config(world.layout, world.policy);
    config.ring_bytes = RING_BYTES;
    config.queue_messages = QUEUE;
    config.read_back_bytes = read_back_bytes;
    world.hub = hub_new(&config, &hand_source_ops, &world.source);
}

static void end_gateway(struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        session_close(clients[i].session);
    hub_free(world.hub);
    world.source.scanning = false;
}

/* Clients that know where they were when the backlog began, and a gateway that has read nothing. */
static void begin(struct client *clients, unsigned count, size_t read_back_bytes)
{
    struct layout_source source = {0};
    auto_problems struct problems problems = {0};
    memset(&world, 0, sizeof(world));
    ck_assert(layout_new(&source, &world.layout, &problems) == STATUS_OK);
    world.policy = hand_policy();
    start_gateway(read_back_bytes);
    memset(clients, 0, count * sizeof(*clients));
    for (unsigned i = 0; i < count; i++)
        connect(&clients[i]);
    end_gateway(clients, count);
    publish(BACKLOG);
    start_gateway(read_back_bytes);
}

static void finish(struct client *clients, unsigned count)
{
    end_gateway(clients, count);
    layout_free(world.layout);
    policy_free(world.policy);
}

static void check_all(const struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert(clients[i].recovered);
        ck_assert_uint_eq(clients[i].taken, (unsigned)world.end);
    }
}

/* The rest of what is being read are markers of transactions, which the broker leaves out. */
static void read_back_markers(void)
{
    ck_assert(world.source.scanning);
    world.source.scanning = false;
    hub_scan_ended(world.hub, world.source.lane, STATUS_OK, 0);
    turn();
}

static void read_to_the_end(void)
{
    for (int i = 0; i < 10000; i++) {
        read_back(QUEUE);
        turn();
    }
    ck_assert(!world.source.scanning);
}

START_TEST(one_reading_serves_those_who_come_while_it_lasts)
{
    struct client clients[2];
    begin(clients, 2, READ_BACK_BYTES);
    connect(&clients[0]);
    read_back(5);
    turn();
    connect(&clients[1]);
    publish(3); /* live meanwhile */
    ck_assert_uint_eq(hub_stats(world.hub)->sessions_behind, 2);
    read_to_the_end();
    check_all(clients, 2);
    ck_assert_uint_eq(hub_stats(world.hub)->sessions_behind, 0);
    ck_assert_uint_eq(world.source.scanned, BACKLOG);
    finish(clients, 2);
}
END_TEST

START_TEST(one_reading_serves_those_who_come_after_it)
{
    struct client clients[2];
    begin(clients, 2, READ_BACK_BYTES);
    connect(&clients[0]);
    read_to_the_end();
    publish(50); /* more than a ring's own share */
    connect(&clients[1]);
    read_to_the_end();
    check_all(clients, 2);
    ck_assert_uint_eq(world.source.scanned, BACKLOG);
    finish(clients, 2);
}
END_TEST

START_TEST(one_reading_serves_those_whose_sockets_block)
{
    struct client clients[2];
    begin(clients, 2, READ_BACK_BYTES);
    connect(&clients[0]);
    clients[1].blocked = true;
    connect(&clients[1]);
    read_to_the_end();
    ck_assert_uint_eq(clients[1].taken, 0);
    unblock(&clients[1]);
    read_to_the_end();
    check_all(clients, 2);
    ck_assert_uint_eq(world.source.scanned, BACKLOG);
    finish(clients, 2);
}
END_TEST

START_TEST(what_was_read_back_is_limited_in_bytes_and_time)
{
    struct client clients[2];
    const size_t limit = SMALL_READ_BACK_BYTES;
    begin(clients, 2, limit);
    connect(&clients[0]);
    clients[0].blocked = true; /* takes part of it */
    for (int i = 0; i < 1000; i++) {
        read_back(3);
        turn();
        ck_assert_uint_le(hub_stats(world.hub)->read_back_bytes, limit);
    }
    unblock(&clients[0]);
    read_to_the_end();
    connect(&clients[1]);
    read_to_the_end();
    check_all(clients, 2);
    ck_assert_uint_gt(world.source.scanned, BACKLOG);
    ck_assert_uint_gt(hub_stats(world.hub)->read_back_bytes, 0);
    ck_assert_int_le(hub_deadline_ms(world.hub), world.now_ms + KEPT_MS);
    world.now_ms += KEPT_MS;
    turn();
    ck_assert_uint_eq(hub_stats(world.hub)->read_back_bytes, 0);
    finish(clients, 2);
}
END_TEST

START_TEST(what_will_not_be_kept_is_not_read_for_a_blocked_socket)
{
    struct client client;
    begin(&client, 1, SMALL_READ_BACK_BYTES);
    client.blocked = true;
    connect(&client);
    for (int i = 0; i < 100; i++) {
        read_back(3);
        turn();
    }
    ck_assert(!world.source.scanning);
    ck_assert_uint_le(world.source.scanned, QUEUE + 3);
    unblock(&client);
    read_to_the_end();
    check_all(&client, 1);
    ck_assert_uint_le(world.source.scanned, BACKLOG + QUEUE + 3);
    finish(&client, 1);
}
END_TEST

START_TEST(what_will_not_be_kept_is_not_read_when_its_last_reader_is_gone)
{
    struct client clients[2];
    begin(clients, 2, SMALL_READ_BACK_BYTES);
    clients[1] = (struct client){0}; /* a new one, which is live */
    connect(&clients[0]);
    connect(&clients[1]);
    read_back(BACKLOG / 2); /* more than is kept */
    turn();
    ck_assert(world.source.scanning);
    session_close(clients[0].session);
    turn();
    ck_assert(!world.source.scanning);
    connect(&clients[0]);
    read_to_the_end();
    check_all(clients, 1);
    finish(clients, 2);
}
END_TEST

/* The gateway that it came to last has read no record but in order to let it in. */
START_TEST(a_cursor_names_the_last_record_though_none_has_arrived)
{
    enum { MARKERS = 2 };
    struct client clients[2];
    begin(clients, 2, READ_BACK_BYTES);
    connect(&clients[0]);
    connect(&clients[1]);
    read_to_the_end();
    end_gateway(clients, 2);
    world.end += MARKERS;
    start_gateway(READ_BACK_BYTES);
    clients[1] = (struct client){0}; /* a new one: it stands at the same record */
    connect(&clients[1]);
    connect(&clients[0]);
    read_back(1);
    read_back_markers();
    ck_assert(clients[0].recovered);
    session_close(clients[1].session);
    connect(&clients[1]);
    ck_assert(clients[1].recovered);
    end_gateway(clients, 2);

    world.log++;
    world.end += BACKLOG;
    start_gateway(READ_BACK_BYTES);
    connect(&clients[0]);
    connect(&clients[1]);
    read_to_the_end();
    ck_assert(!clients[0].recovered);
    ck_assert(!clients[1].recovered);
    ck_assert_uint_eq(clients[0].taken, BACKLOG);
    ck_assert_uint_eq(clients[1].taken, 0);
    finish(clients, 2);
}
END_TEST

TEST_PROGRAM("catch_up", one_reading_serves_those_who_come_while_it_lasts,
             one_reading_serves_those_who_come_after_it,
             one_reading_serves_those_whose_sockets_block,
             what_was_read_back_is_limited_in_bytes_and_time,
             what_will_not_be_kept_is_not_read_for_a_blocked_socket,
             what_will_not_be_kept_is_not_read_when_its_last_reader_is_gone,
             a_cursor_names_the_last_record_though_none_has_arrived)
