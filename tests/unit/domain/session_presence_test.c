/* Sessions and presence: who is told what, where in its stream, and what goes along when it comes
 * back. What a room's presence is: presence_test.c. */
#include <stdio.h>

#include "presence.h"
#include "returning.h"
#include "suite.h"

enum { TICK = PRESENCE_TICK_MS + 10, LINGER = 1000 };

static struct gateway gateway;

static void begin(void)
{
    world_reset();
    world.presence = true;
    gateway_start(&gateway, NULL, access_all);
    client_connect(acme);
    world.told[0] = 0;
}

static void watch(const char *room)
{
    session_join_with_presence(world.session, bytes_of_string(room), 1, NULL, world.now_ms, 0);
    world_turn(1);
}

/* Another user of the tenant, whose session takes nothing. */
static void ignore(struct session *session, void *connection)
{
    struct delivery delivery;
    (void)connection;
    while (session_next(session, &delivery))
        ;
}

static struct body_part encode_nothing(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static struct session *another(const char *claims, const char *room)
{
    static const struct transport_ops transport = {
        .name = "other", .slot = TRANSPORT_SLOT_SSE, .encode = encode_nothing, .ready = ignore};
    struct session_request request = {.transport = &transport,
                                      .claims = claims_of_text(bytes_of_string(claims)),
                                      .now_ms = world.now_ms};
    struct session *session = hub_open_session(world.hub, &request);
    world_turn(1);
    session_join(session, bytes_of_string(room), 1, world.now_ms);
    world_turn(1);
    return session;
}

static void later(int64_t ms)
{
    for (int64_t until = world.now_ms + ms; world.now_ms < until;)
        world_turn(50);
}

START_TEST(the_confirmation_then_a_snapshot_then_changes)
{
    begin();
    watch("task:1");
    later(TICK);
    ck_assert_str_eq(world.told,
                     "joined task:1; presence \"task:1\",\"users\":[\"usr_1\"],\"count\":1,"
                     "\"complete\":false}; ");
    world.told[0] = 0;
    struct session *bob = another("{\"sub\":\"bob\",\"tenant\":\"acme\"}", "task:1");
    later(TICK);
    ck_assert_str_eq(world.told,
                     "presence \"task:1\",\"joined\":[\"bob\"],\"left\":[],\"count\":2}; ");
    world.told[0] = 0;
    session_close(bob);
    later(LINGER + TICK);
    ck_assert_str_eq(world.told,
                     "presence \"task:1\",\"joined\":[],\"left\":[\"bob\"],\"count\":1}; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(who_does_not_ask_is_not_told)
{
    begin();
    client_join("task:1", 1);
    struct session *bob = another("{\"sub\":\"bob\",\"tenant\":\"acme\"}", "task:1");
    later(TICK);
    ck_assert_str_eq(world.told, "joined task:1; ");
    session_close(bob);
    gateway_end(&gateway);
}
END_TEST

START_TEST(kinds_without_presence_and_tokens_without_a_user)
{
    begin();
    watch("project:1");
    ck_assert_str_eq(world.told, "refused project:1: no_presence; ");
    ck_assert(!session_is_in(world.session, BYTES_LITERAL("project:1")));
    gateway_end(&gateway);
    world_reset();
    world.presence = true;
    gateway_start(&gateway, NULL, "{connect: [], join: ['task:*']}");
    client_connect("{\"tenant\":\"acme\"}");
    world.told[0] = 0;
    watch("task:1");
    ck_assert_str_eq(world.told, "refused task:1: no_presence; ");
    client_join("task:1", 2);
    ck_assert_str_eq(world.told, "refused task:1: no_presence; joined task:1; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(a_tenant_hears_of_its_own_alone)
{
    begin();
    watch("task:1");
    later(TICK);
    world.told[0] = 0;
    struct session *other = another("{\"sub\":\"bob\",\"tenant\":\"umbrella\"}", "task:1");
    later(TICK);
    ck_assert_str_eq(world.told, "");
    session_close(other);
    gateway_end(&gateway);
}
END_TEST

/* One that reads nothing: one mark for the room, and then the latest. */
START_TEST(who_is_slow_gets_the_latest)
{
    begin();
    watch("task:1");
    later(TICK);
    world.told[0] = 0;
    world.takes = 0;
    struct session *others[3];
    for (unsigned i = 0; i < 3; i++) {
        char claims[64];
        snprintf(claims, sizeof(claims), "{\"sub\":\"u%u\",\"tenant\":\"acme\"}", i);
        others[i] = another(claims, "task:1");
        later(TICK);
    }
    world_publish(1, "task:1"); /* all else comes first */
    world.takes = -1;
    client_take();
    ck_assert_str_eq(world.told,
                     "notification; presence \"task:1\",\"users\":[\"usr_1\",\"u0\",\"u1\",\"u2\"],"
                     "\"count\":4,\"complete\":false}; ");
    for (unsigned i = 0; i < 3; i++)
        session_close(others[i]);
    gateway_end(&gateway);
}
END_TEST

START_TEST(a_room_that_is_left_takes_it_along)
{
    begin();
    watch("task:1");
    later(TICK);
    struct session *bob = another("{\"sub\":\"bob\",\"tenant\":\"acme\"}", "task:1");
    world.takes = 0;
    later(TICK);
    world.takes = -1;
    session_leave(world.session, BYTES_LITERAL("task:1"), 2);
    world.told[0] = 0;
    world_turn(1);
    client_take();
    ck_assert_str_eq(world.told, "left task:1; ");
    session_close(bob);
    later(LINGER + TICK);
    ck_assert_str_eq(world.told, "left task:1; ");
    gateway_end(&gateway);
}
END_TEST

/* Its client does not ask again: it takes itself to be as it was. */
START_TEST(who_comes_back_has_a_snapshot)
{
    begin();
    watch("task:1");
    watch("user:usr_1"); /* a room of the private id */
    client_join("task:2", 3);
    later(TICK);
    session_close(world.session);
    client_connect(acme);
    later(TICK);
    ck_assert_str_eq(world.told,
                     "recovered; presence \"user:usr_1\",\"users\":[\"usr_1\"],\"count\":1,"
                     "\"complete\":false}; presence \"task:1\",\"users\":[\"usr_1\"],\"count\":1,"
                     "\"complete\":false}; ");
    gateway_end(&gateway);
}
END_TEST

/* Nobody has told its client that it moved. */
START_TEST(who_moves_has_a_snapshot_there)
{
    static const struct transport_ops transport = {
        .name = "other", .slot = TRANSPORT_SLOT_SSE, .encode = encode_nothing, .ready = ignore};
    auto_buffer struct buffer state = {0};
    struct delivery delivery;
    bool told = false;
    begin();
    watch("task:1");
    later(TICK);
    ck_assert_int_eq(session_migrate_out(world.session, &state), STATUS_OK);
    session_close(world.session);
    struct session_request request = {
        .transport = &transport, .continued = buffer_peek(&state), .now_ms = world.now_ms};
    world.session = hub_open_session(world.hub, &request);
    /* Before its transport takes what there is. */
    while (session_next(world.session, &delivery))
        told = told || (delivery.kind == DELIVERY_PRESENCE && delivery.presence->snapshot &&
                        delivery.presence->count == 1);
    ck_assert(told);
    gateway_end(&gateway);
    /* What no gateway of ours has written is refused. */
    begin();
    buffer_append_byte(&state, 100);
    request.continued = buffer_peek(&state);
    session_close(world.session);
    world.session = hub_open_session(world.hub, &request);
    ck_assert(session_next(world.session, &delivery));
    ck_assert_int_eq(delivery.kind, DELIVERY_REFUSED);
    gateway_end(&gateway);
}
END_TEST

START_TEST(a_token_without_the_room_takes_it_along)
{
    world_reset();
    world.presence = true;
    gateway_start(&gateway, NULL, "{connect: [], join: [{room: 'task:*', if: {role: member}}]}");
    client_connect("{\"sub\":\"ann\",\"tenant\":\"acme\",\"role\":\"member\"}");
    watch("task:1");
    later(TICK);
    world.told[0] = 0;
    struct session *bob =
        another("{\"sub\":\"bob\",\"tenant\":\"acme\",\"role\":\"member\"}", "task:1");
    ck_assert_ptr_null(session_refresh(
        world.session, claims_of_text(BYTES_LITERAL("{\"sub\":\"ann\",\"tenant\":\"acme\"}")), 2,
        world.now_ms));
    later(TICK);
    session_close(bob);
    later(LINGER + TICK);
    ck_assert_str_eq(world.told, "left task:1: not_allowed; refreshed; ");
    gateway_end(&gateway);
}
END_TEST

START_TEST(a_reload_is_no_leaving)
{
    begin();
    watch("task:1");
    later(TICK);
    struct session *bob = another("{\"sub\":\"bob\",\"tenant\":\"acme\"}", "task:1");
    later(TICK);
    world.told[0] = 0;
    session_close(bob);
    later(LINGER / 2);
    bob = another("{\"sub\":\"bob\",\"tenant\":\"acme\"}", "task:1");
    later(LINGER + TICK);
    ck_assert_str_eq(world.told, "");
    session_close(bob);
    gateway_end(&gateway);
}
END_TEST

START_TEST(asked_again_it_is_a_snapshot_again)
{
    begin();
    watch("task:1");
    later(TICK);
    world.told[0] = 0;
    watch("task:1");
    ck_assert_str_eq(world.told, "joined task:1; presence \"task:1\",\"users\":[\"usr_1\"],"
                                 "\"count\":1,\"complete\":false}; ");
    gateway_end(&gateway);
}
END_TEST

TEST_PROGRAM("session_presence", the_confirmation_then_a_snapshot_then_changes,
             who_does_not_ask_is_not_told, kinds_without_presence_and_tokens_without_a_user,
             a_tenant_hears_of_its_own_alone, who_is_slow_gets_the_latest,
             a_room_that_is_left_takes_it_along, who_comes_back_has_a_snapshot,
             who_moves_has_a_snapshot_there, a_token_without_the_room_takes_it_along,
             a_reload_is_no_leaving, asked_again_it_is_a_snapshot_again)
