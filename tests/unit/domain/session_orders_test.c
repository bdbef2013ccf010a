/* Orders of the backend, as sessions feel them. */
#include <stdio.h>

#include "from_yaml.h"
#include "hand_source.h"
#include "layout.h"
#include "notification.h"
#include "policy.h"
#include "suite.h"

enum { CLIENTS = 40, WALL_MS = 1700000000, DAY_MS = 86400000 };

struct client {
    struct session *session;
    char private_id[1024], cursor[1024], told[1024];
    bool over;
};

static struct {
    struct hub *hub;
    struct hand_source source;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct client clients[CLIENTS];
    int64_t end, now_ms;
    size_t named;
} world;

/* --- a client: what it is told, in words */

static void keep(char out[1024], struct bytes text)
{
    if (text.size)
        snprintf(out, 1024, "%.*s", BYTES_PRINT(text));
}

static void ready(struct session *session, void *connection)
{
    static const char *const words[] = {
        [DELIVERY_OPENED] = "opened",      [DELIVERY_NOTIFICATION] = "notification",
        [DELIVERY_JOINED] = "joined",      [DELIVERY_JOIN_REFUSED] = "refused",
        [DELIVERY_LEFT] = "left",          [DELIVERY_REFRESHED] = "refreshed",
        [DELIVERY_CURSOR] = "cursor",      [DELIVERY_CLOSE] = "close",
        [DELIVERY_REFUSED] = "turned away"};
    struct client *client = connection;
    struct delivery delivery;
    while (!client->over && session_next(session, &delivery)) {
        keep(client->private_id, delivery.private_id);
        keep(client->cursor, delivery.cursor);
        size_t size = strlen(client->told);
        snprintf(client->told + size, sizeof(client->told) - size, "%s%s%s%.*s%s%s; ",
                 words[delivery.kind], delivery.recovered ? " again" : "",
                 delivery.room.size ? " " : "", BYTES_PRINT(delivery.room),
                 delivery.reason ? ": " : "", delivery.reason ? delivery.reason : "");
        if (delivery.kind != DELIVERY_REFUSED && delivery.kind != DELIVERY_CLOSE)
            continue;
        if (delivery.transient)
            strncat(client->told, "come again; ", sizeof(client->told) - strlen(client->told) - 1);
        client->over = true;
        session_close(session);
    }
}

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static const struct transport_ops transport = {
    .name = "test", .slot = TRANSPORT_SLOT_SSE, .encode = encode, .ready = ready};

static void turn(int64_t later_ms)
{
    hand_open(&world.source, world.hub, 0, world.end);
    hub_run(world.hub, world.now_ms += later_ms);
}

static void open_session(unsigned i, const char *claims)
{
    struct client *client = &world.clients[i];
    struct session_request request = {.transport = &transport,
                                      .connection = client,
                                      .claims = claims_of_text(bytes_of_string(claims)),
                                      .private_id = bytes_of_string(client->private_id),
                                      .cursor = bytes_of_string(client->cursor),
                                      .now_ms = world.now_ms};
    for (size_t byte = 0; byte < sizeof(request.random); byte++)
        request.random[byte] = (uint8_t)(i + 1);
    client->told[0] = 0;
    client->over = false;
    client->session = hub_open_session(world.hub, &request);
}

static void connect_with(unsigned i, const char *claims)
{
    open_session(i, claims);
    turn(1);
    turn(1);
}

static const char *claims_of(unsigned user, const char *more)
{
    static char text[256];
    snprintf(text, sizeof(text), "{\"tenant\":\"acme\",\"sub\":\"u%u\"%s}", user, more);
    return text;
}

static void is_told(unsigned i, const char *expected)
{
    ck_assert_str_eq(world.clients[i].told, expected);
    world.clients[i].told[0] = 0;
}

static void publish(const char *room_name)
{
    auto_buffer struct buffer value = {0};
    struct bytes room = bytes_of_string(room_name);
    struct notification notification = {.id = BYTES_LITERAL("1"),
                                        .rooms = &room,
                                        .room_count = 1,
                                        .type = NOTIFICATION_CLIENT,
                                        .client = {.body = BYTES_LITERAL("x")}};
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = world.end++,
                                 .timestamp_ms = 1,
                                 .key = BYTES_LITERAL("acme"),
                                 .value = buffer_peek(&value)};
    if (world.source.lane && !world.source.asked)
        hub_record(world.hub, world.source.lane, &record);
}

/* --- the backend */

static struct order to(enum order_kind kind, enum order_scope scope, const char *id)
{
    return (struct order){.kind = kind,
                          .scope = scope,
                          .tenant = BYTES_LITERAL("acme"),
                          .id = bytes_of_string(id),
                          .expires_ms = INT64_MAX};
}

static enum status give_order(struct order order, const char *room)
{
    order.room = bytes_of_string(room);
    struct order_arrival arrival = {.order = &order,
                                    .written_ms = WALL_MS + world.now_ms,
                                    .now_ms = world.now_ms,
                                    .wall_ms = WALL_MS + world.now_ms};
    return hub_order(world.hub, &arrival, &world.named);
}

static void say(struct order order, const char *room)
{
    ck_assert_int_eq(give_order(order, room), STATUS_OK);
    turn(1);
}

static void revoke_before(enum order_scope scope, const char *id, int64_t seconds)
{
    struct order order = to(ORDER_NOT_BEFORE, scope, id);
    order.not_before_ms = seconds * 1000;
    say(order, "");
}

/* --- a gateway */

static void start(void)
{
    world.source = (struct hand_source){0};
    world.hub = hub_new(&world.config, &hand_source_ops, &world.source);
}

static void begin(void)
{
    memset(&world, 0, sizeof(world));
    world.layout =
        layout_from_yaml("user: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "task: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}\n"
                         "project: {topic: fanout.tenant, key: \"{tenant}\", partitions: 1}",
                         NULL);
    world.policy = policy_from_yaml("connect: [\"user:{sub}\"]\njoin: [\"task:*\"]");
    world.config = hand_config(world.layout, world.policy);
    world.config.sessions = CLIENTS;
    world.config.rooms_per_session = 4;
    world.config.orders = (struct orders_limits){.most = 8, .age_ms = DAY_MS, .tell = true};
    start();
    hub_orders_known(world.hub);
}

static void stop(void)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (world.clients[i].session && !world.clients[i].over)
            session_close(world.clients[i].session);
    for (unsigned i = 0; i < CLIENTS; i++)
        world.clients[i].session = NULL;
    hub_free(world.hub);
}

static void end(void)
{
    stop();
    layout_free(world.layout);
    policy_free(world.policy);
}

START_TEST(nobody_is_let_in_before_the_orders_are_known)
{
    begin();
    stop();
    start();
    connect_with(0, claims_of(1, ""));
    is_told(0, "turned away: unavailable; come again; ");
    ck_assert_uint_eq(hub_stats(world.hub)->lanes, 0); /* nor does it cost anything */
    ck_assert_int_eq(give_order(to(ORDER_DISCONNECT, ORDER_USER, "u1"), ""), STATUS_OK);
    hub_orders_known(world.hub);
    connect_with(0, claims_of(1, ""));
    is_told(0, "turned away: disconnected; ");
    ck_assert_uint_eq(hub_stats(world.hub)->lanes, 0);
    connect_with(1, claims_of(2, ""));
    is_told(1, "opened; ");
    ck_assert_uint_eq(hub_stats(world.hub)->kept_out, 1);
    end();
}
END_TEST

START_TEST(ended_by_each_name)
{
    begin();
    for (unsigned i = 0; i < 6; i++) {
        char token[32];
        snprintf(token, sizeof(token), ",\"jti\":\"t%u\"", i);
        connect_with(i, claims_of(i / 2, token));
        is_told(i, "opened; ");
    }
    say(to(ORDER_DISCONNECT, ORDER_USER, "u0"), "");
    ck_assert_uint_eq(world.named, 2);
    is_told(0, "close: disconnected; ");
    is_told(1, "close: disconnected; ");
    say(to(ORDER_DISCONNECT, ORDER_TOKEN, "t2"), "");
    is_told(2, "close: disconnected; ");
    char id[64];
    snprintf(id, sizeof(id), "%.*s", BYTES_PRINT(session_public_id(world.clients[3].session)));
    say(to(ORDER_DISCONNECT, ORDER_SESSION, id), "");
    is_told(3, "close: disconnected; ");
    is_told(4, "");
    say(to(ORDER_DISCONNECT, ORDER_TENANT, ""), "");
    is_told(4, "close: disconnected; ");
    is_told(5, "close: disconnected; ");
    ck_assert_uint_eq(hub_stats(world.hub)->disconnected, 6);
    ck_assert_uint_eq(hub_stats(world.hub)->sessions, 0);
    end();
}
END_TEST

/* The session, not the user: he may come, as another session. */
START_TEST(a_session_does_not_come_back)
{
    begin();
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened; ");
    char id[64];
    snprintf(id, sizeof(id), "%.*s", BYTES_PRINT(session_public_id(world.clients[0].session)));
    say(to(ORDER_DISCONNECT, ORDER_SESSION, id), "");
    is_told(0, "close: disconnected; ");
    connect_with(0, claims_of(1, ""));
    is_told(0, "turned away: disconnected; ");
    connect_with(1, claims_of(1, ""));
    is_told(1, "opened; ");
    end();
}
END_TEST

START_TEST(tokens_of_before_are_worthless)
{
    begin();
    connect_with(0, claims_of(1, ",\"iat\":99"));
    connect_with(1, claims_of(1, ",\"iat\":100.5"));
    connect_with(2, claims_of(1, ""));
    connect_with(3, claims_of(2, ""));
    for (unsigned i = 0; i < 4; i++)
        is_told(i, "opened; ");
    revoke_before(ORDER_USER, "u1", 100);
    is_told(0, "close: token_revoked; come again; "); /* with another token */
    is_told(1, "");
    is_told(2, "close: token_revoked; come again; "); /* it does not say when */
    is_told(3, "");
    connect_with(0, claims_of(1, ",\"iat\":99")); /* a return */
    is_told(0, "turned away: token_revoked; ");
    connect_with(0, claims_of(1, ",\"iat\":101"));
    is_told(0, "opened again; ");
    ck_assert_str_eq(session_refresh(world.clients[0].session,
                                     claims_of_text(bytes_of_string(claims_of(1, ",\"iat\":99"))),
                                     1, world.now_ms),
                     "token_revoked");
    turn(1);
    is_told(0, "");
    ck_assert_uint_eq(hub_stats(world.hub)->revoked, 2);
    end();
}
END_TEST

START_TEST(out_of_a_room)
{
    begin();
    connect_with(0, claims_of(1, ""));
    session_join(world.clients[0].session, BYTES_LITERAL("task:1"), 7, world.now_ms);
    turn(1);
    is_told(0, "opened; joined task:1; ");
    publish("task:1");
    say(to(ORDER_LEAVE, ORDER_USER, "u1"), "task:1");
    is_told(0, "notification; left task:1: not_allowed; "); /* it was owed */
    publish("task:1");
    publish("user:u1");
    turn(1);
    is_told(0, "notification; ");
    session_join(world.clients[0].session, BYTES_LITERAL("task:1"), 8, world.now_ms);
    turn(1);
    is_told(0, "refused task:1: not_allowed; ");
    /* Nor does a fresh token open it, or a return. */
    ck_assert_ptr_null(session_refresh(world.clients[0].session,
                                       claims_of_text(bytes_of_string(claims_of(1, ""))), 9,
                                       world.now_ms));
    say(to(ORDER_LEAVE, ORDER_USER, "u1"), "user:u1");
    is_told(0, "refreshed; left user:u1: not_allowed; ");
    session_close(world.clients[0].session);
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened again; ");
    world.clients[1].private_id[0] = 0;
    connect_with(1, claims_of(1, "")); /* a fresh one neither */
    is_told(1, "opened; left user:u1: not_allowed; ");
    publish("user:u1");
    publish("task:1");
    turn(1);
    is_told(0, "");
    is_told(1, "");
    ck_assert_uint_eq(hub_stats(world.hub)->rooms_closed, 2);
    end();
}
END_TEST

/* A room that the claims do not open, for as long as the order is in force. */
START_TEST(into_a_room)
{
    begin();
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened; ");
    struct order order = to(ORDER_JOIN, ORDER_USER, "u1");
    order.expires_ms = WALL_MS + world.now_ms + 1000;
    say(order, "project:p1");
    turn(1);
    is_told(0, "joined project:p1; ");
    publish("project:p1");
    turn(1);
    is_told(0, "notification; ");
    ck_assert_ptr_null(session_refresh(world.clients[0].session,
                                       claims_of_text(bytes_of_string(claims_of(1, ""))), 9,
                                       world.now_ms));
    turn(1);
    is_told(0, "refreshed; ");
    session_close(world.clients[0].session);
    publish("project:p1");
    connect_with(0, claims_of(1, "")); /* to what it has missed there */
    is_told(0, "opened again; notification; ");
    connect_with(1, claims_of(1, ""));
    is_told(1, "opened; joined project:p1; ");
    turn(2000);
    turn(1);
    is_told(0, "left project:p1: not_allowed; ");
    is_told(1, "left project:p1: not_allowed; ");
    publish("project:p1");
    turn(1);
    is_told(0, "");
    ck_assert_uint_eq(hub_stats(world.hub)->orders_now, 0);
    end();
}
END_TEST

/* It came back to the room, and before it is told so, the only order there was is taken back. */
START_TEST(out_of_a_room_whose_order_is_lifted_meanwhile)
{
    begin();
    connect_with(0, claims_of(1, ""));
    struct order order = to(ORDER_JOIN, ORDER_USER, "u1");
    say(order, "project:p1");
    turn(1);
    is_told(0, "opened; joined project:p1; ");
    session_close(world.clients[0].session);
    open_session(0, claims_of(1, ""));
    order.lifted = true;
    say(order, "project:p1");
    turn(1);
    is_told(0, "opened again; left project:p1: not_allowed; ");
    end();
}
END_TEST

START_TEST(what_a_client_leaves_stays_left)
{
    begin();
    connect_with(0, claims_of(1, ""));
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p1");
    turn(1);
    is_told(0, "opened; joined project:p1; ");
    session_leave(world.clients[0].session, BYTES_LITERAL("project:p1"), 7);
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p2");
    turn(1);
    is_told(0, "left project:p1; joined project:p2; ");
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p1"); /* once more */
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p3");
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p4");
    turn(1);
    is_told(0, "joined project:p1; joined project:p3; left project:p4: too_many_rooms; ");
    end();
}
END_TEST

static void restart_for(size_t orders)
{
    world.config.orders.most = orders;
    stop();
    start();
    hub_orders_known(world.hub);
}

static void open_rooms(enum order_scope scope, const char *id, const char *kind, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char room[32];
        snprintf(room, sizeof(room), "%s:%u", kind, i);
        ck_assert_int_eq(give_order(to(ORDER_JOIN, scope, id), room), STATUS_OK);
    }
}

static void refresh(unsigned i, const char *claims)
{
    ck_assert_ptr_null(session_refresh(world.clients[i].session,
                                       claims_of_text(bytes_of_string(claims)), 9, world.now_ms));
    turn(1);
    turn(1);
}

/* What orders for all else than the token have done is not done again. */
START_TEST(a_fresh_token_does_not_undo_a_leave)
{
    begin();
    connect_with(0, claims_of(1, ",\"jti\":\"t1\""));
    is_told(0, "opened; ");
    for (unsigned i = 1; i <= 4; i++) {
        char room[32];
        snprintf(room, sizeof(room), "project:%u", i);
        say(to(ORDER_JOIN, ORDER_USER, "u1"), room);
    }
    say(to(ORDER_JOIN, ORDER_TOKEN, "t2"), "project:5");
    session_leave(world.clients[0].session, BYTES_LITERAL("project:1"), 7);
    turn(1);
    is_told(0, "joined project:1; joined project:2; joined project:3; "
               "left project:4: too_many_rooms; left project:1; ");
    refresh(0, claims_of(1, ",\"jti\":\"t1\""));
    is_told(0, "refreshed; ");
    refresh(0, claims_of(1, ",\"jti\":\"t2\""));
    is_told(0, "refreshed; joined project:5; ");
    refresh(0, claims_of(1, ""));
    is_told(0, "left project:5: not_allowed; refreshed; ");
    session_close(world.clients[0].session); /* a return is another matter */
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened again; joined project:1; left project:4: too_many_rooms; ");
    end();
}
END_TEST

/* Far more than its queue holds answers: it hears of the first that is too many, and stays. */
START_TEST(more_rooms_than_it_may_have)
{
    begin();
    restart_for(2000);
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened; ");
    open_rooms(ORDER_USER, "u1", "project", 200);
    open_rooms(ORDER_TENANT, "", "task", 200);
    turn(1);
    turn(1);
    is_told(0, "joined task:0; joined task:1; joined task:2; left task:3: too_many_rooms; ");
    end();
}
END_TEST

/* Nor is it ended for rooms that there are not; those that there are it is given. */
START_TEST(rooms_that_there_are_not)
{
    begin();
    restart_for(2000);
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened; ");
    open_rooms(ORDER_USER, "u1", "nowhere", 200);
    say(to(ORDER_JOIN, ORDER_USER, "u1"), "project:p1");
    turn(1);
    is_told(0, "left nowhere:0: no_such_room; left nowhere:1: no_such_room; "
               "left nowhere:2: no_such_room; left nowhere:3: no_such_room; joined project:p1; ");
    end();
}
END_TEST

/* What a look costs counts as so many. */
START_TEST(rooms_that_orders_open_in_slices)
{
    begin();
    restart_for(2000);
    for (unsigned i = 0; i < CLIENTS; i++)
        connect_with(i, claims_of(i, ""));
    open_rooms(ORDER_TENANT, "", "nowhere", 200);
    unsigned turns = 0;
    for (; hub_deadline_ms(world.hub) <= world.now_ms; turns++)
        turn(0);
    ck_assert_uint_ge(turns, CLIENTS * 200 / 1024);
    end();
}
END_TEST

/* A few in each turn; it ends, and the loop is told to go on until then. */
START_TEST(a_tenant_in_slices)
{
    begin();
    restart_for(2000);
    for (unsigned i = 0; i < CLIENTS; i++)
        connect_with(i, claims_of(i, ""));
    uint64_t steps = hub_stats(world.hub)->steps;
    for (unsigned i = 0; i < 100; i++) { /* 100 orders for all: they are looked at together */
        char room[32];
        snprintf(room, sizeof(room), "task:%u", i);
        ck_assert_int_eq(give_order(to(ORDER_LEAVE, ORDER_TENANT, ""), room), STATUS_OK);
    }
    unsigned turns = 0;
    for (; hub_deadline_ms(world.hub) <= world.now_ms; turns++)
        turn(0);
    ck_assert_uint_le(hub_stats(world.hub)->steps - steps, (uint64_t)2 * CLIENTS);
    ck_assert_uint_ge(turns, 1);
    end();
}
END_TEST

START_TEST(as_many_as_there_may_be)
{
    begin();
    for (unsigned i = 0; i < 8; i++) {
        char user[16];
        snprintf(user, sizeof(user), "x%u", i);
        say(to(ORDER_DISCONNECT, ORDER_USER, user), "");
    }
    connect_with(0, claims_of(1, ""));
    ck_assert_int_eq(give_order(to(ORDER_DISCONNECT, ORDER_USER, "u1"), ""), STATUS_LIMIT);
    turn(DAY_MS);
    ck_assert_int_eq(give_order(to(ORDER_DISCONNECT, ORDER_USER, "u1"), ""), STATUS_OK);
    turn(1);
    is_told(0, "opened; close: disconnected; ");
    end();
}
END_TEST

/* An order reaches a day, whatever it says; one whose time is over does nothing, and replaces. */
START_TEST(orders_have_a_time)
{
    begin();
    struct order order = to(ORDER_DISCONNECT, ORDER_USER, "u1");
    order.expires_ms = WALL_MS + 100 * (int64_t)DAY_MS;
    say(order, "");
    connect_with(0, claims_of(1, ""));
    is_told(0, "turned away: disconnected; ");
    turn(DAY_MS);
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened; ");
    order.expires_ms = WALL_MS;
    say(order, "");
    is_told(0, "");
    ck_assert_uint_eq(hub_stats(world.hub)->orders_over, 1);
    order.expires_ms = INT64_MAX;
    say(order, "");
    is_told(0, "close: disconnected; ");
    order.lifted = true;
    say(order, "");
    connect_with(0, claims_of(1, ""));
    is_told(0, "opened again; ");
    ck_assert_uint_eq(hub_stats(world.hub)->orders_lifted, 1);
    end();
}
END_TEST

START_TEST(a_session_that_moves_is_held_to_them)
{
    begin();
    connect_with(0, claims_of(1, ",\"iat\":99"));
    connect_with(1, claims_of(2, ",\"iat\":99"));
    is_told(0, "opened; ");
    auto_buffer struct buffer one = {0};
    auto_buffer struct buffer two = {0};
    ck_assert_int_eq(session_migrate_out(world.clients[0].session, &one), STATUS_OK);
    ck_assert_int_eq(session_migrate_out(world.clients[1].session, &two), STATUS_OK);
    stop();
    start();
    hub_orders_known(world.hub);
    revoke_before(ORDER_USER, "u1", 100);
    struct bytes states[] = {buffer_peek(&one), buffer_peek(&two)};
    for (unsigned i = 0; i < 2; i++) {
        struct session_request request = {.transport = &transport,
                                          .connection = &world.clients[i],
                                          .continued = states[i],
                                          .now_ms = world.now_ms};
        world.clients[i].told[0] = 0;
        world.clients[i].session = hub_open_session(world.hub, &request);
        turn(1);
        turn(1);
    }
    /* Its client believes to be connected: it is told when it comes by itself. */
    is_told(0, "turned away: token_revoked; come again; ");
    is_told(1, "opened; ");
    end();
}
END_TEST

START_TEST(nothing_is_told_if_that_is_configured)
{
    begin();
    world.config.orders.tell = false;
    stop();
    start();
    hub_orders_known(world.hub);
    connect_with(0, claims_of(1, ""));
    say(to(ORDER_DISCONNECT, ORDER_USER, "u1"), "");
    is_told(0, "opened; close: not_allowed; ");
    end();
}
END_TEST

TEST_PROGRAM("session_orders", nobody_is_let_in_before_the_orders_are_known, ended_by_each_name,
             a_session_does_not_come_back, tokens_of_before_are_worthless, out_of_a_room,
             into_a_room, out_of_a_room_whose_order_is_lifted_meanwhile,
             what_a_client_leaves_stays_left, a_fresh_token_does_not_undo_a_leave,
             more_rooms_than_it_may_have, rooms_that_there_are_not,
             rooms_that_orders_open_in_slices, a_tenant_in_slices, as_many_as_there_may_be,
             orders_have_a_time, a_session_that_moves_is_held_to_them,
             nothing_is_told_if_that_is_configured)
